"""``new --study``: ready studies, with the parameters that they take."""

from __future__ import annotations

from pathlib import Path

from labwright.study.registry import recipe
from labwright.study.resolve import resolve


def test_ready_studies_are_listed(labwright) -> None:
    rows = labwright("list", "studies", "--json").json
    assert {(row["recipe"], row["study"]) for row in rows} == {("events", name) for name in recipe("events").studies}
    assert all(row["what"] for row in rows)
    assert labwright("list", "studies", "--recipe", "cells", "--json").json == []


def test_each_is_written_beside_the_schema_with_its_parameters(labwright, tmp_path: Path) -> None:
    said = labwright("new", "events", tmp_path, "--study", "fvt", "--study", "svb")
    assert said.code == 0
    assert sorted(path.name for path in tmp_path.iterdir() if path.is_file()) == ["fvt.yaml", "study.schema.json", "svb.yaml"]
    for name in ("fvt", "svb"):
        assert (tmp_path / f"{name}.yaml").read_text().startswith("# yaml-language-server: $schema=study.schema.json\n")
    assert f"{tmp_path / 'svb.yaml'} is written." in said.out
    study = resolve([tmp_path / "svb.yaml"], params=["fvt=friend.json"])
    assert {line.split()[0] for line in said.out.splitlines() if line} >= set(study.parameters)
    assert "needed" in next(line for line in said.out.splitlines() if line.startswith("fvt "))


def test_a_study_that_is_there_is_left_alone_and_nothing_else_is_written(labwright, tmp_path: Path) -> None:
    (tmp_path / "svb.yaml").write_text("mine")
    said = labwright("new", "events", tmp_path, "--study", "fvt", "--study", "svb")
    assert said.code == 64
    assert "svb.yaml: there is a study here already" in said.err
    assert (tmp_path / "svb.yaml").read_text() == "mine"
    assert not (tmp_path / "fvt.yaml").exists()


def test_a_name_that_is_not_there_is_answered_with_the_nearest(labwright, tmp_path: Path) -> None:
    assert "Did you mean 'svb'?" in labwright("new", "events", tmp_path, "--study", "svd").err
    said = labwright("new", "toy", tmp_path, "--study", "svb")
    assert said.code == 64
    assert "recipe toy has no ready study 'svb'. The recipe has none; leave --study out." in said.err
