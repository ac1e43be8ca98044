"""Which columns the files of a study have, before any event is read: what no file has is a mistake of the study, and said once."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import NamedTuple

from labwright.data.findings import Finding
from labwright.events.findings import BadFile, finding
from labwright.events.flags import FLAGS, condition
from labwright.events.pack_options import PackOptions
from labwright.events.physics.regions import REGION_BITS
from labwright.events.reading.files import opened
from labwright.events.reading.friends import joined, shared
from labwright.events.reading.layouts import Found, match
from labwright.events.source import Listing, SourceFile, applies
from labwright.events.source_options import SourceOptions
from labwright.events.table import BITS
from labwright.study.messages import Mistake, listed, nearest, refuse

OF_JETS = ("weight", "year", "n_selected", "n_tagged", "n_dropped", "xW", "xbW")
OF_REGIONS = ("m4j", "m_lead", "m_sub", "pairing", "r_hh", "x_hh", "x_zh", "x_zz")
MADE = frozenset([*OF_JETS, *OF_REGIONS])
"""What every event gets, whatever its file has."""
REGIONS = frozenset(name for name, bit in BITS.items() if bit & REGION_BITS)


class Look(NamedTuple):
    """What a file has to offer."""

    b_tag: str
    """Its column of b tags; empty where none is read."""
    further: frozenset[str]
    """Numbers of an event that are read beside weight, identity and flags."""
    flags: frozenset[str]
    """Those that the file has or that follow from its b tags."""


def look(told: Listing, number: int, options: SourceOptions) -> Look:
    """Open a file of the listing and its friends, read nothing.

    Raises:
        BadFile: as ``source.read``.
    """
    file = told.files[number]
    with opened(file.address, file.tree) as tree:
        whole = joined(tree, told.friends_of(file))
        found = match(options, whole.names, whole.scalars, file.name)
        return looked(found)


def looked(found: Found) -> Look:
    """What matched columns offer."""
    tags = {"four_tag", "three_tag"} if "tag" in found.jets else set()
    return Look(found.jets.get("tag", ""), frozenset(found.further), frozenset(tags | (set(found.events) & set(FLAGS))))


def flag_findings(file: SourceFile, seen: Look, options: PackOptions) -> list[Finding]:
    """Flags that a class asks for and neither the file nor the regions give (EVT012): they would count as unset."""
    made = seen.flags | (REGIONS if options.regions != "file" else frozenset())
    asked = {
        flag: name
        for name, one in options.classes.items()
        if applies(one.tags, file.tags)
        for text in one.where
        for flag, _ in condition(text)
        if flag not in made
    }
    return [
        finding(
            "EVT012", file.name, f"there is no column for {flag}, which class {name} asks for; name it in source.columns: {{{flag}: …}}"
        )
        for flag, name in asked.items()
    ]


def refuse_absent(told: Listing, options: PackOptions) -> None:
    """Refuse weights and further inputs that are a column of no file at all.

    A file is opened only where its columns have to be known; one that cannot be read is left to the findings.

    Raises:
        StudyError: names all such columns, and the nearest that there is.
    """
    looks: dict[int, Look | None] = {}

    def seen(number: int) -> Look | None:
        if number not in looks:
            try:
                looks[number] = look(told, number, options.source)
            except BadFile:
                looks[number] = None
        return looks[number]

    refuse((mistake for path, name, files in _asked(told, options) if (mistake := _absent(told, path, name, files, seen))), "study")


def b_tag_findings(told: Listing, of_file: Mapping[int, str], options: SourceOptions) -> Iterator[Finding]:
    """Whether files are cut at one b-tag value although they have different taggers (EVT005).

    Args:
        told: the files.
        of_file: column of b tags by the file's number; empty for none.
        options: of the source.
    """
    files: dict[str, list[str]] = {}
    for number, name in sorted(of_file.items()):
        if name:
            files.setdefault(name, []).append(told.names[number])
    if len(files) > 1:
        each = [f"{name} in {len(some):,} {'file' if len(some) == 1 else 'files'}, as {some[0]}" for name, some in files.items()]
        yield finding("EVT005", "source.jets.b_tag", f"{'; '.join(each)}; all are cut at {options.jets.b_threshold:g}")


def _asked(told: Listing, options: PackOptions) -> Iterator[tuple[str, str, list[int]]]:
    """Where the study names a column that not every event has, which, and the files that should have it."""
    made = MADE | ({"pseudo_tag_weight"} if options.source.combinatoric_model else set())
    every = range(len(told.files))
    asked = [("pack.ancillary", options.ancillary, list(every))]
    asked += [
        (f"pack.classes.{name}.weight", one.weight, [file for file in every if applies(one.tags, told.files[file].tags)])
        for name, one in options.classes.items()
    ]
    return ((path, name, files) for path, names, files in asked for name in names if name not in made)


def _absent(told: Listing, path: str, name: str, files: Sequence[int], seen: Callable[[int], Look | None]) -> Mistake | None:
    """The mistake, where at least one of the files could be read and none has the column."""
    there: set[str] = set()
    for number in files:
        found = seen(number)
        if found is not None:
            if name in found.further:
                return None
            there |= found.further | MADE
    if not there:
        return None
    owners = next((specs for number in files for specs in [shared(told.friends_of(told.files[number])).get(name)] if specs), ())
    if owners:
        return Mistake("study", path, f"{listed(owners)} both have a column {name!r}; take one of them out")
    return Mistake("study", path, f"no file has a column {name!r}", nearest=nearest(name, sorted(there)))
