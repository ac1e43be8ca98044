"""Where the events of a study lie and what is read of them. Light: the recipe and help import it."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Literal

from pydantic import Field

from labwright.study.options import Options, option

Name = Annotated[str, Field(min_length=1)]


class GroupOptions(Options):
    """Files, lists and friends that go with a set of tags; it counts for each file whose tags include all of these."""

    tags: str = option("")
    """Tags joined by commas, `label:data,year:UL18`. Files get them; friends go with every file that has them. Empty: all files."""
    files: tuple[str, ...] = option(())
    """Files, by path or address (`root://…`, `s3://…`); `*` stands for any part of a local name. A relative path lies below `path`."""
    lists: tuple[str, ...] = option(())
    """Lists of files in YAML or JSON: `datasets.yml@@datasets.TTToHadronic.UL18.picoAOD.files`."""
    friends: tuple[str, ...] = option((), effect=False)
    """Friend trees that hold further columns of the same rows: a document, `friend.json@@HCR_input`, or the run of predict or merge that
    wrote one. What it holds counts with the raw files, wherever it lies."""


class JetsOptions(Options):
    """What makes a jet, and which four make an event."""

    min_pt_gev: float | None = option(None, unit="GeV", ge=0)
    """Least transverse momentum of a selected jet. Unset: 40 for `nanoaod`; of the other kinds all jets are taken."""
    max_abs_eta: float | None = option(None, gt=0)
    """Greatest pseudorapidity, up or down, of a selected jet. Unset: 2.4 for `nanoaod`; of the other kinds all jets are taken."""
    min_other_pt_gev: float = option(0.0, unit="GeV", ge=0)
    """Least transverse momentum of the jets kept beside the four."""
    b_tag: str = option("")
    """The jets' tag column, as `Jet_btagCSVV2`. Unset: the newest tagger that the file has."""
    b_threshold: float = option(0.6)
    """Tag value from which a jet counts as tagged."""
    b_regression: str = option("")
    """Column with a factor on transverse momentum and mass of the four, as `Jet_bRegCorr`. Unset: none."""
    max_others: int = option(8, unit="jets", ge=0, le=32)
    """Jets kept beside the four; events with more keep those of greatest transverse momentum, and are counted."""


class CombinatoricOptions(Options):
    """The jet combinatoric model, which gives three-tag events the jet multiplicity of four-tag events."""

    probability: float = option(ge=0, le=1)
    """Probability that an untagged jet would be tagged."""
    fraction: float = option(1.0, gt=0)
    """Share of events whose three tags are tight; all weights are multiplied by it."""
    enhancement: float = option(0.0, ge=0)
    """By how much even numbers of tags are more frequent, because b quarks come in pairs; 0 for not at all."""
    decay: float = option(0.0, ge=0)
    """Power of the number of untagged jets with which the enhancement falls."""


class SourceOptions(Options):
    """Trees of events."""

    kind: Literal["flat", "nanoaod", "spanet", "prepared"] = option("flat")
    """`flat`: `jet_{pt,eta,phi,energy|mass}` of four or more jets. `nanoaod`: `Jet_*` of any era. `spanet`: SPANet's HDF5.
    `prepared`: `CanJet_*` and `NotCanJet_*` as an analysis wrote them."""
    path: Path = option(Path("."), effect=False)
    """Folder that relative file names start from; the study's own by default."""
    tree: str = option("")
    """Name of the tree, or of the group in an HDF5 file. Unset: `Events`; for `spanet` the group `INPUTS/Source`."""
    groups: tuple[GroupOptions, ...] = option(())
    """Files, file lists and friends, by tags."""
    columns: dict[str, str] = option(default_factory=dict)
    """Columns under other names: ours → the file's, as `weight: genWeight`."""
    jets: JetsOptions = option(JetsOptions())
    """Jets and how four of them are chosen."""
    combinatoric_model: CombinatoricOptions | None = option(None)
    """Gives three-tag events the column `pseudo_tag_weight`; unset where a friend brings it."""
    planned_minutes: int = option(60, unit="min", ge=0, effect=False)
    """How long the grid proxy has to last before `root://` is opened; 0 asks for none, as public servers and tokens need none."""
