"""Put what a run made where others read it: a folder, ``s3://…``, ``root://…``. Each file is read back, and what tells of all comes last.

``<place>/<run>/`` then holds the run's output, ``index.html``, its report as one page, and ``manifest.json``, which names every file with
size and SHA-256: whoever sees it sees all that it names. Checkpoints and journals stay at home. The same call again sends what is
missing or differs, and nothing else.
"""

from __future__ import annotations

import hashlib
import json
import shutil
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import BinaryIO, NamedTuple, Protocol

from labwright.parts.progress import Progress
from labwright.runs import grid_proxy, light, publish
from labwright.runs.errors import CommandError, DataError, FaultError, LabwrightError, MissingError
from labwright.runs.remote import file_system, is_remote
from labwright.runs.run import Run
from labwright.watch.report import write_report

PAGE, MANIFEST = "index.html", "manifest.json"
BLOCK_BYTES = 8 * 2**20
XROOTD_NOT_FOUND = "[3011]"
"""What servers of ``root://`` say of a file that is not there: kXR_NotFound of their protocol."""
OBJECTS = ("s3", "gs")
"""Schemes of stores that have no folders to make; asking for one might make a bucket."""
SLOW_BYTES_S = 5e6
"""What a transfer to a grid server may be as slow as, for the time that a proxy has to last."""


class File(NamedTuple):
    """A file to send, and what it holds."""

    path: Path
    size: int
    sha256: str


class Exported(NamedTuple):
    """What became of a run."""

    run: str
    place: str
    files: int
    sent: int
    """Those that were missing or differed."""
    sent_bytes: int


class Shelf(Protocol):
    """Where results go; names are relative. Errors of ``open`` and ``write`` are whatever the store raises."""

    def size(self, name: str) -> int | None: ...  # None where there is no such file
    def open(self, name: str) -> BinaryIO: ...
    def write(self, name: str, source: Path) -> None: ...
    def remove(self, name: str) -> None: ...


def export_results(run: Run, to: str, *, terminal: int | None = None) -> Exported:
    """Send what a complete run made to ``<to>/<run's name>``.

    Args:
        run: the run.
        to: a folder, or the address of one.
        terminal: descriptor of a terminal for the progress bar.

    Raises:
        MissingError: the run is not done, or is kept elsewhere; the server does not take files, for want of a package, a bucket, a
            proxy or a permission.
        DataError: the run does not fit its manifest.
        CommandError: the place lies within the run.
        FaultError: a file is not the same after it was sent; or a disk is full.
        DeniedError: the folder cannot be written.
    """
    _refuse(run)
    place = f"{to.rstrip('/') or '/'}/{run.name}"
    with TemporaryDirectory() as own:
        page = write_report([run], Path(own) / PAGE, run.name)
        files = {**_output(run), PAGE: _file(page)}
        manifest = _manifest(run, files, Path(own) / MANIFEST)
        return _send(_shelf(run, place, sum(one.size for one in files.values())), run, place, files, manifest, terminal)


def _send(shelf: Shelf, run: Run, place: str, files: Mapping[str, File], manifest: File, terminal: int | None) -> Exported:
    progress = Progress(f"export {run.name}", terminal)
    try:
        with _said(place):
            before = _names_there(shelf)
        sent: list[str] = []
        for number, (name, file) in enumerate([*files.items(), (MANIFEST, manifest)]):
            with _said(f"{place}/{name}"):
                if not _is_there(shelf, name, file):
                    if before is not None:
                        # From here on it would tell of what is not there.
                        shelf.remove(MANIFEST)
                        _remove_others(shelf, before - files.keys())
                        before = None
                    shelf.write(name, file.path)
                    sent.append(name)
                    if not _is_there(shelf, name, file):
                        shelf.remove(name)
                        raise FaultError("the file is not the same after it was sent", where=f"{place}/{name}", todo="Export again.")
            progress.update(number + 1, len(files) + 1, sent=len(sent))
    finally:
        progress.close()
    return Exported(run.name, place, len(files) + 1, len(sent), sum({**files, MANIFEST: manifest}[name].size for name in sent))


def _refuse(run: Run) -> None:
    if kept := light.kept_at(run.folder):
        raise MissingError("only a part of this run is here", where=str(run.folder), todo=f"The whole is kept at {kept}.")
    if run.done() is None:
        raise MissingError(f"the run is {run.state()}, not done", where=str(run.folder), todo="Run it to its end first.")
    if problems := run.verify(checksums=True):
        raise DataError(
            f"the run does not fit its manifest: {'; '.join(problems[:3])}", where=str(run.folder), todo="Copy it again, or make it again."
        )


def _output(run: Run) -> dict[str, File]:
    """What the run made, by name, as its own manifest has it."""
    done = run.done() or {}
    clash = [name for name in (PAGE, MANIFEST) if name in done["output"]]
    assert not clash, f"a step leaves {clash[0]} of its own"
    return {name: File(run.output(name), entry["size"], entry["sha256"]) for name, entry in done["output"].items()}


def _file(path: Path) -> File:
    return File(path, path.stat().st_size, publish.digest(path))


def _manifest(run: Run, files: Mapping[str, File], path: Path) -> File:
    told = {
        "run": run.name,
        "recipe": run.description["recipe"],
        "step": run.step,
        "fingerprint": run.fingerprint,
        "figures": run.figures(),
        "files": {name: {"size": one.size, "sha256": one.sha256} for name, one in sorted(files.items())},
    }
    publish.write_json(path, told, "output")
    return _file(path)


def _shelf(run: Run, place: str, size: int) -> Shelf:
    if is_remote(place):
        if place.startswith("root://") and not grid_proxy.has_kerberos_ticket():
            grid_proxy.check(1 + int(size / SLOW_BYTES_S / 60), "A Kerberos ticket does as well, where the server takes one: kinit.")
        return _Server(place)
    folder = Path(place).expanduser().resolve()
    if folder.is_relative_to(run.folder.resolve()):
        raise CommandError("this lies within the run itself", where=place, todo="Name a folder elsewhere.")
    return _Folder(folder)


def _names_there(shelf: Shelf) -> set[str] | None:
    """The files of which a manifest there tells; None where there is none."""
    if shelf.size(MANIFEST) is None:
        return None
    with shelf.open(MANIFEST) as stream:
        data = stream.read()
    try:
        return set(json.loads(data)["files"])
    except (ValueError, TypeError, KeyError):
        return set()


def _remove_others(shelf: Shelf, names: set[str]) -> None:
    """What an earlier export of a run of this name brought and this one does not."""
    for name in names:
        # The manifest there may be anybody's: it names no place outside of its folder.
        if not name.startswith("/") and ".." not in name.split("/") and shelf.size(name) is not None:
            shelf.remove(name)


def _is_there(shelf: Shelf, name: str, file: File) -> bool:
    """Whether the file there holds what it should, by size and then by all its bytes."""
    if shelf.size(name) != file.size:
        return False
    found = hashlib.sha256()
    with shelf.open(name) as stream:
        while block := stream.read(BLOCK_BYTES):
            found.update(block)
    return found.hexdigest() == file.sha256


class _Folder:
    """A folder of this machine."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def size(self, name: str) -> int | None:
        path = self.folder / name
        return path.stat().st_size if path.is_file() else None

    def open(self, name: str) -> BinaryIO:
        return (self.folder / name).open("rb")

    def write(self, name: str, source: Path) -> None:
        publish.put(self.folder / name, "output", lambda temporary: shutil.copyfile(source, temporary))

    def remove(self, name: str) -> None:
        publish.remove(self.folder / name)


class _Server:
    """A folder behind an address."""

    def __init__(self, address: str) -> None:
        self.files, self.path = file_system(address)
        self.has_folders = address.partition("://")[0] not in OBJECTS

    def size(self, name: str) -> int | None:
        self.files.invalidate_cache()
        try:
            return int(self.files.info(f"{self.path}/{name}")["size"])
        except FileNotFoundError:
            return None
        except OSError as error:
            if XROOTD_NOT_FOUND in str(error):
                return None
            raise

    def open(self, name: str) -> BinaryIO:
        stream: BinaryIO = self.files.open(f"{self.path}/{name}", "rb", block_size=BLOCK_BYTES)
        return stream

    def write(self, name: str, source: Path) -> None:
        target = f"{self.path}/{name}"
        if self.has_folders:
            self.files.makedirs(target.rpartition("/")[0], exist_ok=True)
        with source.open("rb") as stream, self.files.open(target, "wb") as out:
            shutil.copyfileobj(stream, out, BLOCK_BYTES)

    def remove(self, name: str) -> None:
        self.files.rm_file(f"{self.path}/{name}")


@contextmanager
def _said(place: str) -> Iterator[None]:
    """A sentence for what goes wrong with a store."""
    try:
        with publish.disk_said(Path(place)):
            yield
    except LabwrightError:
        raise
    except Exception as error:
        # Each package for a kind of address has errors of its own.
        why = " ".join(str(error).split()) or type(error).__name__
        raise MissingError(
            f"the file cannot be sent or read back ({why[:200]})",
            where=place,
            todo="Is the server up, is the name right, and may you write there? What was sent is kept: export again to go on.",
        ) from error
