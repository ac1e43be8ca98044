from __future__ import annotations

import dataclasses
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from labwright.study.expand import expand, text
from labwright.study.resolve import Study, resolve

STUDY = """\
parameters: {rate: {type: float, default: 1e-4}, n: {type: int, default: 1}}
train:
  learning_rate: ${rate}
  checkpoint: model
  costs: {"a b": 1, on: 2}
  epochs: ${n}
"""
TRAIN = """train:
  epochs: 7                                       # --param n
  learning_rate: 0.0001                           # study.yaml:5
  title: "no: $$5"                                # --set
  note: null                                      # default
  mixed: true                                     # default
  mode: fast                                      # default
  checkpoint: "{folder}/model"
  schedule:
    kind: cosine                                  # default
    warmup_steps: 5                               # default
  stop: null                                      # default
  widths: [8, 16]                                 # default
  weights: [1.0, 1.0]                             # default
  costs:
    "a b": 1.0                                    # study.yaml:7
    on: 2.0                                       # study.yaml:7
  workers: 2                                      # default
"""


def same(first: Study, second: Study) -> bool:
    """Equal in all but where values come from, and in parameters, which are put in."""
    rest: dict[str, Any] = {"path": Path(), "folder": Path(), "origins": {}, "parameters": {}}
    return dataclasses.replace(first, **rest) == dataclasses.replace(second, **rest)


def test_every_option_with_its_value_and_its_origin(study: Callable[..., Study], folder: Path) -> None:
    found = study(STUDY, sets=("train.title=no: $5",), params=("n=7",))
    rows = {path: (value, origin) for path, value, origin in expand(found)}
    assert rows["train.epochs"] == (7, "--param n")
    assert rows["train.title"] == ("no: $5", "--set")
    assert rows["train.checkpoint"] == (str(folder / "model"), "study.yaml:6")
    assert rows["train.schedule.warmup_steps"] == (5, "default")
    assert rows["train.costs.on"] == (2.0, "study.yaml:7")
    assert rows["pack.split.train"] == (["*"], "default")
    assert rows["run.on.kind"] == ("local", "default")
    assert json.loads(json.dumps(rows, allow_nan=False))


def test_the_text_says_the_same(study: Callable[..., Study], folder: Path) -> None:
    expanded = text(study(STUDY, sets=("train.title=no: $5",), params=("n=7",)))
    block = expanded[expanded.index("train:\n") : expanded.index("\nrun:")]
    lines = [line.partition("#")[0].rstrip() if "/model" in line else line for line in block.splitlines()]
    assert "\n".join(lines) + "\n" == TRAIN.replace("{folder}", str(folder))
    assert expanded.startswith("recipe: toy\n# parameter rate = 0.0001\n# parameter n = 7\n")


def test_a_step_taken_from_elsewhere_stays_taken(study: Callable[..., Study], folder: Path) -> None:
    found = study("recipe: toy\npack: {from: ../x}", head=False)
    assert ("pack.from", str(folder.parent / "x"), "study.yaml:2") in expand(found)
    assert same(study(text(found), head=False), found)


texts = st.text(st.characters(exclude_categories=["Cs"]), max_size=12)
trains = st.fixed_dictionaries(
    {},
    optional={
        "epochs": st.integers(1, 10**9),
        "learning_rate": st.floats(1e-300, 1e300),
        "title": texts | st.sampled_from(["no", "null", "1e3", "", "#", "$$", "${x}", "-", "a: b", "<<", "\x85", "\u2028"]),
        "note": st.none() | texts,
        "mixed": st.booleans(),
        "mode": st.sampled_from(["fast", "exact", "16"]),
        "checkpoint": st.sampled_from(["best", "400.pt", "null"]) | st.integers(0, 9),
        "schedule": st.sampled_from([{"kind": "step", "factor": 0.5}, {"kind": "cosine"}, {"warmup_steps": 3}]),
        "stop": st.none() | st.fixed_dictionaries({"joules": st.floats(1e-3, 1e9)}),
        "widths": st.lists(st.integers(), min_size=1, max_size=4),
        "costs": st.dictionaries(texts.filter(lambda key: "${" not in key), st.floats(allow_nan=False, allow_infinity=False), max_size=3),
    },
)


def written(value: Any) -> str:
    """The value as YAML, every letter of a text by its number, so that nothing has a meaning but its own."""
    if isinstance(value, dict):
        return "{" + ", ".join(f"{written(key)}: {written(item)}" for key, item in value.items()) + "}"
    if isinstance(value, list):
        return "[" + ", ".join(written(item) for item in value) + "]"
    if isinstance(value, str):
        return '"' + "".join(f"\\U{ord(letter):08x}" for letter in value) + '"'
    return json.dumps(value)


def escaped(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: escaped(item) for key, item in value.items()}
    if isinstance(value, list):
        return [escaped(item) for item in value]
    return value.replace("$", "$$") if isinstance(value, str) else value


@given(train=trains, tags=st.lists(texts, max_size=3))
def test_the_expanded_study_is_the_study(study: Callable[..., Study], folder: Path, train: dict[str, Any], tags: list[str]) -> None:
    first = study(f"train: {written(escaped(train))}\nrun: {written(escaped({'tags': tags}))}\n")
    options: Any = first.steps["train"]
    for name in ("epochs", "learning_rate", "title", "note", "mixed", "mode"):
        assert name not in train or getattr(options, name) == train[name]
    assert list(first.run.tags) == tags
    path = folder / "expanded.yaml"
    path.write_text(text(first), encoding="utf-8")
    assert same(resolve([path]), first)
