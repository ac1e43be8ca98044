"""Raw data that lie elsewhere on the machine that works: ``LABWRIGHT_PATHS=/here=/there[:/here2=/there2]``.

A job script sets it from the site's ``data_root``. Options keep the paths as the study names them, so that nothing of
the machine enters a fingerprint; they are read as the other paths when a step is about to work.
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from typing import Any

from labwright.runs.errors import CommandError

VARIABLE = "LABWRIGHT_PATHS"


def roots(environment: Mapping[str, str] = os.environ) -> dict[str, str]:
    """Folder here → folder there, absolute both; a relative one lies in the current directory.

    Raises:
        CommandError: the variable cannot be read.
    """
    found: dict[str, str] = {}
    for pair in filter(None, environment.get(VARIABLE, "").split(":")):
        here, equals, there = pair.partition("=")
        if not (here.startswith("/") and equals and there):
            raise CommandError(f"{pair!r} is not /here=/there", where=VARIABLE, todo="Part several pairs with ':'.")
        found[here.rstrip("/")] = os.path.abspath(there)
    return found


def moved(value: Any, places: Mapping[str, str]) -> Any:
    """A JSON value with every text that is a path below one of the places put below the other; the longest place counts."""
    if isinstance(value, dict):
        return {name: moved(child, places) for name, child in value.items()}
    if isinstance(value, list):
        return [moved(child, places) for child in value]
    if isinstance(value, str):
        for here in sorted(places, key=len, reverse=True):
            if value == here or value.startswith(f"{here}/"):
                return places[here] + value[len(here) :]
    return value
