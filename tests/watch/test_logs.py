"""The log shows the last lines of the processes at work, as a terminal would in the end."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from labwright.watch.logs import LETTERS, LINES, WINDOW_BYTES, Logs, plain
from tests.watch import made


@pytest.mark.parametrize(
    ("line", "text"),
    [
        (b"plain", "plain"),
        (b"\x1b[1;31mred\x1b[0m and \x1b]8;;http://x\x07link", "red and link"),
        (b" 10%\r 20%\r 30%", " 30%"),
        (b"windows\r", "windows"),
        (b"\xff is no text", "\ufffd is no text"),
        (made.HOSTILE.encode(), made.HOSTILE),
    ],
)
def test_a_line_is_what_a_terminal_shows_in_the_end(line: bytes, text: str) -> None:
    assert plain(line) == text


def test_lines_are_shown_as_they_come(tmp_path: Path) -> None:
    (tmp_path / "journal").mkdir()
    log = tmp_path / "journal" / "0001.log"
    logs = Logs(tmp_path)
    logs.look(["0001"])
    assert (logs.shown(), logs.version) == ([], 0)
    log.write_text("one\ntwo\nhal")
    logs.look(["0001"])
    assert logs.shown() == [("0001.log", ["one", "two"])]
    before = logs.version
    logs.look(["0001"])
    assert logs.version == before
    with log.open("a") as stream:
        stream.write("f\n")
    logs.look(["0001"])
    assert logs.shown() == [("0001.log", ["one", "two", "half"])]
    assert logs.version > before


def test_of_a_long_log_only_the_end_is_kept(tmp_path: Path) -> None:
    (tmp_path / "journal").mkdir()
    log = tmp_path / "journal" / "0001.log"
    log.write_text("".join(f"line {number}\n" for number in range(100_000)))
    logs = Logs(tmp_path)
    logs.look(["0001"])
    ((_, lines),) = logs.shown()
    assert len(lines) <= LINES
    assert lines[-1] == "line 99999"
    with log.open("a") as stream:
        stream.write("x" * (20 * WINDOW_BYTES) + "\nlast\n")
    logs.look(["0001"])
    assert logs.shown()[0][1][-1] == "last"
    assert all(len(line) <= LETTERS for line in logs.shown()[0][1])


def test_each_share_and_the_newest_job_file_has_its_own(tmp_path: Path) -> None:
    (tmp_path / "journal").mkdir()
    (tmp_path / "jobs").mkdir()
    for name in ("0001-0of2-0", "0002-1of2-0"):
        (tmp_path / "journal" / f"{name}.log").write_text(f"of {name}\n")
    for number in range(4):
        path = tmp_path / "jobs" / f"slurm-{number}.out"
        path.write_text(f"job {number}\n")
        os.utime(path, (number, number))
    logs = Logs(tmp_path)
    logs.look(["0001-0of2-0", "0002-1of2-0"])
    assert [name for name, _ in logs.shown()] == ["0001-0of2-0.log", "0002-1of2-0.log", "slurm-2.out", "slurm-3.out"]
