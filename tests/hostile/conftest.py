"""The study of the kill matrix serves the cases that damage a training."""

from __future__ import annotations

from tests.kill.conftest import ground

__all__ = ["ground"]
