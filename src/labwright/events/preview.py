"""What ``--dry-run`` tells of a source, a few lines for each set of tags. Reads weights, no jets."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np

from labwright.events.compose import numbers
from labwright.events.files import opened
from labwright.events.findings import BadFile
from labwright.events.friends import joined
from labwright.events.layouts import LAYOUTS, Found, match
from labwright.events.source import Listing, SourceFile, applies, listing
from labwright.events.source_options import SourceOptions


def preview(options: SourceOptions, classes: Mapping[str, str]) -> list[str]:
    """Files, friends, selection, columns, classes, rows and sum of weights of each set of tags.

    Args:
        options: of the source.
        classes: the tags of each class, by its name.

    Raises:
        MissingError, DataError: as ``listing``. A file that cannot be read is a line.
    """
    listed = listing(options)
    groups: dict[frozenset[str], list[SourceFile]] = {}
    for file in listed.files:
        groups.setdefault(file.tags, []).append(file)
    lines = []
    for tags, files in groups.items():
        lines += _group(tags, files, listed, options, [name for name, wanted in classes.items() if applies(wanted, tags)])
    return [*lines, *(f"{one.severity} {one.code} {one.place}: {one.text}" for one in listed.findings)]


def _group(tags: frozenset[str], files: Sequence[SourceFile], listed: Listing, options: SourceOptions, classes: Sequence[str]) -> list[str]:
    rows, weights, found = 0, 0.0, None
    bad: list[str] = []
    for file in files:
        try:
            found, entries, weight = _file(file, listed, options)
        except BadFile as error:
            bad.append(f"  error {error.finding} {error}")
        else:
            rows, weights = rows + entries, weights + weight
    friends = list(dict.fromkeys(spec for file in files for spec in file.friends))
    lines = [
        f"{','.join(sorted(tags)) or 'no tags'}: {_some([file.name for file in files])}",
        f"  friends: {', '.join(friends) or 'none'}",
        f"  selection: {_selection(options, found)}",
        *([f"  columns: {', '.join(_all(found))}"] if found else []),
        f"  classes: {'; '.join(classes) or 'none'}",
        f"  {rows:,} rows, sum of weights {weights:,.6g}",
    ]
    return lines + bad


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
