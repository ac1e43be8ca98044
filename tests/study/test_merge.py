from __future__ import annotations

from types import ModuleType

from hypothesis import given
from hypothesis import strategies as st

from labwright.study.load import Node, find, parse, plain
from labwright.study.merge import merge

trees = st.recursive(
    st.integers() | st.lists(st.integers(), max_size=2),
    lambda inner: st.dictionaries(st.sampled_from("abc"), inner, max_size=3),
    max_leaves=8,
)


def node(text: str, label: str = "study.yaml") -> Node:
    found = parse(text, label, [])
    assert found is not None
    return found


def test_mappings_are_merged_and_the_rest_is_replaced() -> None:
    first = node("a: {b: 1, c: [1, 2], d: {e: 1}}\nf: 1", "base.yaml")
    second = node("a: {c: [3], d: {g: 2}}\n\n\nh: {i: 1}", "more.yaml")
    merged = merge(first, second)
    assert plain(merged) == {"a": {"b": 1, "c": [3], "d": {"e": 1, "g": 2}}, "f": 1, "h": {"i": 1}}
    origins = {path: find(merged, path) for path in [("a", "b"), ("a", "c"), ("a", "d", "e"), ("a", "d", "g"), ("h",)]}
    assert [one.origin for one in origins.values() if one] == ["base.yaml:1", "more.yaml:1", "base.yaml:1", "more.yaml:1", "more.yaml:4"]


def _merged(first: object, second: object) -> object:
    """What merging means, on bare values."""
    if isinstance(first, dict) and isinstance(second, dict):
        return {key: _merged(first.get(key, second.get(key)), second.get(key, first.get(key))) for key in first | second}
    return second


@given(trees, trees)
def test_merging_is_recursive_replacement(first: object, second: object) -> None:
    def nodes(value: object, origin: str) -> Node:
        if isinstance(value, dict):
            return Node({key: nodes(item, origin) for key, item in value.items()}, origin)
        return Node([nodes(item, origin) for item in value] if isinstance(value, list) else value, origin)

    assert plain(merge(nodes(first, "1"), nodes(second, "2"))) == _merged(first, second)


def test_another_kind_replaces_its_section(toy: ModuleType) -> None:
    base = node("schedule: {kind: cosine, warmup_steps: 3}\nmode: fast")
    assert plain(merge(base, node("schedule: {kind: step}"), toy.TrainOptions)) == {"schedule": {"kind": "step"}, "mode": "fast"}
    same = merge(base, node("schedule: {kind: cosine}"), toy.TrainOptions)
    assert plain(same)["schedule"] == {"kind": "cosine", "warmup_steps": 3}


def test_a_kind_that_chooses_no_section_replaces_nothing(toy: ModuleType) -> None:
    merged = merge(node("{kind: folder, path: x}"), node("{kind: noise}"), toy.FolderSource)
    assert plain(merged) == {"kind": "noise", "path": "x"}


def test_null_takes_back_what_an_earlier_file_says(toy: ModuleType) -> None:
    base = node("schedule: {kind: cosine, warmup_steps: 3}\nmode: fast\nepochs: 2")
    assert plain(merge(base, node("schedule: null\nepochs: null"), toy.TrainOptions)) == {"mode": "fast"}
    assert plain(merge(base, node("schedule: {warmup_steps: null}"), toy.TrainOptions))["schedule"] == {"kind": "cosine"}
