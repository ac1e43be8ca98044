"""The ready studies run on the toy as they ship, one after the other: what fvt predicts weighs the background of svb."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import numpy as np
import pyarrow.parquet as parquet
import pytest

from labwright.cli.main import main
from labwright.events.packing.classes import NONE
from labwright.events.table import BITS
from labwright.events.toy import write_toy
from labwright.parts.conduct import conduct
from labwright.runs.errors import StudyError
from labwright.runs.run import Run
from labwright.study.registry import recipe
from labwright.study.resolve import resolve

SMALL = (
    "run.on.workers=1",
    "run.on.threads=1",
    "train.members=apart",
    "train.network.attention=false",
    "train.batch_size=128",
    "train.ghost.batches=2",
    "pack.chunk_events=512",
    "evaluate.bootstrap=2",
    "evaluate.formats=[svg]",
)


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """What ``labwright new`` writes, beside toy files."""
    folder = tmp_path_factory.mktemp("analysis")
    assert main(["new", "events", str(folder), "--study", "fvt", "--study", "svb"]) == 0
    write_toy(folder / "data", "svb", 2500, 3)
    return folder


def run(study: Path, *params: str, sets: tuple[str, ...] = (), step: str | None = None) -> Mapping[str, Run]:
    """The runs of a study by step."""
    resolved = resolve([study], params=params, sets=[*SMALL, *sets])
    return {result.step: Run.open(result.folder) for result in conduct(resolved, step=step, quiet=True)}


def events(pack: Run) -> dict[str, np.ndarray]:
    table = parquet.read_table(pack.output("events.parquet"))
    return {name: table[name].to_numpy(zero_copy_only=False) for name in table.column_names}


def area(predict: Run, pack: Run) -> float:
    """Of signal against background, by the share of the background's weight below each signal event, ties by half."""
    packed, scores = events(pack), parquet.read_table(predict.output("scores.parquet"))
    score = sum(scores[f"p_{name}"].to_numpy().astype(float) for name in ("ZZ", "ZH", "HH"))
    weight, signal, background = packed["weight"].astype(float), np.isin(packed["label"], (2, 3, 4)), packed["label"] <= 1
    order = np.argsort(score[background])
    heights, below = score[background][order], np.append(0.0, np.cumsum(weight[background][order]))
    halves = [below[np.searchsorted(heights, score[signal], side)] / 2 / below[-1] for side in ("left", "right")]
    return float(np.average(halves[0] + halves[1], weights=weight[signal]))


@pytest.mark.slow
def test_the_ratio_of_one_study_weighs_the_background_of_the_other(folder: Path) -> None:
    ratio = run(folder / "fvt.yaml", "epochs=2", "offsets=0")
    assert list(ratio) == ["pack", "check", "train", "predict", "evaluate"]
    assert ratio["evaluate"].output("report.json").is_file()

    # Another training of other foldings, and the mean over both.
    run(folder / "fvt.yaml", "epochs=2", "offsets=1", "tag=more", step="train")
    more = run(folder / "fvt.yaml", "epochs=2", "offsets=1", "tag=more", step="predict")
    assert more["pack"].folder == ratio["pack"].folder
    together = f"merge.from=[{ratio['predict'].folder}, {more['predict'].folder}]"
    merged = run(folder / "fvt.yaml", "epochs=2", "offsets=0", sets=(together,), step="merge")["merge"]

    signal = run(folder / "svb.yaml", f"fvt={merged.folder}", "norm=6", "epochs=2", "offsets=0-2")
    assert list(signal) == ["pack", "check", "train", "predict", "evaluate"]
    assert signal["evaluate"].figures()["auc"] == pytest.approx(area(signal["predict"], signal["pack"]), abs=1e-5)
    assert signal["predict"].output("friends/SvB.json").is_file()

    # The weight of each multijet event is its own × that of the combinatoric model × the merged ratio, scaled with top pairs to the norm.
    packed = events(signal["pack"])
    multijet = packed["label"] == 0
    first = packed["raw_weight"][multijet] / packed["FvT"][multijet]
    assert np.allclose(first, packed["pseudo_tag_weight"][multijet], rtol=1e-5)
    assert np.isclose(packed["weight"][packed["label"] <= 1].sum(), 6, rtol=1e-5)
    for number in (2, 3, 4):
        assert np.isclose(packed["weight"][packed["label"] == number].sum(), 1, rtol=1e-5)
    scores = parquet.read_table(merged.output("scores.parquet"))
    ratios = {
        (run, event): ratio
        for run, event, ratio in zip(*(events(ratio["pack"])[name] for name in ("run", "event")), scores["FvT"].to_numpy(), strict=True)
    }
    keys = zip(packed["run"][multijet], packed["event"][multijet], strict=True)
    assert np.allclose(packed["FvT"][multijet], [ratios[key] for key in keys], rtol=1e-6)


def test_nothing_of_the_blinded_region_is_learnt_from(folder: Path) -> None:
    packed = events(run(folder / "fvt.yaml", step="pack")["pack"])
    signal_region, four_tag = ((packed["flags"] & BITS[name]) != 0 for name in ("SR", "four_tag"))
    data = packed["file"] <= 1
    assert np.count_nonzero(data & signal_region & four_tag) > 50
    assert set(packed["label"][data & signal_region & four_tag]) == {NONE}
    assert np.count_nonzero(packed["label"] == 0) > 50


def test_the_run_of_fvt_has_to_be_named(folder: Path) -> None:
    with pytest.raises(StudyError, match=r"the parameter 'fvt' has no value; give it with --param fvt=…"):
        resolve([folder / "svb.yaml"])


@pytest.mark.parametrize("word", ["norms=6", "tags=x"])
def test_a_parameter_that_is_not_there_is_an_error_with_the_nearest(folder: Path, word: str) -> None:
    with pytest.raises(StudyError, match="did you mean"):
        resolve([folder / "svb.yaml"], params=[word])


@pytest.mark.parametrize(
    ("word", "told"),
    [
        ("folds=modulus", "one of modulo, random"),
        ("offsets=0-3", "outside of k"),
        ("norm=lots", "expected number"),
        ("epochs=1.5", "whole"),
    ],
)
def test_a_parameter_that_does_not_fit_is_an_error(folder: Path, word: str, told: str) -> None:
    with pytest.raises(StudyError, match=told):
        resolve([folder / "svb.yaml"], params=["fvt=x.json", word])


def test_every_parameter_has_a_line_of_help(folder: Path) -> None:
    for name in recipe("events").studies:
        text = (folder / f"{name}.yaml").read_text(encoding="utf-8")
        block = text.split("parameters:\n")[1].split("\n\n")[0]
        assert all("type:" in line and "help:" in line for line in block.splitlines())


def test_a_second_file_brings_other_data(folder: Path, tmp_path: Path) -> None:
    mine = tmp_path / "mine.yaml"
    mine.write_text("pack: {source: {kind: nanoaod, path: /mine, groups: [{tags: 'label:data', files: [a.root], friends: ['${fvt}']}]}}\n")
    study = resolve([folder / "svb.yaml", mine], params=["fvt=x.json", "tag=mine", "data=elsewhere"], sets=["train.epochs=5"])
    assert study.steps["pack"].source.path == Path("/mine")  # type: ignore[attr-defined]
    assert study.steps["train"].epochs == 5  # type: ignore[attr-defined]
    assert study.run.tags == ("svb", "mine")
