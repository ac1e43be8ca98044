"""The reference pages say what the verbs and options say."""

from __future__ import annotations

from pathlib import Path

from labwright.cli.manifest import build, shipped_recipes
from labwright.cli.pages import pages


def test_the_pages_in_the_repository_are_up_to_date(repository: Path) -> None:
    # Where this fails: python -m labwright.cli.pages docs/reference
    for name, text in pages(build(shipped_recipes())).items():
        assert (repository / "docs" / "reference" / name).read_text(encoding="utf-8") == text
