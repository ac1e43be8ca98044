"""``docs/how-to/run-on-a-server.md`` does what it says, block by block, on this machine."""

from __future__ import annotations

from pathlib import Path

import pytest

from labwright.launch.status import placed
from labwright.runs.run import runs_in
from labwright.testing.commands import until
from labwright.testing.tiny import tiny_sequences, tiny_study
from tests.docs.blocks import bash_blocks, run


@pytest.mark.slow
def test_the_commands_of_the_page_run(tmp_path: Path, repository: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / "state"))
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path / "config"))
    tiny_study(tmp_path, tiny_sequences(tmp_path / "data"))
    blocks = bash_blocks(repository / "docs" / "how-to" / "run-on-a-server.md")
    assert len(blocks) >= 4
    runs = tmp_path / "runs"

    def rests() -> bool:
        return not any(task.is_living for tasks in placed(runs_in(runs)).values() for task in tasks)

    for block in blocks:
        # The same study is refused a second place as long as its jobs live.
        if "--on lab" in block:
            until(rests, 240)
        run(block, tmp_path)
    until(rests, 240)
    assert {one.step: one.state() for one in runs_in(runs)} == dict.fromkeys(("pack", "check", "train", "predict", "evaluate"), "done")
    assert (tmp_path / "sites" / "lab.yaml").is_file()
