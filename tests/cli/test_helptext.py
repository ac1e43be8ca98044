"""Help names everything there is."""

from __future__ import annotations

import re

from labwright.cli.grammar import INNER
from labwright.cli.manifest import load
from labwright.cli.verbs import VERBS


def test_the_overview_names_every_verb(labwright) -> None:
    said = labwright("--help")
    assert said.code == 0
    lines = said.out.splitlines()
    for verb in VERBS:
        assert any(line.startswith(f"  {verb.name} ") for line in lines) == (verb.group != INNER)


def test_help_of_a_verb_names_every_argument(labwright) -> None:
    for verb in VERBS:
        said = labwright(verb.name, "--help")
        assert said.code == 0
        for argument in verb.arguments:
            assert (argument.name if argument.is_flag else argument.value) in said.out
    assert labwright("help", "run").out == labwright("run", "-h").out


def test_help_all_has_a_line_for_each_option_with_type_default_unit_and_explanation(labwright) -> None:
    text = labwright("help", "--all").out
    for name, recipe in load()["recipes"].items():
        for option in recipe["options"]:
            lines = [line for line in text.splitlines() if line.startswith(f"option {name} {option['path']} (")]
            (line,) = [line for line in lines if not option["when"] or re.search(rf"with {re.escape(option['when'])}[,)]", line)]
            assert option["type"] in line
            assert option["doc"] in line
            assert ("required" in line) == option["required"]
            assert f"in {option['unit']}" in line or not option["unit"]
        for step in recipe["steps"]:
            assert f"step {name} {step['name']}" in text
    for verb in VERBS:
        if verb.group != INNER:
            assert f"labwright {verb.name} — {verb.help}" in text


def test_the_filter_picks_lines_whatever_the_case(labwright) -> None:
    lines = labwright("help", "--all", "--filter", "option cells .*LEARNING_rate").out.splitlines()
    assert [line.split(" (")[0] for line in lines] == ["option cells train.learning_rate"]
