"""What is followed is what the run's own reader tells, whenever it is looked at."""

from __future__ import annotations

import json
import tempfile
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from labwright.runs import energy as account
from labwright.runs.run import Run
from labwright.watch.follow import LIST_AGAIN_S, QUICK_S, SLOW_S, Follow
from tests.parts.toy_recipe import Desk
from tests.watch import made

NOW = 1000.0
last_words = st.sampled_from(
    [made.usage(NOW - 5), made.usage(NOW - 500), made.end(NOW - 5), made.end(NOW - 5, 75, "SIGTERM"), made.end(NOW - 5, 70, "broken")]
)
stems = st.sampled_from(["0001", "0002", "0003-0of2-0", "0004-1of2-0", "0005-1of2-1"])


@given(st.dictionaries(stems, last_words, max_size=4))
def test_the_state_is_that_of_the_run(journals: dict[str, dict[str, Any]]) -> None:
    with tempfile.TemporaryDirectory() as name:
        run = made.run_folder(Path(name, "run"), {stem: [made.start(NOW - 900), record] for stem, record in journals.items()})
        follow = made.followed(run, NOW)
        assert follow.state(NOW) == run.state(NOW)
        assert follow.seen_at() == (None if run.heartbeat_age_s(NOW) is None else NOW - run.heartbeat_age_s(NOW))
        assert set(follow.last_records()) == set(run.last_records())


def test_a_growing_run_is_read_bit_by_bit(tmp_path: Path) -> None:
    run = made.run_folder(tmp_path / "run")
    follow = Follow(run)
    assert not follow.look(0.0)
    for step in range(1, 6):
        made.append(run.folder, made.metric(float(step), step, loss=1.0 / step), made.energy(float(step), 2.0))
        assert follow.look(at_once=True)
        assert not follow.look(at_once=True)
    assert {key: dict(series.items()) for key, series in follow.story.curves.items()} == run.curves()
    assert account.totals(follow.story.energy) == account.totals(run.energy())


def test_a_real_run_is_done_with_all_its_parts(desk: Desk) -> None:
    for result in desk.conduct().values():
        run = Run.open(result.folder)
        follow = made.followed(run)
        assert follow.state() == run.state() == "done"
        assert follow.done == run.done()
        assert {part for part, state in follow.story.parts.items() if state == "done"} == set(follow.parts) == set(run.part_figures())


@pytest.mark.parametrize(("name", "content", "state"), [("done.json", "{", "damaged"), ("stale.json", "{}", "stale")])
def test_a_run_that_ends_otherwise_is_told_so(tmp_path: Path, name: str, content: str, state: str) -> None:
    run = made.run_folder(tmp_path / "run", {"0001": [made.start(NOW), made.end(NOW)]})
    follow = made.followed(run, NOW)
    assert follow.state(NOW) == "ready"
    (run.folder / name).write_text(content)
    follow.look(NOW + LIST_AGAIN_S)
    assert follow.state(NOW) == state == run.state(NOW)


def test_a_torn_or_foreign_line_is_passed_over(tmp_path: Path) -> None:
    run = made.run_folder(tmp_path / "run", {"0001": [made.start(NOW)]})
    with (run.folder / "journal" / "0001.jsonl").open("ab") as stream:
        stream.write(b'[1]\n"text"\n\xff\xfe\n{"t": 1, "ki\n' + b"[" * 100_000 + b'\n{"t": 1, "kind": "usage"')
    follow = made.followed(run, NOW)
    assert list(follow.story.last.values()) == [{"kind": "start", "t": NOW}]


def test_a_quiet_run_is_looked_at_less_often(tmp_path: Path) -> None:
    run = made.run_folder(tmp_path / "run", {"0001": [made.start(NOW)]})
    follow = Follow(run)
    assert follow.look(NOW)
    made.append(run.folder, made.usage(NOW))
    assert not follow.look(NOW + QUICK_S / 2), "it was looked at a moment ago"
    assert follow.look(NOW + QUICK_S)
    now = NOW + QUICK_S
    for _ in range(10):
        now += SLOW_S
        follow.look(now)
    made.append(run.folder, made.usage(now))
    assert not follow.look(now + SLOW_S / 2)
    assert follow.look(now + SLOW_S)


def test_a_long_journal_is_read_in_pieces(tmp_path: Path) -> None:
    run = made.run_folder(tmp_path / "run", {"0001": [made.metric(1.0, step, loss=0.5) for step in range(5000)]})
    follow = Follow(run)
    assert follow.look(NOW)
    assert 0 < len(next(iter(follow.story.curves.values())).thinned(10**6)) < 5000
    while follow.look(NOW):
        continue
    assert {step for series in follow.story.curves.values() for step, _ in series.items()} >= {0, 4999}


def test_pictures_of_a_finished_run_are_known(tmp_path: Path) -> None:
    run = made.run_folder(tmp_path / "run")
    (run.folder / "output").mkdir()
    sections = [{"kind": "images", "title": "Worst", "items": []}, {"kind": "text", "title": "t", "body": "b"}]
    run.output("report.json").write_text(json.dumps({"sections": sections}))
    assert made.followed(run).pictures == []
    made.finished(run)
    assert made.followed(run).pictures == sections[:1]
