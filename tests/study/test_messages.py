from __future__ import annotations

import pickle

import pytest
from hypothesis import given
from hypothesis import strategies as st

from labwright.runs.errors import StudyError
from labwright.study.messages import Mistake, first_sentence, listed, nearest, one_of, refuse


def test_nothing_wrong_is_nothing_raised() -> None:
    refuse([], "study.yaml")


def test_mistakes_stand_in_the_order_of_their_lines_and_once() -> None:
    mistakes = [Mistake("--set", "d", "x"), Mistake("a.yaml:10", "c", "x"), Mistake("a.yaml:9", "b", "x"), Mistake("a.yaml", "a", "x")]
    with pytest.raises(StudyError) as caught:
        refuse(mistakes * 2, "a.yaml")
    assert [line.split()[1] for line in str(caught.value).splitlines()[1:]] == ["a:", "b:", "c:", "d:"]


def test_a_refusal_passes_between_processes() -> None:
    with pytest.raises(StudyError) as caught:
        refuse([Mistake("a.yaml:1", "b", "is wrong"), Mistake("a.yaml:2", "c", "is wrong")], "a.yaml")
    assert str(pickle.loads(pickle.dumps(caught.value))) == str(caught.value)  # noqa: S301 - what the pool does


def test_a_mistake_is_a_sentence() -> None:
    wrong = Mistake("a.yaml:1", "b.c", "'x' does not fit", "whole number", doc="How many. Or more.")
    assert str(wrong) == "b.c: 'x' does not fit; expected whole number (How many)"
    unknown = Mistake("a.yaml:1", "b.c", "there is no such option", nearest="b.d", meant="text: A name")
    assert str(unknown) == "b.c: there is no such option; did you mean 'b.d' (text: A name)?"


@pytest.mark.parametrize(
    ("name", "meant"),
    [("learnig_rate", "learning_rate"), ("learning-rate", "learning_rate"), ("EPOCHS", "epochs"), ("zzz", ""), ("", "")],
)
def test_the_nearest_name(name: str, meant: str) -> None:
    assert nearest(name, ["epochs", "learning_rate", "batch_size"]) == meant


@given(st.text(min_size=1), st.lists(st.text(), max_size=5))
def test_the_nearest_name_is_one_of_the_names(name: str, names: list[str]) -> None:
    assert nearest(name, names) in [*names, ""]


def test_lists_in_words() -> None:
    assert listed([]) == ""
    assert listed(["a"]) == "a"
    assert listed("abc") == "a, b and c"
    assert listed("abcd", most=2) == "a, b and 2 more"
    assert one_of("ab") == "one of a, b"
    assert one_of("a") == "the word a"


def test_the_first_sentence() -> None:
    assert first_sentence("Side of a pixel, e.g.2. Unset: from tags.") == "Side of a pixel, e.g.2"
    assert first_sentence("One.") == "One"
