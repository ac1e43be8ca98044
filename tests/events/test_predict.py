"""Scores of every event: by models that never saw it, row by row where the event lies, the same each time."""

from __future__ import annotations

import json
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow.parquet as parquet
import pytest
import torch
import uproot
import yaml

from labwright.events import predict
from labwright.events.export import export_weights
from labwright.events.findings import BadFile
from labwright.events.folds import fold_of
from labwright.events.packing.load import load
from labwright.events.recipe import PredictOptions
from labwright.events.scoring import ensemble
from labwright.events.scoring.ensemble import probabilities
from labwright.events.scoring.scores import COUNT, LEAST, base_columns, columns, derive, open_scores
from labwright.events.training.models import load_models
from labwright.learn import tensors
from labwright.runs.errors import DataError, Exit, MissingError, Stopped, StudyError
from labwright.runs.publish import digest
from labwright.runs.run import Run
from labwright.testing.trees import events, write_root
from tests.events.studies import codes, conducted, study, tree, two

SMALL = {
    "epochs": 1,
    "batch_size": 64,
    "ghost": {"batches": 4},
    "network": {"kind": "hcr", "width": 4, "attention": False},
    "members": "together",
    "accelerator": "cpu",
    "objective": "fvt",
}
TRAIN = (*(f"train.{name}={json.dumps(value)}" for name, value in SMALL.items()), "train.folds.offsets=0-1")
CLASSES = {"d4": {"tags": "label:S"}, "d3": {"tags": "label:B", "norm": 900}}
SHORT = 40
"""Rows of the signal's file with three jets only, which no pack has."""


@pytest.fixture(autouse=True)
def one_thread() -> None:
    torch.set_num_threads(1)


@pytest.fixture(autouse=True)
def many_parts(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(predict, "PART_EVENTS", 300)


@pytest.fixture(scope="module")
def file(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A study whose first file has rows of fewer than four jets in between."""
    folder = tmp_path_factory.mktemp("predict")
    path = two(folder, classes=CLASSES)
    whole = events(700, (3, 9), 1)
    write_root(folder / "data" / "signal.root", {**whole, "weight": np.ones(700), "year": np.full(700, 18.0)})
    return path


@pytest.fixture(scope="module")
def trained(file: Path) -> Run:
    return conducted(file, *TRAIN, step="train")


@pytest.fixture(scope="module")
def run(file: Path, trained: Run) -> Iterator[Run]:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(predict, "PART_EVENTS", 300)
        yield conducted(file, *TRAIN, "predict.rows_per_file=250", step="predict")


def test_each_event_is_scored_by_the_models_that_never_saw_it(run: Run, trained: Run) -> None:
    scores, models = open_scores(run), load_models(trained.output("model"))
    packed = load(Run.open(run.inputs["pack"]))
    assert len(run.part_figures()) == -(-packed.n // 300)
    assert (scores.name, scores.objective, scores.classes, scores.n) == ("FvT", "fvt", ("d4", "d3"), packed.n)
    assert list(scores.columns) == columns("fvt", scores.classes)
    assert (scores.columns[COUNT] == 2).all()
    inputs = [one.numpy() for one in (packed.can_jets, packed.other_jets, packed.ancillary)]
    each = {}
    for one, network in zip(models.members, models.networks, strict=True):
        own = scores.of_member(one)
        assert own["index"].tolist() == np.flatnonzero(fold_of(packed.identity, one.folding) == one.fold).tolist()
        values = probabilities(network, [column[own["index"]] for column in inputs])
        for name, expected in zip(base_columns(scores.classes), values.T, strict=True):
            np.testing.assert_allclose(own[name], expected, atol=1e-5)
            each.setdefault(name, {}).setdefault(one.folding, np.full(packed.n, np.nan))[own["index"]] = own[name]
    for name, of_folding in each.items():
        both = np.stack(list(of_folding.values()))
        np.testing.assert_allclose(scores.columns[name], both.mean(axis=0), atol=1e-6)
        np.testing.assert_allclose(scores.columns[f"{name}_std"], both.std(axis=0, ddof=1), atol=1e-6)
    ratios = np.stack([each["p_d4"][folding] / np.maximum(each["p_d3"][folding], LEAST) for folding in each["p_d4"]])
    np.testing.assert_allclose(scores.columns["FvT"], ratios.mean(axis=0), rtol=1e-4)


def test_where_the_models_come_from_and_the_proof_are_told(run: Run, trained: Run) -> None:
    told = json.loads(run.output("scores.json").read_text())
    assert told["pack"] == {"run": Run.open(run.inputs["pack"]).name, "fingerprint": Run.open(run.inputs["pack"]).fingerprint}
    assert [one["training"]["run"] for one in told["members"]] == [trained.name] * 6
    path = trained.output("model") / "best" / f"{told['members'][0]['name']}.safetensors"
    assert told["members"][0]["training"]["sha256"] == digest(path)
    proof = json.loads(run.output("folds.json").read_text())
    assert [one["unscored"] for one in proof["foldings"]] == [0, 0]
    assert not run.output("pieces").exists()


def test_friends_are_row_aligned_for_uproot_and_pyarrow(run: Run) -> None:
    scores = open_scores(run).columns
    packed = parquet.read_table(Run.open(run.inputs["pack"]).output("events.parquet"), columns=["file", "row"]).to_pandas()
    document = json.loads(run.output("friends/FvT.json").read_text())["FvT"]
    assert document["branches"] == [*columns("fvt", ("d4", "d3"))[:-1], "FvT_n_models"]
    for number, (target, pieces) in enumerate(document["data"]):
        assert [(one["start"], one["stop"]) for one in pieces][:2] == [(0, 250), (250, 500)]
        with uproot.open(target["path"]) as data:
            assert str(data.file.uuid) == target["uuid"]
            jets = data["Events"]["n_jet_pt"].array(library="np") if "n_jet_pt" in data["Events"] else data["Events"]["jet_pt"].array()
        here = packed[packed.file == number]
        files = [run.output(f"friends/{one['chunk']['path']}") for one in pieces]
        trees = [uproot.open(path)["Events"].arrays(library="np") for path in files]
        tables = [parquet.read_table(path.with_suffix(".parquet")) for path in files]
        for name in document["branches"]:
            column = np.concatenate([one[name] for one in trees])
            assert len(column) == target["num_entries"] == len(jets)
            np.testing.assert_array_equal(column, np.concatenate([one.column(name).to_numpy() for one in tables]))
            own = scores[COUNT if name == "FvT_n_models" else name]
            np.testing.assert_array_equal(column[here.row], own[here.index])
            rest = np.delete(column, here.row)
            assert (rest == 0).all() if name == "FvT_n_models" else np.isnan(rest).all()
    assert run.figures()["rows_without_score"] == 1600 - len(packed) > 0


def test_a_friend_weighs_the_events_of_another_pack(run: Run, file: Path, tmp_path: Path) -> None:
    """As the background of SvB is three-tag data × FvT."""
    content = yaml.safe_load(file.read_text())
    content["pack"]["source"]["path"] = str(file.parent / "data")
    content["pack"]["source"]["groups"].append({"friends": [f"{run.output('friends/FvT.json')}@@FvT"]})
    content["pack"]["classes"] = {"data": {"tags": "label:B", "weight": ["weight", "FvT"]}, "S": {"tags": "label:S"}}
    path = tmp_path / "study.yaml"
    path.write_text(yaml.safe_dump(content, sort_keys=False))
    again = conducted(path, "pack.shuffle=false")
    assert not [one for one in codes(again) if one[1] == "error"]
    first = parquet.read_table(Run.open(run.inputs["pack"]).output("events.parquet"), columns=["file", "row"]).to_pandas()
    first["FvT"] = open_scores(run).columns["FvT"]
    second = parquet.read_table(again.output("events.parquet")).to_pandas().merge(first, on=["file", "row"], suffixes=("", "_known"))
    assert len(second) == len(first)
    background = second[second.label == 0]
    np.testing.assert_allclose(background.raw_weight, background.FvT_known, rtol=1e-6)
    assert (second.FvT_n_models == 2).all()


def contents(run: Run) -> dict[str, Any]:
    """All files by name, but for the report, which tells of joules; of ROOT files, which tell of the hour, the arrays."""
    files = {path.relative_to(run.output()).as_posix(): path for path in run.output().rglob("*") if path.is_file()}
    return {name: arrays(path) if path.suffix == ".root" else path.read_bytes() for name, path in files.items() if name != "report.json"}


def arrays(path: Path) -> tuple[str, dict[str, bytes]]:
    """UUID and columns of a ROOT file."""
    with uproot.open(path) as file:
        return str(file.file.uuid), {name: values.tobytes() for name, values in file["Events"].arrays(library="np").items()}


@pytest.mark.parametrize("workers", [1, pytest.param(2, marks=pytest.mark.slow)])
def test_the_same_seed_gives_the_same_bytes_and_arrays(run: Run, file: Path, tmp_path: Path, workers: int) -> None:
    conducted(file, *TRAIN, step="train", runs=tmp_path)
    other = conducted(file, *TRAIN, "predict.rows_per_file=250", f"run.on.workers={workers}", step="predict", runs=tmp_path)
    one, two = contents(run), contents(other)
    assert one.keys() == two.keys()
    assert [name for name in one if one[name] != two[name]] == []


@pytest.mark.parametrize("changed", ["predict.batch_size=7", "run.on.threads=2"])
def test_neither_batches_nor_threads_change_a_score(run: Run, file: Path, trained: Run, tmp_path: Path, changed: str) -> None:
    other = conducted(file, f"predict.checkpoint={trained.folder}", changed, step="predict", runs=tmp_path)
    for name, values in open_scores(run).columns.items():
        np.testing.assert_allclose(open_scores(other).columns[name], values, rtol=1e-4, atol=1e-5)


def test_a_stopped_run_keeps_the_parts_that_are_done(
    run: Run, file: Path, trained: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    sets = (*TRAIN, "predict.rows_per_file=250")
    for needed in (trained.folder, trained.inputs["pack"]):
        shutil.copytree(needed, tmp_path / needed.name)
    whole, seen = ensemble.outputs, []

    def counted(*arguments: Any) -> Iterator[ensemble.Output]:
        seen.append(arguments)
        if len(seen) == 3:
            raise Stopped("stopped", where="", todo="")
        return whole(*arguments)

    monkeypatch.setattr(ensemble, "outputs", counted)
    with pytest.raises(Stopped):
        conducted(file, *sets, step="predict", runs=tmp_path)
    write, written = predict.score_files.friend_files.write_root, []

    def torn(path: Path, *arguments: Any) -> None:
        written.append(path)
        if len(written) == 2:
            raise Stopped("stopped", where="", todo="")
        write(path, *arguments)

    monkeypatch.setattr(predict.score_files.friend_files, "write_root", torn)
    with pytest.raises(Stopped):
        conducted(file, *sets, step="predict", runs=tmp_path)
    other = conducted(file, *sets, step="predict", runs=tmp_path)
    assert len(seen) == len(run.part_figures()) + 1
    assert len(written) == len(list(other.output("friends").glob("*.root"))) + 1
    assert contents(other) == contents(run)


def test_only_the_end_of_a_run_is_done_again(file: Path, trained: Run, tmp_path: Path) -> None:
    """What was written last tells that all is there, though the pieces may be gone."""
    other = conducted(file, f"predict.checkpoint={trained.folder}", step="predict", runs=tmp_path)
    before = contents(other)
    (other.folder / "done.json").unlink()
    conducted(file, f"predict.checkpoint={trained.folder}", step="predict", runs=tmp_path)
    assert contents(other) == before
    assert Run.open(other.folder).state() == "done"


def test_events_whose_fold_has_no_model_are_an_error_unless_a_merge_brings_it(file: Path, tmp_path: Path) -> None:
    sets = [*TRAIN[:-1], "train.folds.kind=modulo", "train.folds.offsets=0"]
    conducted(file, *sets, step="train", runs=tmp_path)
    with pytest.raises(BadFile, match="lie in folds that have no model; there are modulo3-f0-s0") as caught:
        conducted(file, *sets, step="predict", runs=tmp_path)
    assert (caught.value.finding, caught.value.code) == ("EVT040", Exit.DATA)
    other = conducted(file, *sets, "predict.partial=true", step="predict", runs=tmp_path)
    assert [one[:2] for one in codes(other)] == [("EVT040", "note")]
    packed, scores = load(Run.open(other.inputs["pack"])), open_scores(other)
    scored = packed.identity.event % 3 == 0
    np.testing.assert_array_equal(scores.columns[COUNT], scored)
    np.testing.assert_array_equal(~np.isnan(scores.columns["p_d4"]), scored)
    assert np.isnan(scores.columns["p_d4_std"]).all()
    assert other.figures()["scored"] == scored.sum()


@pytest.fixture(scope="module")
def exported(trained: Run, tmp_path_factory: pytest.TempPathFactory) -> Path:
    return export_weights(trained, tmp_path_factory.mktemp("export") / "model")


def test_events_that_came_later_are_scored_by_the_fold_rule(exported: Path, trained: Run, tmp_path: Path) -> None:
    """New events, and old ones in another file: never by a model that trained on them."""
    tree(tmp_path / "data" / "new.root", 500, seed=5)
    write_root(tmp_path / "data" / "old.root", {**events(700, (3, 9), 1), "weight": np.ones(700), "year": np.full(700, 18.0)})
    groups = [{"tags": "label:new", "files": ["new.root", "old.root"]}]
    path = study(tmp_path, groups, {"d4": {"tags": "label:S"}, "d3": {"tags": "label:B"}})
    run = conducted(path, f"predict.checkpoint={exported}", step="predict")
    assert set(run.inputs) == {"pack"}
    packed, scores = load(Run.open(run.inputs["pack"])), open_scores(run)
    assert (scores.columns[COUNT] == 2).all()
    assert scores.n == packed.n > 500
    for one in scores.members:
        np.testing.assert_array_equal(scores.of_member(one)["index"], np.flatnonzero(fold_of(packed.identity, one.folding) == one.fold))
    told = json.loads(run.output("scores.json").read_text())
    assert told["members"][0]["training"]["path"] == str(exported)
    assert {row[0] for one in run.sections() if one["title"] == "Mean scores by class" for row in one["rows"]} == {"none"}


def test_the_rows_of_a_repeated_event_get_its_score(exported: Path, tmp_path: Path) -> None:
    columns_ = {**events(300, (3, 9), 1), "weight": np.ones(300), "year": np.full(300, 18.0)}
    write_root(tmp_path / "data" / "one.root", columns_)
    write_root(tmp_path / "data" / "again.root", {name: values[100:] for name, values in columns_.items()})
    path = study(tmp_path, [{"tags": "label:S", "files": ["one.root", "again.root"]}], CLASSES)
    run = conducted(path, f"predict.checkpoint={exported}", 'predict.formats=["parquet"]', step="predict")
    one, again = (parquet.read_table(next(run.output("friends").glob(f"*_{name}_*.parquet"))).to_pandas() for name in ("one", "again"))
    assert ((one.FvT_n_models == 2) == (uproot.open(tmp_path / "data" / "one.root")["Events"]["n_jet_pt"].array() >= 4)).all()
    assert one[100:].reset_index(drop=True).equals(again)
    assert run.figures()["events"] < run.figures()["rows"] - run.figures()["rows_without_score"]


def test_a_parquet_source_gets_friends_by_its_address(exported: Path, tmp_path: Path) -> None:
    import awkward as ak
    import pyarrow as pa

    whole = {**events(200, (4, 9), 1), "weight": np.ones(200), "year": np.full(200, 18.0)}
    (tmp_path / "data").mkdir()
    parquet.write_table(
        pa.table({name: ak.to_arrow(ak.Array(values), extensionarray=False) for name, values in whole.items()}),
        tmp_path / "data" / "one.parquet",
    )
    group = {"tags": "label:S", "files": ["one.parquet"]}
    run = conducted(study(tmp_path, [group], CLASSES), f"predict.checkpoint={exported}", 'predict.formats=["parquet"]', step="predict")
    friends = {"friends": [f"{run.output('friends/FvT.json')}"]}
    again = conducted(study(tmp_path, [{**group, **friends}], {"d4": {"tags": "label:S", "weight": ["FvT"]}}, shuffle=False))
    expected = open_scores(run).columns["FvT"]
    found = parquet.read_table(again.output("events.parquet"), columns=["row", "raw_weight"]).to_pandas()
    rows = parquet.read_table(Run.open(run.inputs["pack"]).output("events.parquet"), columns=["row"]).to_pandas().row
    np.testing.assert_allclose(found.raw_weight[rows], expected, rtol=1e-6)


@pytest.mark.parametrize(
    ("pack", "says"),
    [
        ({"classes": {"d3": {"tags": "label:B"}, "d4": {"tags": "label:S"}}}, "know the classes d4, d3, the pack has d3, d4"),
        ({"ancillary": ["year"]}, r"know the further inputs year, n_selected, xW, xbW, the pack has year\b"),
        ({"ancillary": ["n_selected", "year", "xW", "xbW"]}, "further inputs year, n_selected, xW, xbW, the pack has n_selected, year, "),
        ({"source": {"jets": {"max_others": 3}}}, r"other_jets of an event have the shape \(3, 5\)"),
    ],
)
def test_a_pack_of_other_classes_or_inputs_is_refused(exported: Path, tmp_path: Path, pack: dict[str, Any], says: str) -> None:
    tree(tmp_path / "data" / "a.root", 100)
    path = study(tmp_path, [{"tags": "label:S", "files": ["a.root"]}], pack.pop("classes", CLASSES), **pack)
    with pytest.raises(StudyError, match=says):
        conducted(path, f"predict.checkpoint={exported}", step="predict")


def test_models_that_ran_away_or_of_another_rule_score_nothing(exported: Path, tmp_path: Path) -> None:
    tree(tmp_path / "data" / "a.root", 100)
    path = study(tmp_path, [{"tags": "label:S", "files": ["a.root"]}], CLASSES)
    broken = tmp_path / "broken"
    shutil.copytree(exported, broken)
    weights = next((broken / "best").iterdir())
    tensors.write(weights, {name: one * np.nan for name, one in tensors.read(weights).items()})
    with pytest.raises(DataError, match=f"{weights.stem} gives .* a score that is not a number"):
        conducted(path, f"predict.checkpoint={broken}", step="predict")
    (broken / "model.json").write_text((exported / "model.json").read_text().replace("(w*k) >> 32", "w modulo k"))
    with pytest.raises(DataError, match="trained by another fold rule"):
        conducted(path, f"predict.checkpoint={broken}", step="predict")
    with pytest.raises(MissingError, match="no such folder"):
        conducted(path, f"predict.checkpoint={tmp_path / 'nowhere'}", step="predict")


def test_best_and_last_are_other_weights(file: Path, trained: Run, run: Run, tmp_path: Path) -> None:
    """Of a training of one epoch they are the same; the choice is recorded."""
    other = conducted(file, *TRAIN, "predict.checkpoint=last", "predict.name=Last", step="predict")
    assert other.output("friends/Last.json").is_file()
    assert {one["training"]["checkpoint"] for one in json.loads(other.output("scores.json").read_text())["members"]} == {"last"}


def test_what_would_be_done_is_told_before(run: Run, trained: Run) -> None:
    inputs = {"train": trained, "pack": Run.open(run.inputs["pack"])}
    lines = predict.preview(PredictOptions(rows_per_file=250), inputs)
    assert lines[0].startswith("6 models of fvt: p_d4, p_d3, q_1234")
    assert lines[1] == "1,600 rows of 2 files → friends/FvT.json and 14 files"
    assert predict.preview(PredictOptions(), {}) == ["friends in root, parquet, when the models are trained"]


def test_the_report_counts_and_gives_means_by_class(run: Run) -> None:
    sections = {one["title"]: one for one in run.sections()}
    scores, packed = open_scores(run), load(Run.open(run.inputs["pack"]))
    rows = {row[0]: row[1:] for row in sections["Mean scores by class"]["rows"]}
    # Four-tag data of the signal region are blinded.
    own = (packed.label.numpy() == 0) & ~packed.has("SR").numpy()
    assert rows["d4"][:2] == [own.sum(), own.sum()]
    place = sections["Mean scores by class"]["columns"].index("FvT") - 1
    assert rows["d4"][place : place + 2] == pytest.approx([scores.columns[name][own].mean() for name in ("FvT", "FvT_std")], rel=1e-5)
    assert {row[0]: row[1] for row in sections["Friends"]["rows"]} == {"signal.root": 700, "background.root": 900}
    figures = {one["name"]: one["value"] for one in sections["Prediction"]["items"]}
    assert figures["models"] == 6
    assert figures["joules per event"] is None or figures["joules per event"] > 0
    assert derive("fvt", ("d4", "d3"), np.zeros((1, 2)))["FvT"].shape == (1,)
