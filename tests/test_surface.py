"""What people may import from ``labwright`` is listed once; the rest may change without notice."""

from __future__ import annotations

import subprocess
import sys

import pytest

import labwright

PUBLIC = ["__version__", "open"]


def test_the_public_names_are_these() -> None:
    assert labwright.__all__ == sorted(labwright.__all__) == PUBLIC
    assert all(getattr(labwright, name) for name in PUBLIC)


def test_nothing_else_looks_public() -> None:
    code = "import labwright; print(*(name for name in vars(labwright) if not name.startswith('_')))"
    shown = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout.split()
    assert set(shown) <= {"annotations", "TYPE_CHECKING", "Any"}


def test_a_name_that_is_not_there_is_an_attribute_error() -> None:
    with pytest.raises(AttributeError, match="has no attribute 'close'"):
        labwright.close  # noqa: B018


def test_completion_lists_what_loads_on_use() -> None:
    assert set(PUBLIC) <= set(dir(labwright))
