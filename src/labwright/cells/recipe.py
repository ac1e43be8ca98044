"""The cells recipe: from time-lapse images to instance masks and their score.

Steps: pack → check → train → predict → evaluate. The method is border-core segmentation: a U-Net says of each
pixel whether it is background, the core of a cell or its border; cores become instances, and border
pixels go to the nearest core. On 20 frames of 448×288 pixels a study takes about two minutes on two CPU cores.

This module holds the options and names the modules that work; it imports nothing heavy.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Annotated, Literal

from pydantic import Field, field_validator, model_validator

from labwright.cells.source_options import SourceOptions
from labwright.learn.options import Adam, FitOptions, Optimizer, Select
from labwright.study.options import Options, option
from labwright.study.step import LazyStep, Recipe

Selectors = tuple[str, ...]


class TargetOptions(Options):
    """What the network learns to see: background, core, border."""

    width_px: int = option(4, unit="px", ge=1, le=64)
    """Width of the border ring, at the original resolution of the images."""
    by_size: bool = option(False)
    """Narrow the ring of a cell to half of that cell's depth wherever that is below `width_px`, so that thin cells keep a core."""


class PackOptions(Options):
    """Raw TIFFs → one immutable pack made for training."""

    source: SourceOptions = option()
    """Where the images and masks lie."""
    split: dict[str, Selectors] = option(default_factory=lambda: {"train": ("*",)})
    """Which frames belong to which split: `train: ["01"]`, or frame ranges `["01:0-19"]`. `train` and `validate`
    need masks, other names do not. Name a `validate` split too, unless `train.validate` is `never`."""
    target: TargetOptions = option(TargetOptions())
    """The border-core target, made once, at the original size."""
    shard_frames: int = option(16, unit="frames", ge=1)
    """Frames in one file of the pack; also what one worker packs at a time."""
    compression: Literal["none", "zstd"] = option("none")
    """`none` is memory-mapped and fastest; `zstd` saves space on slow disks and object stores."""


class CheckOptions(Options):
    """What a pack must fulfil before anything trains on it."""

    min_gap_frames: int = option(2, unit="frames", ge=0)
    """Frames that must lie between two splits of the same sequence; nearer neighbours look alike and leak."""
    min_cell_px: int = option(4, unit="px", ge=0)
    """Cells smaller than this are counted as specks."""


class ViewOptions(Options):
    """How much of a frame the network sees at once, and how large."""

    kind: Literal["crop", "frame"] = option("crop")
    """`crop`: random crops while training, tiles when predicting. `frame`: the whole frame, resized with its aspect kept."""
    size_px: int = option(256, unit="px", ge=32)
    """Side of a crop, or the long side of a resized frame, as the network sees it."""
    scale: float = option(1.0, gt=0, le=4)
    """Network pixels per image pixel; below 1 the images are shrunk first, which costs detail and saves time with its square."""
    symmetries: Literal[1, 4, 8] = option(1)
    """Average the scores of a frame over so many mirrored (4) and also turned (8) views when validating and predicting: steadier
    outlines for as many times the work."""

    @model_validator(mode="after")
    def _one_scale(self) -> ViewOptions:
        if self.kind == "frame" and self.scale != 1:
            raise ValueError("a whole frame is scaled to size_px: give scale with kind: crop only")
        return self


class AugmentOptions(Options):
    """Random changes of a training view; all are off at 0 or false."""

    flips: bool = option(True)
    """Mirror along both axes, each with probability one half."""
    rotations: bool = option(True)
    """Rotate by a random multiple of 90°."""
    brightness: float = option(0.2, ge=0, le=1)
    """Largest change of brightness, in standard deviations of the frame."""
    contrast: float = option(0.2, ge=0, lt=1)
    """Largest relative change of contrast."""
    probability: float = option(0.2, ge=0, le=1)
    """How often brightness and contrast are changed."""


class NetworkOptions(Options):
    """The U-Net."""

    widths: Annotated[tuple[int, ...], Field(min_length=2, max_length=7)] = option((32, 64, 128, 256))
    """Channels of each level; the baseline's four levels have 1,927,907 parameters."""


class InstanceOptions(Options):
    """From classes to instances."""

    core_min_px: float = option(30.0, unit="px", ge=0)
    """Cores of at most this area become border. An area in pixels of the original image, whatever the network's
    resolution is: it is scaled with the square of that."""
    isolated_border_min_px: float = option(15.0, unit="px", ge=0)
    """A piece of border without a core becomes a cell if its area is larger than this, else it is dropped. In pixels of the
    original image, as `core_min_px`."""
    edge_share: float = option(1.0, ge=0, le=1)
    """Share of both areas that suffices for what the frame's edge cuts off, since only a part of such a cell is seen."""


class TrainOptions(FitOptions):
    """Fit the U-Net; the best checkpoint is the one with the highest Instance Dice on the validation split."""

    optimizer: Optimizer = option(Adam())
    """How the gradient becomes a step."""
    select: Select = option(Select(metric="instance_dice", mode="max"))
    """Which validation figure picks the best checkpoint: `instance_dice` or `f1`."""
    network: NetworkOptions = option(NetworkOptions())
    """The network's shape."""
    view: ViewOptions = option(ViewOptions())
    """What the network sees at once."""
    augment: AugmentOptions = option(AugmentOptions())
    """Random changes of the training views."""
    views_per_frame: int = option(1, ge=1)
    """How often each training frame is seen in an epoch, each time another crop."""
    normalise: Literal["frame", "pack"] = option("frame")
    """Subtract mean and divide by standard deviation of each `frame`, or of all training frames (`pack`)."""
    instances: InstanceOptions = option(InstanceOptions())
    """How classes become instances, when validating and, unless told otherwise, when predicting."""
    class_weights: tuple[float, float, float] = option((1.0, 1.0, 1.0))
    """Weights of background, core and border in the cross-entropy."""


class PredictOptions(Options):
    """Instance masks for splits of the pack, or for any folder of images."""

    splits: Selectors = option(("validate",))
    """The splits to predict."""
    source: SourceOptions | None = option(None)
    """Predict the images of a folder instead; masks are not needed."""
    checkpoint: Literal["best", "last"] | int | Path = option("best")
    """`best`, `last`, the number of a step, or the path of a model folder, a checkpoint or a run."""
    instances: InstanceOptions | None = option(None)
    """How classes become instances; null takes what the network was validated with."""
    tile_px: int = option(1024, unit="px", ge=64)
    """Larger frames are predicted in tiles of this side."""
    halo_px: int = option(64, unit="px", ge=0)
    """What a tile sees beyond its edge; from the network's reach on (about 60 px) tiles leave no seams."""
    batch_size: int = option(8, ge=1, effect=False)
    """Tiles at once."""
    precision: Literal["auto", "fp32", "bf16", "fp16"] = option("auto")
    """`auto` takes bf16 where the device computes in it fast."""
    challenge_files: bool = option(False)
    """Also write `challenge/<sequence>/<name>_256.tif`, the labels at 256×256 that the AI-HERO 2 challenge asks for."""

    @field_validator("checkpoint", mode="before")
    @classmethod
    def _step_in_quotes(cls, checkpoint: object) -> object:
        return int(checkpoint) if isinstance(checkpoint, str) and checkpoint.isdecimal() else checkpoint

    @model_validator(mode="after")
    def _something(self) -> PredictOptions:
        if self.source is None and not self.splits:
            raise ValueError("name at least one split, or a source folder")
        return self


class EvaluateOptions(Options):
    """Scores of the predicted masks against the masks of the pack."""

    size: Literal["original", "256"] = option("original")
    """Score at the original size, or with both sides at 256×256 as the AI-HERO 2 challenge does."""
    bootstrap: int = option(1000, ge=0)
    """Resamplings of frames for the 95 % interval; 0 leaves it out."""
    overlays: int = option(3, ge=0)
    """How many of the best and of the worst frames are shown as pictures."""


def _predict_needs(options: PredictOptions) -> tuple[str, ...]:
    return (*(() if options.source else ("pack",)), *(() if isinstance(options.checkpoint, Path) else ("train",)))


def _across_steps(steps: Mapping[str, Options]) -> Iterator[tuple[str, str]]:
    pack, train, predict = steps.get("pack"), steps.get("train"), steps.get("predict")
    trains = not (isinstance(predict, PredictOptions) and isinstance(predict.checkpoint, Path))
    validates = trains and isinstance(train, TrainOptions) and train.validate != "never"
    if validates and isinstance(pack, PackOptions) and "validate" not in pack.split:
        yield "pack.split", "has no split named validate, which train.validate asks for; name its frames, or set train.validate to never"


RECIPE = Recipe(
    name="cells",
    doc="Instance masks for cells in time-lapse images.",
    extra="cells",
    demo="sample",
    steps=(
        LazyStep("pack", 1, PackOptions, "labwright.cells.pack", "Read the raw images and masks, set aside what is bad, and write a pack."),
        LazyStep(
            "check",
            1,
            CheckOptions,
            "labwright.cells.check",
            "Look for errors, leaks between splits and suspicious masks.",
            needs=("pack",),
        ),
        LazyStep(
            "train",
            1,
            TrainOptions,
            "labwright.cells.train",
            "Train the U-Net.",
            needs=("pack",),
            gates=("check",),
            trains=True,
            gpu=True,
            parallel=False,
        ),
        LazyStep(
            "predict",
            1,
            PredictOptions,
            "labwright.cells.predict",
            "Write instance masks.",
            needs=("pack", "train"),
            gpu=True,
            requires=_predict_needs,
            parallel=False,
        ),
        LazyStep(
            "evaluate",
            1,
            EvaluateOptions,
            "labwright.cells.evaluate",
            "Score the masks: Instance Dice, F1, PQ, SEG, DET.",
            needs=("predict",),
            parallel=False,  # milliseconds a frame: starting a process costs more
        ),
    ),
    tools={
        "evaluate_folders": "labwright.cells.folders:evaluate_folders",
        "findings": "labwright.cells.findings:CATALOGUE",
        "export_weights": "labwright.cells.weights:export_weights",
    },
    beginning={"pack.split": {"train": ["01"], "validate": ["02"]}},
    check=_across_steps,
)
