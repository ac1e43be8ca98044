"""The base of every option model, and the marks an option can carry.

The docstring under a field is the one source of its help, its line in the schema and its line in the
reference pages. ``option(…, unit="s")`` names the unit; ``option(…, effect=False)`` says that the
value cannot change a result (workers, names, folders), so that it stays out of fingerprints; ``option(…, ordered=True)``
that of a mapping the order of the keys counts too.
"""

from __future__ import annotations

from typing import Any

from pydantic import BaseModel, ConfigDict, Field


class Options(BaseModel):
    """Frozen, closed: an unknown key is an error."""

    model_config = ConfigDict(
        frozen=True,
        extra="forbid",
        use_attribute_docstrings=True,
        allow_inf_nan=False,
        # A default of 1 for a number becomes 1.0 as a written 1 does: both have one fingerprint.
        validate_default=True,
    )


def option(default: Any = ..., *, unit: str = "", effect: bool = True, ordered: bool = False, **constraints: Any) -> Any:
    """A field with a unit and marks; other keywords go to ``pydantic.Field`` (``gt``, ``le``, ``alias``, …)."""
    extra: dict[str, Any] = {}
    if unit:
        extra["unit"] = unit
    if not effect:
        extra["effect"] = False
    if ordered:
        extra["ordered"] = True
    if "default_factory" in constraints:
        return Field(json_schema_extra=extra or None, **constraints)
    return Field(default, json_schema_extra=extra or None, **constraints)
