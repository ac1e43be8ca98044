"""Options of the networks, and of what changes over a training: batches, ghost batches, rates, the last stage."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import Field, model_validator

from labwright.learn.options import Select
from labwright.study.options import Options, option


class HCROptions(Options):
    """The hierarchical combinatoric residual network: jets → dijets → quadjets, a few hundred to some thousand parameters."""

    kind: Literal["hcr"] = option("hcr")
    """HCR."""
    width: int = option(8, ge=4, le=256)
    """Features of each pixel; even."""
    attention: bool = option(True)
    """Let dijets attend to the other jets."""

    @model_validator(mode="after")
    def _even(self) -> HCROptions:
        if self.width % 2:
            raise ValueError("width has to be even: half of the features are mirrored")
        return self


class PairformerOptions(Options):
    """A transformer over jets whose attention sees what jets are to each other: pair mass, angles, momentum sharing. It wants a smaller
    learning rate than HCR, 0.003 at batches of 512 events, AdamW, a cosine without growing batches or milestones, and `ema: 0.995`."""

    kind: Literal["pairformer"] = option("pairformer")
    """Pairformer."""
    width: int = option(32, ge=8, le=512)
    """Features of each jet, pair, dijet and pairing; a multiple of `heads`."""
    heads: int = option(4, ge=1, le=16)
    """Attention heads."""
    layers: int = option(1, ge=1, le=12)
    """Blocks of attention: of jets to jets, then of dijets to jets."""
    dropout: float = option(0.0, ge=0, lt=1)
    """Share of the features between two layers that training leaves out at random."""

    @model_validator(mode="after")
    def _divides(self) -> PairformerOptions:
        if self.width % self.heads:
            raise ValueError("width has to be a multiple of heads: each head sees a part of the features")
        return self


Network = Annotated[HCROptions | PairformerOptions, Field(discriminator="kind")]


BETTER: dict[str, Literal["min", "max"]] = {"loss": "min", "auc": "max"}
"""Whether less or more of a figure is better."""


class BestOptions(Select):
    """Which validation figure says that one epoch of a member is better than another."""

    metric: Literal["loss", "auc"] = option("loss")
    """The weighted mean loss, or the area under the ROC."""
    mode: Literal["min", "max"] = option("min")
    """Follows the metric: `min` of the loss, `max` of the area; the other way round is refused."""

    @model_validator(mode="before")
    @classmethod
    def _follows(cls, given: Any) -> Any:
        if isinstance(given, dict) and "mode" not in given and given.get("metric", "loss") in BETTER:
            return {**given, "mode": BETTER[given.get("metric", "loss")]}
        return given

    @model_validator(mode="after")
    def _agrees(self) -> BestOptions:
        if self.mode != BETTER[self.metric]:
            raise ValueError(f"mode: {self.mode} of {self.metric} would keep the worst epoch; leave mode out, it follows the metric")
        return self


class GhostOptions(Options):
    """Ghost batch norm: each batch is normalised in pieces."""

    batches: int = option(64, ge=0)
    """Pieces of a batch at the start; 0 uses the running statistics."""
    factor: float = option(0.25, gt=0, le=1)
    """What the number of pieces is multiplied by at the milestones."""
    epochs: tuple[int, ...] = option((1, 3, 6, 10, 15))
    """Milestones, counted in epochs that are done."""


class GrowOptions(Options):
    """Growing batches instead of a falling learning rate (Smith et al. 2017, arXiv:1711.00489)."""

    factor: int = option(2, ge=1)
    """What the batch size is multiplied by at the milestones."""
    epochs: tuple[int, ...] = option((1, 3, 6, 10))
    """Milestones, counted in epochs that are done."""


class MilestoneOptions(Options):
    """The learning rate is multiplied at milestones."""

    kind: Literal["milestones"] = option("milestones")
    """Milestones."""
    epochs: tuple[int, ...] = option((15, 16, 17, 18, 19, 20, 21, 22, 23, 24))
    """Milestones, counted in epochs that are done."""
    factor: float = option(0.25, gt=0, le=1)
    """What the learning rate is multiplied by."""


class PlateauOptions(Options):
    """The learning rate of each member is multiplied when its validation loss no longer falls."""

    kind: Literal["plateau"] = option("plateau")
    """Plateau."""
    factor: float = option(0.25, gt=0, lt=1)
    """What the learning rate is multiplied by."""
    patience: int = option(1, unit="epochs", ge=0)
    """Epochs without a better loss that are borne."""
    threshold: float = option(1e-4, ge=0)
    """Relative fall of the loss that counts."""
    cooldown: int = option(1, unit="epochs", ge=0)
    """Epochs to wait after a change."""
    minimum: float = option(2e-4, ge=0)
    """The learning rate never falls below this."""


class FinetuneOptions(Options):
    """A last stage in which only the output layer learns, without ghost batches."""

    epochs: int = option(0, ge=0)
    """Epochs of the stage; 0 leaves it out."""
    learning_rate: float = option(1e-4, gt=0)
    """Its learning rate."""
    factor: float = option(0.5, gt=0, le=1)
    """What that is multiplied by after each epoch."""


Rates = Annotated[MilestoneOptions | PlateauOptions, Field(discriminator="kind")]
