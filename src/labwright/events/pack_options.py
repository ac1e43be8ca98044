"""Options of the pack step: what is read, and which events are of which class."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import AfterValidator, model_validator

from labwright.events.flags import condition
from labwright.events.source_options import SourceOptions
from labwright.study.options import Options, option


def _condition(text: str) -> str:
    condition(text)
    return text


Where = Annotated[str, AfterValidator(_condition)]
"""A flag, `SR`, its opposite, `!SR`, or one of several, `SB|SR`."""


class ClassOptions(Options):
    """Which events are of a class, and how they weigh."""

    tags: str = option("")
    """Tags that a file must have, `label:ggF,year:UL18`."""
    where: tuple[Where, ...] = option(())
    """Conditions that an event must fulfil, all of them: flags of `SR`, `SB`, `CR`, `HHSR`, `ZHSR`, `ZZSR`, `four_tag`, `three_tag`,
    `pass_hlt`; `!SR` is the opposite, `SB|SR` one of the two."""
    weight: tuple[str, ...] = option(("weight",))
    """Columns whose product is the weight, as `[weight, pseudo_tag_weight, FvT]`; empty weighs each event alike."""
    norm: float | None = option(None, gt=0)
    """The weights of the class are scaled to this sum; null leaves them."""
    norm_with: str = option("")
    """Another class; both are scaled together, so that its norm is the sum of both and their ratio stays."""
    norm_per: str = option("")
    """Key of a tag, as `kl`: the files of each value of it are scaled to `norm` by themselves."""
    prescale: int = option(1, ge=1)
    """Keep one in so many events, chosen by a hash of the event, and weigh them as if all were there."""
    max_weight: float | None = option(None, gt=0)
    """Events of greater absolute weight are left out and counted; for the few that outweigh a sample."""

    @model_validator(mode="after")
    def _one_norm(self) -> ClassOptions:
        if self.norm_with and (self.norm is not None or self.norm_per):
            raise ValueError("norm_with takes norm and norm_per of the other class; leave them out here")
        if self.norm_per and self.norm is None:
            raise ValueError("norm_per needs norm")
        return self


class PackOptions(Options):
    """Trees of events → fixed-width arrays with event identity, label, region and weight."""

    source: SourceOptions = option()
    """Where the events lie."""
    classes: dict[str, ClassOptions] = option(ordered=True, min_length=1, max_length=200)
    """The classes in the order of the network's outputs."""
    regions: Literal["run2", "run3", "file"] = option("run2")
    """Signal region and sideband: by the mass planes of Run 2, the circles of Run 3, or as the file's own flags say."""
    ancillary: tuple[str, ...] = option(("year", "n_selected", "xW", "xbW"))
    """Further inputs of the network, one number an event."""
    unlabelled: Literal["keep", "drop"] = option("keep")
    """Events of no class: packed, so that predict scores them too though nothing trains on them, or left out."""
    chunk_events: int = option(8192, unit="events", ge=64)
    """Events in one chunk of the pack; a file is a few chunks."""
    chunks: int | None = option(None, ge=1)
    """So many chunks of nearly equal size in place of `chunk_events`."""
    read_events: int = option(200_000, unit="events", ge=1000, effect=False)
    """Events that one worker reads at a time."""
    shuffle: bool = option(True)
    """Whether the events are put in a random order of the seed."""

    @model_validator(mode="after")
    def _known_classes(self) -> PackOptions:
        for name, one in self.classes.items():
            other = self.classes.get(one.norm_with)
            if one.norm_with and (other is None or other.norm_with or one.norm_with == name):
                raise ValueError(f"classes.{name}.norm_with: {one.norm_with!r} is no class with a norm of its own")
        return self
