"""Training a model for each fold: together or apart, stopped or not, the same models."""

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
from labwright.events.training.groups import members_of
from labwright.events.training.history import BEST, read_best
from labwright.events.training.models import Which, load_models
from labwright.events.training.modes import decided
from labwright.events.training.rows import rows_of
from labwright.learn.checkpoints import Checkpoints
from labwright.learn.tensors import read
from labwright.runs.errors import DataError, MissingError, Stopped
from labwright.runs.run import Run
from labwright.study.step import Part
from tests.events.studies import conducted, two
from tests.learn.fake import FakeJob

SMALL = {
    "epochs": 3,
    "batch_size": 64,
    "network": {"kind": "hcr", "width": 4, "attention": False},
    "grow": {"factor": 2, "epochs": [1]},
    "ghost": {"batches": 4, "epochs": [2]},
    "clip_norm": 1.0,
    "accelerator": "cpu",
}
SETS = tuple(f"train.{name}={json.dumps(value)}" for name, value in SMALL.items())
PLATEAU = {"kind": "plateau", "patience": 0, "cooldown": 0, "threshold": 0.02}


@pytest.fixture(autouse=True)
def one_thread() -> None:
    torch.set_num_threads(1)


@pytest.fixture(scope="module")
def study(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return two(tmp_path_factory.mktemp("train"))


@pytest.fixture(scope="module")
def together(study: Path) -> Run:
    return conducted(study, *SETS, "train.members=together", step="train")


@pytest.fixture(scope="module")
def apart(study: Path) -> Run:
    return conducted(study, *SETS, "train.members=apart", step="train", runs=study.parent / "apart")


def attempt(folder: Path, pack: Run, *, stop_at: int | None = None, **options: Any) -> FakeJob:
    job: Any = FakeJob(folder, stop_at=stop_at)
    job.options = TrainOptions.model_validate({**SMALL, "members": "together", "rates": PLATEAU, **options})
    job.inputs = {"pack": pack}
    return job


def same_scores(first: Run, second: Run, which: Which) -> None:
    """Scores, not weights: what no event tells of, as the weight of a constant input, follows rounding."""
    one, other = (load_models(run.output("model"), which) for run in (first, second))
    assert one.members == other.members
    events = load(Run.open(first.inputs["pack"]))
    for pair in zip(one.networks, other.networks, strict=True):
        with torch.no_grad():
            scores = [network(events.can_jets, events.other_jets, events.ancillary)[0].softmax(-1) for network in pair]
        torch.testing.assert_close(*scores, rtol=0, atol=1e-5)


def test_together_and_apart_leave_the_same_models(together: Run, apart: Run) -> None:
    assert set(together.part_figures()) == {"members-0-3"}
    assert set(apart.part_figures()) == {one.name for one in members(TrainOptions())}
    for which in ("best", "last"):
        same_scores(together, apart, which)
    for name in (one.name for one in members(TrainOptions())):
        series = [run.curves()[name, "validate", "loss"] for run in (together, apart)]
        assert series[0].keys() == series[1].keys()
        assert list(series[0].values()) == pytest.approx(list(series[1].values()), rel=1e-5)


def test_a_member_whose_patience_ends_is_the_same_together_and_apart(study: Path) -> None:
    sets = (*SETS, "train.epochs=12", "train.stop.patience=1", "train.ema=0.9", "train.learning_rate=0.03")
    runs = [
        conducted(study, *sets, f"train.members={how}", step="train", runs=study.parent / f"patience-{how}")
        for how in ("together", "apart")
    ]
    seen, bests = [], []
    for run in runs:
        rows = read_epochs(run.output(EPOCHS))
        seen.append({one.name: [row["step"] for row in rows if row["member"] == one.name] for one in members(TrainOptions())})
        bests.append([one["best_step"] for one in json.loads((run.output("model") / "model.json").read_text())["figures"]])
    assert len({steps[-1] for steps in seen[0].values()}) > 1, "all stop together: this tells nothing"
    assert seen[0] == seen[1]
    assert bests[0] == bests[1]
    for which in ("best", "last"):
        same_scores(*runs, which)


def test_best_models_score_as_the_validation_said(together: Run) -> None:
    models = load_models(together.output("model"))
    events = load(Run.open(together.inputs["pack"]))
    task_rows = rows_of(events, models.members, TrainOptions())
    figures = json.loads((together.output("model") / "model.json").read_text())["figures"]
    for one, network, told in zip(models.members, models.networks, figures, strict=True):
        rows = task_rows[one].validate
        with torch.no_grad():
            logits, _ = network(events.can_jets[rows], events.other_jets[rows], events.ancillary[rows])
        loss = torch.nn.functional.cross_entropy(logits, events.label[rows].long(), reduction="none")
        weight = events.weight[rows]
        assert told["member"] == one.name
        assert float((loss * weight).sum() / weight.sum()) == pytest.approx(told["best_loss"], rel=1e-4)


def test_what_a_training_leaves_says_what_each_model_has_seen(together: Run) -> None:
    folds = json.loads(together.output("folds.json").read_text())
    model = json.loads((together.output("model") / "model.json").read_text())
    assert [one["name"] for one in folds["members"]] == [one["name"] for one in model["members"]]
    assert model["classes"] == ["B", "S"]
    assert together.figures()["members"] == 3
    assert {one["title"] for one in json.loads(together.output("report.json").read_text())["sections"]} >= {
        "Training",
        "Members",
        "loss",
        "auc",
    }


@pytest.mark.parametrize("stop_at", [1, 6, 16, 21])
def test_a_training_that_was_stopped_ends_with_the_same_tensors(together: Run, tmp_path: Path, stop_at: int) -> None:
    pack = Run.open(together.inputs["pack"])
    part = Part("members-0-3")
    finetune = {"epochs": 1, "learning_rate": 0.003}
    whole = attempt(tmp_path / "whole", pack, finetune=finetune)
    train.work(whole, part)
    broken = attempt(tmp_path / "broken", pack, stop_at=stop_at, finetune=finetune)
    with pytest.raises(Stopped):
        train.work(broken, part)
    train.work(attempt(tmp_path / "broken", pack, finetune=finetune), part)
    folders = [job.checkpoints(part) for job in (whole, broken)]
    newest = [Checkpoints(folder).newest(print) for folder in folders]
    assert newest[0] is not None
    assert newest[1] is not None
    files = [*((one / "model.safetensors", two / "model.safetensors") for one, two in [newest]), tuple(folder / BEST for folder in folders)]
    for one, other in files:
        first, second = read(one), read(other)
        assert first.keys() == second.keys()
        assert all(torch.equal(tensor, second[name]) for name, tensor in first.items())


def test_in_the_last_stage_only_the_output_layer_learns(together: Run, tmp_path: Path) -> None:
    pack, part = Run.open(together.inputs["pack"]), Part("members-0-3")
    job = attempt(tmp_path, pack, finetune={"epochs": 1}, keep={"every": "1 epoch"})
    train.work(job, part)
    before, after = (
        read(Checkpoints(job.checkpoints(part)).at(step) / "model.safetensors") for step in Checkpoints(job.checkpoints(part)).steps()[-2:]
    )
    changed = {name for name, tensor in after.items() if not torch.equal(tensor, before[name])}
    assert changed >= {"network.classify.weight"}
    assert all(name.startswith("network.classify") for name in changed if "statistics" not in name)


def test_members_are_split_where_memory_is_short(study: Path, together: Run, tmp_path: Path) -> None:
    job: Any = attempt(tmp_path, Run.open(together.inputs["pack"]), max_members=2)
    found = train.parts(job)
    assert [(part.id, part.cost) for part in found] == [("members-0-2", 2), (members(TrainOptions())[2].name, 1)]
    assert [one.fold for part in found for one in members_of(job.options, part.id)] == [0, 1, 2]


def test_the_choice_between_together_and_apart_is_measured_and_recorded(together: Run, tmp_path: Path) -> None:
    job: Any = attempt(tmp_path, Run.open(together.inputs["pack"]), members="auto")
    parts = train.parts(job)
    (record,) = [one for one in job.records if one["kind"] == "members"]
    assert record["mode"] == decided(record["seconds_together"], record["seconds_apart"], "cpu")
    assert len(parts) == (1 if record["mode"] == "together" else 3)
    assert set(record["seconds_per_million"]) == {"64", "128"}


@pytest.mark.parametrize(
    ("together", "apart", "device", "mode"),
    [
        (1.0, 1.3, "cpu", "together"),
        (1.3, 1.0, "cuda", "apart"),
        (1.0, 1.2, "cpu", "apart"),
        (1.2, 1.0, "cpu", "apart"),
        (1.2, 1.0, "cuda", "together"),
    ],
)
def test_a_measurement_that_is_nearly_a_tie_decides_nothing(together: float, apart: float, device: str, mode: str) -> None:
    assert decided(together, apart, device) == mode


def test_members_with_dropout_train_apart_unless_told_otherwise(together: Run, tmp_path: Path) -> None:
    network = {"kind": "pairformer", "width": 8, "heads": 2, "dropout": 0.1}
    job: Any = attempt(tmp_path, Run.open(together.inputs["pack"]), members="auto", network=network, ghost={})
    assert len(train.parts(job)) == 3
    assert [one["mode"] for one in job.records if one["kind"] == "members"] == ["apart"]


def test_fewer_events_than_a_batch_are_refused(together: Run, tmp_path: Path) -> None:
    job: Any = attempt(tmp_path, Run.open(together.inputs["pack"]), batch_size=5000)
    with pytest.raises(DataError, match="events to train on, a batch has 5,000"):
        train.parts(job)
    (told,) = [one for one in job.records if one["kind"] == "finding"]
    assert (told["code"], told["severity"]) == ("EVT037", "error")


def test_members_start_from_their_own_of_another_training(together: Run, tmp_path: Path) -> None:
    pack, part = Run.open(together.inputs["pack"]), Part("members-0-3")
    job = attempt(tmp_path, pack, start_from=str(together.folder), epochs=1, learning_rate=1e-9, ghost={"batches": 0})
    train.work(job, part)
    best = read_best(job.checkpoints(part) / BEST).best
    for place, network in enumerate(load_models(together.output("model")).networks):
        for name, tensor in network.named_parameters():
            torch.testing.assert_close(best[name][place], tensor.detach(), rtol=1e-3, atol=1e-5)
    assert next(one.name for one in train.sources(TrainOptions(start_from=together.folder))) == "model.json"


def test_no_member_starts_from_one_of_other_folds(together: Run, tmp_path: Path) -> None:
    pack = Run.open(together.inputs["pack"])
    job: Any = attempt(tmp_path, pack, start_from=str(together.folder), folds={"seed": "other"})
    with pytest.raises(MissingError, match=r"has no random3\.0\.other-f0-s0 of the same folds"):
        train.work(job, Part("members-0-3"))


def test_what_would_be_trained_is_told_beforehand(together: Run) -> None:
    lines = train.preview(TrainOptions(), {"pack": Run.open(together.inputs["pack"])})
    assert "3 members of hcr, svb" in lines[0]
    assert "batches of 1024 to 16384 events" in lines[1]
    assert lines[2] == "classes: B 900, S 700"


def test_joules_are_counted_once_however_many_parts_there_are(apart: Run) -> None:
    done = apart.done()
    assert done is not None
    used = [row["joules"] for row in apart.energy() if row["joules"] is not None]
    assert done["figures"]["parts"] > 1
    assert done["figures"]["joules"] is None or 0 < done["figures"]["joules"] <= sum(used) + 1e-6
