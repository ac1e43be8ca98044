"""What the check steps share."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.events.studies import codes, conducted, two


def test_what_an_earlier_run_has_said_counts_and_is_not_said_again(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = two(tmp_path, background={"jets": 14})
    (known,) = [one for one in codes(conducted(path)) if one[0] == "EVT019"]
    assert capsys.readouterr().out.count("EVT019 background.root") == 1
    assert known in codes(conducted(path, step="check"))
    said = capsys.readouterr().out
    assert "EVT019 background.root" not in said
    assert "EVT038 year" in said, "its own are said"
