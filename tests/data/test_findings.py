"""Codes are complete, and a catalogue refuses two of one name."""

from __future__ import annotations

import re

import pytest

from labwright.data.findings import GENERIC, SAME_SEQUENCE, Finding, catalogue


def test_every_generic_code_says_why_and_what_to_do() -> None:
    assert list(GENERIC) == [f"LAB{number:03d}" for number in range(1, len(GENERIC) + 1)]
    for code in GENERIC.values():
        assert not code.title.endswith(".")
        assert re.fullmatch(r"[A-Z].*\.", code.why, re.DOTALL)
        assert re.fullmatch(r"[A-Z].*\.", code.todo, re.DOTALL)


def test_a_finding_without_text_carries_the_title() -> None:
    assert SAME_SEQUENCE.at("01") == Finding("LAB001", "warning", "01", SAME_SEQUENCE.title)
    assert SAME_SEQUENCE.at("01", "both").text == "both"


def test_a_code_is_used_once() -> None:
    with pytest.raises(ValueError, match="used twice: LAB001"):
        catalogue(*GENERIC.values(), SAME_SEQUENCE)
