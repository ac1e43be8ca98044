"""Labwright: from raw measurements to an evaluated model, with one file and one command.

Importing this package loads nothing heavy; ``labwright.open`` does so on first use.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from labwright.notebook import open

__version__ = "0.1.0"
__all__ = ["__version__", "open"]


def __getattr__(name: str) -> Any:
    if name == "open":
        from labwright.notebook import open

        return open
    raise AttributeError(f"module 'labwright' has no attribute {name!r}")


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
