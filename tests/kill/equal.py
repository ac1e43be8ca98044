"""Equal in the sense of the design: what two folders of runs differ in, seconds and joules left out."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import torch

from labwright.learn.checkpoints import Checkpoints, read_state
from labwright.learn.tensors import read
from labwright.runs.publish import TEMPORARY
from labwright.runs.run import Run, runs_in

MEASURED = re.compile(r"(^|[_ ])(seconds|joules|wait)([_ ]|$)")
"""Names of figures that are never the same twice."""


def differences(one: Path, other: Path) -> list[str]:
    """What of the runs in ``other`` is not as in ``one``, a line each."""
    runs, others = ({run.name: run for run in runs_in(folder)} for folder in (one, other))
    found = [f"run {name} is in one folder only" for name in sorted(runs.keys() ^ others.keys())]
    for name in sorted(runs.keys() & others.keys()):
        found += [
            f"{name}: {line}" for line in (*_whole(others[name]), *_outcome(runs[name], others[name]), *_learned(runs[name], others[name]))
        ]
    return found


def _whole(run: Run) -> Iterator[str]:
    yield from run.verify(checksums=True)
    yield from (f"{path.relative_to(run.folder)} was left behind" for path in run.folder.rglob(f"{TEMPORARY}*"))


def _outcome(one: Run, other: Run) -> Iterator[str]:
    if _timeless(one.figures()) != _timeless(other.figures()):
        yield "the figures differ"
    if one.curves() != other.curves():
        yield "the metric series differ"
    if sorted(map(str, one.findings())) != sorted(map(str, other.findings())):
        yield "the findings differ"
    files, others = ({path.relative_to(run.output()) for path in run.output().rglob("*") if path.is_file()} for run in (one, other))
    yield from (f"output/{name} is in one of them only" for name in sorted(files ^ others))
    yield from (
        f"output/{name} differs" for name in sorted(files & others) if _content(one.output() / name) != _content(other.output() / name)
    )


def _content(path: Path) -> Any:
    """What counts of a file: a ROOT file also keeps the moment in which it was made."""
    match path.suffix:
        case ".json":
            return _timeless(json.loads(path.read_text(encoding="utf-8")))
        case ".root":
            return _trees(path)
        case _:
            return path.read_bytes()


def _trees(path: Path) -> dict[str, bytes]:
    """The arrays of each tree's branches."""
    import uproot

    with uproot.open(path) as file:
        return {
            f"{name}/{branch}": array.tobytes()
            for name in file.keys(cycle=False)
            for branch, array in file[name].arrays(library="np").items()
        }


def _timeless(value: Any) -> Any:
    """JSON without what tells seconds or joules, be it by its key or by its ``name``."""
    if isinstance(value, Mapping):
        return {key: _timeless(item) for key, item in value.items() if not MEASURED.search(key)}
    if isinstance(value, list):
        return [_timeless(item) for item in value if not (isinstance(item, Mapping) and MEASURED.search(str(item.get("name", ""))))]
    return value


def _learned(one: Run, other: Run) -> Iterator[str]:
    for folder in sorted((one.folder / "checkpoints").glob("*")):
        kept, others = Checkpoints(folder), Checkpoints(other.folder / "checkpoints" / folder.name)
        if kept.steps()[-1:] != others.steps()[-1:]:
            yield f"the last checkpoints of {folder.name} are {kept.steps()[-1:]} and {others.steps()[-1:]}"
            continue
        if kept.best() != others.best():
            yield f"the best checkpoints of {folder.name} differ"
        last, its = kept.at(kept.steps()[-1]), others.at(others.steps()[-1])
        if _timeless(read_state(last)) != _timeless(read_state(its)):
            yield f"the state of checkpoint {folder.name}/{last.name} differs"
        for file in sorted(path.name for path in last.glob("*.safetensors")):
            tensors, theirs = read(last / file), read(its / file)
            unlike = [name for name in tensors if name not in theirs or not torch.equal(tensors[name], theirs[name])]
            if unlike or tensors.keys() != theirs.keys():
                yield f"{file} of checkpoint {folder.name}/{last.name} differs in {len(unlike)} of {len(tensors)} tensors"
