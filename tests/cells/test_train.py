"""Training learns, and what it leaves behind says how to use it."""

from __future__ import annotations

import csv
import json
import shutil
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
import torch
from torch.nn import functional

from labwright.cells.pack import PACK
from labwright.cells.pixels import Intensity, intensity
from labwright.cells.recipe import InstanceOptions, TrainOptions
from labwright.cells.segment import Segmenter
from labwright.cells.train import CellsTask, joules_per_item, pack_intensity
from labwright.cells.views import OUTSIDE, normalised, stacked
from labwright.data.packs import Pack
from labwright.learn.task import Clock
from labwright.runs.errors import DataError, LabwrightError, MissingError, Stopped
from labwright.runs.run import Run
from labwright.study.plan import plan
from labwright.study.resolve import resolve
from labwright.testing.tiny import tiny_sequences, tiny_study
from tests.cells.conftest import Trained
from tests.cells.studies import LEARNING, PLAIN, conducted, tiny

CLOCK = Clock(epoch=0, step=0, progress=0.0, key=0)
STILL = {"flips": False, "rotations": False, "probability": 0}


@pytest.fixture(autouse=True)
def one_thread() -> None:
    torch.set_num_threads(1)


@pytest.fixture(scope="module")
def packed(tmp_path_factory: pytest.TempPathFactory) -> Run:
    """Frames of 64×64 to train on, and others of 48×48, 40×80 and 64×64 beside them."""
    folder = tmp_path_factory.mktemp("unequal")
    for sequence, size, seed in (("01", 64, 0), ("02", 48, 1), ("03", 64, 2)):
        tiny_sequences(folder / "data", (sequence,), frames=3, size=size, seed=seed)
    study = tiny_study(folder, folder / "data")
    return conducted(study, "pack.split={train: ['01', '02'], validate: ['03']}", step="pack")["pack"]


Make = Callable[..., CellsTask]


@pytest.fixture
def make(packed: Run) -> Make:
    def made(seed: int = 0, pack: Run = packed, stopping: Callable[[], bool] = lambda: False, **options: Any) -> CellsTask:
        given = TrainOptions.model_validate({"network": {"widths": [4, 8]}, "view": {"size_px": 32}, **options})
        return CellsTask(SimpleNamespace(options=given, seed=seed, inputs={"pack": pack}, stopping=stopping))

    return made


def frames(packed: Run, kind: str, split: str) -> list[np.ndarray]:
    pack = Pack.open(packed.output(PACK))
    rows = [row for row in pack.items.to_pylist() if row["split"] == split]
    return [pack.arrays[f"{kind}/{row['array']}"][row["index"]] for row in rows]


def test_it_learns_what_there_is_to_learn(trained: Trained) -> None:
    figures = trained.runs["train"].figures()
    assert figures["best_instance_dice"] > 0.9
    assert figures["best_f1"] > 0.9
    scores = json.loads(trained.runs["evaluate"].output("scores.json").read_text())["splits"]["validate"]["overall"]
    assert [figures["best_instance_dice"], figures["best_f1"]] == pytest.approx([scores["instance_dice"], scores["f1"]])


def test_the_best_checkpoint_is_the_one_with_the_highest_instance_dice(trained: Trained) -> None:
    run = trained.runs["train"]
    series = run.curves()["model", "validate", "instance_dice"]
    assert run.figures()["best_step"] == max(series, key=lambda step: (series[step], -step))
    assert run.figures()["best_instance_dice"] == max(series.values())


def test_the_model_says_all_that_is_needed_to_use_it(trained: Trained) -> None:
    run = trained.runs["train"]
    model = json.loads((run.output("model") / "model.json").read_text())
    assert model["network"] == {"widths": [4, 8]}
    assert model["view"] == {"kind": "crop", "size_px": 64, "scale": 1.0, "symmetries": 1}
    assert InstanceOptions.model_validate(model["instances"]) == InstanceOptions()
    assert model["classes"] == ["background", "core", "border"]
    assert model["level"] is None
    assert model["step"] == run.figures()["best_step"]
    assert model["figures"]["instance_dice"] == run.figures()["best_instance_dice"]


def test_the_series_are_there_as_a_table(trained: Trained) -> None:
    run = trained.runs["train"]
    with run.output("metrics.csv").open(newline="") as stream:
        rows = list(csv.DictReader(stream))
    read = {int(row["step"]): float(row["value"]) for row in rows if (row["phase"], row["name"]) == ("validate", "instance_dice")}
    assert read == run.curves()["model", "validate", "instance_dice"]
    assert {row["name"] for row in rows if row["phase"] == "train"} >= {"loss", "learning_rate"}


def test_precision_and_joules_are_those_that_were(trained: Trained) -> None:
    run = trained.runs["train"]
    figures = run.figures()
    assert (figures["precision"], figures["device"], figures["threads"]) == ("fp32", "cpu", 1)
    rows = [row for row in run.energy() if row["stage"] == "train"]
    assert all(row["method"] for row in rows)
    assert figures["joules_per_frame_trained"] == pytest.approx(sum(row["joules"] for row in rows) / figures["items_seen"], rel=0.05)


def test_a_view_shows_the_frame_normalised_as_in_validation_and_prediction(make: Make, packed: Run) -> None:
    task = make(view={"size_px": 64}, augment=STILL, batch_size=6)
    batch = task.load(np.arange(6), key=1)
    images, targets = frames(packed, "images", "train"), frames(packed, "targets", "train")
    for number, (image, target) in enumerate(zip(images, targets, strict=True)):
        height, width = image.shape
        assert torch.equal(batch.images[number, :, :height, :width], normalised(image, intensity(image)))
        assert np.array_equal(batch.targets[number, :height, :width].numpy(), target)


def test_views_of_unequal_frames_have_one_shape_and_what_pads_them_is_no_class(make: Make) -> None:
    task = make(view={"size_px": 50}, network={"widths": [4, 8, 16]}, augment=STILL)
    batch = task.load(np.arange(6), key=1)
    assert batch.images.shape == (6, 1, 52, 52), "a multiple of what the network takes"
    inner = batch.targets[3:, :48, :48]
    assert (batch.targets[:3, :50, :50] != OUTSIDE).all()
    assert (inner != OUTSIDE).all()
    assert (batch.targets != OUTSIDE).sum() == 3 * 50**2 + 3 * 48**2


def test_a_whole_frame_is_shrunk_with_its_target(make: Make) -> None:
    batch = make(view={"kind": "frame", "size_px": 32}).load(np.arange(6), key=1)
    assert batch.images.shape == (6, 1, 32, 32)
    assert set(batch.targets.unique().tolist()) <= {0, 1, 2}


@pytest.mark.parametrize("view", [{"size_px": 32}, {"size_px": 40, "scale": 0.75}, {"kind": "frame", "size_px": 48}])
def test_a_view_does_not_depend_on_the_rest_of_its_batch(make: Make, view: dict[str, Any]) -> None:
    task = make(view=view)
    whole = task.load(np.array([5, 0, 3, 1]), key=7)
    alone = [task.load(np.array([item]), key=7) for item in (5, 0, 3, 1)]
    for name in ("images", "targets"):
        assert torch.equal(getattr(whole, name), torch.cat([getattr(one, name) for one in alone]))
    assert np.array_equal(whole.chances, np.concatenate([one.chances for one in alone]))


def test_each_view_of_a_frame_is_another_crop(make: Make) -> None:
    task = make(views_per_frame=4)
    batch = task.load(np.array([0, 6, 12, 18]), key=3)
    assert len({view.numpy().tobytes() for view in batch.images}) == 4
    again = task.load(np.array([0]), key=4)
    assert not torch.equal(again.images[0], batch.images[0])


def test_an_epoch_shows_every_view_once_in_an_order_of_its_own(make: Make) -> None:
    task = make(views_per_frame=2, batch_size=5)
    epochs = [np.concatenate(task.batches(epoch)) for epoch in (0, 1)]
    assert [len(batch) for batch in task.batches(0)] == [5, 5, 2]
    assert all(np.array_equal(np.sort(epoch), np.arange(12)) for epoch in epochs)
    assert not np.array_equal(*epochs)
    assert np.array_equal(np.concatenate(make(views_per_frame=2, batch_size=5).batches(0)), epochs[0])


def test_the_seed_alone_makes_the_first_weights(make: Make) -> None:
    weights = [torch.cat([value.flatten() for value in make(seed=seed).module.state_dict().values()]) for seed in (0, 0, 1)]
    assert torch.equal(weights[0], weights[1])
    assert not torch.equal(weights[0], weights[2])


def test_the_loss_is_the_weighted_cross_entropy_of_what_lies_within_the_frame(make: Make) -> None:
    task = make(class_weights=(0.5, 1.0, 4.0), augment=STILL, view={"size_px": 60})
    batch = task.load(np.arange(3, 6), key=1)
    assert (batch.targets == OUTSIDE).any()
    task.module.eval()
    loss, _ = task.loss(batch, CLOCK)
    scores = task.module(batch.images)[:, :, :48, :48]
    targets = batch.targets[:, :48, :48].long()
    log_likelihood = functional.log_softmax(scores, 1).gather(1, targets[:, None])[:, 0]
    weight = torch.tensor([0.5, 1.0, 4.0])[targets]
    assert loss.item() == pytest.approx((-(log_likelihood * weight).sum() / weight.sum()).item(), rel=1e-5)


def test_the_packs_intensity_is_that_of_all_training_pixels(make: Make, packed: Run) -> None:
    images = frames(packed, "images", "train")[:3]
    rows = [{"mean": image.mean(dtype=float), "deviation": image.std(dtype=float)} for image in images]
    together = np.stack(images).astype(float)
    assert pack_intensity(rows) == pytest.approx((together.mean(), together.std()))
    task = make(normalise="pack", view={"size_px": 64}, augment=STILL)
    assert isinstance(task.level, Intensity)
    all_views = stacked([normalised(image, task.level) for image in frames(packed, "images", "train")], task.canvas, 0.0)
    assert torch.equal(task.load(np.arange(6), key=1).images, all_views)


def test_validation_scores_whole_frames_with_the_options_for_instances(make: Make) -> None:
    task = make()
    task.module.eval()
    assert make(validate={"max_items": 2}).held_out == [task.held_out[0], task.held_out[1]]
    with torch.no_grad():
        figures = task.validate()
        strict = make(instances={"core_min_px": 1e6, "isolated_border_min_px": 1e6})
        strict.module.eval()
        assert strict.validate() == {"instance_dice": 0.0, "f1": 0.0}
    assert figures.keys() == {"instance_dice", "f1"}


def test_validation_pools_the_counts_of_frames_as_the_evaluation_does(make: Make, monkeypatch: pytest.MonkeyPatch) -> None:
    task = make(validate={"batch_size": 3})
    truths = [task.pack.arrays[f"labels/{row['array']}"][row["index"]] for row in task.held_out]
    found_in_the_first = [truths[0], *(np.zeros_like(truth) for truth in truths[1:])]
    monkeypatch.setattr(Segmenter, "labels", lambda *_: found_in_the_first)
    first, *others = (len(np.unique(truth)) - 1 for truth in truths)
    figures = task.validate()
    assert figures["f1"] == pytest.approx(2 * first / (2 * first + sum(others)))
    assert figures["instance_dice"] == pytest.approx(1 / 3)


def test_validation_stops_between_two_batches(make: Make) -> None:
    answers = iter((False, True))
    task = make(stopping=lambda: next(answers), validate={"batch_size": 2})
    task.module.eval()
    with torch.no_grad(), pytest.raises(Stopped):
        task.validate()


def test_a_split_without_items_is_named(make: Make, tmp_path: Path) -> None:
    nothing_to_learn = conducted(tiny(tmp_path / "one", split='{validate: ["01"]}'), step="pack")["pack"]
    with pytest.raises(MissingError, match="no items in split train"):
        make(pack=nothing_to_learn)
    nothing_to_validate = conducted(tiny(tmp_path / "two", split='{train: ["01"]}'), "train.validate=never", step="pack")["pack"]
    with pytest.raises(MissingError, match=r"no items in split validate.*train\.validate"):
        make(pack=nothing_to_validate)
    assert make(pack=nothing_to_validate, validate="never").held_out == []


SHORT = ("train.epochs=2", "train.batch_size=4")


def test_training_without_validation_keeps_the_last_weights(tmp_path: Path) -> None:
    run = conducted(tiny(tmp_path, split='{train: ["01", "02"]}'), *SHORT, "train.validate=never", step="train")["train"]
    assert (run.figures()["best_step"], run.figures()["steps"]) == (2, 2)
    assert run.output("model").is_dir()
    assert not any(phase == "validate" for _, phase, _ in run.curves())


def test_whole_frames_of_unequal_sizes_train_and_are_predicted(packed: Run) -> None:
    study = packed.folder.parents[1] / "study.yaml"
    sets = (
        "pack.split={train: ['01', '02'], validate: ['03']}",
        "train.view={kind: frame, size_px: 40}",
        "predict.splits=[train, validate]",
    )
    runs = conducted(study, *SHORT, *sets)
    assert runs["predict"].figures()["frames"] == 9
    assert json.loads((runs["train"].output("model") / "model.json").read_text())["view"]["kind"] == "frame"
    assert runs["evaluate"].figures()["frames_train"] == 6


def test_data_with_errors_are_not_trained_on(tmp_path: Path) -> None:
    study = tiny(tmp_path)
    (tmp_path / "data" / "01_GT" / "SEG" / "man_seg001.tif").unlink()
    with pytest.raises(DataError, match=r"train does not start.*CEL002 data/01/frame 1"):
        conducted(study, *SHORT, step="train")
    assert not list((tmp_path / "runs").glob("train-*"))


def test_a_figure_that_validation_does_not_give_cannot_select(tmp_path: Path) -> None:
    with pytest.raises(LabwrightError, match=r"select\.metric|pq"):
        conducted(tiny(tmp_path), *SHORT, "train.select.metric=pq", step="train")


def test_another_trainings_weights_are_a_start(trained: Trained, tmp_path: Path) -> None:
    sets = [one for one in LEARNING if not one.startswith("train.epochs")]
    start = f"train.start_from={trained.runs['train'].folder}"
    run = conducted(trained.study, *sets, "train.epochs=1", start, "train.learning_rate=1e-6", step="train")["train"]
    assert run.figures()["best_instance_dice"] > 0.9


def fingerprint(trained: Trained, option: str) -> str:
    study = resolve([trained.study], sets=[*PLAIN, *trained.sets, option])
    return {one.name: one.fingerprint for one in plan(study)}["train"]


def test_weights_to_start_from_count_by_what_they_hold(trained: Trained, tmp_path: Path) -> None:
    weights = tmp_path / "model.safetensors"
    weights.write_bytes((trained.runs["train"].output("model") / "model.safetensors").read_bytes())
    before = fingerprint(trained, f"train.start_from={weights}")
    weights.write_bytes(weights.read_bytes()[:-1] + b"!")
    assert fingerprint(trained, f"train.start_from={weights}") != before


def test_a_training_to_continue_counts_by_what_its_last_checkpoint_holds(trained: Trained, tmp_path: Path) -> None:
    run = shutil.copytree(trained.runs["train"].folder, tmp_path / "train-0123456789")
    before = fingerprint(trained, f"train.continue_from={run}")
    newest = max((run / "checkpoints" / "model").glob("[0-9]*"))
    shutil.rmtree(newest)
    assert fingerprint(trained, f"train.continue_from={run}") != before


@pytest.mark.parametrize("option", ["start_from", "continue_from"])
def test_weights_that_are_not_there_are_missing_when_it_is_planned(trained: Trained, tmp_path: Path, option: str) -> None:
    with pytest.raises(MissingError, match="nothing at this path") as caught:
        fingerprint(trained, f"train.{option}={tmp_path / 'absent'}")
    assert caught.value.code == 66


def test_joules_for_no_item_are_not_told(trained: Trained) -> None:
    assert joules_per_item(trained.runs["train"], {"items_seen": 0}) == {"joules_per_frame_trained": None}
