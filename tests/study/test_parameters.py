from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from labwright.study.load import Node, parse, plain
from labwright.study.messages import Mistake
from labwright.study.parameters import Declared, Parameter, absolute, substitute
from labwright.study.resolve import Study

BLOCK = """
parameters:
  data: {type: path, default: ./data, help: folder with the images}
  epochs: {type: int, default: 3}
  rate: {type: float, default: 1}
  mix: {type: bool, default: no}
  mode: {type: choice, choices: [fast, exact, 16], default: 16}
  name: {type: text, default: 007}
pack: {source: {kind: folder, path: "${data}/raw"}, masks: ["${data}"]}
train:
  epochs: ${epochs}
  learning_rate: ${rate}
  mixed: ${mix}
  mode: ${mode}
  title: "${name} for $${x} at $5, ${epochs} × ${rate} in ${mode}"
"""


def values_of(study: Callable[..., Study], *params: str) -> Any:
    return study("recipe: toy" + BLOCK, params=params, head=False)


def test_a_whole_scalar_keeps_its_type_and_a_text_takes_it_in(study: Callable[..., Study], folder: Path) -> None:
    found = values_of(study)
    train = found.steps["train"]
    assert (train.epochs, train.learning_rate, train.mixed, train.mode) == (3, 1.0, False, "16")
    assert train.title == "007 for ${x} at $5, 3 × 1.0 in 16"
    assert found.steps["pack"].source.path == folder / "data" / "raw"
    assert found.steps["pack"].masks == (folder / "data",)
    assert found.parameters["data"] == folder / "data"


def test_the_command_line_gives_values(study: Callable[..., Study], tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    found = values_of(study, "data=here", "epochs=5", "mix=yes", "mode=exact", "name=a=b", "rate=1e-2")
    train = found.steps["train"]
    assert (train.epochs, train.learning_rate, train.mixed, train.mode) == (5, 0.01, True, "exact")
    assert train.title.startswith("a=b for")
    assert found.steps["pack"].masks == (tmp_path / "here",)
    assert found.origins["train.epochs"] == "--param epochs"
    assert values_of(study).origins["train.epochs"] == "study.yaml:11"


@pytest.mark.parametrize(
    ("param", "expected"),
    [
        ("epochs=many", "epochs: 'many' does not fit; expected whole number"),
        ("epochs=1.5", "epochs: '1.5' does not fit; expected whole number"),
        ("rate=inf", "rate: 'inf' does not fit; expected number"),
        ("mix=maybe", "mix: 'maybe' does not fit; expected true or false"),
        ("mode=exakt", "mode: 'exakt' does not fit; expected one of fast, exact, 16; did you mean 'exact'?"),
        ("data=", "data: '' does not fit; expected path (folder with the images)"),
        ("epcohs=2", "epcohs: the study has no such parameter; did you mean 'epochs'?"),
        ("zzz=2", "zzz: the study has no such parameter; it has data, epochs, rate, mix, mode and name"),
        ("epochs", "'epochs' is not of the form NAME=VALUE"),
    ],
)
def test_a_value_that_does_not_fit(refusal: Callable[..., str], param: str, expected: str) -> None:
    assert refusal("recipe: toy" + BLOCK, params=(param,), head=False) == f"--param: {expected}"


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        (
            "train: {title: '${nam}'}\nparameters: {name: {type: text, default: x}}\nrun: {name: '${name}'}",
            "study.yaml:3: train.title: there is no parameter 'nam'; declared are name; did you mean 'name'?",
        ),
        ("train: {epochs: '${n}'}", "study.yaml:3: train.epochs: there is no parameter 'n'; none is declared under 'parameters:'"),
        (
            "train: {epochs: '${n}'}\nparameters: {n: {type: int, help: how long}}",
            "study.yaml:3: train.epochs: the parameter 'n' has no value; give it with --param n=… (how long)",
        ),
        (
            "parameters: {n: {type: int, default: 1}}",
            "study.yaml:3: parameters.n: is declared but '${n}' stands nowhere in the study",
        ),
        (
            "train: {title: 'a ${b}'}\nparameters: {b: {type: bool, default: true}}",
            "study.yaml:3: train.title: the parameter 'b' is true or false and cannot stand inside a text",
        ),
        (
            "train: {title: '${a.b}'}",
            "study.yaml:3: train.title: '${a.b}' is not a parameter; write ${name}, or $${ for the characters themselves",
        ),
        ("train: {title: 'x ${a'}", "study.yaml:3: train.title: '${a' is not a parameter"),
        (
            "train: {epochs: '${n}'}\nparameters: {n: {type: int, default: x}}",
            "parameters.n.default: 'x' does not fit; expected whole number",
        ),
        ("train: {title: '${n}'}\nparameters: {n: {type: txt}}", "parameters.n.type: does not fit; expected one of text, int, float, bool"),
        ("train: {title: '${n}'}\nparameters: {n: {type: text, defualt: 1}}", "no such key; expected one of type, default, help, choices"),
        ("train: {title: '${n}'}\nparameters: {n: 5}", "parameters.n: has to be a section such as '{type: text"),
        ("train: {title: '${n}'}\nparameters: {n: {type: choice}}", "parameters.n: needs its 'choices'"),
        ("train: {title: '${n}'}\nparameters: {n: {type: int, choices: [1]}}", "has 'choices' but is of type int; write type: choice"),
        ("train: {title: '${n}'}\nparameters: {n: {type: text, default: '${m}'}}", "a default cannot refer to another parameter"),
        (
            "train: {title: '${n}'}\nparameters: {n: {type: text, default: [1]}}",
            "parameters.n.default: does not fit; expected a single value",
        ),
        ("parameters: {a-b: {type: text}}", "a parameter's name is made of letters, digits and _"),
        ("parameters: [a]", "parameters: has to be a section"),
        ("train: {costs: {'${x}': 1}}", "the name '${x}' cannot hold a parameter; values can"),
    ],
)
def test_what_can_be_wrong_with_parameters(refusal: Callable[..., str], text: str, expected: str) -> None:
    assert expected in refusal(text)


def test_a_parameter_at_fault_leads_to_no_further_mistake(refusal: Callable[..., str]) -> None:
    text = "parameters: {n: {type: int, default: x}}\ntrain: {epochs: '${n}', stop: {joules: '${n}'}, weights: ['${n}', 1]}"
    assert "mistakes" not in refusal(text)


def test_an_overridden_use_needs_no_value(study: Callable[..., Study]) -> None:
    text = "parameters: {n: {type: int}}\ntrain: {epochs: '${n}'}"
    assert study(text, sets=("train.epochs=4",)).steps["train"].epochs == 4


anything = st.one_of(
    st.text(max_size=12),
    st.integers(),
    st.floats(allow_nan=False),
    st.booleans(),
    st.sampled_from(["[a]", "{a: 1}", "a: b\nc: d", "${p}", "*x"]),
)
templates = st.recursive(
    st.sampled_from(["${p}", "x ${p} y", "${p}${p}", "$$", "$${p}", "plain", "$"]) | st.integers(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from("abc"), inner, max_size=3),
    max_leaves=8,
)


def shape(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: shape(item) for key, item in value.items()}
    return [shape(item) for item in value] if isinstance(value, list) else "scalar"


@given(templates, anything)
def test_no_value_changes_the_structure(template: Any, value: Any) -> None:
    def nodes(item: Any) -> Node:
        if isinstance(item, dict):
            return Node({key: nodes(inner) for key, inner in item.items()}, "study.yaml:1")
        return Node([nodes(inner) for inner in item] if isinstance(item, list) else item, "study.yaml:1", str(item))

    mistakes: list[Mistake] = []
    filled = substitute(nodes(template), Declared({"p": Parameter(type="text")}, {"p": value}), mistakes)
    assert not mistakes
    assert shape(plain(filled)) == shape(template)


@given(st.text(st.characters(exclude_categories=["Cs", "Cc"]), max_size=20))
def test_doubled_dollars_are_dollars(text: str) -> None:
    node = parse("a: ''", "study.yaml", [])
    assert node is not None
    escaped = Node({"a": Node(text.replace("$", "$$"), "study.yaml:1")}, "study.yaml:1")
    assert plain(substitute(escaped, Declared({}, {}), [])) == {"a": text}


def test_home_is_the_home_folder(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HOME", "/somewhere")
    assert absolute("~/data", Path("/study")) == Path("/somewhere/data")
    assert absolute("../data", Path("/study/a")) == Path("/study/data")
