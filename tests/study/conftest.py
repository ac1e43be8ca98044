"""The toy recipe, registered, and studies written to a folder."""

from __future__ import annotations

import importlib.util
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from types import ModuleType

import pytest

from labwright.runs.errors import StudyError
from labwright.study import registry
from labwright.study.resolve import Study, resolve

HEAD = "recipe: toy\npack: {source: {kind: noise}}\n"


@pytest.fixture(scope="module")
def toy() -> Iterator[ModuleType]:
    name = "labwright_toy"
    spec = importlib.util.spec_from_file_location(name, Path(__file__).with_name("toy.py"))
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    with pytest.MonkeyPatch.context() as patch:
        patch.setitem(sys.modules, name, module)
        patch.setitem(registry.BUILT_IN, "toy", (name, "RECIPE"))
        spec.loader.exec_module(module)
        yield module


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of all studies of a test module."""
    return tmp_path_factory.mktemp("studies")


@pytest.fixture(scope="module")
def study(toy: ModuleType, folder: Path) -> Callable[..., Study]:
    """Resolve a study given as text; ``head=False``: the text is the whole file."""

    def make(text: str = "", *, sets: tuple[str, ...] = (), params: tuple[str, ...] = (), head: bool = True) -> Study:
        path = folder / "study.yaml"
        path.write_text(HEAD + text if head else text, encoding="utf-8")
        return resolve([path], sets=sets, params=params)

    return make


@pytest.fixture(scope="module")
def refusal(study: Callable[..., Study]) -> Callable[..., str]:
    """The message with which a study given as text is refused."""

    def make(text: str = "", *, sets: tuple[str, ...] = (), params: tuple[str, ...] = (), head: bool = True) -> str:
        with pytest.raises(StudyError) as caught:
            study(text, sets=sets, params=params, head=head)
        assert caught.value.code == 78
        return str(caught.value)

    return make
