"""Whatever text and numbers a run holds, a section shows them and runs none of them."""

from __future__ import annotations

import base64
import json
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from labwright.runs import sections
from labwright.watch.draw import LONG, number
from labwright.watch.draw import draw as tree_of
from labwright.watch.tree import html

HOSTILE = "</script><script>alert(1)</script><img src=x onerror='alert(1)'>\" & '"
PIXEL = base64.b64decode("iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mNk+M9QDwADhgGAWjR9awAAAABJRU5ErkJggg==")


def draw(section: dict[str, Any], output: Path) -> str:
    return html(tree_of(section, output))


class Page(HTMLParser):
    """The elements of a page with their attributes, and its text."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.elements: list[tuple[str, dict[str, str | None]]] = []
        self.text = ""
        self.scripts: list[str] = []
        self.feed(text)
        self.close()

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.elements.append((tag, dict(attrs)))

    def handle_data(self, data: str) -> None:
        if self.elements and self.elements[-1][0] == "script" and not data.isspace():
            self.scripts.append(data)
        self.text += data

    def names(self) -> set[str]:
        return {tag for tag, _ in self.elements}


def every_kind(text: str) -> list[dict[str, Any]]:
    return [
        sections.figures(text, [sections.figure(text, text, unit=text, method=text, note=text)], text),
        sections.table(text, [text], [[text]], text),
        sections.curves(text, {text: [(0, 1)]}, x=text, y=text, note=text),
        sections.film(text, [text], [0.0], [sections.frame(text, [[1.0]], text)], x=text, y=text, over=text, note=text),
        sections.heat(text, [text], [text], [[1.0]], x=text, y=text, note=text),
        sections.bars(text, {text: 1.0}, unit=text, note=text),
        sections.images(text, [("a.png", text), (text, text)], text),
        sections.text(text, text),
        {"kind": text, "title": text},
    ]


@pytest.mark.parametrize("section", every_kind(HOSTILE), ids=lambda section: section["kind"][:8])
def test_text_of_a_run_stays_text(tmp_path: Path, section: dict[str, Any]) -> None:
    (tmp_path / "a.png").write_bytes(PIXEL)
    page = Page(draw(section, tmp_path))
    for tag, attributes in page.elements:
        assert not any(name.startswith("on") for name in attributes)
        assert tag != "script" or attributes == {"type": "application/json"}
        assert tag != "img" or str(attributes["src"]).startswith("data:image/png;base64,")
    assert "alert(1)" in page.text
    for script in page.scripts:
        assert json.loads(script)


@given(st.text())
def test_any_text_comes_back_from_the_page_as_it_was(text: str) -> None:
    page = Page(draw(sections.table("t", ["c"], [[text]]), Path("/nowhere")))
    shown = page.text.replace("\r\n", "\n").replace("\r", "\n")
    assert text.replace("\r\n", "\n").replace("\r", "\n") in shown
    assert page.names() == {"section", "h3", "div", "table", "thead", "tr", "th", "tbody", "td"}


@pytest.mark.parametrize(
    ("value", "shown"),
    [
        (None, "not measured"),
        (0, "0"),
        (0.0, "0"),
        (True, "True"),
        (1234567, "1\u202f234\u202f567"),
        (2000.0, "2\u202f000"),
        (0.123456, "0.1235"),
        (1234.5, "1234"),
        (123456.7, "123\u202f457"),
        (1e-9, "1e-09"),
        (float("nan"), "nan"),
        (float("inf"), "inf"),
        ("cuda:0", "cuda:0"),
    ],
)
def test_numbers_are_shown_as_people_read_them(value: Any, shown: str) -> None:
    assert Page(html(number(value))).text == shown


def test_what_was_not_measured_is_not_zero(tmp_path: Path) -> None:
    text = Page(draw(sections.figures("Energy", [sections.figure("joules", None, unit="J")]), tmp_path)).text
    assert "not measured" in text
    assert "0" not in text


def test_a_plot_holds_its_data_and_marks(tmp_path: Path) -> None:
    section = sections.curves("Loss", {"train": [(1, 0.5), (2, None)]}, x="step", y="loss", marks=[2], log_y=True)  # type: ignore[list-item]
    (script,) = Page(draw(section, tmp_path)).scripts
    plot = json.loads(script)
    assert plot["data"][0]["x"] == [1, 2]
    assert plot["data"][0]["y"] == [0.5, None]
    assert plot["layout"]["yaxis"]["type"] == "log"
    assert [mark["x0"] for mark in plot["layout"]["shapes"]] == [2]


def test_each_step_of_a_film_brings_the_lines_of_its_frame(tmp_path: Path) -> None:
    frames = [sections.frame("1", [[0, 0.5], [0, 1]], "rate 0.1"), sections.frame("2", [[0, 0.7], [0, None]], "rate 0.05")]
    section = sections.film("ROC", ["a", "b"], [0, 1], frames, x="fpr", y="tpr", over="epoch", hidden=["b"])
    (script,) = Page(draw(section, tmp_path)).scripts
    plot = json.loads(script)
    assert [(trace["name"], trace["y"], trace["visible"]) for trace in plot["data"]] == [
        ("a", [0, 0.7], True),
        ("b", [0, None], "legendonly"),
    ]
    (slider,) = plot["layout"]["sliders"]
    assert slider["active"] == 1
    assert [step["args"][0]["y"] for step in slider["steps"]] == [[[0, 0.5], [0, 1]], [[0, 0.7], [0, None]]]
    assert [step["args"][1]["annotations[0].text"] for step in slider["steps"]] == ["rate 0.1", "rate 0.05"]
    assert plot["layout"]["annotations"][0]["text"] == "rate 0.05"


def test_a_curve_with_values_that_json_has_not_is_drawn(tmp_path: Path) -> None:
    (script,) = Page(draw(sections.curves("Loss", {"train": [(1, float("nan"))]}, x="step", y="loss"), tmp_path)).scripts
    assert json.loads(script)["data"][0]["y"] == [None]


def test_a_picture_outside_of_the_output_is_not_read(tmp_path: Path) -> None:
    output = tmp_path / "output"
    (output / "overlays").mkdir(parents=True)
    (output / "overlays" / "a.png").write_bytes(PIXEL)
    (tmp_path / "secret.png").write_bytes(PIXEL)
    (output / "link.png").symlink_to(tmp_path / "secret.png")
    for path in ("../secret.png", str(tmp_path / "secret.png"), "link.png", "absent.png", ".", ""):
        assert "img" not in Page(draw(sections.images("t", [(path, "c")]), output)).names()
    assert "img" in Page(draw(sections.images("t", [("overlays/a.png", "c")]), output)).names()


@pytest.mark.parametrize(
    "section",
    [
        {},
        {"kind": "table"},
        {"kind": "table", "rows": 3},
        {"kind": "figures", "items": [1]},
        {"kind": ["table"]},
        {"kind": "later", "x": 1},
    ],
    ids=str,
)
def test_what_is_no_section_is_shown_as_it_is(tmp_path: Path, section: dict[str, Any]) -> None:
    assert json.loads(Page(draw(section, tmp_path)).text) == section


def test_a_long_table_is_folded(tmp_path: Path) -> None:
    for rows, folded in ((LONG, False), (LONG + 1, True)):
        page = Page(draw(sections.table("t", ["c"], [[number] for number in range(rows)]), tmp_path))
        assert ("details" in page.names()) == folded
        assert sum(tag == "td" for tag, _ in page.elements) == rows
