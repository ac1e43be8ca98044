from __future__ import annotations

from enum import Enum
from pathlib import Path
from types import ModuleType
from typing import Annotated, Any, Literal

import pytest
from annotated_types import Ge
from pydantic import Field

from labwright.study import fields


class Colour(Enum):
    RED = "red"
    BLUE = "blue"


@pytest.mark.parametrize(
    ("annotation", "metadata", "expected"),
    [
        (int, (), "whole number"),
        (int, (Ge(1),), "whole number ≥ 1"),
        (float | None, (Ge(0),), "number ≥ 0 or null"),
        (bool, (), "true or false"),
        (str | Path, (), "text or path"),
        (Literal["a", "b"], (), "one of a, b"),
        (Literal["a"] | int | None, (), "the word a, whole number, or null"),
        (Colour, (), "one of red, blue"),
        (tuple[str, ...], (), "list of texts"),
        (tuple[float, float], (), "list of 2 numbers"),
        (tuple[int, str], (), "list of 2: whole number, text"),
        (tuple[Annotated[int, Ge(2)], ...], (), "list of whole numbers ≥ 2"),
        (tuple[Annotated[int, Field(ge=2)], ...], (), "list of whole numbers ≥ 2"),
        (list[Literal["a", "b"]], (), "list of (one of a, b)"),
        (dict[str, tuple[str, ...]], (), "mapping of names to lists of texts"),
        (Any, (), "anything"),
    ],
)
def test_types_in_words(annotation: Any, metadata: tuple[Any, ...], expected: str) -> None:
    assert fields.type_words(annotation, metadata) == expected


def test_sections_in_words(toy: ModuleType) -> None:
    assert fields.type_words(toy.Cosine | toy.StepDown) == "section with kind cosine or step"
    assert fields.type_words(toy.Stop | None) == "section or null"
    assert fields.type_words(tuple[toy.Stop, ...]) == "list of sections"


def test_a_pattern_is_told() -> None:
    class Model(fields.BaseModel):
        every: str = Field(pattern="^[0-9]+$")

    found = Model.model_fields["every"]
    assert fields.type_words(found.annotation, found.metadata) == "text that matches ^[0-9]+$"


def test_a_section_is_chosen_by_kind(toy: ModuleType) -> None:
    union = toy.Cosine | toy.StepDown | None
    assert fields.is_tagged(union)
    assert fields.section_for(union, "step") is toy.StepDown
    assert fields.section_for(union, "other") is None
    assert fields.section_for(toy.Stop | None, None) is toy.Stop
    assert not fields.is_tagged(toy.Stop | None)


@pytest.mark.parametrize(
    ("annotation", "anywhere", "only"),
    [
        (Path, True, True),
        (Path | None, True, True),
        (tuple[Path, ...], True, True),
        (dict[str, Path], True, True),
        (list[Path] | None, True, True),
        (Literal["best"] | Path, True, False),
        (dict[str, str], False, False),
        (int, False, False),
    ],
)
def test_paths_are_found(annotation: Any, anywhere: bool, only: bool) -> None:
    assert (fields.has_path(annotation), fields.only_path(annotation)) == (anywhere, only)
