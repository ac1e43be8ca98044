"""The panels of a run, in order, with what its neighbours add."""

from __future__ import annotations

import base64
import json
import tempfile
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from labwright.runs import sections
from labwright.watch.tree import html
from labwright.watch.view import done_share, siblings, view
from tests.watch import made
from tests.watch.test_draw import PIXEL, Page
from tests.watch.test_story import anything, records

NOW = 1000.0


def test_panels_come_in_the_order_in_which_people_ask(tmp_path: Path) -> None:
    shown = view(made.followed(made.run_folder(tmp_path / "run"), NOW), [], log=[], now=NOW)
    assert list(shown) == [
        *("alive", "progress", "own", "curves", "pictures", "energy", "log", "changes", "parts", "siblings", "commands", "details")
    ]


def test_a_run_at_work_shows_its_curves_and_the_last_pictures_of_the_study(tmp_path: Path) -> None:
    records = [made.start(NOW - 9), made.metric(NOW - 5, 1, loss=0.5), made.progress(NOW - 4, 1, 4)]
    run = made.run_folder(tmp_path / "train-2", {"0001": records})
    other = made.run_folder(tmp_path / "evaluate-1", step="evaluate")
    (other.folder / "output").mkdir()
    other.output("a.png").write_bytes(PIXEL)
    other.output("report.json").write_text(json.dumps({"sections": [sections.images("Worst", [("a.png", "frame 3")])]}))
    shown = view(made.followed(run, NOW), [made.followed(made.finished(other))], log=[("0001.log", ["hello"])], now=NOW)
    assert "Worst · of evaluate-1" in Page(html(*shown["pictures"])).text
    assert base64.b64encode(PIXEL).decode() in html(*shown["pictures"])
    assert "hello" in Page(html(*shown["log"])).text
    assert shown["curves"]
    assert shown["progress"]
    assert not shown["own"]


def test_a_finished_run_shows_its_own_report_instead(tmp_path: Path) -> None:
    run = made.run_folder(tmp_path / "run", {"0001": [made.metric(1, 1, loss=0.5)], "0002": [made.metric(2, 7, loss=0.4)]})
    (run.folder / "output").mkdir()
    own = sections.curves("Loss", {"train": [(1, 0.5), (7, 0.4)]}, x="step", y="loss")
    run.output("report.json").write_text(json.dumps({"sections": [own]}))
    shown = view(made.followed(made.finished(run)), [], log=[], now=NOW)
    (script,) = Page(html(*shown["own"])).scripts
    assert [mark["x0"] for mark in json.loads(script)["layout"]["shapes"]] == [7]
    assert not shown["curves"]
    assert not shown["progress"]


def test_siblings_are_the_runs_of_the_same_step(tmp_path: Path) -> None:
    best = {"t": 3, "kind": "checkpoint", "part": "model", "step": 2, "best": 2}
    records = [made.start(NOW - 9), made.metric(2, 2, "validate", dice=0.75), best, made.energy(3, 50), made.progress(NOW - 1, 3, 4)]
    here = made.followed(made.run_folder(tmp_path / "b", {"0001": records}, created="2", sweep="seed=2"), NOW)
    done = made.finished(made.run_folder(tmp_path / "a", created="1", sweep="seed=1"), best_dice=0.5, best_step=7, device="cpu")
    section = siblings(here, [made.followed(done), made.followed(made.run_folder(tmp_path / "c", step="pack"))], NOW)
    assert section is not None
    assert section["rows"][0] == ["a", "seed=1", "done", "100 %", "dice 0.5", ""]
    assert section["rows"][1] == ["b (this one)", "seed=2", "running", "75 %", "dice 0.75", "50 J by RAPL"]
    assert siblings(here, [], NOW) is None


@pytest.mark.parametrize(
    ("parts", "records", "share"),
    [
        ([], [], 0.0),
        (["model"], [made.progress(1, 1, 4)], 0.25),
        (["model"], [made.progress(1, 0, 0)], 0.0),
        (["a", "b"], [made.progress(1, 3, 4), {"t": 1, "kind": "part", "id": "a", "figures": {}, "seconds": 1}], 0.5),
    ],
)
def test_how_much_is_done(tmp_path: Path, parts: list[str], records: list, share: float) -> None:  # type: ignore[type-arg]
    run = made.run_folder(tmp_path / "run", {"0001": records})
    (run.folder / "parts.json").write_text(json.dumps([{"id": part, "cost": 1, "after": []} for part in parts]))
    assert done_share(made.followed(run)) == share


def test_what_journals_say_stays_text_everywhere(tmp_path: Path) -> None:
    bad = made.HOSTILE
    records = [
        made.start(NOW - 9, host=bad),
        made.metric(NOW - 8, 1, phase=bad, part=bad, **{bad: 1.0}),
        made.progress(NOW - 7, 1, 2, title=bad, **{bad: bad}),
        made.energy(NOW - 6, 1.0, method=bad, scope=bad, stage=bad),
        {"t": NOW - 5, "kind": "finding", "code": bad, "severity": bad, "place": bad, "text": bad},
        {"t": NOW - 5, "kind": "failed", "part": bad, "reason": bad},
        made.end(NOW - 4, 70, bad),
    ]
    run = made.run_folder(tmp_path / "run", {"0001": records}, name=bad, options={bad: bad}, sweep=bad, created="2")
    (run.folder / "parts.json").write_text(json.dumps([{"id": part, "cost": 1, "after": []} for part in (bad, "b")]))
    other = made.followed(made.run_folder(tmp_path / "other", options={}, created="1"))
    job = {"id": bad, "state": "failed", "reason": bad}
    shown = view(made.followed(run, NOW), [other], log=[(bad, [bad])], job=job, now=NOW)
    page = Page("".join(html(*nodes) for nodes in shown.values()))
    assert {"img", "iframe"}.isdisjoint(page.names())
    for tag, attributes in page.elements:
        assert not any(name.startswith("on") for name in attributes)
        assert tag != "script" or attributes == {"type": "application/json"}
    assert page.text.count(bad) > 10


@given(st.lists(records, max_size=12), st.dictionaries(st.sampled_from(["options", "machine", "sweep", "origins", "created"]), anything))
def test_no_journal_and_no_description_is_too_strange_to_be_shown(strange: list[dict[str, Any]], description: dict[str, Any]) -> None:
    with tempfile.TemporaryDirectory() as name:
        run = made.run_folder(Path(name, "run"), {"0001": [made.start(NOW - 9), *strange]}, **description)
        (run.folder / "parts.json").write_text('[{"id": "a"}, {"id": "b"}]')
        other = made.followed(made.run_folder(Path(name, "other"), created="1"), NOW)
        shown = view(made.followed(run, NOW), [other], log=[], now=NOW)
        json.dumps(shown, allow_nan=False)
        assert "last sign of life" in html(*shown["alive"]) or "ended" in html(*shown["alive"])
