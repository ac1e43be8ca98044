"""List the files of a study with their tags and friends, and read their events a range of rows at a time."""

from __future__ import annotations

import hashlib
import itertools
import json
import os
import re
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import NamedTuple

from labwright.data.findings import Finding
from labwright.events.findings import BadFile, finding
from labwright.events.reading.addresses import document, matching, placed, size
from labwright.events.reading.compose import Place, composed
from labwright.events.reading.files import opened
from labwright.events.reading.friends import Friend, joined, load, shared
from labwright.events.reading.layouts import LAYOUTS, known, match
from labwright.events.source_options import GroupOptions, SourceOptions
from labwright.events.table import EventTable
from labwright.runs import grid_proxy
from labwright.runs.errors import DataError, MissingError
from labwright.runs.remote import is_remote
from labwright.study.messages import listed
from labwright.study.step import RawFile


class SourceFile(NamedTuple):
    """One file of events."""

    name: str
    """Stable: relative to ``source.path`` where it lies below it."""
    address: str
    tree: str
    tags: frozenset[str]
    friends: tuple[str, ...]
    """As the study names them; keys of ``Listing.friends``."""


class Chunk(NamedTuple):
    """Rows ``start`` up to but without ``stop`` of a file, by its index in the listing."""

    file: int
    start: int
    stop: int


@dataclass(frozen=True)
class Listing:
    """The files in the order of the study, each once, and their friends by name. No event was read."""

    files: tuple[SourceFile, ...]
    friends: dict[str, Friend]
    raw: dict[str, str]
    """Files of events, then those of friends: address → the name by which it is recorded."""
    documents: tuple[RawFile, ...]
    """Lists of files and descriptions of friends; their digest is of what is taken from them, not of the whole file."""
    findings: tuple[Finding, ...]

    @property
    def names(self) -> tuple[str, ...]:
        return tuple(file.name for file in self.files)

    def friends_of(self, file: SourceFile) -> list[Friend]:
        return [self.friends[spec] for spec in file.friends]


def tags_of(text: str) -> frozenset[str]:
    """``label:data,year:UL18`` → its tags."""
    return frozenset(tag.strip() for tag in text.split(",") if tag.strip())


def applies(text: str, tags: frozenset[str]) -> bool:
    """Whether what is said for the tags in ``text`` counts for a file: all of them are its own."""
    return tags_of(text) <= tags


def year_of(tags: frozenset[str]) -> int | None:
    """``year:UL18``, ``year:2018``, ``year:UL16_preVFP`` → 18, 18, 16; None without such a tag."""
    for tag in sorted(tags):
        if tag.startswith("year:") and (found := re.search(r"(?:20)?(\d\d)", tag.removeprefix("year:"))):
            return int(found[1])
    return None


def listing(options: SourceOptions) -> Listing:
    """The files that the groups name, with tags and friends; lists and friend documents are read, no tree is opened.

    A file that several groups name has the tags of all of them.

    Raises:
        MissingError: a file, list or friend is not there, no group names a file, or the grid proxy ends too soon.
        DataError: a list or a friend document is none.
    """
    base = Path(os.path.abspath(options.path))
    tree = options.tree or LAYOUTS[options.kind].tree
    tags: dict[str, frozenset[str]] = {}
    lists = {spec: _entry_list(spec, base) for spec in dict.fromkeys(spec for group in options.groups for spec in group.lists)}
    for group in options.groups:
        for address in _addresses(group, lists, base, options.planned_minutes):
            tags[address] = tags.get(address, frozenset()) | tags_of(group.tags)
    if not tags:
        raise MissingError(
            "the source names no file", where="source.groups", todo="Give a group with files, as {tags: …, files: [a.root]}."
        )
    for address in tags:
        if not is_remote(address) and not os.path.isfile(address):
            raise MissingError("there is no such file", where=address, todo="Correct source.groups, or put the file there.")
    friends = {spec: load(spec, base) for spec in dict.fromkeys(spec for group in options.groups for spec in group.friends)}
    for friend in friends.values():
        _check_proxy(friend.addresses(), options.planned_minutes)
    pieces = list(dict.fromkeys(address for friend in friends.values() for address in friend.addresses()))
    names = _named(tags, dict.fromkeys([*pieces, *(friend.document for friend in friends.values())]), base)
    files = tuple(
        SourceFile(
            names[address],
            address,
            tree,
            own,
            tuple(dict.fromkeys(spec for group in options.groups if applies(group.tags, own) for spec in group.friends)),
        )
        for address, own in tags.items()
    )
    unused = [group for group in options.groups if group.friends and not any(applies(group.tags, file.tags) for file in files)]
    found = [finding("EVT001", group.tags, f"no file has all of these tags: {', '.join(group.friends)} unused") for group in unused]
    found += _shared_columns(files, friends, options)
    documents = [
        *(
            _meaning(Path(placed(spec.partition("@@")[0], base)), spec, [names[address] for address in addresses])
            for spec, addresses in lists.items()
        ),
        *(_friend_document(friend, names[friend.document], options.groups) for friend in friends.values()),
    ]
    raw = {address: names[address] for address in [*tags, *pieces]}
    return Listing(files, friends, raw, tuple(documents), tuple(found))


def raw_files(listed: Listing) -> list[RawFile]:
    """Every file of events and of friends, with its size, and what lists and descriptions say of them; the path of a remote one is its
    address, which no file here has.

    Raises:
        MissingError: a file has gone, or the server does not give it.
    """
    return [*(RawFile(Path(address), name, size(address)) for address, name in listed.raw.items()), *listed.documents]


def chunks(listed: Listing, events: int) -> list[Chunk]:
    """Nearly equal ranges of at most ``events`` rows that cover each file; opens each file, reads no column.

    A tree without rows, and a file that cannot be opened, has one chunk of no rows: reading it says what is the case.
    """
    found: list[Chunk] = []
    for number, file in enumerate(listed.files):
        entries = _entries(file)
        pieces = max(1, -(-entries // events))
        edges = [entries * piece // pieces for piece in range(pieces + 1)]
        found += [Chunk(number, start, stop) for start, stop in itertools.pairwise(edges)]
    return found


def read(listed: Listing, chunk: Chunk, options: SourceOptions) -> EventTable:
    """The four-jet events of a range of rows, with the columns of the friends.

    ``extra`` has at least ``year``, ``n_selected``, ``n_tagged``, ``xW`` and ``xbW``, every friend's numbers, and what the kind of file
    holds or ``source.columns`` names.

    Raises:
        BadFile: the file cannot be used at all; its code is a finding's.
    """
    file = listed.files[chunk.file]
    place = Place(chunk.file, listed.names, chunk.start, year_of(file.tags))
    with opened(file.address, file.tree) as tree:
        whole = joined(tree, listed.friends_of(file))
        found = match(options, whole.names, whole.scalars, file.name)
        table = composed(whole.read(found.columns(), chunk.start, chunk.stop), found, place, options)
        if not tree.entries:
            return replace(table, findings=(finding("EVT015", file.name, f"the tree {file.tree} has no rows"),))
    return table


def _entries(file: SourceFile) -> int:
    try:
        with opened(file.address, file.tree) as tree:
            return tree.entries
    except BadFile:
        return 0


def _addresses(group: GroupOptions, lists: Mapping[str, Sequence[str]], base: Path, planned_minutes: int) -> list[str]:
    listed = [address for spec in group.lists for address in lists[spec]]
    found = list(dict.fromkeys([*(address for pattern in group.files for address in matching(pattern, base)), *listed]))
    _check_proxy(found, planned_minutes)
    return found


def _entry_list(spec: str, base: Path) -> list[str]:
    """The addresses in a list of files, by the way to it."""
    entries = document(spec, base)
    entries = [entries] if isinstance(entries, str) else entries
    if not isinstance(entries, list) or not all(isinstance(entry, str) for entry in entries):
        raise DataError(
            "this is not a list of files", where=spec, todo="Give the keys that lead to the list: file.yml@@datasets.data.files."
        )
    return [placed(entry, base) for entry in entries]


def _shared_columns(files: Sequence[SourceFile], friends: Mapping[str, Friend], options: SourceOptions) -> list[Finding]:
    """Columns that several friends of a file have (EVT024); a note where they mean nothing by themselves."""
    told: dict[tuple[str, ...], dict[str, None]] = {}
    for specs in dict.fromkeys(file.friends for file in files):
        for name, owners in shared([friends[spec] for spec in specs]).items():
            told.setdefault(owners, {})[name] = None
    found = []
    for owners, names in told.items():
        one = finding("EVT024", listed(owners), f"{'both' if len(owners) == 2 else 'all'} have {listed(names, 8)}, taken from none of them")
        found.append(one if names.keys() & known(options) else one._replace(severity="note"))
    return found


def _friend_document(friend: Friend, name: str, groups: Sequence[GroupOptions]) -> RawFile:
    """The description of a friend. Its way there never counts, so that it may move; which files it goes with does."""
    tags = sorted(",".join(sorted(tags_of(group.tags))) for group in groups if friend.spec in group.friends)
    return _meaning(Path(friend.document), f"{name}@@{friend.keys}" if friend.keys else name, [tags, friend.meaning()])


def _meaning(path: Path, name: str, meaning: object) -> RawFile:
    """A list of files or the description of a friend as a raw file: which file has which tags and rows depends on it."""
    text = json.dumps(meaning, sort_keys=True).encode()
    return RawFile(path, name, len(text), hashlib.sha256(text).hexdigest())


def _check_proxy(addresses: Sequence[str], planned_minutes: int) -> None:
    if planned_minutes and any(address.startswith("root://") for address in addresses):
        grid_proxy.check(planned_minutes, "Public servers need none: set source.planned_minutes to 0.")


def _named(files: Collection[str], friends: Collection[str], base: Path) -> dict[str, str]:
    """A name for each that stays when a tree of folders moves: the way from ``base``, or the last parts of a path that is not below it,
    two or as many as tell all apart; a remote address is its own name. What belongs to friends may move by itself: it is known by the
    last part, or as many as tell all apart, wherever it lies."""

    def name(address: str, parts: int) -> str:
        if is_remote(address):
            return address
        path = Path(address)
        if address not in files:
            return "/".join(path.parts[1 - parts :])
        return path.relative_to(base).as_posix() if path.is_relative_to(base) else "/".join(path.parts[-parts:])

    addresses = dict.fromkeys([*files, *friends])
    names: dict[str, str] = {}
    for parts in itertools.count(2):
        names = {address: name(address, parts) for address in addresses}
        if len(set(names.values())) == len(names) or parts > max(address.count("/") for address in addresses):
            break
    return names
