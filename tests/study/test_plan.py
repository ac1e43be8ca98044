"""The plan says which run each step is, from the options alone, and what has to be done for it."""

from __future__ import annotations

import json
import shutil
from dataclasses import replace
from pathlib import Path

import pytest

from labwright.runs.errors import DataError, MissingError
from labwright.runs.run import Run
from labwright.study import plan as plan_module
from labwright.study.plan import changed_sources, create, differences, done_runs, options_of, runs_folder
from tests.parts.toy_recipe import Desk


def names(desk: Desk, *sets: str) -> dict[str, str]:
    return {name: planned.folder.name for name, planned in desk.plan(*sets).items()}


def test_planning_writes_nothing(desk: Desk) -> None:
    before = sorted(desk.folder.rglob("*"))
    planned = desk.plan()
    assert [one.state for one in planned.values()] == ["absent"] * 4
    assert sorted(desk.folder.rglob("*")) == before
    for one in planned.values():
        assert one.folder == (desk.folder / "runs" / f"{one.name}-{one.fingerprint[:10]}").resolve()


@pytest.mark.parametrize(
    ("change", "renamed"),
    [
        ("count.letters=2", {"count", "gate", "fit", "sum"}),
        ("gate.most=7", {"gate"}),
        ("fit.rounds=4", {"fit", "sum"}),
        ("sum.title=total", {"sum"}),
        ("run.seed=4", {"count", "gate", "fit", "sum"}),
        ("count.sleep_s=1", set()),
        ("run.on.workers=7", set()),
        ("run.on.threads=7", set()),
        ("run.name=other", set()),
        ("run.tags=[a]", set()),
        ("run.folder=/elsewhere", set()),
    ],
)
def test_a_run_has_another_name_where_its_result_may_differ(desk: Desk, change: str, renamed: set[str]) -> None:
    before, after = names(desk), names(desk, change)
    assert {name for name in before if before[name] != after[name]} == renamed


def test_names_follow_the_raw_files_by_name_and_size_wherever_they_lie(desk: Desk, tmp_path: Path) -> None:
    before = names(desk)
    shutil.copytree(desk.texts, tmp_path / "moved")
    assert names(desk, f"count.source={tmp_path / 'moved'}") == before
    (tmp_path / "moved" / "d.txt").write_text("more")
    assert names(desk, f"count.source={tmp_path / 'moved'}") != before


def test_a_step_is_planned_with_what_it_needs(desk: Desk) -> None:
    assert list(desk.plan(steps=["count"])) == ["count"]
    assert list(desk.plan(steps=["gate"])) == ["count", "gate"]
    assert list(desk.plan(steps=["fit"])) == ["count", "gate", "fit"]
    assert list(desk.plan(steps=["sum"])) == ["count", "gate", "fit", "sum"]
    desk.conduct(step="fit")
    assert list(desk.plan(steps=["sum"])) == ["count", "fit", "sum"], "what is trained has passed its gate"


def test_nothing_is_planned_behind_a_chosen_run(desk: Desk) -> None:
    done = desk.conduct(step="fit")["fit"].folder
    shutil.rmtree(desk.folder / "runs" / desk.plan()["gate"].folder.name)
    planned = desk.plan("fit.rounds=9", steps=["fit"], chosen={"fit": done})
    assert list(planned) == ["fit"]
    assert planned["fit"].given
    assert planned["fit"].folder == done
    assert planned["fit"].options.rounds == 3, "its options are those it was made with"


def test_a_chosen_run_has_to_be_done(desk: Desk) -> None:
    run = desk.created("count")
    with pytest.raises(MissingError, match="the run is ready, not done"):
        desk.plan(chosen={"count": run.folder})


def test_where_runs_lie(desk: Desk, tmp_path: Path) -> None:
    assert runs_folder(desk.study()) == (desk.folder / "runs").resolve()
    assert runs_folder(desk.study(f"run.folder={tmp_path}")) == tmp_path.resolve()
    assert runs_folder(desk.study(f"run.folder={tmp_path}"), tmp_path / "b") == (tmp_path / "b").resolve()


def test_the_description_holds_all_that_the_run_was_made_from(desk: Desk) -> None:
    count = desk.created("count", "count.letters=2", "run.name=first", "run.tags=[a, b]", "run.on.threads=5")
    description = Run.open(count.folder).description
    assert description["recipe"] == "counting"
    assert description["seed"] == 3
    assert description["options"]["letters"] == 2
    assert description["origins"] == {"letters": "--set", "source": "study.yaml:2"}
    assert description["sources"][0] == {"name": "a.txt", "size": 13}
    assert (description["name"], description["tags"]) == ("first", ["a", "b"])
    assert description["machine"]["threads"] == 5
    assert {"host", "python", "versions"} <= description["machine"].keys()
    desk.conduct(step="count")
    gate = desk.created("gate")
    assert gate.inputs == {"count": desk.plan()["count"].folder}


def test_a_run_that_exists_keeps_its_description(desk: Desk) -> None:
    first = desk.created("count", "run.on.threads=1")
    created = first.description["created"]
    again = desk.created("count", "run.on.threads=2")
    assert again.folder == first.folder
    assert (again.description["created"], again.description["machine"]["threads"]) == (created, 1)


def test_only_a_file_with_another_time_is_read_again(desk: Desk) -> None:
    desk.conduct(step="count")
    planned = desk.plan()["count"]

    def refuse(path: Path) -> str:
        raise AssertionError(f"{path} was read")

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("labwright.runs.publish.digest", refuse)
        assert changed_sources(planned.run, planned.sources) == []
    path = desk.texts / "a.txt"
    path.write_text(path.read_text().upper())
    assert changed_sources(planned.run, planned.sources) == ["a.txt"]
    assert desk.plan()["count"].state == "stale"


def test_differences_name_the_options_that_count(desk: Desk) -> None:
    desk.conduct("fit.rate=0.25", step="fit")
    (run,) = done_runs(desk.folder / "runs", "counting", "fit")
    assert differences(desk.plan("fit.sleep_s=0.1")["fit"], run) == ["rate: 0.25 there, 0.5 planned"]
    assert differences(desk.plan("fit.rate=0.25")["fit"], run) == []
    assert done_runs(desk.folder / "runs", "cells", "fit") == []


def test_a_section_on_one_side_is_one_difference(desk: Desk) -> None:
    def differing(have: dict[str, object], wanted: dict[str, object]) -> list[str]:
        return list(plan_module._differing(have, wanted))

    assert differing({"checkpoint": "best"}, {"checkpoint": {"path": "m"}}) == ["checkpoint: 'best' there, {'path': 'm'} planned"]
    assert differing({"a": {"b": 1, "c": 2}}, {"a": {"b": 1, "c": 3}}) == ["a.c: 2 there, 3 planned"]


def test_a_run_of_another_version_is_no_obstacle(desk: Desk) -> None:
    desk.conduct(step="fit")
    (run,) = done_runs(desk.folder / "runs", "counting", "fit")
    run.description["options"]["momentum"] = 0.9
    with pytest.raises(DataError, match="do not fit this version"):
        options_of(run, desk.plan()["fit"].step)
    assert differences(desk.plan()["fit"], run) == ["its options do not fit this version of fit"]


def test_the_newest_done_run_comes_first(desk: Desk) -> None:
    folders = [desk.conduct(f"fit.rounds={rounds}", step="fit")["fit"].folder.name for rounds in (1, 2, 3)]
    create(desk.plan("fit.rounds=4")["fit"], desk.study("fit.rounds=4"))
    assert [run.name for run in done_runs(desk.folder / "runs", "counting", "fit")] == folders[::-1]


def fits(desk: Desk) -> list[Path]:
    """Two done runs of fit, as a sweep makes them."""
    return [desk.conduct(f"fit.rounds={rounds}", step="fit")["fit"].folder for rounds in (1, 3)]


def test_an_optional_step_is_planned_where_the_study_speaks_of_it_or_it_is_asked_for(desk: Desk) -> None:
    folders = fits(desk)
    assert "mean" not in desk.plan()
    said = f"mean.from={folders[0].parent}/fit-*"
    assert list(desk.plan(said)) == ["count", "gate", "mean", "sum"]
    assert list(desk.plan(said, steps=["fit"])) == ["count", "fit"]
    assert list(desk.plan(said, steps=["mean"])) == ["mean"]
    with pytest.raises(MissingError, match="no run of fit and mean"):
        desk.plan(f"mean.from={folders[0].parent}/none", steps=["mean"])


def test_an_optional_step_feeds_later_ones_in_place_of_those_it_replaces(desk: Desk) -> None:
    folders = fits(desk)
    planned = desk.plan(f"mean.from={folders[0]},{desk.folder / folders[1].name}", steps=["sum"])
    assert list(planned) == ["count", "mean", "sum"]
    assert list(planned["sum"].inputs) == ["count", "mean"]
    assert {one.folder for one in planned["mean"].inputs.values()} == set(folders)
    done = desk.conduct(f"mean.from={folders[0]},{desk.folder / folders[1].name}", step="sum")
    weights = [Run.open(folder).figures()["weight"] for folder in folders]
    assert done["sum"].figures["weight"] == round(sum(weights) / 2, 3)
    assert set(Run.open(done["mean"].folder).inputs.values()) == set(folders)


def test_named_runs_count_in_the_fingerprint_and_their_order_does_not(desk: Desk) -> None:
    one, other = fits(desk)
    name = {
        key: desk.plan(f"mean.from={text}", steps=["mean"])["mean"].folder.name
        for key, text in {"both": f"{one},{other}", "turned": f"{other},{one}", "one": f"{one}", "all": f"{one.parent}/fit-*"}.items()
    }
    assert name["both"] == name["turned"] == name["all"] != name["one"]


def test_the_points_of_a_sweep_do_without_what_brings_runs_together(desk: Desk) -> None:
    folders = fits(desk)
    study = replace(desk.study(f"mean.from={folders[0]}"), label="rounds=1")
    assert "mean" not in {one.name for one in plan_module.plan(study)}
    assert "mean" in {one.name for one in plan_module.plan(study, steps=["mean"])}


def test_a_named_run_that_changed_since_is_refused(desk: Desk) -> None:
    folder = fits(desk)[0]
    (folder / "output" / "weight.txt").write_text("0.123456789012345678"[: len((folder / "output" / "weight.txt").read_text())])
    with pytest.raises(DataError, match="does not fit its manifest"):
        desk.plan(f"mean.from={folder}", steps=["mean"])


def test_several_files_and_what_they_expand_to_plan_the_same_runs(desk: Desk) -> None:
    cache = desk.folder / "cache.yaml"
    cache.write_text(
        "parameters: {letters: {type: int, help: least letters of a word}, tag: {type: text, default: none}}\n"
        "count: {letters: '${letters}'}\nsum: {title: '${tag}'}\n"
    )
    words = [desk.path, cache, "--param", "letters=2", "--param", "tag=test", "--set", "fit.rounds=5"]
    flat = desk.folder / "flat.yaml"
    flat.write_text(desk.labwright("expand", *map(str, words)).stdout)
    plans = [json.loads(desk.labwright("plan", *map(str, given), "--json").stdout) for given in (words, [flat])]
    assert [(one["step"], one["fingerprint"]) for one in plans[0]] == [(one["step"], one["fingerprint"]) for one in plans[1]]
    assert desk.labwright("run", *map(str, words), "--quiet").returncode == 0
    done = json.loads(desk.labwright("run", str(flat), "--json").stdout)["runs"]
    assert [one["fresh"] for one in done] == [False] * len(done)
