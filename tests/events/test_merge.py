"""Merging trainings gives what one training of all would have given, or says why it cannot."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pyarrow.parquet as parquet
import pytest

from labwright.cli.commands.clean import superseded
from labwright.events import merge
from labwright.events.folds import Member, scored
from labwright.events.packing.load import load
from labwright.events.reading.friends import load as load_friend
from labwright.events.scoring.scores import open_scores
from labwright.runs.errors import DataError, Exit, LabwrightError, MissingError, StudyError
from labwright.runs.publish import manifest
from labwright.runs.run import Run, runs_in
from tests.events.scored import models, scored_run
from tests.events.studies import codes, conducted, two


@pytest.fixture(scope="module")
def study(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return two(tmp_path_factory.mktemp("merge"))


@pytest.fixture(scope="module")
def pack(study: Path) -> Run:
    return conducted(study)


def merged(study: Path, folder: Path, runs: Sequence[Run | Path], *sets: str) -> Run:
    places = ",".join(str(one.folder if isinstance(one, Run) else one) for one in runs)
    return conducted(study, f"merge.from={places}", "merge.rows_per_chunk=300", *sets, step="merge", runs=folder)


def refused(study: Path, folder: Path, runs: Sequence[Run | Path], kind: type[LabwrightError], *sets: str) -> str:
    with pytest.raises(kind) as caught:
        merged(study, folder, runs, *sets)
    return str(caught.value)


def files(run: Run) -> dict[str, dict[str, object]]:
    return manifest(run.folder)


@pytest.mark.parametrize("kind", ["random", "modulo"])
@pytest.mark.parametrize("order", [(0, 1, 2), (2, 0, 1)])
def test_trainings_done_apart_merge_to_what_one_training_gives(
    kind: str, order: tuple[int, ...], study: Path, pack: Run, tmp_path: Path
) -> None:
    whole = scored_run(tmp_path, pack, models("0-2", kind=kind, seeds="0-1"))
    apart = [scored_run(tmp_path, pack, models(str(number), kind=kind, seeds="0-1")) for number in range(3)]
    before = [files(run) for run in apart]
    run = merged(study, tmp_path, [apart[number] for number in order])
    have, want = open_scores(run), open_scores(whole)
    assert list(have.columns) == list(want.columns)
    for name in want.columns:
        np.testing.assert_array_equal(have.columns[name], want.columns[name], err_msg=name)
    assert sorted(one.name for one in have.members) == sorted(one.name for one in want.members)
    for one in want.members:
        assert run.output(f"members/{one.name}.parquet").read_bytes() == whole.output(f"members/{one.name}.parquet").read_bytes()
    assert [files(one) for one in apart] == before


def test_friends_hold_the_scores_row_by_row(study: Path, pack: Run, tmp_path: Path) -> None:
    run = merged(study, tmp_path, [scored_run(tmp_path, pack, models(number)) for number in "012"], "merge.name=all")
    scores = open_scores(run)
    assert scores.name == "all"
    table = parquet.read_table(pack.output("events.parquet"), columns=["file", "row"]).to_pandas()
    friend = load_friend(f"{run.output('friends/all.json')}@@all", tmp_path)
    assert {"p_S", "p_S_std", "all_n_models"} <= set(friend.branches)
    for number, (_, pieces) in enumerate(friend.data):
        assert all(piece.stop - piece.start <= 300 for piece in pieces)
        tables = [parquet.read_table(Path(piece.address).with_suffix(".parquet")) for piece in pieces]
        values = np.concatenate([one.column("p_S").to_numpy() for one in tables])
        mine = table.index[table.file == number]
        np.testing.assert_array_equal(values[table.row[mine]], scores.columns["p_S"][mine])
        assert np.isnan(np.delete(values, table.row[mine])).all()


def test_a_merged_run_can_be_merged_again(study: Path, pack: Run, tmp_path: Path) -> None:
    first, second, third = (scored_run(tmp_path, pack, models(number)) for number in "012")
    two_of_them = merged(study, tmp_path, [first, second])
    np.testing.assert_array_equal(
        open_scores(merged(study, tmp_path, [two_of_them, third])).columns["p_S_std"],
        open_scores(merged(study, tmp_path, [first, second, third])).columns["p_S_std"],
    )


def test_runs_are_named_by_folder_name_pattern_or_study(study: Path, pack: Run, tmp_path: Path) -> None:
    folder = tmp_path / "other" / "runs"
    apart = [scored_run(folder, pack, models(number)) for number in "01"]
    for places in (apart, [folder / "predict-*"], [folder.parent], [folder], [folder.parent / one.name for one in apart]):
        run = merged(study, tmp_path, places)
        assert set(run.inputs) == {one.name for one in apart}
        assert set(run.inputs.values()) == {one.folder.resolve() for one in apart}


def test_other_sources_make_another_run(study: Path, pack: Run, tmp_path: Path) -> None:
    first, second = (scored_run(tmp_path, pack, models(number)) for number in "01")
    assert merged(study, tmp_path, [first]).name != merged(study, tmp_path, [first, second]).name
    assert merged(study, tmp_path, [second, first]).name == merged(study, tmp_path, [first, second]).name


@pytest.mark.parametrize(
    ("own", "other", "description", "code"),
    [
        (models("0"), models("0", seeds="0-1"), {}, "EVT052"),
        (models("0"), models("1"), {"pack": {"run": "pack-0", "fingerprint": "other"}}, "EVT050"),
        (models("0"), models("1"), {"classes": ["S", "B"]}, "EVT051"),
        (models("0", kind="modulo"), models("2", kind="modulo"), {}, "EVT053"),
    ],
)
def test_what_does_not_go_together_is_refused_by_a_code(
    own: list[Member], other: list[Member], description: dict[str, object], code: str, study: Path, pack: Run, tmp_path: Path
) -> None:
    runs = [scored_run(tmp_path, pack, own), scored_run(tmp_path, pack, other, description=description)]
    before = [files(run) for run in runs]
    refused(study, tmp_path, runs, DataError)
    (run,) = (Run.open(folder) for folder in tmp_path.glob("merge-*"))
    assert [one[:2] for one in codes(run)] == [(code, "error")]
    assert [files(run) for run in runs] == before


def test_rows_that_a_model_lost_are_missed(study: Path, pack: Run, tmp_path: Path) -> None:
    run = scored_run(tmp_path, pack, models("0"))
    path = run.output("members/random3.0-f1-s0.parquet")
    table = parquet.read_table(path)
    parquet.write_table(table.slice(0, table.num_rows - 5), path)
    # Its own manifest gives it away before that; without one, the rows do.
    assert "does not fit its manifest" in refused(study, tmp_path, [run], DataError)
    done = json.loads((run.folder / "done.json").read_text())
    (run.folder / "done.json").write_text(json.dumps({**done, "output": manifest(run.output())}))
    assert "5 events, the first in row" in refused(study, tmp_path, [run], DataError)


def test_runs_that_are_not_there_or_not_done_are_refused(study: Path, pack: Run, tmp_path: Path) -> None:
    run = scored_run(tmp_path / "a" / "runs", pack, models("0"))
    shutil.copytree(run.folder, tmp_path / "a" / "runs" / "predict-1111111111")
    (tmp_path / "a" / "runs" / "predict-1111111111" / "done.json").unlink()
    assert "ready, not done" in refused(study, tmp_path, [tmp_path / "a" / "runs" / "predict-*"], MissingError)
    assert "no run of predict and merge" in refused(study, tmp_path, [tmp_path / "nowhere"], MissingError)
    assert "no run of predict and merge" in refused(study, tmp_path, [pack], MissingError)
    with pytest.raises(StudyError, match="no run is named"):
        conducted(study, step="merge", runs=tmp_path)


def test_runs_of_several_names_ask_for_one(study: Path, pack: Run, tmp_path: Path) -> None:
    runs = [scored_run(tmp_path, pack, models("0"), name="a"), scored_run(tmp_path, pack, models("1"), name="b")]
    assert "several names, a, b" in refused(study, tmp_path, runs, StudyError)


def test_merged_scores_are_evaluated_in_place_of_predicted_ones(study: Path, pack: Run, tmp_path: Path) -> None:
    places = ",".join(str(scored_run(tmp_path, pack, models(number)).folder) for number in "01")
    run = conducted(study, f"merge.from={places}", "evaluate.formats=[]", step="evaluate", runs=tmp_path)
    assert {one.split("-")[0] for one in run.inputs} == {"merge"}
    assert run.figures()["auc"] == pytest.approx(0.5, abs=0.1)


@pytest.mark.slow
def test_an_exception_in_a_worker_ends_the_run_at_once_and_the_rest_is_reused(study: Path, pack: Run, tmp_path: Path) -> None:
    source = scored_run(tmp_path, pack, models("0"))
    sets = [f"merge.from={source.folder}", "merge.rows_per_chunk=300", "merge.workers=2", "run.on.threads=1"]
    words = ["-m", "labwright", "run", str(study), "--step", "merge", "--runs", str(tmp_path), "--quiet"]
    words += [word for one in sets for word in ("--set", one)]

    def labwright(fault: str = "") -> subprocess.CompletedProcess[str]:
        path = os.pathsep.join(filter(None, sys.path))
        environment = {**os.environ, "PYTHONPATH": path, "LABWRIGHT_FAULT": fault}
        return subprocess.run([sys.executable, *words], env=environment, capture_output=True, text=True, timeout=120, check=False)

    # Each worker dies as it publishes its second part.
    killed = labwright("output:before-rename@2")
    assert killed.returncode == Exit.FAULT, killed.stderr
    assert "worker process was killed" in killed.stderr
    (folder,) = tmp_path.glob("merge-*")
    parts = [part["id"] for part in json.loads((folder / "parts.json").read_text())]
    finished = set(Run.open(folder).part_figures())
    assert 0 < len(finished) < len(parts)
    # What a model said is unreadable now, as when a disk fails.
    member = source.output("members/random3.0-f1-s0.parquet")
    whole = member.read_bytes()
    done = json.loads((source.folder / "done.json").read_text())
    member.write_bytes(whole[:4] + bytes(len(whole) - 8) + whole[-4:])
    (source.folder / "done.json").write_text(json.dumps({**done, "output": manifest(source.output())}))
    broken = labwright()
    assert broken.returncode == Exit.DATA
    assert "random3.0-f1-s0" in broken.stderr
    failed = [record for record in Run.open(folder).records("failed") if "random3.0-f1-s0" in record["reason"]]
    assert {record["part"] for record in failed} == set(parts) - finished
    assert not (folder / "done.json").exists()
    member.write_bytes(whole)
    (source.folder / "done.json").write_text(json.dumps(done))
    assert labwright().returncode == Exit.DONE
    run = Run.open(folder)
    assert run.state() == "done"
    assert not run.output("pieces").exists()
    begun = [record["part"] for record in run.records("begin")]
    assert all(begun.count(part) == 1 for part in finished)
    want = open_scores(source)
    for name in want.columns:
        np.testing.assert_array_equal(open_scores(run).columns[name], want.columns[name])


def test_a_fault_of_ours_in_a_worker_leaves_its_traceback_in_the_journal(
    study: Path, pack: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    source = scored_run(tmp_path, pack, models("0"))
    monkeypatch.setattr(merge.Means, "columns", lambda self: 1 / 0)
    with pytest.raises(ZeroDivisionError):
        merged(study, tmp_path, [source])
    (folder,) = tmp_path.glob("merge-*")
    (end,) = Run.open(folder).records("end")
    assert end["code"] == Exit.FAULT
    log = "".join(path.read_text() for path in (folder / "journal").glob("*.log"))
    assert "ZeroDivisionError" in log
    assert "in work" in log
    monkeypatch.undo()
    assert merged(study, tmp_path, [source]).state() == "done"


@pytest.mark.slow
@pytest.mark.parametrize(("kind", "partial"), [("random", "false"), ("modulo", "true")])
def test_three_trainings_of_an_offset_each_make_the_scores_of_one_training_of_three(
    kind: str, partial: str, study: Path, pack: Run, tmp_path: Path
) -> None:
    small = {
        "epochs": 1,
        "batch_size": 64,
        "network": {"kind": "hcr", "width": 4, "attention": False},
        "ghost": {"batches": 4, "epochs": [1]},
        "members": "apart",
        "accelerator": "cpu",
    }
    sets = [f"train.{name}={json.dumps(value)}" for name, value in small.items()]
    sets += [f"train.folds.kind={kind}", f"pack.from={pack.folder}", f"predict.partial={partial}"]
    runs = {}
    for offsets in ("0-2", "0", "1", "2"):
        own = [*sets, f"train.folds.offsets={offsets}"]
        conducted(study, *own, step="train", runs=tmp_path)
        runs[offsets] = conducted(study, *own, step="predict", runs=tmp_path)
    have = open_scores(merged(study, tmp_path, [runs[number] for number in "012"]))
    want = open_scores(runs["0-2"])
    assert set(have.columns["n_models"]) == {3 if kind == "random" else 1}
    for name in want.columns:
        np.testing.assert_array_equal(have.columns[name], want.columns[name], err_msg=name)
    assert "EVT052" in {code for code, *_ in _refusal(study, tmp_path, [runs["0"], runs["0-2"]])}


def _refusal(study: Path, folder: Path, runs: Sequence[Run]) -> list[tuple[str, str, str]]:
    before = set(folder.glob("merge-*"))
    refused(study, folder, runs, DataError)
    (made,) = set(folder.glob("merge-*")) - before
    return codes(Run.open(made))


def test_foldings_of_several_words_keep_apart(study: Path, pack: Run, tmp_path: Path) -> None:
    runs = [scored_run(tmp_path, pack, models("0", word=word)) for word in ("fold", "b", "c/d")]
    scores = open_scores(merged(study, tmp_path, runs))
    assert len({one.name for one in scores.members}) == 9
    for one in scores.members:
        index = scores.of_member(one)["index"]
        np.testing.assert_array_equal(index, np.flatnonzero(scored(one, load(pack).identity)))


def test_clean_keeps_what_was_merged(study: Path, pack: Run, tmp_path: Path) -> None:
    older, newer = (scored_run(tmp_path, pack, models(number)) for number in "01")
    runs = [one for one in runs_in(tmp_path) if one.step == "predict"]
    first = runs[0]
    assert list(superseded(runs)) == [first.folder]
    merged(study, tmp_path, [older, newer])
    assert not superseded(runs_in(tmp_path))
