"""Publish by rename: what can be seen under its final name is complete.

Write to a temporary sibling, flush, fsync, rename, fsync the folder. Leftover temporaries of a killed
process never block anything: their names hold the process id and a counter, and ``sweep`` removes them.
"""

from __future__ import annotations

import errno
import hashlib
import itertools
import os
import shutil
import socket
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

from labwright.runs.errors import FaultError
from labwright.runs.faults import fault
from labwright.runs.plain import encoder

TEMPORARY = ".tmp-"
# Process ids mean nothing on another host, so the names of temporaries hold the host too.
_HERE = hashlib.blake2s(socket.gethostname().encode(), digest_size=4).hexdigest()
_counter = itertools.count()
_encode = encoder(indent=1)


@contextmanager
def publish(final: Path, label: str) -> Iterator[Path]:
    """Give a temporary path to write a file or a folder at; on leaving, make it ``final``.

    Args:
        final: the name under which the thing shall be seen. What is there already is replaced.
        label: one of ``faults.PUBLISHED``; names the fault points.

    Raises:
        FaultError: the disk is full or the folder cannot be written.
    """
    temporary = _temporary(final)
    with disk_said(final):
        try:
            final.parent.mkdir(parents=True, exist_ok=True)
            fault(f"{label}:before-write")
            yield temporary
            fault(f"{label}:before-sync")
            _sync(temporary)
            fault(f"{label}:before-rename")
            _replace(temporary, final)
            sync_folder(final.parent)
            fault(f"{label}:after-rename")
        except BaseException:
            with suppress(OSError):
                remove(temporary)
            raise


def disk_error(error: OSError, place: Path) -> FaultError | OSError:
    """The sentence for a disk that is full or cannot be written; any other error as it is."""
    elsewhere = "or put runs elsewhere with --runs DIR"
    sentences = {
        errno.ENOSPC: ("the disk is full", f"Free some space, {elsewhere}; then run again, nothing done is lost."),
        errno.EDQUOT: ("the disk quota is used up", f"Free some space, {elsewhere}; then run again, nothing done is lost."),
        errno.EROFS: ("the file system is read-only", "Put runs elsewhere with --runs DIR."),
        errno.EACCES: ("permission denied", f"Change its permissions, {elsewhere}."),
        errno.EPERM: ("permission denied", f"Change its permissions, {elsewhere}."),
        errno.ENOTDIR: ("a file stands where a folder has to be", f"Move it away, {elsewhere}."),
    }
    if error.errno in sentences:
        what, todo = sentences[error.errno]
        # A block that writes may have been denied a file that it wanted to read.
        return FaultError(what, where=str(error.filename or place), todo=todo)
    return error


@contextmanager
def disk_said(place: Path) -> Iterator[None]:
    """Raise the sentence of :func:`disk_error` for an error in the block; any other error goes on as it came."""
    try:
        yield
    except OSError as error:
        sentence = disk_error(error, place)
        if sentence is error:
            raise
        raise sentence from error


def write_json(final: Path, value: Any, label: str) -> None:
    """Publish ``value`` as indented JSON; what is not finite becomes null."""
    with publish(final, label) as temporary:
        temporary.write_bytes(_encode(value) + b"\n")


def digest(path: Path) -> str:
    """The SHA-256 of a file, in hex (as ``sha256sum`` prints it)."""
    with path.open("rb") as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest()


def manifest(folder: Path) -> dict[str, dict[str, Any]]:
    """Size and SHA-256 of every file below ``folder``, by relative POSIX path, sorted."""
    files = {path.relative_to(folder): path for path in sorted(folder.rglob("*")) if path.is_file()}
    return {
        name.as_posix(): {"size": path.stat().st_size, "sha256": digest(path)}
        for name, path in files.items()
        if not any(part.startswith(TEMPORARY) for part in name.parts)
    }


def verify(folder: Path, expected: Mapping[str, Mapping[str, Any]], *, checksums: bool) -> list[str]:
    """What is wrong with the files below ``folder``, a sentence each; empty when all is well."""
    problems = []
    for name, entry in expected.items():
        path = folder / name
        if not path.is_file():
            problems.append(f"{name} is missing")
        elif path.stat().st_size != entry["size"]:
            problems.append(f"{name} has {path.stat().st_size} bytes, not {entry['size']}")
        elif checksums and digest(path) != entry["sha256"]:
            problems.append(f"{name} differs from its checksum")
    return problems


def sweep(folder: Path) -> None:
    """Remove temporaries that dead processes of this host left behind anywhere below ``folder``."""
    for place, folders, files in os.walk(folder):
        for name in (*folders, *files):
            if name.startswith(f"{TEMPORARY}{_HERE}-") and not _alive(name.split("-")[2]):
                remove(Path(place, name))
        folders[:] = [name for name in folders if not name.startswith(TEMPORARY)]


def _alive(pid: str) -> bool:
    try:
        os.kill(int(pid), 0)
    except ProcessLookupError:
        return False
    except (PermissionError, ValueError):
        return True
    return True


def _temporary(final: Path) -> Path:
    return final.parent / f"{TEMPORARY}{_HERE}-{os.getpid()}-{next(_counter)}-{final.name}"


def remove(path: Path) -> None:
    """Remove a file or folder; nothing happens where there is none."""
    if path.is_dir() and not path.is_symlink():
        shutil.rmtree(path, ignore_errors=True)
    else:
        path.unlink(missing_ok=True)


def set_aside(path: Path) -> Path:
    """Rename a file or folder out of sight; where it lies now is for ``remove``, or for a later sweep."""
    aside = _temporary(path)
    os.rename(path, aside)
    return aside


def sync_folder(folder: Path) -> None:
    """Make the names in ``folder`` durable."""
    _sync_one(folder, os.O_RDONLY | os.O_DIRECTORY)


def _replace(temporary: Path, final: Path) -> None:
    if final.is_dir() and temporary.is_dir():
        # A folder cannot be renamed over a full one; the old one steps aside first.
        aside = set_aside(final)
        os.rename(temporary, final)
        remove(aside)
    else:
        os.replace(temporary, final)


def _sync(path: Path) -> None:
    if path.is_dir():
        for child in path.rglob("*"):
            _sync_one(child, os.O_RDONLY)
    _sync_one(path, os.O_RDONLY)


def _sync_one(path: Path, flags: int) -> None:
    descriptor = os.open(path, flags)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
