"""However a file grows, each whole line of it comes out once."""

from __future__ import annotations

import tempfile
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from labwright.watch import tail as module
from labwright.watch.tail import Tail

pieces = st.lists(st.binary(max_size=40).map(lambda data: data.replace(b"x", b"\n")), max_size=20)


@given(pieces, st.integers(1, 16))
def test_each_line_comes_once_however_it_is_written_and_read(written: list[bytes], most: int) -> None:
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder, "journal.jsonl")
        tail, lines = Tail(path), list[bytes]()
        for piece in written:
            with path.open("ab") as stream:
                stream.write(piece)
            lines += tail.read(most)
        while tail.left() > 0:
            lines += tail.read(most)
        assert lines == b"".join(written).split(b"\n")[:-1]


def test_a_file_that_is_not_there_yet_has_no_lines(tmp_path: Path) -> None:
    tail = Tail(tmp_path / "later")
    assert tail.read() == []
    (tmp_path / "later").write_bytes(b"first\n")
    assert tail.read() == [b"first"]


def test_a_file_written_anew_is_read_from_its_beginning(tmp_path: Path) -> None:
    path = tmp_path / "log"
    path.write_bytes(b"one\ntwo\nhal")
    tail = Tail(path)
    assert tail.read() == [b"one", b"two"]
    path.write_bytes(b"new\n")
    assert tail.read() == [b"new"]


def test_what_was_read_is_not_read_again(tmp_path: Path) -> None:
    path = tmp_path / "log"
    path.write_bytes(b"line\n" * 1000)
    tail = Tail(path)
    assert len(tail.read()) == 1000
    path.write_bytes(b"else\n" * 1000 + b"more\n")
    assert tail.read() == [b"more"]
    assert tail.read() == []


def test_the_end_of_a_long_file_begins_with_a_whole_line(tmp_path: Path) -> None:
    path = tmp_path / "log"
    path.write_bytes(b"".join(b"%04d\n" % number for number in range(1000)))
    assert Tail.near_end(path, 23).read() == [b"0996", b"0997", b"0998", b"0999"]
    assert len(Tail.near_end(path, 1 << 20).read()) == 1000


def test_a_line_without_end_does_not_fill_the_memory(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "LONGEST_LINE_BYTES", 100)
    path = tmp_path / "log"
    path.write_bytes(b"a" * 1000)
    tail = Tail(path)
    lines = []
    while tail.left() > 0:
        lines += tail.read(64)
        assert len(tail._torn) <= 100 + 64
    with path.open("ab") as stream:
        stream.write(b"a\nnext\n")
    assert lines + tail.read() == [b"next"]
