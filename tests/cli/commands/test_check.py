"""``check``: findings with what to do, worst first, and 65 where one is an error."""

from __future__ import annotations

from pathlib import Path


def test_findings_are_listed_with_what_to_do(labwright, study: Path) -> None:
    (study.parent / "data" / "d.txt").write_text("-3")
    labwright("list", "recipes")  # so that its codes are known
    said = labwright("check", "study.yaml", "--quiet")
    assert said.code == 65
    lines = said.out.splitlines()
    assert lines[2].split()[:4] == ["TOY001", "error", "number", "3"]
    assert lines[3].split()[:2] == ["TOY002", "note"]
    assert lines[2].endswith("number too small: -3.0 is too small")
    assert "TOY001: Measure again." in lines
    assert lines[-1] == "1 error, 0 warnings, 1 note"
    told = labwright("check", "study.yaml", "--json")
    assert told.code == told.json["code"] == 65
    assert told.json["findings"][0] == {
        "code": "TOY001",
        "severity": "error",
        "place": "number 3",
        "text": "-3.0 is too small",
        "todo": "Measure again.",
    }
    # And a training does not start on it.
    refused = labwright("train", "study.yaml", "--quiet")
    assert refused.code == 65
    assert "TOY001" in refused.err


def test_good_data_pass(labwright, study: Path) -> None:
    said = labwright("check", "study.yaml", "--quiet")
    assert said.code == 0
    assert said.out == "0 errors, 0 warnings, 0 notes\n"


def test_a_missing_source_is_66(labwright, study: Path) -> None:
    said = labwright("check", "study.yaml", "--param", "data=absent", "--json")
    assert said.code == said.json["code"] == 66
