"""A package that is not installed: which extra of Labwright brings it, and the line to type."""

from __future__ import annotations

import re
from importlib.metadata import PackageNotFoundError, packages_distributions, requires

from labwright.runs.errors import MissingError


def not_installed(error: ModuleNotFoundError) -> MissingError | None:
    """The error as a sentence; None where the missing module is one of Labwright's own."""
    module = (error.name or "").partition(".")[0]
    if module in ("", "labwright"):
        return None
    extras = _extras(module)
    todo = f"Type: pip install 'labwright[{extras[0]}]'" if extras else "Install it, or the package that asks for it again."
    return MissingError(f"the package {module} is not installed", todo=todo)


def _extras(module: str) -> list[str]:
    """The extras that bring a distribution of the module's name, in the order of pyproject.toml."""
    names = {_plain(name) for name in (module, *packages_distributions().get(module, ()))}
    try:
        wanted = requires("labwright") or []
    except PackageNotFoundError:
        return []
    found = []
    for line in wanted:
        name, extra = re.match(r"[\w.-]+", line), re.search(r"extra == ['\"]([\w-]+)", line)
        if name and extra and _plain(name[0]) in names:
            found.append(extra[1])
    return found


def _plain(name: str) -> str:
    return re.sub(r"[-_.]+", "-", name).lower()
