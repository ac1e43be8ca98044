"""A journal loses at most the line that a kill tore, and many attempts read as one story."""

from __future__ import annotations

import errno
import json
import os
import subprocess
import sys
import threading
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from labwright.runs import journal, patience
from labwright.runs.errors import Exit
from labwright.runs.journal import Journal, first, last, read, read_file, series
from labwright.runs.patience import Gone


def kinds(path: Path) -> list[str]:
    return [record["kind"] for record in read_file(path)]


def test_records_come_back_with_kind_and_time(tmp_path: Path) -> None:
    writer = Journal(tmp_path / "0001.jsonl")
    writer.record("metric", values={"loss": 0.5, "bad": float("nan"), "numpy": np.float32(0.25)}, step=1)
    writer.close()
    (record,) = read_file(writer.path)
    assert record["values"] == {"loss": 0.5, "bad": None, "numpy": 0.25}
    assert record["t"] > 1e9


def test_a_file_belongs_to_one_process(tmp_path: Path) -> None:
    Journal(tmp_path / "0001.jsonl").close()
    with pytest.raises(FileExistsError):
        Journal(tmp_path / "0001.jsonl")


def test_a_kill_within_a_line_costs_that_line(tmp_path: Path) -> None:
    code = (
        "import sys; from pathlib import Path; from labwright.runs.journal import Journal\n"
        "journal = Journal(Path(sys.argv[1]))\nfor kind in 'abc': journal.record(kind)"
    )
    path = tmp_path / "0001.jsonl"
    outcome = subprocess.run([sys.executable, "-c", code, str(path)], env={"LABWRIGHT_FAULT": "journal:mid-line@3"}, check=False)
    assert outcome.returncode == -9
    assert not path.read_bytes().endswith(b"\n")
    assert kinds(path) == ["a", "b"]
    record = last(path)
    assert record is not None
    assert record["kind"] == "b"


@pytest.mark.parametrize(
    "line", [b"\n", b"{", b"[1]\n", b"\xff\xfe\n", b'{"t": 1}\n', b'{"kind": "a"}\n', b'{"kind": 1, "t": 1}\n', b"null\n"]
)
def test_foreign_lines_are_passed_over(tmp_path: Path, line: bytes) -> None:
    path = tmp_path / "0001.jsonl"
    path.write_bytes(b'{"t":1,"kind":"a"}\n' + line)
    assert kinds(path) == ["a"]
    assert last(path) == first(path) == {"t": 1, "kind": "a"}


@given(st.lists(st.text(max_size=30), max_size=20), st.integers(0, 40), st.integers(1, 64))
def test_the_last_record_is_the_last_of_all(tmp_path_factory: pytest.TempPathFactory, texts: list[str], torn: int, window: int) -> None:
    lines = [json.dumps({"t": number, "kind": "a", "text": text}) + "\n" for number, text in enumerate(texts)]
    path = tmp_path_factory.getbasetemp() / "0001.jsonl"
    data = "".join(lines).encode()
    path.write_bytes(data[: max(0, len(data) - torn)])
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(journal, "_TAIL_BYTES", window)
        records = list(read_file(path))
        assert last(path) == (records[-1] if records else None)
        assert first(path) == (records[0] if records else None)


def test_threads_do_not_mix_their_lines(tmp_path: Path) -> None:
    writer = Journal(tmp_path / "0001.jsonl")

    def write(name: str) -> None:
        for number in range(300):
            writer.record(name, number=number, filling="x" * 200)

    threads = [threading.Thread(target=write, args=(name,)) for name in "ab"]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    writer.close()
    records = list(read_file(writer.path))
    for name in "ab":
        assert [record["number"] for record in records if record["kind"] == name] == list(range(300))


def test_a_disk_that_fills_up_within_a_line_does_not_tear_the_next(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    writer = Journal(tmp_path / "0001.jsonl")
    writer.record("a")
    write = os.write
    monkeypatch.setattr(os, "write", lambda descriptor, data: write(descriptor, data[:10]))
    with pytest.raises(OSError, match=os.strerror(errno.ENOSPC)):
        writer.record("b")
    monkeypatch.undo()
    writer.record("c")
    writer.close()
    assert kinds(writer.path) == ["a", "c"]


def test_closing_twice_does_no_harm(tmp_path: Path) -> None:
    writer = Journal(tmp_path / "0001.jsonl")
    writer.close()
    writer.close()


def test_attempts_are_read_in_order_and_by_kind(tmp_path: Path) -> None:
    for name in ("0002-1of2-0", "0001", "0010"):
        writer = Journal(tmp_path / f"{name}.jsonl")
        writer.record("start")
        writer.record("end")
        writer.close()
    assert [record["file"] for record in read(tmp_path, "start")] == ["0001", "0002-1of2-0", "0010"]
    assert len(read(tmp_path)) == 6
    assert read(tmp_path / "absent") == []


def test_of_a_step_recorded_twice_the_newer_attempt_counts(tmp_path: Path) -> None:
    for name, steps in (("0001", {1: 1.0, 2: 2.0, 3: 3.0}), ("0002", {2: 20.0, 3: 30.0, 4: 40.0})):
        writer = Journal(tmp_path / f"{name}.jsonl")
        for step, value in steps.items():
            writer.record("metric", phase="train", part="model", step=step, values={"loss": value})
        writer.close()
    assert series(read(tmp_path)) == {("model", "train", "loss"): {1: 1.0, 2: 20.0, 3: 30.0, 4: 40.0}}


class Mount:
    """``os.write`` and ``os.open`` of a journal's file system: while it is away, a write fails after so many bytes."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.away, self.lands = False, 0
        write, open_ = os.write, os.open

        def guarded_write(descriptor: int, data: bytes) -> int:
            if not self.away:
                return write(descriptor, data)
            write(descriptor, data[: self.lands])
            raise OSError(errno.EIO, os.strerror(errno.EIO))

        def guarded_open(path: object, *rest: int) -> int:
            if self.away and str(path).endswith(".jsonl"):
                raise OSError(errno.ESTALE, os.strerror(errno.ESTALE))
            return open_(path, *rest)  # type: ignore[call-overload, no-any-return]

        monkeypatch.setattr(os, "write", guarded_write)
        monkeypatch.setattr(os, "open", guarded_open)
        monkeypatch.setattr(patience, "FIRST_PAUSE_S", 0.01)
        monkeypatch.setattr(journal, "_MEND_S", 0.02)


@pytest.mark.parametrize("lands", [0, 1, 17, 10_000])
def test_records_wait_for_a_mount_that_is_away_and_come_in_order_each_once(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, lands: int
) -> None:
    mount = Mount(monkeypatch)
    writer = Journal(tmp_path / "0001.jsonl")
    for number in range(40):
        mount.away, mount.lands = number % 10 in (3, 4, 5), lands
        writer.record("metric", number=number)
        if number % 10 == 8:
            writer.sync()
    writer.close()
    assert [record["number"] for record in read_file(writer.path)] == list(range(40))


def test_a_record_that_others_rely_on_is_waited_for(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    mount = Mount(monkeypatch)
    writer = Journal(tmp_path / "0001.jsonl")
    mount.away = True
    writer.record("finding", code="A")
    back = threading.Timer(0.2, lambda: setattr(mount, "away", False))
    back.start()
    writer.record("part", id="a")
    assert kinds(writer.path) == ["finding", "part"]
    back.join()
    writer.close()


def test_without_the_mount_such_a_record_ends_with_75(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    mount = Mount(monkeypatch)
    monkeypatch.setattr(patience, "PATIENCE_S", 0.05)
    monkeypatch.setattr(journal, "LAST_S", 0.05)
    writer = Journal(tmp_path / "0001.jsonl")
    mount.away = True
    with pytest.raises(Gone) as caught:
        writer.record("part", id="a")
    assert caught.value.code == Exit.AGAIN
    writer.close()
    mount.away = False


def test_only_so_many_records_wait(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    mount = Mount(monkeypatch)
    monkeypatch.setattr(journal, "KEPT_BYTES", 1000)
    writer = Journal(tmp_path / "0001.jsonl")
    mount.away = True
    written = 0

    def until_refused() -> None:
        nonlocal written
        for written in range(100):
            writer.record("metric", number=written)

    with pytest.raises(Gone, match="no more records can wait"):
        until_refused()
    mount.away = False
    writer.sync()
    writer.close()
    assert [record["number"] for record in read_file(writer.path)] == list(range(written)), "none but the refused one is lost"
