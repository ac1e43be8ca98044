"""Checkpoints: one folder a step, seen only when complete, valid or passed over with a reason.

``000400/`` holds ``model.safetensors``, ``optimizer.safetensors``, with averaging ``ema.safetensors``, then ``manifest.json``
(sizes and checksums of these) and ``state.json``, which carries its own checksum: a validation changes the state and no
tensor, so that this one file is replaced. ``best.json`` beside the folders names the best ones, best first.
"""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from labwright.learn import tensors
from labwright.learn.schedules import due
from labwright.learn.tensors import Named
from labwright.runs import publish
from labwright.runs.errors import DataError
from labwright.runs.faults import fault
from labwright.runs.patience import gone, patiently
from labwright.runs.plain import encoder

BEST = "best.json"
_compact = encoder(separators=(",", ":"))


class Checkpoints:
    """The checkpoints of one part, in one folder; it need not exist yet."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def steps(self) -> list[int]:
        """Steps that have a checkpoint, valid or not, oldest first."""
        try:
            return sorted(int(name) for name in os.listdir(self.folder) if name.isdecimal())
        except FileNotFoundError:
            return []

    def at(self, step: int) -> Path:
        return self.folder / f"{step:06d}"

    def save(self, step: int, files: Mapping[str, tuple[Named, Mapping[str, str]]], state: Mapping[str, Any]) -> None:
        """Publish a checkpoint: file names → tensors and tied names, and the state."""

        def write(temporary: Path) -> None:
            temporary.mkdir()
            for name, (content, tied) in files.items():
                tensors.write(temporary / name, content, tied)
            (temporary / "manifest.json").write_text(json.dumps(publish.manifest(temporary), indent=1) + "\n", encoding="utf-8")
            (temporary / "state.json").write_text(json.dumps(_sealed(state), indent=1) + "\n", encoding="utf-8")

        publish.put(self.at(step), "checkpoint", write)

    def update(self, step: int, state: Mapping[str, Any]) -> None:
        """Replace the state of a checkpoint whose tensors stay."""
        publish.write_json(self.at(step) / "state.json", _sealed(state), "checkpoint")

    def newest(self, say: Callable[[str], None]) -> Path | None:
        """The newest valid checkpoint; each one that is passed over is told to ``say``. None where there is none."""
        return patiently(lambda: first_valid([self.at(step) for step in reversed(self.steps())], say), self.folder)

    def best(self) -> list[dict[str, Any]]:
        """The best checkpoints, best first: step, value, figures. Empty where none is marked."""
        try:
            marks = json.loads(patiently(lambda: (self.folder / BEST).read_text(encoding="utf-8"), self.folder))
            return [dict(mark) for mark in marks]
        except (OSError, ValueError, TypeError):
            return []

    def mark_best(self, marks: list[dict[str, Any]]) -> None:
        publish.write_json(self.folder / BEST, marks, "checkpoint")

    def prune(self, step: int, *, last: int, every: str | None, best: list[dict[str, Any]]) -> None:
        """Remove what need not be kept, now that ``step`` is the newest checkpoint.

        Those of later steps belong to a course that was given up for an older checkpoint, and go too.
        """
        patiently(lambda: self._prune(step, last, every, best), self.folder)

    def _prune(self, step: int, last: int, every: str | None, best: list[dict[str, Any]]) -> None:
        earlier = [one for one in self.steps() if one <= step]
        keep = {*earlier[-last:], *(mark["step"] for mark in best)}
        for one in self.steps():
            if one in keep or (one in earlier and every and self._periodic(one, every)):
                continue
            # Out of sight first: a half removed folder would look like a damaged checkpoint.
            hidden = publish.set_aside(self.at(one))
            fault("train:prune")
            publish.remove(hidden)

    def _periodic(self, step: int, every: str) -> bool:
        try:
            state = read_state(self.at(step))
        except DataError:
            return False
        return due(every, step=state["step"], epoch=state["epoch"], batch=state["batch"])


def read_state(folder: Path) -> dict[str, Any]:
    """The state of a checkpoint, checked against its own checksum.

    Raises:
        DataError: it is unreadable or was changed.
        OSError: its file system went away.
    """
    try:
        content = json.loads((folder / "state.json").read_text(encoding="utf-8"))
        state: dict[str, Any] = content["state"]
        if content["sha256"] != _sealed(state)["sha256"]:
            raise DataError("state.json differs from its checksum", where=str(folder))
    except (OSError, ValueError, KeyError, TypeError) as error:
        if gone(error):
            raise
        raise DataError("state.json is missing or not readable", where=str(folder)) from error
    return state


def problem(folder: Path) -> str:
    """What is wrong with a checkpoint, or nothing. All checksums are verified; a file system that is away is an OSError."""
    try:
        expected = json.loads((folder / "manifest.json").read_text(encoding="utf-8"))
        read_state(folder)
        return "; ".join(publish.verify(folder, expected, checksums=True))
    except DataError as error:
        return error.what
    except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
        if gone(error):
            raise
        return "manifest.json is missing or not readable"


def first_valid(candidates: list[Path], say: Callable[[str], None]) -> Path | None:
    for folder in candidates:
        wrong = problem(folder)
        if not wrong:
            return folder
        say(f"checkpoint {folder.name} is passed over: {wrong}")
    return None


def _sealed(state: Mapping[str, Any]) -> dict[str, Any]:
    # Names keep their order: the figures of the best validation are shown in it, also after a resume.
    compact = _compact(state)
    return {"sha256": hashlib.sha256(compact).hexdigest(), "state": json.loads(compact)}
