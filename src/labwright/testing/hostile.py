"""The hostile corpus: bad data, bad studies and bad places, each with the exit code and the finding it has to give.

``make(folder)`` of an entry writes one case into an empty folder and returns the path that its kind calls for:

- *data*, *study*: the study file; ``labwright run STUDY`` has to end with ``expect_exit``, and the findings have
  to hold ``expect_code`` or the message ``expect_text``;
- *place*: the study file, whose runs cannot be written; for the full disk the command runs behind :func:`small_disk`;
- *process*: the study file; a second ``labwright run`` during the first one has to end with ``expect_exit``;
- *run*: here ``folder`` is the folder of a stopped training run; its newest checkpoint gets damaged, its path
  is returned, and the same run started again has to reach the same end from the checkpoint before.
"""

from __future__ import annotations

import os
import shutil
import subprocess
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import numpy as np
import tifffile
from numpy.typing import NDArray

from labwright.runs.errors import Exit
from labwright.testing.tiny import tiny_sequences, tiny_study, write_tiff

FRAME = 3
"""The frame of sequence 01, of six, that gets the defect."""
SMALL_DISK_KIB = 96


@dataclass(frozen=True)
class Hostile:
    """One case: how to make it and what has to come of it."""

    name: str
    kind: Literal["data", "study", "place", "process", "run"]
    make: Callable[[Path], Path]
    expect_exit: Exit
    expect_code: str | None = None
    """The finding it has to give."""
    expect_text: str = ""
    """Words that the message has to hold."""


def small_disk(folder: Path, kib: int = SMALL_DISK_KIB) -> tuple[str, ...] | None:
    """Words to put before a command so that ``folder`` is a disk of ``kib`` KiB for it; it vanishes with the command.

    None where this machine lets nobody mount in a namespace of one's own.
    """
    folder.mkdir(parents=True, exist_ok=True)
    unshare = shutil.which("unshare")
    if unshare is None:
        return None
    mount = f'mount -t tmpfs -o size={kib}k none "$0" && exec "$@"'
    words = (unshare, "--user", "--map-root-user", "--mount", "sh", "-c", mount, str(folder))
    return words if subprocess.run([*words, "true"], capture_output=True, check=False).returncode == 0 else None


def _image(data: Path) -> Path:
    return data / "01" / f"t{FRAME:03d}.tif"


def _mask(data: Path) -> Path:
    return data / "01_GT" / "SEG" / f"man_seg{FRAME:03d}.tif"


def _change(path: Path, change: Callable[[NDArray[Any]], NDArray[Any]]) -> None:
    write_tiff(path, change(tifffile.imread(path)))


def _shorten(path: Path) -> None:
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])


def _colour(path: Path) -> None:
    tifffile.imwrite(path, np.stack([tifffile.imread(path).astype(np.uint8)] * 3, axis=-1), photometric="rgb")


def _stack(path: Path) -> None:
    tifffile.imwrite(path, np.stack([tifffile.imread(path)] * 3), photometric="minisblack")


def _one_pixel(path: Path, value: float) -> None:
    """Make the whole sequence float32, as NaN and infinity need, so that the one pixel is all that is wrong."""
    for other in sorted(path.parent.glob("*.tif")):
        _change(other, lambda pixels: pixels.astype(np.float32))
    _change(path, lambda pixels: np.where(np.arange(pixels.size).reshape(pixels.shape) == 100, np.float32(value), pixels))


def _damage(path: Path) -> None:
    """The header is whole, the compressed pixels are not."""
    content = bytearray(path.read_bytes())
    middle = len(content) // 2
    content[middle : middle + 100] = bytes(100)
    path.write_bytes(content)


def _claim_gigapixels(path: Path) -> None:
    with tifffile.TiffFile(path, mode="r+") as file:
        for tag in ("ImageWidth", "ImageLength", "RowsPerStrip"):
            file.pages.first.tags[tag].overwrite(400_000)


def _folder_instead(path: Path) -> None:
    path.unlink()
    path.mkdir()


def _unreadable_name(path: Path) -> None:
    """A name in an encoding other than UTF-8, as old disks hold them."""
    os.rename(path, os.fsencode(path.with_name("t003")) + b"\xe4.tif")


def _relabelled(label: float, dtype: type[np.number[Any]]) -> Callable[[NDArray[Any]], NDArray[Any]]:
    return lambda labels: np.where(labels == 1, np.array(label, dtype), labels.astype(dtype))


def _copy(path: Path, name: str) -> None:
    shutil.copyfile(path, path.with_name(name))


def _without_masks(data: Path) -> None:
    tiny_sequences(data, ("03",), seed=3)
    shutil.rmtree(data / "03_GT")


def _flatten(data: Path) -> None:
    for path in (_image(data), _mask(data)):
        _change(path, lambda pixels: pixels[:48])


def _lose(data: Path) -> None:
    _image(data).unlink()
    _mask(data).unlink()


def _many_labels(data: Path) -> None:
    """A frame in which each pixel but the first is a cell of its own: 73,983 of them."""
    shutil.rmtree(data)
    tiny_sequences(data, size=272)
    _change(_mask(data), lambda labels: np.arange(labels.size, dtype=np.uint32).reshape(labels.shape))


def _data(name: str, code: str, plant: Callable[[Path], object], expect: Exit = Exit.DATA) -> Hostile:
    def make(folder: Path) -> Path:
        data = tiny_sequences(folder / "data")
        plant(data)
        return tiny_study(folder, data)

    return Hostile(name, "data", make, expect, code)


def _study(name: str, changes: Mapping[str, str], text: str, expect: Exit = Exit.STUDY) -> Hostile:
    """A study in which each key of ``changes`` became its value; ``{folder}`` in that is the case's folder."""

    def make(folder: Path) -> Path:
        return _edited(_plain(folder), {old: new.replace("{folder}", str(folder)) for old, new in changes.items()})

    return Hostile(name, "study", make, expect, expect_text=text)


def _file(name: str, content: bytes, text: str) -> Hostile:
    """A study file of which nothing can be made."""

    def make(folder: Path) -> Path:
        study = _plain(folder)
        study.write_bytes(content)
        return study

    return Hostile(name, "study", make, Exit.STUDY, expect_text=text)


def _edited(study: Path, changes: Mapping[str, str]) -> Path:
    text = study.read_text(encoding="utf-8")
    for old, new in changes.items():
        if text.count(old) != 1:
            raise ValueError(f"{old!r} does not stand exactly once in {study}")
        text = text.replace(old, new)
    study.write_text(text, encoding="utf-8")
    return study


def _alias_bomb() -> str:
    levels = ["a0: &a0 [x, x, x, x, x, x, x, x, x, x]"]
    levels += [f"a{level}: &a{level} [{', '.join([f'*a{level - 1}'] * 10)}]" for level in range(1, 10)]
    return "\n".join(levels)


def _plain(folder: Path) -> Path:
    return tiny_study(folder, tiny_sequences(folder / "data"))


def _unwritable_runs(folder: Path) -> Path:
    """Nobody may write into ``runs``. Root may write anywhere, so for root a file stands where the folder has to be."""
    study, runs = _plain(folder), folder / "runs"
    if os.geteuid() == 0:
        runs.write_text("", encoding="utf-8")
    else:
        runs.mkdir(mode=0o500)
    return study


def _runs_on_small_disk(folder: Path) -> Path:
    """Runs go to ``small``, to be mounted by :func:`small_disk`."""
    return _edited(_plain(folder), {"seed: 1": "seed: 1, folder: small"})


def _newest_weights(run: Path) -> Path:
    checkpoints = sorted(path for path in (run / "checkpoints").glob("*/*") if path.name.isdigit())
    if not checkpoints:
        raise ValueError(f"{run} has no checkpoint to damage")
    return max(checkpoints, key=lambda path: int(path.name)) / "model.safetensors"


def _checkpoint_cut(run: Path) -> Path:
    weights = _newest_weights(run)
    _shorten(weights)
    return weights


def _checkpoint_tampered(run: Path) -> Path:
    """One bit of the last weight differs: the file is as long and as readable as before."""
    weights = _newest_weights(run)
    content = bytearray(weights.read_bytes())
    content[-1] ^= 1
    weights.write_bytes(content)
    return weights


def _checkpoint_unreadable(run: Path) -> Path:
    state = _newest_weights(run).with_name("state.json")
    state.write_bytes(b"\x80\x04\x95{not json")
    return state


CORPUS: tuple[Hostile, ...] = (
    _data("mask without image", "CEL001", lambda data: _image(data).unlink()),
    _data("image without mask in a split that needs labels", "CEL002", lambda data: _mask(data).unlink()),
    _data("sequence without masks that no split needs", "CEL004", _without_masks, Exit.DONE),
    _data("frame number given twice", "CEL003", lambda data: _copy(_image(data), f"t{FRAME:04d}.tif")),
    _data("mask's frame number given twice", "CEL003", lambda data: _copy(_mask(data), f"man_seg{FRAME:04d}.tif")),
    _data("TIFF that is no frame", "CEL005", lambda data: _copy(_image(data), "overview.tif"), Exit.DONE),
    _data("truncated image", "CEL010", lambda data: _shorten(_image(data))),
    _data("truncated mask", "CEL010", lambda data: _shorten(_mask(data))),
    _data("empty file", "CEL010", lambda data: _image(data).write_bytes(b"")),
    _data("damaged pixels", "CEL010", lambda data: _damage(_image(data))),
    _data("header that claims 160 gigapixels", "CEL010", lambda data: _claim_gigapixels(_image(data))),
    _data("text named as a TIFF", "CEL010", lambda data: _image(data).write_text("<html>404 Not Found</html>", encoding="utf-8")),
    _data("folder named as a frame", "CEL001", lambda data: _folder_instead(_image(data))),
    _data("file name that is not UTF-8", "CEL001", lambda data: _unreadable_name(_image(data))),
    _data("colour image", "CEL011", lambda data: _colour(_image(data))),
    _data("colour mask", "CEL011", lambda data: _colour(_mask(data))),
    _data("several planes", "CEL012", lambda data: _stack(_image(data))),
    _data("NaN in an image", "CEL013", lambda data: _one_pixel(_image(data), np.nan)),
    _data("infinity in an image", "CEL013", lambda data: _one_pixel(_image(data), np.inf)),
    _data("NaN in a mask", "CEL013", lambda data: _one_pixel(_mask(data), np.nan)),
    _data("black image", "CEL014", lambda data: _change(_image(data), np.zeros_like)),
    _data("complex pixels", "CEL015", lambda data: _change(_image(data), lambda pixels: pixels.astype(np.complex64))),
    _data("saturated image", "CEL016", lambda data: _change(_image(data), lambda pixels: np.where(pixels > 2000, 4095, pixels)), Exit.DONE),
    _data("image and mask of different sizes", "CEL020", lambda data: _change(_mask(data), lambda labels: labels[:, :-4])),
    _data("negative label", "CEL021", lambda data: _change(_mask(data), _relabelled(-1, np.int16))),
    _data("fractional label", "CEL021", lambda data: _change(_mask(data), _relabelled(0.5, np.float32))),
    _data("label beyond 32 bits", "CEL021", lambda data: _change(_mask(data), _relabelled(2**40, np.uint64))),
    _data("empty mask", "CEL022", lambda data: _change(_mask(data), np.zeros_like), Exit.DONE),
    _data("label above 65,535", "CEL023", lambda data: _change(_mask(data), _relabelled(70_000, np.uint32)), Exit.DONE),
    _data("more than 65,535 labels", "CEL023", _many_labels, Exit.DONE),
    _data("foreground mask", "CEL024", lambda data: _change(_mask(data), lambda labels: (labels > 0).astype(np.uint16) * 255), Exit.DONE),
    _data("frame of another size", "CEL030", _flatten),
    _data("frame of another pixel type", "CEL031", lambda data: _change(_image(data), lambda pixels: (pixels // 16).astype(np.uint8))),
    _data("missing frame", "CEL032", _lose, Exit.DONE),
    _data("frame saved twice", "CEL033", lambda data: shutil.copyfile(_image(data), _image(data).with_name("t004.tif")), Exit.DONE),
    _study("missing data folder", {"/data": "/dat"}, "'data'", Exit.MISSING),
    _study("unknown sequence", {"kind: ctc": "kind: ctc, sequences: ['O1']"}, "01, 02", Exit.MISSING),
    _study("unknown mask folder", {"kind: ctc": "kind: ctc, masks: '{sequence}_GT/SEGM'"}, "'{sequence}_GT/SEG'", Exit.MISSING),
    _file("empty study", b"", "empty"),
    _file("study that is not UTF-8", "recipe: zell\xe9".encode("latin-1"), "UTF-8"),
    _file("study that is not YAML", b"recipe: cells\ntrain: {epochs: 2", "not closed"),
    _file("study that is a list", b"- recipe: cells\n", "mapping"),
    _file("study nested without end", b"[" * 10_000, "nested"),
    _file("unknown recipe", b"recipe: cell\n", "'cells'"),
    _study("unknown key", {"epochs: 2": "epoch: 2"}, "'train.epochs'"),
    _study("wrong type", {"batch_size: 4": "batch_size: four"}, "train.batch_size"),
    _study("duplicate keys", {"epochs: 2": "epochs: 2\n  epochs: 3"}, "epochs"),
    _study("tag that names code", {"seed: 1": "seed: 1, tags: !!python/object/apply:os.mkdir ['{folder}/harm']"}, "python/object"),
    _study("alias bomb", {"recipe: cells": f"recipe: cells\n{_alias_bomb()}"}, "anchors"),
    _study("alias to itself", {"{seed: 1}": "&run {seed: *run}"}, "anchor"),
    _study(
        "parameter without value",
        {"recipe: cells": "recipe: cells\nparameters: {rounds: {type: int}}", "epochs: 2": "epochs: ${rounds}"},
        "--param rounds=",
    ),
    _study("parameter that is not declared", {"epochs: 2": "epochs: ${rounds}"}, "rounds"),
    Hostile("folder that cannot be written", "place", _unwritable_runs, Exit.MISSING, expect_text="--runs"),
    Hostile("full disk", "place", _runs_on_small_disk, Exit.FAULT, expect_text="disk is full"),
    Hostile("second process on a run", "process", _plain, Exit.AGAIN),
    Hostile("checkpoint cut short", "run", _checkpoint_cut, Exit.DONE),
    Hostile("checkpoint tampered with", "run", _checkpoint_tampered, Exit.DONE),
    Hostile("checkpoint not readable", "run", _checkpoint_unreadable, Exit.DONE),
)
