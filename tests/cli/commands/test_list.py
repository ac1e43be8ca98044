"""``list``, ``status``, ``plan``, ``expand`` and ``schema``: what there is, for people and programs."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import yaml

from labwright.study.expand import expand
from labwright.study.registry import recipe
from labwright.study.resolve import resolve
from labwright.study.schema import json_schema


@pytest.fixture
def done(labwright, study: Path) -> Path:
    labwright("list", "recipes")
    labwright("run", "study.yaml", "--quiet")
    return study


def test_runs_come_with_names_tags_figures_and_joules(labwright, done: Path) -> None:
    rows = labwright("list", "--json").json
    assert [row["run"].split("-")[0] for row in rows] == ["pack", "check", "train", "evaluate"]
    assert {row["name"] for row in rows} == {"first"}
    assert rows[0]["tags"] == ["night"]
    assert rows[2]["figures"] == {"guess_mm": 1.0, "loss": 0.5}
    assert rows[2]["energy"][0]["method"]
    table = labwright("list", "runs", "study.yaml", "--filter", "^train")
    assert table.out.count("\n") == 2
    assert "guess_mm 1, loss 0.5" in table.out
    assert labwright("list", "runs", "--recipe", "cells", "--json").json == []


def test_a_figure_stands_for_its_shares(labwright, done: Path) -> None:
    path = next(Path("runs").glob("train-*/done.json"))
    content = json.loads(path.read_text())
    content["figures"] = {"joules_per_frame": 3.0, "joules_per_frame_read": 1.0, "joules_per_frame_network": 2.0, "loss": 0.5}
    path.write_text(json.dumps(content))
    (row,) = [line for line in labwright("list", "runs").out.splitlines() if line.startswith("train")]
    assert "joules_per_frame 3, loss 0.5" in row


def test_a_place_is_a_study_a_folder_or_a_run(labwright, done: Path) -> None:
    everything = labwright("list", "runs", "study.yaml").out
    assert labwright("list", "runs", ".").out == everything
    assert labwright("list", "runs", "runs").out == everything
    one = next(Path("runs").glob("train-*"))
    assert labwright("list", "runs", one, "--json").json[0]["run"] == one.name


def test_steps_and_options_are_those_of_the_studys_recipe(labwright, done: Path) -> None:
    assert [row["step"] for row in labwright("list", "steps", "study.yaml", "--json").json] == ["pack", "check", "train", "evaluate"]
    options = labwright("list", "options", ".", "--json").json
    assert {row["recipe"] for row in options} == {"toy"}
    assert {"option": "check.smallest", "unit": "mm"}.items() <= options[1].items()
    said = labwright("list", "steps", "--recipe", "nothing")
    assert said.code == 64
    assert "There are toy, cells and events" in said.err


def test_findings_are_explained(labwright, done: Path) -> None:
    codes = {row["code"] for row in labwright("list", "findings", "--json").json}
    assert {"LAB001", "CEL001", "TOY001"} <= codes
    said = labwright("list", "--finding", "toy001")
    assert said.out == (
        "TOY001 (error): number too small\n\nWhy it matters: A length cannot be less than nothing.\n\nWhat to do: Measure again.\n"
    )
    assert labwright("list", "--finding", "TOY009").code == 66


def test_status_tells_parts_attempts_and_signs_of_life(labwright, done: Path) -> None:
    labwright("run", "study.yaml", "--set", "train.trouble=stop", "--quiet")
    rows = {(row["run"].split("-")[0], row["state"]): row for row in labwright("status", ".", "--json").json}
    complete = rows["train", "done"]
    assert (complete["parts_done"], complete["parts"], complete["attempts"]) == (2, 2, 1)
    assert complete["last_metrics"] == "train step 1: loss=0.5"
    assert 0 <= complete["heartbeat_age_s"] < 600
    assert rows["train", "stopped"]["parts_done"] == 0


def test_plan_says_why(labwright, done: Path) -> None:
    rows = labwright("plan", "study.yaml", "--json").json
    assert {row["why"] for row in rows} == {"complete with these options"}
    assert all(Path(row["folder"]).name == f"{row['step']}-{row['fingerprint'][:10]}" for row in rows)
    table = labwright("plan", "study.yaml")
    assert f"runs/{Path(rows[0]['folder']).name}" in table.out


def test_what_expand_prints_is_the_same_study(labwright, study: Path) -> None:
    said = labwright("expand", "study.yaml", "--set", "train.guess=4", "--param", "data=elsewhere")
    again = study.with_name("again.yaml")
    again.write_text(said.out)
    first = [row[:2] for row in expand(resolve([study], sets=["train.guess=4"], params=["data=elsewhere"]))]
    assert [row[:2] for row in expand(resolve([again]))] == first
    assert yaml.safe_load(said.out)["train"]["guess"] == 4
    assert "# --set" in said.out


def test_schema_goes_to_the_screen_or_to_a_file(labwright, tmp_path: Path) -> None:
    assert labwright("schema", "toy").json == json_schema(recipe("toy"))
    target = tmp_path / "schema.json"
    assert labwright("schema", "toy", "--to", target).code == 0
    assert json.loads(target.read_text()) == json_schema(recipe("toy"))


def test_runs_are_found_whatever_a_new_run_would_miss(labwright, done: Path) -> None:
    needs = done.with_name("needs.yaml")
    needs.write_text(done.read_text().replace("default: ./data, ", ""))
    names = [row["run"] for row in labwright("list", "runs", needs, "--json").json]
    assert names
    assert names == [row["run"] for row in labwright("list", "runs", done, "--json").json]
    assert labwright("status", needs).code == 0
    (needs.parent / "runs").rename(needs.parent / "elsewhere")
    said = labwright("list", "runs", needs)
    assert said.code == 78
    assert "the parameter 'data' has no value" in said.err
