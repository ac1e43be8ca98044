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
    friends: tuple[str, ...] = option(())
    """Friend trees that hold further columns of the same rows: `friend.json@@HCR_input`."""


class JetsOptions(Options):
    """What makes a jet, and which four make an event."""

    min_pt_gev: float = option(40.0, unit="GeV", ge=0)
    """Least transverse momentum of a selected jet."""
    max_abs_eta: float = option(2.4, gt=0)
    """Greatest pseudorapidity of a selected jet."""
    b_tag: str = option("")
    """The jets' tag column; unset: what is usual for the kind of file."""
    b_threshold: float = option(0.6)
    """Tag value from which a jet counts as tagged."""
    max_others: int = option(8, unit="jets", ge=0, le=32)
    """Jets kept beside the four; events with more keep those of greatest transverse momentum, and are counted."""


class SourceOptions(Options):
    """Trees of events."""

    kind: Literal["flat", "nanoaod", "spanet", "prepared"] = option("flat")
    """`flat`: `jet_{pt,eta,phi,energy|mass}` of four or more jets. `nanoaod`: `Jet_*` of any era. `spanet`: SPANet's HDF5.
    `prepared`: `CanJet_*` and `NotCanJet_*` as an analysis wrote them."""
    path: Path | None = option(None, effect=False)
    """Folder that relative file names start from; the study's own by default."""
    tree: str = option("Events")
    """Name of the tree, or of the group in an HDF5 file."""
    groups: tuple[GroupOptions, ...] = option(())
    """Files, file lists and friends, by tags."""
    columns: dict[str, str] = option(default_factory=dict)
    """Columns under other names: ours → the file's, as `weight: genWeight`."""
    jets: JetsOptions = option(JetsOptions())
    """Jets and how four of them are chosen."""
