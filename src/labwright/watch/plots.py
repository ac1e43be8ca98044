"""Where the plotting library lies, without importing the package around it."""

from __future__ import annotations

from importlib.util import find_spec
from pathlib import Path

from labwright.runs.errors import MissingError


def plotly_file() -> Path:
    """``plotly.min.js`` of the installed plotly.

    Raises:
        MissingError: plotly is not installed, or comes without it.
    """
    spec = find_spec("plotly")
    if spec is None or spec.origin is None:
        raise MissingError("plots need plotly", todo="Install it with: pip install 'labwright[report]'.")
    path = Path(spec.origin).parent / "package_data" / "plotly.min.js"
    if not path.is_file():
        raise MissingError("this plotly comes without its library for pages", where=str(path), todo="Reinstall plotly.")
    return path
