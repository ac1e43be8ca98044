"""Each finding has a page of its own, and the pages say what the code does."""

from __future__ import annotations

from pathlib import Path

from labwright.cells.findings import CATALOGUE
from labwright.data.findings import GENERIC
from labwright.events.findings import CATALOGUE as EVENTS
from labwright.launch.findings import CATALOGUE as OF_SUBMISSIONS
from tools.make_findings_pages import pages


def test_the_pages_are_what_the_catalogues_and_the_checks_give(repository: Path) -> None:
    # Where this fails: python tools/make_findings_pages.py docs/reference/findings
    written = {path.name: path.read_text(encoding="utf-8") for path in (repository / "docs" / "reference" / "findings").iterdir()}
    assert written == pages()


def test_every_code_has_its_page_and_its_example(repository: Path) -> None:
    for code in (*GENERIC.values(), *OF_SUBMISSIONS.values(), *CATALOGUE.values(), *EVENTS.values()):
        text = (repository / "docs" / "reference" / "findings" / f"{code.code}.md").read_text(encoding="utf-8")
        assert text.startswith(f"# {code.code}: {code.title}\n")
        assert f"```text\n{code.severity} {code.code} " in text
        assert code.todo in text
