"""Where the images and masks of a cells study lie. Light: recipes and help import it."""

from __future__ import annotations

from pathlib import Path, PurePosixPath
from typing import Literal

from pydantic import field_validator

from labwright.study.options import Options, option


class SourceOptions(Options):
    """The raw data: a folder of time-lapse sequences, a TIFF per frame."""

    kind: Literal["ctc", "challenge"] = option("ctc")
    """Layout of the folder: `ctc` is the Cell Tracking Challenge's (`01/t000.tif`, `01_GT/SEG/man_seg000.tif`),
    `challenge` that of the AI-HERO 2 health challenge (`a/t0000.tif`, `a_GT/man_seg0000.tif`)."""
    path: Path = option(effect=False)
    """Folder that holds the sequences, or one folder of frames `tNNN.tif`."""
    sequences: tuple[str, ...] = option(())
    """Names of the sequences to take, in quotes (`["01", "02"]`); empty takes all."""
    masks: str | None = option(None)
    """Where the masks of a sequence lie below `path`, for example `{sequence}_ERR_SEG` or `{sequence}_AUTO/SEG`.
    Unset: for `ctc` `{sequence}_GT/SEG`, else `{sequence}_ST/SEG`; for `challenge` `{sequence}_GT`."""
    pixel_size_um: float | None = option(None, unit="µm", gt=0)
    """Side of a pixel. Unset: taken from the files' tags where they have it."""
    frame_interval_s: float | None = option(None, unit="s", gt=0)
    """Time from one frame to the next. Unset: taken from the files' tags where they have it."""

    @field_validator("masks")
    @classmethod
    def _below_the_source(cls, masks: str | None) -> str | None:
        if masks is None:
            return None
        if "{sequence}" not in masks:
            raise ValueError("has to contain {sequence}, which stands for the sequence's name, as in {sequence}_GT/SEG")
        if PurePosixPath(masks).is_absolute() or ".." in PurePosixPath(masks).parts:
            raise ValueError("has to lie below the source folder: no leading / and no ..")
        return masks
