"""Going on from another training: each member from its own state or weights, however they were grouped there, or not at all."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
import torch

from labwright.events import train
from labwright.events.folds import members
from labwright.events.packing.load import load
from labwright.events.train_options import TrainOptions
from labwright.events.training.epochs import EPOCHS, read_epochs
from labwright.events.training.history import BEST, read_best
from labwright.events.training.models import load_models
from labwright.learn.checkpoints import Checkpoints
from labwright.runs.errors import MissingError, StudyError
from labwright.runs.run import Run
from labwright.study.step import Part
from tests.events.studies import conducted, two
from tests.learn.fake import FakeJob

SMALL: dict[str, Any] = {
    "batch_size": 64,
    "network": {"kind": "hcr", "width": 4, "attention": False},
    "grow": {"factor": 2, "epochs": [1]},
    "ghost": {"batches": 4, "epochs": [2]},
    "rates": {"kind": "plateau", "patience": 0, "cooldown": 0, "threshold": 0.02},
    "ema": 0.9,
    "clip_norm": 1.0,
    "accelerator": "cpu",
}
SETS = tuple(f"train.{name}={json.dumps(value)}" for name, value in SMALL.items())
NAMES = [one.name for one in members(TrainOptions())]
WAYS = ("together", "apart")


@pytest.fixture(autouse=True)
def one_thread() -> None:
    torch.set_num_threads(1)


@pytest.fixture(scope="module")
def study(tmp_path_factory: pytest.TempPathFactory) -> Path:
    torch.set_num_threads(1)
    return two(tmp_path_factory.mktemp("origins"))


@pytest.fixture(scope="module")
def trained(study: Path) -> dict[tuple[str, int], Run]:
    """Trainings of two and of four epochs, together and apart."""
    return {
        (way, epochs): conducted(study, *SETS, f"train.members={way}", f"train.epochs={epochs}", step="train")
        for way in WAYS
        for epochs in (2, 4)
    }


def continued(run: Run, source: Path, folder: Path, part: str, **options: Any) -> FakeJob:
    job: Any = FakeJob(folder)
    job.options = TrainOptions.model_validate({**SMALL, "epochs": 4, "continue_from": str(source), **options})
    job.inputs = {"pack": Run.open(run.inputs["pack"])}
    train.work(job, Part(part))
    return job


@pytest.mark.parametrize("before", WAYS)
@pytest.mark.parametrize("after", WAYS)
def test_continued_by_member_is_as_never_interrupted(study: Path, trained: Any, before: str, after: str) -> None:
    source = trained[before, 2]
    run = conducted(study, *SETS, f"train.members={after}", "train.epochs=4", f"train.continue_from={source.folder}", step="train")
    whole = trained[after, 4]
    events = load(Run.open(run.inputs["pack"]))
    for which in ("best", "last"):
        pairs = [load_models(one.output("model"), which) for one in (run, whole)]
        assert pairs[0].members == pairs[1].members
        for mine, theirs in zip(pairs[0].networks, pairs[1].networks, strict=True):
            with torch.no_grad():
                scores = [one(events.can_jets, events.other_jets, events.ancillary)[0].softmax(-1) for one in (mine, theirs)]
            torch.testing.assert_close(*scores, rtol=0, atol=1e-5)
    rows = [read_epochs(one.output(EPOCHS)) for one in (run, whole)]
    assert [(one["member"], one["step"]) for one in rows[0]] == [(one["member"], one["step"]) for one in rows[1]]
    for name in ("loss", "auc", "learning_rate"):
        assert [one[name] for one in rows[0]] == pytest.approx([one[name] for one in rows[1]], rel=1e-4)
    assert json.loads(run.output("folds.json").read_text())["members"] == json.loads(whole.output("folds.json").read_text())["members"]


def test_no_member_continues_from_another(trained: Any, tmp_path: Path) -> None:
    run = trained["apart", 2]
    folder = run.folder / "checkpoints" / NAMES[0]
    checkpoint = max(one for one in folder.iterdir() if one.name.isdecimal())
    for part in (NAMES[1], "members-0-3"):
        with pytest.raises(MissingError, match=f"has no {NAMES[1]} of the same folds"):
            continued(run, checkpoint, tmp_path / part, part)
    with pytest.raises(MissingError, match=f"has no {NAMES[1]} of the same folds"):
        list(train.sources(TrainOptions.model_validate({**SMALL, "continue_from": str(checkpoint)})))
    job = continued(run, checkpoint, tmp_path / "own", NAMES[0])
    assert len(read_best(job.checkpoints(Part(NAMES[0])) / BEST).validations) == 4


def test_each_file_that_is_continued_from_counts_under_a_name_of_its_own(trained: Any) -> None:
    options = TrainOptions.model_validate({"continue_from": str(trained["apart", 2].folder)})
    names = [one.name for one in train.sources(options)]
    assert len(names) == len(set(names)) == 15
    assert all(any(one.startswith(name) for one in names) for name in NAMES)


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ({"network": {"kind": "hcr", "width": 6, "attention": False}}, r'network is .*"width": 4.* there and .*"width": 6.* here'),
        ({"negative_weights": "drop"}, 'negative_weights is "keep" there and "drop" here'),
        ({"select": {"metric": "auc"}}, "select is"),
        ({"stop": {"patience": 1}}, "was ended by its patience of 1"),
        ({"batch_size": 32}, "does not fit the batches"),
    ],
)
def test_a_training_that_differs_is_not_continued(trained: Any, tmp_path: Path, options: dict[str, Any], said: str) -> None:
    run = trained["together", 4]
    with pytest.raises(StudyError, match=said):
        continued(run, run.folder, tmp_path, "members-0-3", **{"epochs": 6, **options})


def test_another_pack_is_not_continued_on(trained: Any, tmp_path: Path) -> None:
    run = trained["apart", 2]
    job: Any = FakeJob(tmp_path)
    job.options = TrainOptions.model_validate({**SMALL, "continue_from": str(run.folder)})
    pack = Run.open(run.inputs["pack"])
    job.inputs = {"pack": Run(pack.folder, {**pack.description, "fingerprint": "other"})}
    with pytest.raises(StudyError, match="made on another pack"):
        train.work(job, Part(NAMES[0]))


def test_a_checkpoint_of_unknown_folds_is_not_continued(trained: Any, tmp_path: Path) -> None:
    run = trained["apart", 2]
    newest = Checkpoints(run.folder / "checkpoints" / NAMES[0]).newest(print)
    assert newest is not None
    away = tmp_path / "away" / newest.name
    away.mkdir(parents=True)
    for one in newest.iterdir():
        (away / one.name).write_bytes(one.read_bytes())
    with pytest.raises(StudyError, match="whose folds are known"):
        continued(run, away, tmp_path / "run", NAMES[0])


@pytest.mark.parametrize(
    ("told", "said"),
    [
        ({"network": {"kind": "hcr", "width": 6, "attention": False}}, r"network is"),
        ({"classes": ["S", "B"]}, r'classes is \["S", "B"\] there and \["B", "S"\] here'),
        ({"ancillary": ["n_selected", "year", "xW", "xbW"]}, "ancillary is"),
        ({"objective": "fvt"}, "objective is"),
    ],
)
def test_weights_of_another_network_are_not_started_from(trained: Any, tmp_path: Path, told: dict[str, Any], said: str) -> None:
    run = trained["apart", 2]
    folder = tmp_path / "model"
    (folder / "best").mkdir(parents=True)
    content = json.loads((run.output("model") / "model.json").read_text())
    for one in (run.output("model") / "best").iterdir():
        (folder / "best" / one.name).write_bytes(one.read_bytes())
    network = told.pop("network", None)
    (folder / "model.json").write_text(json.dumps({**content, **told}))
    job: Any = FakeJob(tmp_path / "run")
    job.options = TrainOptions.model_validate({**SMALL, "start_from": str(folder), **({"network": network} if network else {})})
    job.inputs = {"pack": Run.open(run.inputs["pack"])}
    with pytest.raises(StudyError, match=said):
        train.work(job, Part(NAMES[0]))
