from __future__ import annotations

from pathlib import Path
from types import ModuleType
from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from labwright.study.load import Node, parse, plain
from labwright.study.messages import Mistake
from labwright.study.validate import build, underlay

NAMES = [
    "epochs",
    "title",
    "mode",
    "checkpoint",
    "schedule",
    "kind",
    "factor",
    "stop",
    "joules",
    "widths",
    "weights",
    "costs",
    "x",
    "path",
    "source",
]
scalars = (
    st.none()
    | st.booleans()
    | st.integers(-5, 5)
    | st.floats()
    | st.sampled_from(["", "step", "cosine", "noise", "folder", "best", "yes", "5", "1e3", "${x}"])
)
anything = st.recursive(
    scalars, lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from(NAMES), inner, max_size=4), max_leaves=12
)


def node(value: Any) -> Node:
    if isinstance(value, dict):
        return Node({key: node(item) for key, item in value.items()}, "study.yaml:1")
    if isinstance(value, list):
        return Node([node(item) for item in value], "study.yaml:1")
    return Node(value, "study.yaml:1", str(value))


@given(value=st.dictionaries(st.sampled_from(NAMES), anything, max_size=6), section=st.sampled_from(["TrainOptions", "PackOptions"]))
def test_whatever_a_section_holds_it_is_options_or_mistakes(toy: ModuleType, value: dict[str, Any], section: str) -> None:
    mistakes: list[Mistake] = []
    model = getattr(toy, section)
    options = build(model, node(value), "train", Path("/study"), {}, mistakes)
    assert (options is None) == bool(mistakes)
    assert all(mistake.where == "study.yaml:1" and mistake.path.startswith("train") for mistake in mistakes)
    assert options is None or isinstance(options, model)


def test_a_section_named_in_part_lies_over_its_default(toy: ModuleType) -> None:
    said = parse("{schedule: {}, epochs: 3}", "study.yaml", [])
    assert said is not None
    laid = underlay(toy.TrainOptions, said)
    assert plain(laid) == {"schedule": {"kind": "cosine", "warmup_steps": 5}, "epochs": 3}
    assert laid.value["schedule"].value["warmup_steps"].origin == "default"


def test_paths_become_absolute_wherever_they_stand(toy: ModuleType) -> None:
    said = parse("{source: {kind: folder, path: raw}, masks: [a, ../b, /c]}", "study.yaml", [])
    assert said is not None
    options = build(toy.PackOptions, said, "pack", Path("/study"), {}, [])
    assert options is not None
    assert options.source.path == Path("/study/raw")
    assert options.masks == (Path("/study/a"), Path("/b"), Path("/c"))
