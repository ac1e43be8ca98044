"""What can be seen under its final name is complete, whatever kills the writer and whatever the disk does."""

from __future__ import annotations

import errno
import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from labwright.runs import patience
from labwright.runs import publish as module
from labwright.runs.errors import DeniedError, Exit, FaultError, MissingError
from labwright.runs.faults import STAGES
from labwright.runs.patience import Gone
from labwright.runs.publish import TEMPORARY, manifest, publish, put, remove, sweep, verify, write_json
from labwright.testing.hostile import small_disk

OVERWRITE = """
import sys
from pathlib import Path
from labwright.runs.publish import publish
with publish(Path(sys.argv[1]), "output") as temporary:
    if sys.argv[2] == "folder":
        temporary.mkdir()
        temporary = temporary / "content"
    temporary.write_text("new")
"""


def content(final: Path) -> str | None:
    path = final / "content" if final.is_dir() else final
    return path.read_text() if path.exists() else None


def temporaries(folder: Path) -> list[str]:
    return [path.name for path in folder.iterdir() if path.name.startswith(TEMPORARY)]


def killed(final: Path, kind: str, stage: str) -> None:
    outcome = subprocess.run(
        [sys.executable, "-c", OVERWRITE, str(final), kind], env={"LABWRIGHT_FAULT": f"output:{stage}"}, capture_output=True, check=False
    )
    assert outcome.returncode == -9, outcome.stderr


@pytest.mark.parametrize("kind", ["file", "folder"])
@pytest.mark.parametrize("stage", STAGES)
def test_a_kill_leaves_all_or_nothing_and_blocks_nobody(tmp_path: Path, kind: str, stage: str) -> None:
    final = tmp_path / "thing"
    killed(final, kind, stage)
    assert content(final) == ("new" if stage == "after-rename" else None)
    assert len(temporaries(tmp_path)) == (1 if stage in ("before-sync", "before-rename") else 0)
    with publish(final, "output") as temporary:
        temporary.write_text("newer") if kind == "file" else (temporary.mkdir(), (temporary / "content").write_text("newer"))
    assert content(final) == "newer"
    sweep(tmp_path)
    assert os.listdir(tmp_path) == ["thing"]


@pytest.mark.parametrize("stage", STAGES)
def test_a_killed_overwrite_leaves_the_old_or_the_new(tmp_path: Path, stage: str) -> None:
    final = tmp_path / "thing"
    final.write_text("old")
    killed(final, "file", stage)
    assert content(final) == ("new" if stage == "after-rename" else "old")


def test_only_what_the_dead_of_this_host_left_is_swept(tmp_path: Path) -> None:
    deep = tmp_path / "output" / "images"
    deep.mkdir(parents=True)
    dead = subprocess.Popen(["true"])
    dead.wait()
    here = module._HERE
    mine, theirs, foreign = (
        f"{TEMPORARY}{here}-{dead.pid}-0-a",
        f"{TEMPORARY}{here}-{os.getpid()}-0-a",
        f"{TEMPORARY}0000dead-{dead.pid}-0-a",
    )
    for name in (mine, theirs, foreign):
        (deep / name).write_text("half")
    (tmp_path / mine).mkdir()
    sweep(tmp_path)
    assert sorted(os.listdir(deep)) == sorted([theirs, foreign])
    assert os.listdir(tmp_path) == ["output"]


def test_an_error_in_the_block_leaves_nothing(tmp_path: Path) -> None:
    def write() -> None:
        with publish(tmp_path / "thing", "output") as temporary:
            temporary.write_text("half")
            raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        write()
    assert os.listdir(tmp_path) == []


@pytest.mark.parametrize(("code", "words"), [(errno.ENOSPC, "disk is full"), (errno.EDQUOT, "quota")])
@pytest.mark.parametrize("call", ["fsync", "replace"])
def test_a_disk_that_takes_no_more_is_said_in_a_sentence(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, code: int, words: str, call: str
) -> None:
    def refuse(*_: object) -> None:
        raise OSError(code, os.strerror(code))

    final = tmp_path / "thing"
    final.write_text("old")
    monkeypatch.setattr(os, call, refuse)
    with pytest.raises(FaultError, match=words) as caught:
        write_json(final, {"new": 1}, "output")
    monkeypatch.undo()
    assert "--runs" in caught.value.todo
    assert str(final) in str(caught.value)
    assert caught.value.code == Exit.FAULT
    assert os.listdir(tmp_path) == ["thing"]
    assert final.read_text() == "old"


@pytest.mark.parametrize(("code", "words"), [(errno.EROFS, "the file system is read-only"), (errno.EACCES, "permission denied")])
def test_a_place_that_may_not_be_written_is_named_and_is_the_users_to_change(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, code: int, words: str
) -> None:
    def refuse(path: Path, *_: object, **__: object) -> None:
        raise OSError(code, os.strerror(code), str(path))

    monkeypatch.setattr(os, "open", refuse)
    with pytest.raises(DeniedError) as caught, publish(tmp_path / "thing", "output") as temporary:
        os.open(temporary / "inner", os.O_WRONLY)
    assert str(caught.value).startswith(f"{tmp_path / 'thing' / 'inner'}: {words}. ")
    assert "--runs" in caught.value.todo
    assert caught.value.code == Exit.MISSING


def test_a_disk_that_is_really_full(tmp_path: Path) -> None:
    words = small_disk(tmp_path / "small")
    if words is None:
        pytest.skip("this machine lets nobody mount in a namespace of one's own")
    thing = tmp_path / "small" / "thing"
    code = (
        f"from pathlib import Path; from labwright.runs.publish import write_json; write_json(Path({str(thing)!r}), 'x' * 10**6, 'output')"
    )
    outcome = subprocess.run([*words, sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert "FaultError" in outcome.stderr
    assert "the disk is full" in outcome.stderr


def test_a_denied_input_is_not_taken_for_a_denied_output(tmp_path: Path) -> None:
    with pytest.raises(DeniedError, match="permission denied") as caught, publish(tmp_path / "thing", "output"):
        raise PermissionError(errno.EACCES, "Permission denied", "/data/t000.tif")
    assert caught.value.where == "/data/t000.tif"


def test_a_file_where_a_folder_has_to_be(tmp_path: Path) -> None:
    (tmp_path / "runs").write_text("")
    with pytest.raises(MissingError, match="a file stands where a folder has to be"):
        write_json(tmp_path / "runs" / "pack-1" / "step.json", {}, "step")


@pytest.mark.parametrize(("place", "told"), [("runs", "a file stands where"), ("/proc/nowhere", "no folder can be made there")])
def test_a_folder_that_cannot_be_made_is_told(tmp_path: Path, place: str, told: str) -> None:
    (tmp_path / "runs").write_text("")
    with pytest.raises(MissingError, match=f"{place}: {told}"):
        write_json(tmp_path / place / "thing.json", {}, "output")


def test_json_is_written_as_given_and_without_nan(tmp_path: Path) -> None:
    write_json(tmp_path / "thing.json", {"b": float("nan"), "a": "µm"}, "output")
    text = (tmp_path / "thing.json").read_text(encoding="utf-8")
    assert list(json.loads(text).items()) == [("b", None), ("a", "µm")]
    assert "µm" in text


def test_the_manifest_finds_what_changed(tmp_path: Path) -> None:
    folder = tmp_path / "output"
    (folder / "a").mkdir(parents=True)
    for name in ("a/one", "a/two", "a/three", "four.tmp-kept"):
        (folder / name).write_bytes(b"12345")
    (folder / f"{TEMPORARY}x-1-0-five").write_bytes(b"half")
    listed = manifest(folder)
    assert list(listed) == ["a/one", "a/three", "a/two", "four.tmp-kept"]
    checked = subprocess.run(["sha256sum", str(folder / "a/one")], capture_output=True, text=True, check=True).stdout.split()[0]
    assert listed["a/one"] == {"size": 5, "sha256": checked}
    assert verify(folder, listed, checksums=True) == []
    (folder / "a/one").write_bytes(b"12346")
    (folder / "a/two").write_bytes(b"123")
    (folder / "a/three").unlink()
    assert verify(folder, listed, checksums=False) == ["a/three is missing", "a/two has 3 bytes, not 5"]
    assert verify(folder, listed, checksums=True) == ["a/one differs from its checksum", "a/three is missing", "a/two has 3 bytes, not 5"]


def failing(monkeypatch: pytest.MonkeyPatch, name: str, *numbers: int, first: bool = False) -> None:
    """Let a function of ``os`` fail with these errors, one a call; with ``first`` it does its work before."""
    right, errors = getattr(os, name), iter(numbers)

    def function(*arguments: Any, **options: Any) -> Any:
        for number in errors:
            if first:
                right(*arguments, **options)
            raise OSError(number, os.strerror(number))
        return right(*arguments, **options)

    monkeypatch.setattr(os, name, function)
    monkeypatch.setattr(patience, "FIRST_PAUSE_S", 0.01)


@pytest.mark.parametrize("name", ["mkdir", "open", "fsync", "replace"])
def test_what_a_mount_interrupts_is_published_when_it_is_back(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str) -> None:
    made = []
    failing(monkeypatch, name, errno.EIO, errno.ESTALE)

    def write(path: Path) -> None:
        made.append(path)
        path.write_text("whole")

    put(tmp_path / "folder" / "a.txt", "output", write)
    assert (tmp_path / "folder" / "a.txt").read_text() == "whole"
    assert [path.name for path in tmp_path.rglob("*")] == ["folder", "a.txt"], "no temporary stays"
    # What an fsync said to be lost is written anew; a name is just given again.
    assert len(set(made)) == (3 if name in ("open", "fsync") else 1)


@pytest.mark.parametrize("folder", [False, True])
def test_a_rename_of_which_only_the_answer_was_lost_is_done(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, folder: bool) -> None:
    def write(path: Path) -> None:
        if folder:
            path.mkdir()
            path = path / "inside"
        path.write_text("new")

    put(tmp_path / "a", "output", write)
    failing(monkeypatch, "rename" if folder else "replace", errno.ETIMEDOUT, first=True)
    put(tmp_path / "a", "output", write)
    assert ((tmp_path / "a" / "inside") if folder else (tmp_path / "a")).read_text() == "new"
    assert not list(tmp_path.glob(f"{TEMPORARY}*"))


def test_a_mount_that_stays_away_ends_with_75_and_a_full_disk_does_not(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(patience, "PATIENCE_S", 0.05)
    failing(monkeypatch, "fsync", *[errno.EIO] * 1000)
    with pytest.raises(Gone) as caught:
        put(tmp_path / "a", "output", lambda path: path.write_text("x"))
    assert caught.value.code == Exit.AGAIN
    monkeypatch.undo()
    failing(monkeypatch, "fsync", errno.ENOSPC)
    with pytest.raises(FaultError, match="the disk is full"):
        put(tmp_path / "a", "output", lambda path: path.write_text("x"))
    assert list(tmp_path.iterdir()) == []


def test_what_could_not_be_removed_goes_with_a_later_removal(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "old").write_text("x")
    failing(monkeypatch, "stat", errno.ESTALE)
    remove(tmp_path / "old")
    assert (tmp_path / "old").exists()
    put(tmp_path / "new", "output", lambda path: path.write_text("x"))
    assert [path.name for path in tmp_path.iterdir()] == ["new"]


def test_a_folder_out_of_reach_is_not_taken_for_an_empty_one(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "file").write_text("x")
    failing(monkeypatch, "scandir", errno.EIO)
    with pytest.raises(OSError, match="Input/output"):
        manifest(tmp_path)
