"""Files by path or by address: ``root://…``, ``s3://…``, ``https://…``, whatever fsspec has a package for."""

from __future__ import annotations

import glob
import json
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, BinaryIO

from labwright.runs.errors import DataError, MissingError, StudyError
from labwright.runs.remote import file_system, is_remote
from labwright.study.load import parse, plain
from labwright.study.messages import Mistake

MOST_VALUES = 1_000_000
"""Of a YAML list of files: more than any has, and few enough for what anchors expand to."""


def placed(address: str, base: Path) -> str:
    """The address, or the path below ``base`` made absolute."""
    return address if is_remote(address) else os.path.abspath(base / address)


def matching(pattern: str, base: Path) -> list[str]:
    """Files that a path with ``*`` stands for, in order of name; the path itself where it has none.

    Raises:
        MissingError: nothing matches.
    """
    place = placed(pattern, base)
    if is_remote(pattern) or not glob.has_magic(pattern) or os.path.exists(place):
        return [place]
    found = sorted(glob.glob(place, recursive=True))
    if not found:
        raise MissingError("no file matches", where=place, todo="Correct source.groups, or put the files there.")
    return found


def size(address: str) -> int:
    """Bytes of a file.

    Raises:
        MissingError: it is not there, or the package for its address is not installed.
    """
    try:
        if not is_remote(address):
            return os.stat(address).st_size
        files, path = file_system(address)
        return int(files.info(path)["size"])
    except OSError as error:
        raise _unreadable(address, error) from error


@contextmanager
def content(address: str) -> Iterator[BinaryIO]:
    """The open file; errors are OSError, and MissingError for a package that is not installed."""
    if not is_remote(address):
        with open(address, "rb") as local:
            yield local
    else:
        files, path = file_system(address)
        with files.open(path, "rb") as remote:
            yield remote


def document(spec: str, base: Path) -> Any:
    """A value in a YAML or JSON file: ``datasets.yml@@datasets.TTToHadronic.UL18.files``; all of it without ``@@``.

    YAML is read as studies are: numbers and words as in YAML 1.2, keys as texts, no tags.

    Raises:
        MissingError: no such file, or no such key; says which keys there are.
        DataError: it is neither YAML nor JSON, or has a key twice.
    """
    address, _, keys = spec.partition("@@")
    place = placed(address, base)
    try:
        with content(place) as file:
            data = file.read()
    except OSError as error:
        raise _unreadable(place, error) from error
    try:
        text = data.decode("utf-8-sig")
        value = json.loads(text, object_pairs_hook=_once) if place.endswith(".json") else _yaml(text)
    except ValueError as error:
        raise DataError(f"the file is not readable ({' '.join(str(error).split())[:120]})", where=place) from error
    for key in filter(None, keys.split(".")):
        if not isinstance(value, dict) or key not in value:
            there = ", ".join(value) if isinstance(value, dict) else "no keys"
            raise MissingError(f"there is no key {key!r} on the way {keys!r}", where=place, todo=f"There is: {there}.")
        value = value[key]
    return value


def _yaml(text: str) -> Any:
    """What a YAML text says; ValueError where it is none, or where the loader of studies refuses it."""
    mistakes: list[Mistake] = []
    try:
        node = parse(text, "line", mistakes, noun="list", most=MOST_VALUES)
    except StudyError as error:
        raise ValueError(str(error)) from error
    if mistakes:
        raise ValueError(f"{mistakes[0].where}: {mistakes[0]}")
    return plain(node) if node else None


def _once(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    """A JSON object; ValueError where a key stands twice."""
    found = dict(pairs)
    if len(found) < len(pairs):
        names = [name for name, _ in pairs]
        raise ValueError(f"{next(name for name in names if names.count(name) > 1)!r} stands twice in one object")
    return found


def _unreadable(address: str, error: OSError) -> MissingError:
    why = error.strerror or " ".join(str(error).split()) or type(error).__name__
    return MissingError(f"the file cannot be read ({why})", where=address, todo="Is it there, and may you read it?")
