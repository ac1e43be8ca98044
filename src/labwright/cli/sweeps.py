"""``--sweep a.b=1,2``: one row of settings for each combination of values."""

from __future__ import annotations

import itertools
from collections.abc import Sequence

from labwright.runs.errors import CommandError

_OPENING, _CLOSING = "[{(", "]})"


def sweep_rows(texts: Sequence[str]) -> list[dict[str, str]]:
    """All combinations of the sweeps, the last one varying fastest; one empty row where there is none.

    A comma inside brackets parts no values: ``train.network.widths=[8,16],[16,32]`` has two.

    Raises:
        CommandError: a sweep has no value, or an option is swept twice.
    """
    sweeps: dict[str, list[str]] = {}
    for text in texts:
        path, equals, values = text.partition("=")
        if not equals or not values.strip():
            raise CommandError(f"{text!r} gives no values", where="--sweep", todo="Write OPTION=V1,V2, such as train.learning_rate=1e-3,3e-4.")
        if path in sweeps:
            raise CommandError(f"{path} is swept twice", where="--sweep", todo="Put all values behind one another.")
        sweeps[path] = _parted(values)
    return [dict(zip(sweeps, row, strict=True)) for row in itertools.product(*sweeps.values())]


def _parted(text: str) -> list[str]:
    values, depth = [""], 0
    for character in text:
        depth += (character in _OPENING) - (character in _CLOSING)
        if character == "," and depth == 0:
            values.append("")
        else:
            values[-1] += character
    return [value.strip() for value in values]
