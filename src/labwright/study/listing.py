"""A list of raw files for machines that do not see them: ``sources.json`` beside the study.

``labwright list sources STUDY --to sources.json`` writes it where the data are; a plan made where they are not takes it instead.
Names and sizes are all that a fingerprint needs, so both places plan the same runs.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from labwright.runs import publish
from labwright.runs.errors import DataError
from labwright.study.resolve import Study
from labwright.study.step import RawFile

FILE = "sources.json"


def sources(study: Study) -> dict[str, list[RawFile]]:
    """The raw files of every step of a study that reads any, by step.

    Raises:
        MissingError: they are not here either.
    """
    listed = {step.name: list(step.sources(study.steps[step.name])) for step in study.recipe.steps if step.name in study.steps}
    return {name: files for name, files in listed.items() if files}


def write(listed: Mapping[str, Sequence[RawFile]], to: Path) -> None:
    """Publish the list."""
    rows = {
        step: [{"name": file.name, "path": str(file.path), "size": file.size, "sha256": file.sha256} for file in files]
        for step, files in listed.items()
    }
    publish.write_json(to, rows, "output")


def read(folder: Path, step: str) -> list[RawFile] | None:
    """The listed raw files of a step; None where there is no list beside the study, or the step is not in it.

    Raises:
        DataError: the list was damaged.
    """
    path = folder / FILE
    try:
        rows: Any = json.loads(path.read_text(encoding="utf-8")).get(step)
        return None if rows is None else [RawFile(Path(row["path"]), row["name"], int(row["size"]), row["sha256"]) for row in rows]
    except FileNotFoundError:
        return None
    except (ValueError, TypeError, KeyError, AttributeError) as error:
        raise DataError("this is not a list of raw files", where=str(path), todo="Write it again: labwright list sources STUDY.") from error
