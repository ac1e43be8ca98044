from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from labwright.study import registry
from labwright.study.fields import marks
from labwright.study.fingerprint import effective, fingerprint
from labwright.study.options import Options, option
from labwright.study.resolve import Study
from labwright.study.step import RawFile
from labwright.testing.recipes import without_effect

# The built-in recipes' options without effect are pinned in tests/test_recipes.py.
TOY = ["pack.masks", "pack.source.path", "train.workers"]
EVERY_RUN = ["run.folder", "run.name", "run.on.kind", "run.on.resources", "run.on.threads", "run.on.workers", "run.tags"]
FILES = (RawFile(Path("/raw/b.tif"), "b.tif", 10), RawFile(Path("/raw/a.tif"), "a.tif", 20))


def mark(toy: ModuleType, *, version: int = 2, seed: int = 0, inputs: Any = None, files: Any = FILES, **options: Any) -> str:
    step = toy.RECIPE.step("train")
    step = type(step)(step.name, version, step.options, step.module, step.doc)
    return fingerprint(step, toy.TrainOptions(**options), seed, inputs or {"pack": "ab", "more": "cd"}, files)


def test_options_without_effect_are_these(toy: ModuleType) -> None:
    # Taking an option out of fingerprints, or putting one in, changes what counts as the same run: it is done here knowingly.
    assert without_effect(registry.recipe(toy.RECIPE.name)) == sorted([*TOY, *EVERY_RUN])


def test_a_fingerprint_is_the_same_everywhere_and_always(toy: ModuleType) -> None:
    assert mark(toy) == "78107536509a36d2c40476a8473f31a485dc4cdb6a6a7577ec065dada99cfe65"


def test_order_and_place_do_not_count(toy: ModuleType) -> None:
    moved = tuple(RawFile(Path("/elsewhere") / file.name, file.name, file.size) for file in reversed(FILES))
    assert mark(toy, files=moved) == mark(toy)
    assert mark(toy, inputs={"more": "cd", "pack": "ab"}) == mark(toy)
    assert mark(toy, workers=9) == mark(toy)
    assert mark(toy, costs={"a": 1, "b": 2}) == mark(toy, costs={"b": 2, "a": 1})


def test_the_order_of_a_mapping_counts_where_it_is_marked(toy: ModuleType) -> None:
    class Ordered(Options):
        """Classes in the order of outputs."""

        classes: dict[str, int] = option(ordered=True)
        """Outputs."""

    step = toy.RECIPE.step("train")
    first, second = (fingerprint(step, Ordered(classes=classes), 0, {}, ()) for classes in ({"a": 1, "b": 2}, {"b": 2, "a": 1}))
    assert first != second


@pytest.mark.parametrize(
    "change",
    [
        {"epochs": 11},
        {"learning_rate": 0.002},
        {"schedule": {"kind": "cosine", "warmup_steps": 6}},
        {"schedule": {"kind": "step"}},
        {"note": ""},
        {"note": "null"},
        {"checkpoint": 400},
        {"checkpoint": "400"},
        {"costs": {"a": 1}},
        {"widths": (16, 8)},
        {"version": 3},
        {"seed": 1},
        {"inputs": {"pack": "ab", "more": "ce"}},
        {"inputs": {"pack": "cd", "more": "ab"}},
        {"files": FILES[:1]},
        {"files": (FILES[0], FILES[1]._replace(size=21))},
        {"files": (FILES[0], FILES[1]._replace(name="c.tif"))},
        {"files": (FILES[0], FILES[1]._replace(sha256="00"))},
    ],
)
def test_all_that_a_result_depends_on_counts(toy: ModuleType, change: dict[str, Any]) -> None:
    assert mark(toy, **change) != mark(toy)


def test_a_digest_counts_where_it_is_given(toy: ModuleType) -> None:
    one, other = ((*FILES, RawFile(Path("/w/model.safetensors"), "model.safetensors", 30, sha256)) for sha256 in ("aa", "bb"))
    assert mark(toy, files=one) != mark(toy, files=other)
    assert mark(toy, files=one) == mark(toy, files=one[::-1])


def test_a_number_counts_by_its_value(toy: ModuleType) -> None:
    assert mark(toy, learning_rate=1) == mark(toy, learning_rate=1.0) == mark(toy, learning_rate="1e0")
    # 1.0 is what the default of 1 for a number becomes, too.
    assert json.dumps(effective(toy.TrainOptions(weights=(1, 1)))["weights"]) == "[1.0, 1.0]"


def test_where_a_study_lies_does_not_count(study: Callable[..., Study], folder: Path, toy: ModuleType) -> None:
    text = "recipe: toy\npack: {source: {kind: folder, path: raw}, masks: [m]}\nrun: {folder: r, name: n, tags: [t], on: {workers: 3}}"
    first = study(text, head=False)
    (folder / "moved").mkdir(exist_ok=True)
    second = study(text.replace("raw", "moved/raw").replace("[m]", "[n]"), head=False)
    marks_of = [fingerprint(toy.RECIPE.step("pack"), one.steps["pack"], one.run.seed, {}, FILES) for one in (first, second)]
    assert marks_of[0] == marks_of[1]


@pytest.mark.parametrize(
    ("path", "counts"),
    [
        ("/a/runs/train-0123456789", "train-0123456789"),
        ("/a/runs/train-0123456789/checkpoints/1/000400", "train-0123456789/checkpoints/1/000400"),
        ("/a/pack-aaaaaaaaaa/runs/train-0123456789/output", "train-0123456789/output"),
        ("/models/vit.safetensors", "vit.safetensors"),
    ],
)
def test_weights_count_by_the_run_they_come_from(toy: ModuleType, path: str, counts: str) -> None:
    assert effective(toy.TrainOptions(checkpoint=Path(path)))["checkpoint"] == {"path": counts}


@given(st.integers(1, 10**6), st.floats(1e-9, 1e9), st.text(max_size=9))
def test_equal_options_have_one_fingerprint_and_survive_json(toy: ModuleType, epochs: int, rate: float, title: str) -> None:
    options = toy.TrainOptions(epochs=epochs, learning_rate=rate, title=title)
    again = toy.TrainOptions.model_validate(json.loads(options.model_dump_json()))
    step = toy.RECIPE.step("train")
    assert fingerprint(step, options, 0, {}, ()) == fingerprint(step, again, 0, {}, ())


def test_marks_are_read_at_every_level(toy: ModuleType) -> None:
    assert "workers" not in effective(toy.TrainOptions())
    assert set(effective(toy.PackOptions(source={"kind": "folder", "path": "/x"}))["source"]) == {"kind", "pixel_um"}
    assert marks(toy.TrainOptions.model_fields["workers"]) == {"effect": False}
