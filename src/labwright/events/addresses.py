"""Files by path or by address: ``root://…``, ``s3://…``, ``https://…``, whatever fsspec has a package for."""

from __future__ import annotations

import glob
import json
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, BinaryIO

import yaml

from labwright.runs.errors import DataError, MissingError
from labwright.runs.remote import file_system, is_remote


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

    Raises:
        MissingError: no such file, or no such key; says which keys there are.
        DataError: it is neither YAML nor JSON.
    """
    address, _, keys = spec.partition("@@")
    place = placed(address, base)
    try:
        with content(place) as file:
            data = file.read()
    except OSError as error:
        raise _unreadable(place, error) from error
    try:
        value = json.loads(data) if place.endswith(".json") else yaml.safe_load(data)
    except (ValueError, yaml.YAMLError) as error:
        raise DataError(f"the file is not readable ({' '.join(str(error).split())[:120]})", where=place) from error
    for key in filter(None, keys.split(".")):
        if not isinstance(value, dict) or key not in {str(one) for one in value}:
            there = ", ".join(map(str, value)) if isinstance(value, dict) else "no keys"
            raise MissingError(f"there is no key {key!r} on the way {keys!r}", where=place, todo=f"There is: {there}.")
        value = next(item for one, item in value.items() if str(one) == key)
    return value


def _unreadable(address: str, error: OSError) -> MissingError:
    why = error.strerror or " ".join(str(error).split()) or type(error).__name__
    return MissingError(f"the file cannot be read ({why})", where=address, todo="Is it there, and may you read it?")
