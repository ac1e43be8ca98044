"""The loop: what a stop, a kill or a damaged checkpoint leaves behind changes no digit."""

from __future__ import annotations

import contextlib
import json
import os
import socket
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch.nn import functional

from labwright.learn import loop, resume
from labwright.learn.average import Average
from labwright.learn.checkpoints import Checkpoints, problem
from labwright.learn.loop import fit
from labwright.learn.options import FitOptions
from labwright.learn.state import State
from labwright.runs.errors import DataError, FaultError, MissingError, Stopped, StudyError
from labwright.runs.journal import Journal
from labwright.runs.publish import remove
from tests.learn.fake import ITEMS, PART, FakeJob, Regression, final, same, series, state_of, train

BATCH = 6  # 20 items: batches of 6, 6, 6 and 2
STEPS = 4  # an epoch


def options(**changes: Any) -> FitOptions:
    given: dict[str, Any] = {"epochs": 3, "batch_size": BATCH, "learning_rate": 0.05, "ema": 0.9, "precision": "fp32", "accelerator": "cpu"}
    return FitOptions.model_validate(given | changes)


def checkpoints(folder: Path) -> Checkpoints:
    return Checkpoints(folder / "checkpoints" / PART.id)


@pytest.fixture(scope="module")
def unbroken(tmp_path_factory: pytest.TempPathFactory) -> tuple[dict[str, torch.Tensor], dict[Any, float], dict[str, Any]]:
    folder = tmp_path_factory.mktemp("unbroken")
    job, _, figures = train(folder, options())
    assert figures is not None
    return final(folder), series([job]), dict(figures)


TIMES = ("train_seconds", "data_wait_share")


def without_times(figures: Any) -> dict[str, Any]:
    return {name: value for name, value in figures.items() if name not in TIMES}


# Stop requests come before each step and in each of three validations: 12 + 3.
@pytest.mark.parametrize("stop_at", range(1, 3 * STEPS + 3 + 1))
def test_a_stop_anywhere_changes_no_digit(tmp_path: Path, unbroken: Any, stop_at: int) -> None:
    tensors, curves, figures = unbroken
    first, _, stopped = train(tmp_path, options(), stop_at=stop_at)
    assert stopped is None
    second, _, done = train(tmp_path, options())
    assert same(final(tmp_path), tensors)
    assert series([first, second]) == curves
    assert done is not None
    assert without_times(done) == without_times(figures)


def test_stopping_at_every_single_step_changes_no_digit(tmp_path: Path, unbroken: Any) -> None:
    jobs = []
    for _ in range(100):
        # Each attempt may take one step, or one validation.
        job, task, done = train(tmp_path, options(), stop_at=2)
        jobs.append(job)
        assert len(task.seen) <= 1
        if done is not None or job.asked < 2:
            break
    job, _, done = train(tmp_path, options())
    assert same(final(tmp_path), unbroken[0])
    assert series([*jobs, job]) == unbroken[1]


def test_a_stop_leaves_within_one_step_and_says_where(tmp_path: Path) -> None:
    job = FakeJob(tmp_path, stop_at=3)
    task = Regression(job, options())
    with pytest.raises(Stopped, match="after step 2 of 12, and saved"):
        fit(task, options(), job, PART)
    assert len(task.seen) == 2
    assert checkpoints(tmp_path).steps() == [2]


def test_a_stopped_validation_is_saved_before_and_redone(tmp_path: Path) -> None:
    # Four steps ask four times, the fifth time is in the validation.
    _, task, _ = train(tmp_path, options(epochs=1), stop_at=STEPS + 1)
    assert task.validations == 1
    assert state_of(tmp_path, STEPS)["validated_step"] == 0
    job, task, _ = train(tmp_path, options(epochs=1))
    assert task.validations == 1
    assert task.seen == []
    assert [record["step"] for record in job.records if record["kind"] == "metric"] == [STEPS]


POINTS = ("train:step", "train:before-validate", "train:after-validate", "train:best-copy", "train:prune")
STAGES = ("checkpoint:before-write", "checkpoint:before-sync", "checkpoint:before-rename", "checkpoint:after-rename")


class Death(BaseException):
    """Stands in for SIGKILL within one process."""


@pytest.mark.parametrize("point", POINTS + STAGES)
def test_a_death_at_any_passage_of_a_named_point_changes_no_digit(
    tmp_path: Path, unbroken: Any, point: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    passages = {"left": 0}

    def fault(name: str) -> None:
        if name == point:
            passages["left"] -= 1
            if passages["left"] == 0:
                raise Death

    for module in ("learn.loop", "learn.checkpoints", "runs.publish"):
        monkeypatch.setattr(f"labwright.{module}.fault", fault)
    deaths = 0
    for passage in range(1, 99):
        folder = tmp_path / str(passage)
        passages["left"] = passage
        jobs = [FakeJob(folder), FakeJob(folder)]
        try:
            fit(Regression(jobs[0], options()), options(), jobs[0], PART)
            break
        except Death:
            deaths += 1
        figures = fit(Regression(jobs[1], options()), options(), jobs[1], PART)
        assert same(final(folder), unbroken[0]), passage
        assert series(jobs) == unbroken[1], passage
        assert without_times(figures) == without_times(unbroken[2]), passage
        assert checkpoints(folder).best() == find_best(jobs), passage
    assert deaths >= 1


def find_best(jobs: list[FakeJob]) -> list[dict[str, Any]]:
    validated = {step: value for (phase, step, name), value in series(jobs).items() if (phase, name) == ("validate", "loss")}
    step = min(validated, key=validated.__getitem__)
    return [{"step": step, "value": validated[step], "figures": {"loss": validated[step], "training": 0.0}}]


class TestNegativeControls:
    """What a checkpoint holds is needed: dropping any of it on load shows."""

    def resumed(self, folder: Path) -> dict[str, torch.Tensor]:
        train(folder, options(), stop_at=8)  # four steps, the validation, two steps
        train(folder, options())
        return final(folder)

    def test_optimizer(self, tmp_path: Path, unbroken: Any, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(resume, "restore_optimizer", lambda folder, learner: None)
        assert not same(self.resumed(tmp_path), unbroken[0])

    def test_average(self, tmp_path: Path, unbroken: Any, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(resume, "restore_average", lambda folder, learner: None)
        assert not same(self.resumed(tmp_path), unbroken[0])

    def test_sampler_position(self, tmp_path: Path, unbroken: Any, monkeypatch: pytest.MonkeyPatch) -> None:
        def forgetful(content: dict[str, Any]) -> State:
            return State(**{**content, "step": content["epoch"] * STEPS, "batch": 0})

        monkeypatch.setattr(State, "from_json", forgetful)
        assert not same(self.resumed(tmp_path), unbroken[0])

    def test_curve_sums(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr("labwright.learn.loop.CURVE_POINTS", 4)
        whole, _, _ = train(tmp_path / "whole", options())
        first, _, _ = train(tmp_path / "parts", options(), stop_at=3)
        with monkeypatch.context() as patch:
            patch.setattr(State, "from_json", lambda content: State(**{**content, "sums": {}, "summed": 0.0}))
            broken, _, _ = train(tmp_path / "parts", options())
        assert series([first, broken]) != series([whole])
        remove(tmp_path / "parts")
        first, _, _ = train(tmp_path / "parts", options(), stop_at=3)
        second, _, _ = train(tmp_path / "parts", options())
        assert series([first, second]) == series([whole])


DAMAGES = ("flip a bit", "truncate", "remove a file", "change the state", "remove the state", "break the manifest")


@pytest.mark.parametrize("damage", DAMAGES)
def test_a_damaged_checkpoint_is_passed_over_and_changes_no_digit(tmp_path: Path, unbroken: Any, damage: str) -> None:
    train(tmp_path, options(checkpoint_every_s=0), stop_at=8)
    newest = checkpoints(tmp_path).at(6)
    weights = newest / "model.safetensors"
    match damage:
        case "flip a bit":
            content = bytearray(weights.read_bytes())
            content[-3] ^= 1
            weights.write_bytes(content)
        case "truncate":
            weights.write_bytes(weights.read_bytes()[:-1])
        case "remove a file":
            (newest / "ema.safetensors").unlink()
        case "change the state":
            path = newest / "state.json"
            path.write_text(path.read_text().replace('"step": 6', '"step": 5'))
        case "remove the state":
            (newest / "state.json").unlink()
        case "break the manifest":
            (newest / "manifest.json").write_text('["model.safetensors"]')
    job, task, _ = train(tmp_path, options())
    assert task.clocks[0].step == 5
    assert any("checkpoint 000006 is passed over: " in text for text in job.said)
    assert same(final(tmp_path), unbroken[0])


def test_a_training_without_any_valid_checkpoint_says_so_and_starts_anew(tmp_path: Path, unbroken: Any) -> None:
    train(tmp_path, options(), stop_at=4)
    for step in checkpoints(tmp_path).steps():
        (checkpoints(tmp_path).at(step) / "state.json").write_text("{")
    job, _, _ = train(tmp_path, options())
    assert any("no valid checkpoint is left" in text for text in job.said)
    assert same(final(tmp_path), unbroken[0])


def test_a_target_already_reached_is_said_and_gives_the_same_figures(tmp_path: Path) -> None:
    _, _, before = train(tmp_path, options())
    job, task, after = train(tmp_path, options())
    assert job.said == ["model: the target is already reached, 12 of 12 steps"]
    assert task.seen == []
    assert job.records == []
    assert after == before


def test_pieces_of_a_batch_add_up_to_the_whole(tmp_path: Path) -> None:
    # Without batch statistics and dropout the pieces are exact, up to rounding.
    plain: dict[str, Any] = {"norm": False, "dropout": 0.0}
    chosen: dict[str, Any] = {"optimizer": {"kind": "sgd"}, "ema": None}
    train(tmp_path / "whole", options(**chosen), **plain)
    _, task, _ = train(tmp_path / "pieces", options(accumulate=4, **chosen), **plain)
    for name, tensor in final(tmp_path / "whole").items():
        torch.testing.assert_close(final(tmp_path / "pieces")[name], tensor, rtol=1e-5, atol=1e-6)
    assert [len(piece) for piece in task.seen[: 3 * 4 + 2]] == [2, 2, 1, 1] * 3 + [1, 1]
    assert {clock.step for clock in task.clocks[:4]} == {0}
    assert len({clock.key for clock in task.clocks[:4]}) == 1


def test_each_step_has_its_own_key_and_progress(tmp_path: Path) -> None:
    _, task, _ = train(tmp_path, options())
    assert len({clock.key for clock in task.clocks}) == 12
    assert [clock.step for clock in task.clocks] == list(range(12))
    assert [clock.epoch for clock in task.clocks] == [0] * 4 + [1] * 4 + [2] * 4
    np.testing.assert_allclose([clock.progress for clock in task.clocks], np.arange(12) / 12)
    assert [sorted(item for batch in task.seen[epoch : epoch + 4] for item in batch) for epoch in (0, 4, 8)] == [list(range(ITEMS))] * 3


def test_clipping_bounds_the_length_of_a_step(tmp_path: Path) -> None:
    plain: dict[str, Any] = {"optimizer": {"kind": "sgd", "momentum": 0.0}, "learning_rate": 1.0, "ema": None, "validate": "never"}
    before = {name: tensor.detach() for name, tensor in Regression(FakeJob(tmp_path), options()).module.named_parameters()}
    lengths = {}
    for norm in (None, 0.01):
        train(tmp_path / str(norm), options(max_steps=1, clip_norm=norm, **plain))
        after = final(tmp_path / str(norm))
        squares = [float((after[f"model.safetensors/{name}"] - tensor).square().sum()) for name, tensor in before.items()]
        lengths[norm] = sum(squares) ** 0.5
    assert lengths[None] > 0.1
    assert lengths[0.01] == pytest.approx(0.01, rel=1e-4)


def test_the_average_follows_its_formula_and_is_what_gets_validated(tmp_path: Path) -> None:
    decay = 0.3
    job, task, _ = train(tmp_path, options(ema=decay, checkpoint_every_s=0, keep={"last": 99}))
    store = checkpoints(tmp_path)
    average = {name: tensor.double() for name, tensor in Regression(FakeJob(tmp_path), options()).module.state_dict().items()}
    for step in store.steps():
        live = {name: tensor.double() for name, tensor in _tensors(store.at(step) / "model.safetensors").items()}
        now = min(decay, (1 + step) / (10 + step))
        average = {name: now * average[name] + (1 - now) * live[name] for name in average}
    saved = _tensors(store.at(12) / "ema.safetensors")
    for name in saved:
        if saved[name].is_floating_point():
            torch.testing.assert_close(saved[name].double(), average[name], rtol=1e-5, atol=1e-6)
    module = Regression(FakeJob(tmp_path), options()).module.eval()
    module.load_state_dict(saved)
    with torch.no_grad():
        loss = float(functional.mse_loss(module(torch.from_numpy(task.inputs)), torch.from_numpy(task.targets)))
    assert series([job])["validate", 12, "loss"] == loss
    assert series([job])["validate", 12, "training"] == 0.0


def _tensors(path: Path) -> dict[str, torch.Tensor]:
    from safetensors.torch import load_file

    return load_file(path)


def test_the_average_gives_the_network_its_own_weights_back() -> None:
    module = torch.nn.Linear(2, 1)
    average = Average(module, 0.5)
    before = module.weight.clone()
    with torch.no_grad():
        module.weight.add_(1.0)
    with average.applied():
        assert torch.equal(module.weight, before)
    assert torch.equal(module.weight, before + 1.0)
    assert torch.equal(average.tensors["weight"], before)


def _scripted(folder: Path, chosen: FitOptions, values: list[float], stop_at: int | None = None) -> tuple[FakeJob, Any]:
    job = FakeJob(folder, stop_at=stop_at)
    task = Regression(job, chosen)
    task.validation_loss = lambda number: values[number - 1]
    return job, fit(task, chosen, job, PART)


def test_patience_ends_the_training_and_stays_ended(tmp_path: Path) -> None:
    chosen = options(epochs=9, stop={"patience": 2})
    _, figures = _scripted(tmp_path, chosen, [3.0, 1.0, 2.0, 1.0, 0.0])
    assert (figures["ended"], figures["epochs"], figures["best_step"], figures["best_loss"]) == ("patience", 4, 2 * STEPS, 1.0)
    assert figures["reproducible"]
    job, again = _scripted(tmp_path, chosen, [])
    assert again == figures
    assert "ended by patience" in job.said[0]


def test_patience_counts_over_attempts(tmp_path: Path) -> None:
    chosen = options(epochs=9, stop={"patience": 3})
    values = [1.0, 2.0, 2.0, 2.0, 0.5]
    with pytest.raises(Stopped):
        # Asked before each step; the task's scripted validation asks as well.
        _scripted(tmp_path, chosen, values, stop_at=2 * (STEPS + 1) + 2)
    _, figures = _scripted(tmp_path, chosen, values[2:])
    assert (figures["ended"], figures["epochs"], figures["best_step"]) == ("patience", 4, STEPS)


def test_mode_max_takes_the_largest_and_the_earlier_of_equals(tmp_path: Path) -> None:
    _, figures = _scripted(tmp_path, options(epochs=4, select={"mode": "max"}), [1.0, 3.0, 3.0, float("nan")])
    assert figures["best_step"] == 2 * STEPS


def test_a_figure_that_is_not_a_number_is_never_the_best(tmp_path: Path) -> None:
    _, figures = _scripted(tmp_path, options(), [float("nan"), 5.0, float("inf")])
    assert (figures["best_step"], figures["best_loss"]) == (2 * STEPS, 5.0)


def test_an_unknown_selecting_figure_names_those_there_are(tmp_path: Path) -> None:
    with pytest.raises(StudyError, match=r"no figure dice\. It gives loss, training") as caught:
        train(tmp_path, options(select={"metric": "dice"}))
    assert caught.value.code == 78


def test_an_energy_budget_counts_all_attempts_and_marks_the_run(tmp_path: Path) -> None:
    class Metered(FakeJob):
        used = 0.0

        def stopping(self) -> bool:
            self.used += 10.0  # before each step
            return super().stopping()

    def attempt(stop_at: int | None) -> Any:
        job = Metered(tmp_path, stop_at=stop_at)
        job.joules = lambda: job.used
        return fit(Regression(job, chosen), chosen, job, PART)

    chosen = options(stop={"joules": 75.0})
    with pytest.raises(Stopped):
        attempt(stop_at=4)  # 40 J
    figures = attempt(None)
    assert (figures["steps"], figures["ended"], figures["reproducible"]) == (3 + 4, "joules", False)
    assert figures["joules"] == 80.0
    assert state_of(tmp_path, 7)["validated_step"] == 7


def test_what_a_killed_attempt_used_after_its_last_checkpoint_counts(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    chosen = options(stop={"joules": 64.0})
    train(tmp_path, options(), stop_at=3)
    with contextlib.closing(Journal(tmp_path / "journal" / "0001.jsonl")) as killed:
        killed.record("energy", stage="train", joules=60.0)
        killed.record("energy", stage="validate", joules=None)
    own = Journal(tmp_path / "journal" / "0002.jsonl")
    own.record("start", pid=os.getpid(), host=socket.gethostname())
    own.record("energy", stage="other", joules=5.0)  # is in what the job says of this attempt
    own.close()
    job = FakeJob(tmp_path, joules=lambda: 5.0)
    monkeypatch.setattr(loop, "SHOW_EVERY_S", 0.0)
    figures = fit(Regression(job, chosen), chosen, job, PART)
    assert (figures["joules"], figures["ended"], figures["steps"]) == (65.0, "joules", 3)
    assert {fields["joules"] for fields in job.fields} == {65.0}


def test_an_energy_budget_without_a_meter_is_refused(tmp_path: Path) -> None:
    with pytest.raises(StudyError, match="no energy can be measured"):
        train(tmp_path, options(stop={"joules": 1.0}))


def test_keep_says_which_checkpoints_stay(tmp_path: Path) -> None:
    values = [5.0, 1.0, 4.0, 2.0, 3.0, 6.0, 7.0, 8.0]
    _scripted(tmp_path, options(epochs=8, keep={"every": "3 epochs", "best": 2, "last": 1}), values)
    assert checkpoints(tmp_path).steps() == [epoch * STEPS for epoch in (2, 3, 4, 6, 8)]
    assert [mark["step"] for mark in checkpoints(tmp_path).best()] == [2 * STEPS, 4 * STEPS]


def test_the_newest_two_and_the_best_stay_unless_told(tmp_path: Path) -> None:
    _scripted(tmp_path, options(epochs=5), [2.0, 1.0, 3.0, 4.0, 5.0])
    assert checkpoints(tmp_path).steps() == [epoch * STEPS for epoch in (2, 4, 5)]
    assert all(problem(checkpoints(tmp_path).at(step)) == "" for step in checkpoints(tmp_path).steps())


def test_without_validation_the_last_checkpoint_is_the_best(tmp_path: Path) -> None:
    job, task, figures = train(tmp_path, options(validate="never"))
    assert task.validations == 0
    assert figures is not None
    assert figures["best_step"] == 12
    assert checkpoints(tmp_path).best()[0]["step"] == 12
    assert "validate" not in job.stages


def test_validation_by_steps_includes_the_end(tmp_path: Path) -> None:
    job, _, _ = train(tmp_path, options(validate={"every": "5 steps"}))
    assert sorted({step for phase, step, _ in series([job]) if phase == "validate"}) == [5, 10, 12]


def test_max_steps_ends_within_an_epoch(tmp_path: Path) -> None:
    _, task, figures = train(tmp_path, options(max_steps=6))
    assert figures is not None
    assert (figures["steps"], figures["epochs"], len(task.seen), figures["items_seen"]) == (6, 1, 6, ITEMS + 2 * BATCH)


def test_a_loss_that_is_not_finite_names_its_step_and_items(tmp_path: Path) -> None:
    job = FakeJob(tmp_path)
    task = Regression(job, options())
    task.losses = {5: float("nan")}
    with pytest.raises(DataError, match="the loss is nan at step 6") as caught:
        fit(task, options(), job, PART)
    assert caught.value.where == "training items " + ", ".join(map(str, task.batches(1)[1].tolist()))
    assert checkpoints(tmp_path).steps() == [4]


def test_a_figure_that_is_not_finite_survives_a_stop(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("labwright.learn.loop.CURVE_POINTS", 4)

    class Odd(Regression):
        def loss(self, batch: Any, clock: Any) -> Any:
            return super().loss(batch, clock)[0], {"odd": float("inf") if clock.step == 0 else 1.0}

    def attempt(folder: Path, stop_at: int | None) -> FakeJob:
        job = FakeJob(folder, stop_at=stop_at)
        with contextlib.suppress(Stopped):
            fit(Odd(job, options()), options(), job, PART)
        return job

    jobs = [attempt(tmp_path, 3), attempt(tmp_path, None)]
    odd = [value for (_, _, name), value in series(jobs).items() if name == "odd"]
    assert not np.isfinite(odd[0])
    assert odd[1:] == [1.0, 1.0, 1.0]


@pytest.mark.parametrize(
    "error",
    [
        torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 20.00 GiB"),
        RuntimeError("[enforce fail at alloc_cpu.cpp:127] DefaultCPUAllocator: not enough memory: you tried to allocate 99 bytes."),
    ],
)
@pytest.mark.parametrize("method", ["loss", "validate"])
def test_too_little_memory_names_the_options_to_turn(tmp_path: Path, error: RuntimeError, method: str) -> None:
    job = FakeJob(tmp_path)
    task = Regression(job, options())

    def fail(*_: Any) -> Any:
        raise error

    setattr(task, method, fail)
    with pytest.raises(FaultError) as caught:
        fit(task, options(), job, PART)
    assert all(name in caught.value.todo for name in ("accumulate", "batch_size", "precision"))
    assert "does not suffice" in caught.value.what


def test_other_errors_of_the_network_come_through(tmp_path: Path) -> None:
    job = FakeJob(tmp_path)
    task = Regression(job, options())
    task.module = torch.nn.Linear(3, 1)
    with pytest.raises(RuntimeError, match="shapes cannot be multiplied"):
        fit(task, options(), job, PART)


def test_an_epoch_without_batches_is_refused(tmp_path: Path) -> None:
    job = FakeJob(tmp_path)
    task = Regression(job, options())
    task.batches = lambda epoch: []  # type: ignore[method-assign]
    with pytest.raises(DataError, match="epoch 0 has no batches"):
        fit(task, options(), job, PART)


class TestOtherWeights:
    def test_start_from_a_checkpoint_takes_the_weights_alone(self, tmp_path: Path) -> None:
        train(tmp_path / "one", options(ema=None))
        source = checkpoints(tmp_path / "one").at(12)
        job, task, _ = train(tmp_path / "two", options(start_from=source, learning_rate=1e-12, ema=None, max_steps=1))
        assert task.clocks[0].step == 0
        assert any("starts with the weights of" in text for text in job.said)
        before, after = final(tmp_path / "one"), final(tmp_path / "two")
        torch.testing.assert_close(after["model.safetensors/0.weight"], before["model.safetensors/0.weight"])

    def test_start_from_takes_the_average_where_there_is_one(self, tmp_path: Path) -> None:
        train(tmp_path / "one", options())
        train(tmp_path / "two", options(start_from=checkpoints(tmp_path / "one").at(12), learning_rate=1e-12, max_steps=1))
        before, after = final(tmp_path / "one"), final(tmp_path / "two")
        torch.testing.assert_close(after["model.safetensors/0.weight"], before["ema.safetensors/0.weight"])

    def test_start_from_nothing_is_missing_input(self, tmp_path: Path) -> None:
        with pytest.raises(MissingError) as caught:
            train(tmp_path, options(start_from=tmp_path / "absent"))
        assert caught.value.code == 66

    def test_weights_of_another_network_name_the_first_that_differ(self, tmp_path: Path) -> None:
        train(tmp_path / "one", options(), width=5)
        with pytest.raises(StudyError, match=r"0\.weight has the shape 5×2, the network wants 4×2.* more\)"):
            train(tmp_path / "two", options(start_from=checkpoints(tmp_path / "one").at(12)))

    def test_a_resumed_training_does_not_start_from_there_again(self, tmp_path: Path, unbroken: Any) -> None:
        train(tmp_path / "one", options(), stop_at=3)
        chosen = options(start_from=checkpoints(tmp_path / "one").at(2))
        train(tmp_path / "whole", chosen)
        train(tmp_path / "parts", chosen, stop_at=6)
        remove(tmp_path / "one")
        train(tmp_path / "parts", chosen)
        assert same(final(tmp_path / "parts"), final(tmp_path / "whole"))

    def test_continue_from_goes_on_exactly_as_a_longer_training(self, tmp_path: Path) -> None:
        constant: dict[str, Any] = {"schedule": {"kind": "constant", "warmup_steps": 3}}
        train(tmp_path / "long", options(epochs=5, **constant))
        train(tmp_path / "short", options(epochs=3, **constant))
        source = checkpoints(tmp_path / "short").at(12)
        _, task, figures = train(tmp_path / "more", options(epochs=5, continue_from=source, **constant))
        assert same(final(tmp_path / "more"), final(tmp_path / "long"))
        assert task.clocks[0].step == 12
        assert figures is not None
        assert figures["best_step"] >= 12
        assert checkpoints(tmp_path / "more").at(figures["best_step"]).is_dir()
        assert figures["items_seen"] == 2 * ITEMS, "as its joules and seconds: of this training alone"
        assert state_of(tmp_path / "more", 20)["items_seen"] == 5 * ITEMS

    def test_continue_from_survives_a_stop(self, tmp_path: Path) -> None:
        constant: dict[str, Any] = {"schedule": {"kind": "constant"}}
        train(tmp_path / "short", options(**constant))
        chosen = options(epochs=5, continue_from=checkpoints(tmp_path / "short").at(12), **constant)
        train(tmp_path / "whole", chosen)
        for stop_at in (1, 2, 4):
            train(tmp_path / "parts", chosen, stop_at=stop_at)
        _, _, figures = train(tmp_path / "parts", chosen)
        assert same(final(tmp_path / "parts"), final(tmp_path / "whole"))
        assert figures is not None
        assert figures["items_seen"] == 2 * ITEMS

    def test_continue_from_with_a_schedule_tied_to_the_length_is_refused(self, tmp_path: Path) -> None:
        train(tmp_path / "short", options())
        with pytest.raises(StudyError, match="laid out for 12 steps, not 20") as caught:
            train(tmp_path / "more", options(epochs=5, continue_from=checkpoints(tmp_path / "short").at(12)))
        assert "start_from" in caught.value.todo

    def test_continue_from_with_other_batches_is_refused(self, tmp_path: Path) -> None:
        constant: dict[str, Any] = {"schedule": {"kind": "constant"}}
        train(tmp_path / "short", options(**constant))
        with pytest.raises(StudyError, match="does not fit the batches"):
            train(tmp_path / "more", options(epochs=5, batch_size=4, continue_from=checkpoints(tmp_path / "short").at(12), **constant))

    def test_continue_from_with_another_optimiser_is_refused(self, tmp_path: Path) -> None:
        constant: dict[str, Any] = {"schedule": {"kind": "constant"}}
        train(tmp_path / "short", options(**constant))
        source = checkpoints(tmp_path / "short").at(12)
        with pytest.raises(StudyError, match="of the optimiser AdamW, not SGD"):
            train(tmp_path / "more", options(epochs=5, continue_from=source, optimizer={"kind": "sgd"}, **constant))

    @pytest.mark.parametrize(("name", "kind"), [("absent", MissingError), ("file.safetensors", StudyError)])
    def test_continue_from_needs_a_full_state(self, tmp_path: Path, name: str, kind: type[Exception]) -> None:
        (tmp_path / "file.safetensors").write_bytes(b"")
        with pytest.raises(kind):
            train(tmp_path / "more", options(continue_from=tmp_path / name))


def test_the_recorded_thread_count_is_applied_again(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    train(tmp_path, options(), stop_at=2)
    applied: list[int] = []
    monkeypatch.setattr(torch, "set_num_threads", applied.append)
    monkeypatch.setattr(FakeJob, "machine", type("Machine", (), {"threads": 5}))
    train(tmp_path, options())
    assert set(applied) == {1}


@pytest.mark.parametrize("precision", ["bf16", "fp16", "auto"])
def test_the_precision_really_used_is_recorded(tmp_path: Path, precision: str) -> None:
    job, _, figures = train(tmp_path, options(precision=precision, epochs=1))
    assert figures is not None
    # fp16 needs a GPU; elsewhere it is what auto gives.
    assert figures["precision"] in ({"bf16"} if precision == "bf16" else {"bf16", "fp32"})
    assert state_of(tmp_path, 4)["precision"] == figures["precision"]
    assert np.isfinite(series([job])["train", 4, "loss"])


def test_progress_and_data_wait_are_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("labwright.learn.loop.SHOW_EVERY_S", 0.0)
    job, _, figures = train(tmp_path, options())
    assert job.shown == [(step, 12) for step in range(1, 13)]
    assert figures is not None
    assert 0 <= figures["data_wait_share"] <= 1


def test_nothing_is_pickled_in_a_checkpoint(tmp_path: Path) -> None:
    train(tmp_path, options())
    folder = checkpoints(tmp_path).at(12)
    tensors = {"model.safetensors", "optimizer.safetensors", "ema.safetensors"}
    assert {path.name for path in folder.iterdir()} == tensors | {"state.json", "manifest.json"}
    assert json.loads((folder / "manifest.json").read_text()).keys() == tensors


@pytest.mark.parametrize("size", [4, 7, 10, 16])
@pytest.mark.parametrize("world", [1, 2, 3, 4])
@pytest.mark.parametrize("accumulate", [1, 3])
def test_ranks_divide_a_batch_into_as_many_pieces_whose_weighted_mean_is_the_batchs(size: int, world: int, accumulate: int) -> None:
    values = np.random.default_rng(0).normal(size=size)
    ranks = [loop._pieces(np.arange(size), rank, world, accumulate) for rank in range(world)]
    assert len({len(pieces) for pieces in ranks}) == 1
    assert sorted(int(item) for pieces in ranks for _, piece in pieces for item in piece) == list(range(size))
    means = [sum(weight * values[piece].mean() for weight, piece in pieces) for pieces in ranks]
    assert np.mean(means) == pytest.approx(values.mean())
