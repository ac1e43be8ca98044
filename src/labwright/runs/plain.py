"""Results as JSON text, whatever library made the numbers."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any


def encoder(**layout: Any) -> Callable[[Any], bytes]:
    """A function from values to UTF-8 JSON; ``layout`` goes to ``json.JSONEncoder`` (``indent``, ``separators``).

    A float that is not finite becomes null, a number of an array library becomes a number, and a file name that is
    not UTF-8 keeps its bytes as escapes.
    """
    strict = json.JSONEncoder(ensure_ascii=False, allow_nan=False, default=_plain, **layout).encode
    lenient = json.JSONEncoder(default=_plain).encode

    def encode(value: Any) -> bytes:
        try:
            text = strict(value)
        except ValueError:
            text = strict(json.loads(lenient(value), parse_constant=lambda _: None))
        return text.encode("utf-8", "backslashreplace")

    return encode


def _plain(value: Any) -> Any:
    # NumPy scalars and 0-d tensors are numbers; as text they would drop out of every curve.
    return value.item() if hasattr(value, "item") else str(value)
