"""Friend trees by row range: further columns for the rows of a file, kept in files of their own.

A document (JSON) says which rows lie where::

    {"name": "FvT", "branches": ["FvT"], "data": [[target, [{"start": 0, "stop": 1000, "chunk": piece}, …]], …]}

``target`` and ``piece`` are ``{"path", "uuid", "name", "num_entries"}``: a file, the UUID of a ROOT file, its tree, and the tree's
rows. Paths of pieces start from the document's folder. One document may hold several friends by name (``friend.json@@FvT``).
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

import awkward as ak

from labwright.events.findings import BadFile
from labwright.events.reading.addresses import document, placed
from labwright.events.reading.files import Columns, Tree, opened
from labwright.runs.errors import DataError, MissingError
from labwright.runs.remote import is_remote
from labwright.runs.run import Run
from labwright.study.messages import listed


class Piece(NamedTuple):
    """Rows ``start`` up to but without ``stop`` of the target, which are all rows of a tree."""

    start: int
    stop: int
    address: str
    tree: str


class Target(NamedTuple):
    """The file whose rows are meant."""

    address: str
    uuid: str
    entries: int | None


@dataclass(frozen=True)
class Friend:
    """A friend tree of several files.

    Args:
        spec: as the study names it.
        document: address of the document that describes it.
        keys: which of the document's friends it is; empty where there is one.
        branches: its columns.
        data: which rows of which file lie where.
    """

    spec: str
    document: str
    keys: str
    branches: tuple[str, ...]
    data: tuple[tuple[Target, tuple[Piece, ...]], ...]

    def addresses(self) -> list[str]:
        """The files that hold its columns."""
        return list(dict.fromkeys(piece.address for _, pieces in self.data for piece in pieces))

    def meaning(self) -> list[Any]:
        """Columns, and which rows of which target lie where, as JSON values and without the folders, which may move."""
        data = [
            [
                [Path(target.address).name, target.uuid, target.entries],
                [[*piece._replace(address=Path(piece.address).name)] for piece in pieces],
            ]
            for target, pieces in self.data
        ]
        return [list(self.branches), data]

    def pieces(self, tree: Tree) -> tuple[Piece, ...]:
        """The pieces that together hold every row of ``tree`` once, in order.

        The file is known by its UUID, or by its path where it has none, as Parquet and HDF5.

        Raises:
            BadFile: rows are missing (EVT020) or given twice (EVT021), or the friend was made for another file (EVT022).
        """
        same = [one for one in self.data if (one[0].uuid == tree.uuid if one[0].uuid and tree.uuid else one[0].address == tree.address)]
        if not same:
            if not tree.entries:
                return ()
            if any(target.address == tree.address for target, _ in self.data):
                raise BadFile("EVT022", f"{self.spec} was made for a file of another UUID", where=tree.address)
            raise BadFile("EVT020", f"{self.spec} has none of its {tree.entries:,} rows", where=tree.address)
        for target, _ in same:
            if target.entries is not None and target.entries != tree.entries:
                raise BadFile(
                    "EVT022", f"{self.spec} was made for {target.entries:,} rows, the file has {tree.entries:,}", where=tree.address
                )
        ordered = sorted(piece for _, pieces in same for piece in pieces)
        end = 0
        for piece in ordered:
            if piece.start < end:
                raise BadFile("EVT021", f"{self.spec} gives rows {piece.start} to {min(end, piece.stop) - 1} twice", where=tree.address)
            if piece.start > end:
                raise BadFile("EVT020", f"{self.spec} lacks rows {end} to {piece.start - 1}", where=tree.address)
            end = piece.stop
        if end < tree.entries:
            raise BadFile("EVT020", f"{self.spec} lacks rows {end} to {tree.entries - 1}", where=tree.address)
        if end > tree.entries:
            raise BadFile("EVT022", f"{self.spec} goes to row {end - 1}, the file has {tree.entries:,} rows", where=tree.address)
        return tuple(ordered)


class Joined(NamedTuple):
    """A tree with the columns of its friends; a friend's column goes before one of the same name in the file."""

    tree: Tree
    pieces: Mapping[str, tuple[Piece, ...]]
    """By column of a friend."""
    unclear: frozenset[str] = frozenset()
    """Columns that several friends have, and which count as absent."""

    @property
    def names(self) -> list[str]:
        return [name for name in dict.fromkeys([*self.tree.names, *self.pieces]) if name not in self.unclear]

    def scalars(self) -> list[str]:
        """The columns with one number an event; those of the friends as their first files have them."""
        found = self.tree.scalars() - self.pieces.keys() - self.unclear
        for pieces in dict.fromkeys(self.pieces.values()):
            with opened(pieces[0].address, pieces[0].tree) as first:
                found |= {name for name in first.scalars() if self.pieces.get(name) == pieces}
        return sorted(found)

    def read(self, names: Sequence[str], start: int, stop: int) -> Columns:
        """Columns of the rows ``start`` up to but without ``stop``; raises as ``Tree.read`` and ``files.opened``."""
        own = [name for name in names if name not in self.pieces]
        columns = self.tree.read(own, start, stop) if own else {}
        for pieces in dict.fromkeys(self.pieces[name] for name in names if name in self.pieces):
            wanted = [name for name in names if self.pieces.get(name) == pieces]
            parts = [_part(piece, wanted, start, stop) for piece in pieces if piece.start < stop and piece.stop > start]
            columns |= {name: ak.concatenate([part[name] for part in parts]) for name in wanted}
        return columns


def joined(tree: Tree, friends: Sequence[Friend]) -> Joined:
    """The tree with its friends, whose rows were checked; raises as ``Friend.pieces``."""
    found = {friend: friend.pieces(tree) for friend in friends}
    unclear = frozenset(shared(friends))
    columns = {name: pieces for friend, pieces in found.items() if pieces for name in friend.branches if name not in unclear}
    return Joined(tree, columns, unclear)


def shared(friends: Iterable[Friend]) -> dict[str, tuple[str, ...]]:
    """Columns that several friends of a file have, each with those friends: nothing tells whose is meant."""
    owners: dict[str, list[str]] = {}
    for friend in friends:
        for name in dict.fromkeys(friend.branches):
            owners.setdefault(name, []).append(friend.spec)
    return {name: tuple(specs) for name, specs in owners.items() if len(specs) > 1}


def load(spec: str, base: Path) -> Friend:
    """A friend by its document, ``friend.json@@FvT``, or by the folder of the run that wrote it.

    Raises:
        MissingError: no such file or key, or a run without a friend, or one that is not done.
        DataError: it is not the document of a friend.
    """
    given, at, keys = spec.partition("@@")
    place = placed(given, base)
    if not is_remote(place) and Path(place).is_dir():
        place = str(_document_in(Path(place)))
    content = document(place + at + keys, base)
    folder = Path(place).parent
    if isinstance(content, dict) and "data" not in content and len(content) == 1:
        content = next(iter(content.values()))
    try:
        data = tuple(
            (
                Target(placed(str(target["path"]), folder), str(target.get("uuid") or ""), _whole(target.get("num_entries"))),
                tuple(_piece(piece, place) for piece in pieces),
            )
            for target, pieces in content["data"]
        )
        return Friend(spec, place, keys, tuple(str(name) for name in content["branches"]), data)
    except (KeyError, TypeError, ValueError, AttributeError) as error:
        there = f"; there is: {', '.join(content)}" if isinstance(content, dict) else ""
        raise DataError(
            f"this is not the document of a friend tree{there}",
            where=spec,
            todo="It has name, branches and data; one of several is chosen with friend.json@@NAME.",
        ) from error


def described(name: str, branches: Sequence[str], data: Sequence[tuple[Mapping[str, Any], Sequence[Mapping[str, Any]]]]) -> dict[str, Any]:
    """The document of a friend as JSON values.

    Args:
        name: of the friend.
        branches: its columns.
        data: for each target ``{path, uuid, name, num_entries}`` its pieces ``{start, stop, chunk: {path, uuid, name, num_entries}}``.
    """
    return {
        "name": name,
        "branches": list(branches),
        "data": [[dict(target), [dict(piece) for piece in pieces]] for target, pieces in data],
    }


def _document_in(folder: Path) -> Path:
    """The one document in a run of predict or merge, or in what was exported of it."""
    if (folder / "step.json").is_file() and (state := Run.open(folder).state()) != "done":
        raise MissingError(f"the run is {state}, not done", where=str(folder), todo="Run it to its end first.")
    found = sorted([*folder.glob("output/friends/*.json"), *folder.glob("friends/*.json")])
    if len(found) != 1:
        there = f"there are several friends here: {listed(path.name for path in found)}" if found else "there is no friend in this folder"
        raise MissingError(there, where=str(folder), todo="Name a run of predict or merge, or the friend's document.")
    return found[0]


def _piece(entry: Mapping[str, Any], place: str) -> Piece:
    chunk = entry["chunk"]
    path = str(chunk["path"])
    address = path if is_remote(path) else f"{place.rpartition('/')[0]}/{path}" if is_remote(place) else placed(path, Path(place).parent)
    start, stop = int(entry["start"]), int(entry["stop"])
    if not 0 <= start < stop:
        raise ValueError("rows run backwards")
    return Piece(start, stop, address, str(chunk.get("name") or "Events"))


def _whole(value: Any) -> int | None:
    return None if value is None else int(value)


def _part(piece: Piece, names: Sequence[str], start: int, stop: int) -> Columns:
    with opened(piece.address, piece.tree) as tree:
        if tree.entries != piece.stop - piece.start:
            text = f"it should hold rows {piece.start} to {piece.stop - 1}, but has {tree.entries:,} rows"
            raise BadFile("EVT020" if tree.entries < piece.stop - piece.start else "EVT022", text, where=piece.address)
        if absent := [name for name in names if name not in tree.names]:
            raise BadFile("EVT012", f"there is no column {absent[0]!r}", where=piece.address)
        return tree.read(names, max(start - piece.start, 0), min(stop, piece.stop) - piece.start)
