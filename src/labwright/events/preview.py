"""What ``--dry-run`` tells of a source, a few lines for each set of tags. Reads weights, no jets."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from labwright.data.findings import Finding
from labwright.events.findings import BadFile, finding
from labwright.events.pack_options import ClassOptions, PackOptions
from labwright.events.packing.classes import nothing
from labwright.events.packing.columns import flag_findings, looked, refuse_absent
from labwright.events.reading.compose import numbers
from labwright.events.reading.files import opened
from labwright.events.reading.friends import joined
from labwright.events.reading.layouts import LAYOUTS, Found, match
from labwright.events.source import Listing, SourceFile, applies, listing
from labwright.events.source_options import SourceOptions


def preview(options: PackOptions) -> list[str]:
    """Files, friends, selection, columns, classes, rows and sum of weights of each set of tags; then what is wrong.

    Raises:
        MissingError, DataError: as ``listing``. A file that cannot be read is a line.
        StudyError: as ``columns.refuse_absent``.
    """
    told = listing(options.source)
    refuse_absent(told, options)
    groups: dict[frozenset[str], list[SourceFile]] = {}
    for file in told.files:
        groups.setdefault(file.tags, []).append(file)
    lines: list[str] = []
    wrong = list(told.findings)
    above: list[str] = []
    for tags, files in groups.items():
        some, bad, above = _group(tags, files, told, options, above)
        lines, wrong = lines + some, wrong + bad
    all_tags = [file.tags for file in told.files]
    wrong += [
        finding("EVT033", name, nothing(name, one, all_tags))
        for name, one in options.classes.items()
        if not any(applies(one.tags, tags) for tags in all_tags)
    ]
    return [*lines, *(f"{one.severity} {one.code} {one.place}: {one.text}" for one in wrong)]


def _group(
    tags: frozenset[str], files: Sequence[SourceFile], told: Listing, options: PackOptions, above: list[str]
) -> tuple[list[str], list[Finding], list[str]]:
    """Lines, what is wrong, and the columns that were told last in full; of the columns only what differs from those ``above``."""
    rows, weights, found = 0, 0.0, None
    bad: list[Finding] = []
    for file in files:
        try:
            found, entries, weight = _file(file, told, options.source)
        except BadFile as error:
            bad.append(finding(error.finding, file.name, error.what))
        else:
            rows, weights = rows + entries, weights + weight
            bad += flag_findings(file, looked(found), options)
    friends = list(dict.fromkeys(spec for file in files for spec in file.friends))
    mine = [_words(name, one) for name, one in options.classes.items() if applies(one.tags, tags)]
    columns = _all(found) if found else []
    beside = _beside(columns, above)
    lines = [
        f"{','.join(sorted(tags)) or 'no tags'}: {_some([file.name for file in files])}",
        f"  friends: {', '.join(friends) or 'none'}",
        f"  selection: {_selection(options.source, found)}",
        *([f"  columns: {beside or ', '.join(columns)}"] if found else []),
        f"  classes: {'; '.join(mine) or 'none'}",
        f"  {rows:,} rows, sum of weights {weights:,.6g}",
    ]
    return lines, bad, columns if columns and not beside else above


def _beside(columns: Sequence[str], above: Sequence[str]) -> str:
    """What sets them apart from those above; nothing where that is no less than all of them."""
    more = [name for name in columns if name not in above]
    less = [name for name in above if name not in columns]
    if not above or len(more) + len(less) >= len(columns):
        return ""
    return "as above" + f", and {', '.join(more)}" * bool(more) + f", without {', '.join(less)}" * bool(less)


def _words(name: str, one: ClassOptions) -> str:
    """A class for the preview: ``t3 where three_tag and SB|SR, weighed by weight × pseudo_tag_weight, one in 10``."""
    where = f" where {' and '.join(one.where)}" if one.where else ""
    prescale = f", one in {one.prescale}" if one.prescale > 1 else ""
    weight = f"weighed by {' × '.join(one.weight)}" if one.weight else "not weighed"
    return f"{name}{where}, {weight}{prescale}"


def _file(file: SourceFile, listed: Listing, options: SourceOptions) -> tuple[Found, int, float]:
    with opened(file.address, file.tree) as tree:
        whole = joined(tree, listed.friends_of(file))
        found = match(options, whole.names, whole.scalars, file.name)
        if "weight" not in found.events:
            return found, tree.entries, float(tree.entries)
        name = found.events["weight"]
        weight = numbers(whole.read([name], 0, tree.entries)[name], name, file.name)
        return found, tree.entries, float(np.sum(weight, dtype=np.float64))


def _selection(options: SourceOptions, found: Found | None) -> str:
    layout, jets = LAYOUTS[options.kind], options.jets
    if layout.others:
        return "as in the file"
    pt = layout.min_pt_gev if jets.min_pt_gev is None else jets.min_pt_gev
    eta = layout.max_abs_eta if jets.max_abs_eta is None else jets.max_abs_eta
    cuts = [f"pt ≥ {pt:g} GeV"] * bool(pt) + [f"|η| ≤ {eta:g}"] * bool(np.isfinite(eta))
    order = "b tag" if found and "tag" in found.jets else "transverse momentum"
    return f"four jets of highest {order}{' with ' + ' and '.join(cuts) if cuts else ''}, up to {jets.max_others} others"


def _all(found: Found) -> list[str]:
    others = {f"other {ours}": theirs for ours, theirs in found.others.items()}
    names = {**found.jets, **others, **found.events, **found.further}
    return [ours if ours == theirs else f"{ours} ← {theirs}" for ours, theirs in names.items()]


def _some(names: Sequence[str], most: int = 6) -> str:
    more = f" and {len(names) - most} more" if len(names) > most else ""
    return f"{len(names)} {'file' if len(names) == 1 else 'files'}: {', '.join(names[:most])}{more}"
