"""What recipes offer, written down ahead of time, so that help and completion need to import none of them.

The shipped ``manifest.json`` holds the recipes of this package (``labwright.cli.pages`` rewrites it). Those of third
parties are written to a cache of the user's by ``labwright complete install`` and ``labwright list recipes``.
"""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from labwright import __version__

if TYPE_CHECKING:
    from pathlib import Path

    from labwright.study.step import Recipe

SHIPPED = os.path.join(os.path.dirname(__file__), "manifest.json")


def load() -> dict[str, Any]:
    """The shipped manifest, with the recipes and findings of third parties where the cache has them."""
    with open(SHIPPED, encoding="utf-8") as stream:
        manifest: dict[str, Any] = json.load(stream)
    try:
        with open(cache_path(), encoding="utf-8") as stream:
            cached = json.load(stream)
        for part in ("recipes", "findings"):
            manifest[part] = {**cached[part], **manifest[part]}
    except (OSError, ValueError, KeyError, TypeError):
        pass
    return manifest


def cache_path() -> str:
    """The user's cache for this version and this environment; another environment has other recipes."""
    home = os.environ.get("XDG_CACHE_HOME") or os.path.join(os.path.expanduser("~"), ".cache")
    environment = sys.prefix.strip(os.sep).replace(os.sep, "-")
    return os.path.join(home, "labwright", f"manifest-{__version__}-{environment[-100:]}.json")


def refresh() -> None:
    """Write the recipes of third parties to the cache; a cache that cannot be written is done without."""
    from pathlib import Path

    from labwright.runs.errors import LabwrightError
    from labwright.runs.publish import write_json
    from labwright.study.registry import recipes

    with open(SHIPPED, encoding="utf-8") as stream:
        shipped = json.load(stream)["recipes"]
    foreign = {name: recipe for name, recipe in recipes().items() if name not in shipped}
    path = Path(cache_path())
    if not foreign:
        path.unlink(missing_ok=True)
        return
    try:
        write_json(path, build(foreign), "output")
    except (LabwrightError, OSError):
        return


def build(recipes: Mapping[str, Recipe]) -> dict[str, Any]:
    """The manifest of these recipes, from their option models."""
    from labwright.data.findings import GENERIC
    from labwright.launch.findings import CATALOGUE as OF_SUBMISSIONS

    codes = {**GENERIC, **OF_SUBMISSIONS}
    for recipe in recipes.values():
        if "findings" in recipe.tools:
            codes |= recipe.tool("findings")
    return {
        "recipes": {name: _recipe(recipe) for name, recipe in sorted(recipes.items())},
        "findings": {
            name: {"severity": code.severity, "title": code.title, "why": code.why, "todo": code.todo}
            for name, code in sorted(codes.items())
        },
    }


def _recipe(recipe: Recipe) -> dict[str, Any]:
    from labwright.study.schema import models, walk

    return {
        "doc": recipe.doc,
        "extra": recipe.extra,
        "demo": bool(recipe.demo),
        "tools": sorted(recipe.tools),
        "studies": dict(recipe.studies),
        "steps": [
            {"name": step.name, "doc": step.doc, "needs": list(step.needs), "gates": list(step.gates), "trains": step.trains}
            for step in recipe.steps
        ],
        "options": [
            {
                "path": option.path,
                "type": option.type,
                "default": option.default,
                "unit": option.unit,
                "doc": option.doc,
                "choices": list(option.choices),
                "effect": option.effect,
                "required": option.required,
                "when": option.when,
            }
            for section, model in models(recipe).items()
            for option in walk(model, section, listed=True)
        ],
    }


def text(manifest: Mapping[str, Any]) -> str:
    """The manifest as it is stored: one line an entry, so that a difference reads well."""
    return json.dumps(manifest, indent=1, ensure_ascii=False, sort_keys=False) + "\n"


def shipped_recipes() -> dict[str, Recipe]:
    """The recipes of this package."""
    from labwright.study.registry import BUILT_IN, recipe

    return {name: recipe(name) for name in BUILT_IN}


def write_shipped(path: Path) -> None:
    """Rewrite the shipped manifest."""
    path.write_text(text(build(shipped_recipes())), encoding="utf-8")
