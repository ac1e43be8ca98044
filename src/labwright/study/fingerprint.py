"""What a result depends on, as one hash.

A run whose fingerprint is there need not be made again; one option that counts, the seed, an input or a raw
file's name, size or (where it is given) digest changed makes another run beside it.
"""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from pydantic import BaseModel

from labwright.study.fields import marks
from labwright.study.schema import json_value
from labwright.study.step import LazyStep, RawFile

_RUN = re.compile(r"[a-z][a-z0-9_]*-[0-9a-f]{10}")
"""The name of a run folder."""


def effective(options: BaseModel) -> dict[str, Any]:
    """The options as JSON values, less those marked as without effect, at every level.

    Of a path that counts (weights to start from) this is the part from the run on in which it lies, or else its last name:
    where things lie never counts. What its files hold is not seen here; it counts by their digests among the step's raw files.
    """
    counted = {name: marks(field) for name, field in type(options).model_fields.items() if marks(field).get("effect", True)}
    return {name: _value(getattr(options, name), ordered=bool(mark.get("ordered"))) for name, mark in counted.items()}


def _value(value: Any, *, ordered: bool = False) -> Any:
    if isinstance(value, BaseModel):
        return effective(value)
    if isinstance(value, Mapping):
        pairs = {str(key): _value(item) for key, item in value.items()}
        return list(pairs.items()) if ordered else pairs
    if isinstance(value, (tuple, list)):
        return [_value(item) for item in value]
    if isinstance(value, Path):
        return {"path": _name(value)}
    return json_value(value)


def _name(path: Path) -> str:
    for index in range(len(path.parts) - 1, -1, -1):
        if _RUN.fullmatch(path.parts[index]):
            return "/".join(path.parts[index:])
    return path.name


def fingerprint(step: LazyStep[Any], options: BaseModel, seed: int, inputs: Mapping[str, str], files: Iterable[RawFile]) -> str:
    """SHA-256 in 64 hexadecimal digits.

    Args:
        step: gives its name and its ``version``, which is raised by hand when equal options give other results.
        options: the step's resolved options.
        seed: of the study.
        inputs: fingerprint of each step that feeds this one, by name.
        files: raw files, which count by relative name, size and, where given, digest, and in no order.
    """
    subject = {
        "step": step.name,
        "version": step.version,
        "options": effective(options),
        "seed": seed,
        "inputs": dict(inputs),
        "files": sorted([file.name, file.size, *([file.sha256] if file.sha256 else [])] for file in files),
    }
    text = json.dumps(subject, sort_keys=True, separators=(",", ":"), ensure_ascii=True, allow_nan=False)
    return hashlib.sha256(text.encode("ascii")).hexdigest()
