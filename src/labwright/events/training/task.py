"""What the training loop is given: a stack of members, the events of each, their loss, and a validation that knows each member's best."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from functools import cached_property
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from labwright.data.sampler import IntArray
from labwright.events.folds import Member
from labwright.events.networks.build import build, expect, prepare
from labwright.events.packing.load import PackedEvents
from labwright.events.train_options import TrainOptions
from labwright.events.training import losses, rates
from labwright.events.training.epochs import judged
from labwright.events.training.history import BEST, METRICS, History, Validation, chosen, ended, read_best, values_of, write_best
from labwright.events.training.members import Stack, by_member
from labwright.events.training.rows import Epoch, Rows, seed_of, spread
from labwright.learn import devices, schedules
from labwright.learn.checkpoints import Checkpoints, read_state
from labwright.learn.task import Clock
from labwright.runs.errors import Stopped
from labwright.runs.faults import fault
from labwright.study.step import Figures, Job, Part

LAST_LAYER = "classify."
VALIDATE_EVENTS = 8192
SEEN_EVENTS = 8192
"""Of those that a member trains on, so many are judged beside the others, to see what it learnt by heart."""


class EventsTask:
    """The ``Task`` of some members.

    Args:
        job: of the train step.
        events: the pack.
        rows: of all members of the run, also those that train elsewhere: the least of them says how many batches an epoch has.
        models: the members of this part.
        part: whose checkpoint folder keeps the members' best.
        start: networks to start from, by name of the member; each keeps its own standardisation of the inputs.
    """

    def __init__(
        self,
        job: Job[TrainOptions],
        events: PackedEvents,
        rows: Mapping[Member, Rows],
        models: Sequence[Member],
        part: Part,
        start: Mapping[str, nn.Module] | None = None,
    ) -> None:
        self.job, self.options, self.events, self.models = job, job.options, events, tuple(models)
        self.rows = [rows[one] for one in models]
        self.least = min(len(one.train) for one in rows.values())
        self.seeds = [seed_of(job.seed, one) for one in models]
        self.label = events.label.long()
        self.weight = losses.signed(events.weight, self.options.negative_weights)
        networks = (
            [self._network(seed, one) for seed, one in zip(self.seeds, self.rows, strict=True)]
            if start is None
            else [start[one.name] for one in models]
        )
        self.module: nn.Module = Stack(networks)
        self.signal_region = events.has("SR")
        self.path = job.checkpoints(part) / BEST
        self.validations, self.best, self.last = read_best(self.path) if self.path.is_file() else History([], {}, {})
        self.clock = Clock(0, 0, 0.0, 0)

    def _network(self, seed: int, rows: Rows) -> nn.Module:
        """First weights, and what it learns of its events before any gradient."""
        torch.manual_seed(seed)
        events = self.events
        network = build(self.options.network, len(events.classes), events.ancillary_names)
        prepare(network, *(one[rows.train] for one in (events.can_jets, events.other_jets, events.ancillary)))
        shares = torch.zeros(len(events.classes), dtype=torch.float64)
        expect(network, shares.index_add_(0, self.label[rows.train], self.weight[rows.train].abs().double()))
        return network

    # ---- Batches ----

    def batches(self, epoch: int) -> Sequence[IntArray]:
        """Rows of the pack, (members, batch) each, all batches of one size; what is left of each member's order is for another epoch."""
        return Epoch(self.seeds, [one.train for one in self.rows], epoch, rates.batch_size(self.options, epoch, self.least), self.least)

    def load(self, items: IntArray, key: int) -> Tensor:
        """Only the rows: the events are gathered where the network is, from memory that is there already."""
        return torch.from_numpy(items)

    @cached_property
    def _inputs(self) -> tuple[Tensor, ...]:
        """All events on the device of the network."""
        device = devices.of(self.module)
        events = self.events
        columns = (events.can_jets, events.other_jets, events.ancillary, self.label, self.weight, self.signal_region)
        return tuple(one.to(device) for one in columns)

    def _scored(self, rows: Tensor) -> tuple[Tensor, Tensor, Tensor, Tensor]:
        """Logits (members, batch, classes), loss of each event, label and weight (members, batch)."""
        rows = rows.to(devices.of(self.module))
        can, other, ancillary, label, weight, signal_region = (one[rows] for one in self._inputs)
        logits, _ = self.module(can, other, ancillary)
        if self.options.objective == "fvt":
            return logits, losses.fvt(logits, label, signal_region, self.events.classes), label, weight
        return logits, losses.svb(logits, label), label, weight

    # ---- Training ----

    def loss(self, batch: Tensor, clock: Clock) -> tuple[Tensor, Figures]:
        """The sum over the members, so that each has its own gradient; the curve shows their mean."""
        self.clock = clock
        self._stack.set_ghosts(0 if rates.finetuning(self.options, clock.epoch) else rates.ghosts(self.options.ghost, clock.epoch))
        _, terms, _, weight = self._scored(batch)
        whole = None
        if clock.items is not None and clock.items.shape != batch.shape:
            whole = self._inputs[4][torch.from_numpy(clock.items).to(weight.device)]
        each = losses.weighted_mean(terms, weight, whole)
        return each.sum(), {"loss": each.detach().mean()}

    def optimizer(self, options: Any, parameters: Iterable[nn.Parameter]) -> torch.optim.Optimizer:
        """That of the options, with rate and clipping by member."""
        made = schedules.optimizer(options, parameters, fused=True)
        by_member(made, self._stack, self._factors, self._frozen, self.options.clip_norm)
        return made

    def _factors(self) -> list[float]:
        # Steps to come may be there from before a return to an earlier checkpoint.
        past = [one.figures["loss"] for one in self.validations if one.step <= self.clock.step]
        found: list[float] = rates.factors(self.options, self.clock.epoch, np.array(past).reshape(-1, len(self.models))).tolist()
        return found

    def _frozen(self) -> list[str]:
        if not rates.finetuning(self.options, self.clock.epoch):
            return []
        return [name for name, _ in self._stack.network.named_parameters() if not name.startswith(LAST_LAYER)]

    @property
    def _stack(self) -> Stack:
        """The module without what the loop wraps it in."""
        module: Any = self.module
        stack: Stack = module if isinstance(module, Stack) else module.module
        return stack

    # ---- Validation ----

    def validate(self) -> Figures:
        """Loss and AUC, means over the members; those of each go into the journal and pick its best weights."""
        assert self.options.validate != "never"
        most = self.options.validate.max_items
        found = self._judge([spread(one.validate, most) for one in self.rows])
        seen = self._judge([spread(one.train, SEEN_EVENTS) for one in self.rows])
        self._keep({**found, **{f"train_{name}": values for name, values in seen.items()}})
        return {name: float(np.mean(found[name])) for name in METRICS}

    def _judge(self, rows: Sequence[IntArray]) -> dict[str, list[Any]]:
        """Loss, area and ROC of each member on rows of its own."""
        assert self.options.validate != "never"
        size = self.options.validate.batch_size or max(self.options.batch_size, VALIDATE_EVENTS)
        objective, classes = self.options.objective, self.events.classes
        longest = max(map(len, rows))
        # Members with fewer events see their first ones again, with weight 0.
        index = torch.from_numpy(np.stack([np.resize(one, longest) for one in rows]))
        real = torch.arange(longest) < torch.tensor([[len(one)] for one in rows])
        found = []
        for start in range(0, longest, size):
            if self.job.stopping():
                raise Stopped("stopped between two validation batches")
            fault("train:in-validate")
            logits, terms, label, weight = self._scored(index[:, start : start + size])
            score = losses.separating(objective, classes, logits.float().softmax(-1))
            found.append(torch.stack((terms.double(), weight.double(), score.double(), label.double())).cpu())
        terms, weight, score, label = torch.cat(found, -1)
        weight, label = weight * real, label.long()
        positive = losses.positive(objective, classes)[label].numpy()
        # On FvT's signal region no AUC: one of its sides is not looked at.
        told = weight * losses.compared(objective, classes)[label] * ~(self.signal_region[index] & (objective == "fvt"))
        areas = [judged(*one) for one in zip(score.numpy(), positive, told.numpy(), strict=True)]
        return {
            "loss": losses.weighted_mean(terms, weight).tolist(),
            "auc": [area for area, _ in areas],
            "tpr": [curve for _, curve in areas],
        }

    def _pace(self, step: int, epoch: int, batch: int, past: Sequence[Validation]) -> dict[str, list[float]]:
        """What each member was trained with in the last step of these."""
        lengths = [len(self.batches(number)) for number in range(self.options.epochs + self.options.finetune.epochs)]
        inside = max(epoch if batch else epoch - 1, 0)
        rate = self.options.learning_rate * schedules.factor(
            self.options.schedule, step=max(step - 1, 0), total_steps=sum(lengths), epoch=inside
        )
        before = np.array([one.figures["loss"] for one in past]).reshape(-1, len(self.models))
        ghosts = 0 if rates.finetuning(self.options, inside) else rates.ghosts(self.options.ghost, inside)
        done = epoch + (batch / lengths[epoch] if batch else 0.0)
        same = {"epoch": done, "batch_size": rates.batch_size(self.options, inside, self.least), "ghosts": ghosts}
        return {
            "learning_rate": (rate * rates.factors(self.options, inside, before)).tolist(),
            **{name: [float(value)] * len(self.models) for name, value in same.items()},
        }

    def _keep(self, each: dict[str, list[Any]]) -> None:
        """Take in a validation: publish each member's losses so far and its best weights, before anything rests on them."""
        # The loop has saved right before.
        saved = Checkpoints(self.path.parent).newest(lambda _: None)
        state = read_state(saved) if saved else {"step": 0, "epoch": 0, "batch": 0}
        earlier = [one for one in self.validations if one.step < state["step"]]
        pace = self._pace(state["step"], state["epoch"], state["batch"], earlier)
        self.validations = [*earlier, Validation(state["step"], {**each, **pace})]
        newest, ends, series = len(earlier), self._ends(), self._series()
        # Whose patience was at an end before goes on in the stack, but nothing of it is kept.
        going = [end is None or end >= newest for end in ends]
        better = [goes and chosen(self.options.select, one) == newest for goes, one in zip(going, series, strict=True)]
        now = self._stack.tensors()
        self.best = _replaced(self.best, now, better)
        if any(end is not None for end in ends):
            self.last = _replaced(self.last, now, [end == newest for end in ends])
        write_best(self.path, History(self.validations, self.best, self.last))
        if len(self.models) > 1:
            for place, one in enumerate(self.models):
                if going[place]:
                    values = {name: each[name][place] for name in METRICS}
                    self.job.record("metric", phase="validate", step=state["step"], epoch=state["epoch"], part=one.name, values=values)

    def _series(self) -> list[list[float]]:
        """The figure that selects, of each member at each validation."""
        return [values_of(self.validations, place, self.options.select.metric) for place in range(len(self.models))]

    def _ends(self) -> list[int | None]:
        """The validation at which the patience of each member was at an end."""
        return [ended(self.options.stop.patience, self.options.select, one) for one in self._series()]

    def out_of_patience(self) -> bool:
        """Whether no member has patience left."""
        return all(end is not None for end in self._ends())


def _replaced(old: Mapping[str, Tensor], now: Mapping[str, Tensor], where: Sequence[bool]) -> dict[str, Tensor]:
    """The weights of now for those members, the old ones for the others; all of now where there are no old ones."""
    mask = torch.tensor(where)
    return {name: torch.where(mask.view(-1, *[1] * (one.ndim - 1)), one, old.get(name, one)) for name, one in now.items()}
