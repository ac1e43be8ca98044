"""``labwright.open(path)``: a run or a pack for a notebook, with figures, curves as a table, and arrays."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

from labwright.runs.errors import MissingError
from labwright.runs.run import Run

if TYPE_CHECKING:
    import pyarrow as pa

    from labwright.data.packs import Pack


class OpenRun(Run):
    """A run with what a notebook wants: ``figures()``, ``table()`` of its curves, ``pack()`` and ``_repr_html_``."""

    def table(self) -> pa.Table:
        """All metric series as one table: part, phase, name, step, value."""
        import pyarrow as pa

        rows = [
            {"part": part, "phase": phase, "name": name, "step": step, "value": value}
            for (part, phase, name), curve in self.curves().items()
            for step, value in curve.items()
        ]
        kinds = [("part", pa.string()), ("phase", pa.string()), ("name", pa.string()), ("step", pa.int64()), ("value", pa.float64())]
        return pa.Table.from_pylist(rows, schema=pa.schema(kinds))

    def pack(self) -> Pack:
        """The pack that a pack run made."""
        return _pack_in(self.output())

    def _repr_html_(self) -> str:
        import html

        cells = "".join(
            f"<tr><td>{html.escape(name)}</td><td>{html.escape(str(value))}</td></tr>" for name, value in self.figures().items()
        )
        return f"<b>{html.escape(self.name)}</b> ({self.state()})<table>{cells}</table>"


def open(path: str | Path) -> Any:
    """Open a run folder or a pack.

    Returns:
        An ``OpenRun`` for a run folder, a ``Pack`` for the folder of a pack.

    Raises:
        MissingError: the path is neither.
    """
    folder = Path(path)
    if (folder / "step.json").is_file():
        return OpenRun.open(folder)
    if (folder / "zarr.json").is_file() and (folder / "manifest.json").is_file():
        return _pack_in(folder)
    raise MissingError(
        "this is neither a run folder nor a pack", where=str(folder), todo="Name a folder with a step.json, or a pack with a manifest.json."
    )


def _pack_in(folder: Path) -> Pack:
    from labwright.data.packs import Pack

    inner = sorted(folder.glob("*.zarr/manifest.json"))
    return Pack.open(inner[0].parent if inner else folder)
