"""Publish by rename: what can be seen under its final name is complete.

Write to a temporary sibling, flush, fsync, rename, fsync the folder. Leftover temporaries of a killed
process never block anything: their names hold the process id and a counter, and ``sweep`` removes them.
Where the file system goes away meanwhile, names are given once it is back (``runs.patience``); what was not yet safely written has
to be written again, since an error of fsync does not tell what was lost: :func:`put` does so.
"""

from __future__ import annotations

import errno
import hashlib
import itertools
import os
import shutil
import socket
import stat
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

from labwright.runs import patience
from labwright.runs.errors import DeniedError, FaultError, LabwrightError, MissingError
from labwright.runs.faults import fault
from labwright.runs.patience import gone, patiently
from labwright.runs.plain import encoder

TEMPORARY = ".tmp-"
# Process ids mean nothing on another host, so the names of temporaries hold the host too.
_HERE = hashlib.blake2s(socket.gethostname().encode(), digest_size=4).hexdigest()
_counter = itertools.count()
_encode = encoder(indent=1)
_left: set[Path] = set()  # what was out of reach when it had to be removed


@contextmanager
def publish(final: Path, label: str) -> Iterator[Path]:
    """Give a temporary path to write a file or a folder at; on leaving, make it ``final``.

    Args:
        final: the name under which the thing shall be seen. What is there already is replaced.
        label: one of ``faults.PUBLISHED``; names the fault points.

    Raises:
        FaultError: the disk is full.
        DeniedError: the folder cannot be written.
        Gone: the file system went away and did not come back in time.
        OSError: it went away within the block; all of it has to be done again.
    """
    temporary = _temporary(final)
    with disk_said(final):
        try:
            patiently(lambda: make_folder(final.parent), final)
            fault(f"{label}:before-write")
            yield temporary
            fault(f"{label}:before-sync")
            _sync(temporary)
            fault(f"{label}:before-rename")
            _replace(temporary, final)
            patiently(lambda: sync_folder(final.parent), final)
            fault(f"{label}:after-rename")
        except BaseException:
            with suppress(OSError):
                remove(temporary)
            raise
        _remove_left()


def make_folder(folder: Path) -> None:
    """Make a folder, and those above it, where they are missing.

    Raises:
        MissingError: a file stands there, or no folder can be made (as below ``/proc``).
        OSError: any other reason; see :func:`disk_said`.
    """
    # Elsewhere these two errors are mistakes of ours, so that disk_error has no sentence for them.
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except FileExistsError as error:
        raise MissingError(
            "a file stands where a folder has to be", where=str(folder), todo="Move it away, or name another place."
        ) from error
    except FileNotFoundError as error:
        raise MissingError("no folder can be made there", where=str(folder), todo="Name another place.") from error


def put(final: Path, label: str, write: Callable[[Path], object]) -> None:
    """Publish what ``write`` makes at the path that it is given; once more from its beginning when the file system went away.

    Raises:
        FaultError: the disk is full.
        DeniedError: the folder cannot be written.
        Gone: the file system did not come back in time.
    """

    def once() -> None:
        with publish(final, label) as temporary:
            write(temporary)

    patiently(once, final)


def disk_error(error: OSError, place: Path) -> LabwrightError | OSError:
    """The sentence for a disk that is full, cannot be written or went away; any other error as it is."""
    if gone(error):
        return patience.sentence(error, place)
    elsewhere = "or put runs elsewhere with --runs DIR"
    room = f"Free some space, {elsewhere}; then run again, nothing done is lost."
    sentences: dict[int | None, tuple[type[LabwrightError], str, str]] = {
        errno.ENOSPC: (FaultError, "the disk is full", room),
        errno.EDQUOT: (FaultError, "the disk quota is used up", room),
        errno.EROFS: (DeniedError, "the file system is read-only", "Put runs elsewhere with --runs DIR."),
        errno.EACCES: (DeniedError, "permission denied", f"Change its permissions, {elsewhere}."),
        errno.EPERM: (DeniedError, "permission denied", f"Change its permissions, {elsewhere}."),
        errno.ENOTDIR: (MissingError, "a file stands where a folder has to be", f"Move it away, {elsewhere}."),
    }
    if error.errno not in sentences:
        return error
    kind, what, todo = sentences[error.errno]
    # A block that writes may have been denied a file that it wanted to read.
    where = _final(Path(os.fsdecode(error.filename))) if error.filename and not isinstance(error.filename, int) else place
    return kind(what, where=str(where), todo=todo)


@contextmanager
def disk_said(place: Path) -> Iterator[None]:
    """Raise the sentence of :func:`disk_error` for an error in the block; any other error goes on as it came.

    So does that of a file system that went away: whoever called may have patience.
    """
    try:
        yield
    except OSError as error:
        if gone(error):
            raise
        sentence = disk_error(error, place)
        if sentence is error:
            raise
        raise sentence from error


def write_json(final: Path, value: Any, label: str) -> None:
    """Publish ``value`` as indented JSON; what is not finite becomes null."""
    data = _encode(value) + b"\n"
    put(final, label, lambda temporary: temporary.write_bytes(data))


def digest(path: Path) -> str:
    """The SHA-256 of a file, in hex (as ``sha256sum`` prints it)."""
    with path.open("rb") as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest()


def manifest(folder: Path) -> dict[str, dict[str, Any]]:
    """Size and SHA-256 of every file below ``folder``, by relative POSIX path, sorted."""
    files = {path.relative_to(folder): path for path in sorted(_below(folder)) if path.is_file()}
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
        try:
            status = path.stat()
        except (FileNotFoundError, NotADirectoryError):
            problems.append(f"{name} is missing")
            continue
        if not stat.S_ISREG(status.st_mode):
            problems.append(f"{name} is no file")
        elif status.st_size != entry["size"]:
            problems.append(f"{name} has {status.st_size} bytes, not {entry['size']}")
        elif checksums and digest(path) != entry["sha256"]:
            problems.append(f"{name} differs from its checksum")
    return problems


def sweep(folder: Path) -> None:
    """Remove temporaries that dead processes of this host, or this one, left behind anywhere below ``folder``."""
    _remove_left()
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


def _final(path: Path) -> Path:
    """The path with the names that temporaries in it are to get."""
    return Path(*(part.split("-", 4)[-1] if part.startswith(f"{TEMPORARY}{_HERE}-") else part for part in path.parts))


def remove(path: Path) -> None:
    """Remove a file or folder; nothing happens where there is none. What is out of reach now goes with a later removal."""
    try:
        if not stat.S_ISDIR(path.lstat().st_mode):
            path.unlink(missing_ok=True)
            return
        shutil.rmtree(path, ignore_errors=True)
        path.lstat()
    except FileNotFoundError:
        return
    except OSError as error:
        if not gone(error):
            raise
        _left.add(path)


def _remove_left() -> None:
    for path in list(_left):
        _left.discard(path)
        with suppress(OSError):
            remove(path)


def set_aside(path: Path) -> Path:
    """Rename a file or folder out of sight; where it lies now is for ``remove``, or for a later sweep."""
    aside = _temporary(path)
    try:
        os.rename(path, aside)
    except OSError as error:
        if gone(error):
            _left.add(aside)  # perhaps it was done
        raise
    return aside


def sync_folder(folder: Path) -> None:
    """Make the names in ``folder`` durable."""
    _sync_one(folder, os.O_RDONLY | os.O_DIRECTORY)


def _replace(temporary: Path, final: Path) -> None:
    tries, aside = itertools.count(), _temporary(final)

    def once() -> None:
        if next(tries) and not _is_there(temporary) and _is_there(final):
            return  # it was done, and only the answer was lost
        if final.is_dir() and temporary.is_dir():
            # A folder cannot be renamed over a full one; the old one steps aside first.
            os.rename(final, aside)
            os.rename(temporary, final)
        else:
            os.replace(temporary, final)

    patiently(once, final)
    remove(aside)


def _is_there(path: Path) -> bool:
    try:
        path.lstat()
    except FileNotFoundError:
        return False
    return True


def _below(folder: Path) -> Iterator[Path]:
    """All files and folders below; unlike ``rglob`` of some versions this never takes a folder out of reach for an empty one."""

    def fail(error: OSError) -> None:
        raise error

    for place, folders, files in os.walk(folder, onerror=fail):
        yield from (Path(place, name) for name in (*folders, *files))


def _sync(path: Path) -> None:
    if path.is_dir():
        for child in _below(path):
            _sync_one(child, os.O_RDONLY)
    _sync_one(path, os.O_RDONLY)


def _sync_one(path: Path, flags: int) -> None:
    descriptor = os.open(path, flags)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
