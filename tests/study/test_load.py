from __future__ import annotations

import json
import math
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from labwright.runs.errors import MissingError, StudyError
from labwright.study.load import MOST_BYTES, find, load, parse, plain
from labwright.study.messages import Mistake

printable = st.text(st.characters(min_codepoint=32, max_codepoint=126) | st.sampled_from("äßµ漢😀\t\n"), max_size=20)
json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | printable,
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(printable, inner, max_size=4),
    max_leaves=20,
)


def read(text: str) -> Any:
    mistakes: list[Mistake] = []
    node = parse(text, "study.yaml", mistakes)
    assert not mistakes, mistakes
    assert node is not None
    return plain(node)


def mistake(text: str) -> str:
    mistakes: list[Mistake] = []
    parse(text, "study.yaml", mistakes)
    (only,) = mistakes
    return f"{only.where}: {only}"


def refusal(text: str) -> str:
    with pytest.raises(StudyError) as caught:
        parse(text, "study.yaml", [])
    return str(caught.value)


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("1e-3", 0.001),
        ("1E5", 1e5),
        (".5", 0.5),
        ("-2.", -2.0),
        ("1.0e-3", 0.001),
        ("0x1F", 31),
        ("0o17", 15),
        ("-7", -7),
        ("true", True),
        ("False", False),
        ("null", None),
        ("~", None),
        ("-.inf", -math.inf),
        # YAML 1.1 would make these true, false, 1, octal 7, 45000 seconds and a date.
        ("on", "on"),
        ("yes", "yes"),
        ("no", "no"),
        ("n", "n"),
        ("01", "01"),
        ("007", "007"),
        ("12:30:00", "12:30:00"),
        ("2024-01-01", "2024-01-01"),
        ("1_000", "1_000"),
        ("'5'", "5"),
        ('"true"', "true"),
        ("9" * 500, "9" * 500),
    ],
)
def test_scalars_follow_yaml_1_2(text: str, value: object) -> None:
    found = read(f"a: {text}")["a"]
    assert found == value
    assert type(found) is type(value)


def test_names_are_texts() -> None:
    assert read("{on: 1, no: 2, 01: 3, true: 4, null: 5}") == {"on": 1, "no": 2, "01": 3, "true": 4, "null": 5}


@given(json_values)
def test_json_is_read_as_json_reads_it(value: Any) -> None:
    text = json.dumps({"value": value}, ensure_ascii=False)
    assert read(text) == json.loads(text)


def test_each_value_knows_its_line_and_its_text() -> None:
    node = parse("a:\n  b: 1e-3\n  c:\n    - x\n    - 007\n", "study.yaml", [])
    assert node is not None
    b, seven = find(node, ("a", "b")), find(node, ("a", "c", 1))
    assert b is not None
    assert (b.origin, b.text) == ("study.yaml:2", "1e-3")
    assert seven is not None
    assert (seven.origin, seven.text) == ("study.yaml:5", "007")
    assert find(node, ("a", "x")) is None


def test_a_name_twice_names_both_lines() -> None:
    assert mistake("a:\n  b: 1\n  c: 2\n  b: 3\n") == "study.yaml:4: 'b' stands twice in one section, on line 2 and on line 4; keep one"


@pytest.mark.parametrize("tag", ["!!python/object/apply:os.system [ls]", "!!python/name:os.system {}", "!mine x", "!!str 5", "! x"])
def test_tags_are_refused(tag: str) -> None:
    assert mistake(f"a: {tag}").endswith("is refused; a study holds plain values only")


def test_anchors_stand_for_what_they_name() -> None:
    assert read("a: &x {b: [1, 2]}\nc: *x\nd: [*x, *x]") == {"a": {"b": [1, 2]}, "c": {"b": [1, 2]}, "d": [{"b": [1, 2]}] * 2}


def test_anchors_cannot_explode() -> None:
    lines = ["a0: &a0 [x, x, x, x, x, x, x, x, x, x]"]
    lines += [f"a{level}: &a{level} [{', '.join([f'*a{level - 1}'] * 10)}]" for level in range(1, 12)]
    assert "holds more than 20000 values once its anchors are expanded" in refusal("\n".join(lines))


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("a: &x [*x]", "study.yaml:1: no anchor 'x' is complete above"),
        ("a: *nowhere", "study.yaml:1: no anchor 'nowhere' is complete above"),
        ("a:\n\tb: 1", "study.yaml:2: a tab indents or parts this line"),
        ("a: b: c", "study.yaml:1: a second ': ' stands on this line"),
        ("a: 1\n  b: 2", "study.yaml:2: "),
        ("a: 'x", "study.yaml:1: a quote is not closed"),
        ("a: [1, 2", "study.yaml:1: a bracket is not closed"),
        ("a: 1\n---\nb: 2", "study.yaml:2: a second document begins here"),
        ("a: \x07", "study.yaml: there is a control character in the text"),
        ('a: "\\ud800"', "study.yaml:1: half a character"),
        ("a: {b: ${x}}", "a ${name} has to stand in quotes"),
        ("[" * 5000, "nested more than 40 levels deep"),
        ("a: " + "{a: " * 60, "nested more than 40 levels deep"),
    ],
)
def test_what_cannot_be_read_is_said_with_its_line(text: str, expected: str) -> None:
    assert expected in refusal(text)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("? [a, b]\n: 1", "a name has to be a plain text"),
        ("base: &b {x: 1}\nc: {<<: *b}", "merge keys ('<<') are refused"),
        ("&k a: 1", "cannot have a tag or an anchor"),
    ],
)
def test_names_that_are_no_plain_texts(text: str, expected: str) -> None:
    assert expected in mistake(text)


@pytest.mark.parametrize(
    ("raw", "expected"),
    [
        (b"", "bad.yaml: the file is empty. Begin with"),
        (b"# only a comment\n", "the file is empty"),
        (b"---\n", "the file is empty"),
        (b"- a\n- b\n", "bad.yaml:1: the file is not a mapping"),
        (b"hello", "the file is not a mapping"),
        (b"a: 1\nb: \xff\n", "bad.yaml:2: the file is not UTF-8 text. Save it as UTF-8."),
        (b"#" * (MOST_BYTES + 1), "larger than 256 KiB"),
    ],
)
def test_files_that_are_no_study(tmp_path: Path, raw: bytes, expected: str) -> None:
    path = tmp_path / "bad.yaml"
    path.write_bytes(raw)
    with pytest.raises(StudyError) as caught:
        load(path, "bad.yaml", [])
    assert expected in str(caught.value)


def test_a_byte_order_mark_is_no_part_of_the_first_name(tmp_path: Path) -> None:
    path = tmp_path / "study.yaml"
    path.write_bytes(b"\xef\xbb\xbfa: 1\r\nb: 2\r\n")
    assert plain(load(path, "study.yaml", [])) == {"a": 1, "b": 2}


def test_a_study_that_is_absent_is_missing_input_and_the_nearest_is_named(tmp_path: Path) -> None:
    (tmp_path / "study.yaml").write_text("recipe: toy")
    with pytest.raises(MissingError) as caught:
        load(tmp_path / "stduy.yaml", "stduy.yaml", [])
    assert caught.value.code == 66
    assert f"Did you mean '{tmp_path / 'study.yaml'}'?" in str(caught.value)
