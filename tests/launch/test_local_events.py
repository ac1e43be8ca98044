"""What is told of a submission's tasks is read back as it was told, by whoever reads it and whenever."""

from __future__ import annotations

import os
import threading
from pathlib import Path

import psutil

from labwright.launch.launcher import CANCELLED, DONE, ENDING, QUEUED, RUNNING
from labwright.launch.local_events import FILE, Process, Reader, Standing, started, tell, told


def test_a_task_as_its_events_tell(tmp_path: Path) -> None:
    assert told(tmp_path).task("fit/0") == Standing(QUEUED)
    tell(tmp_path, "queue", pid=7, started=1.5, host="here")
    tell(tmp_path, "wait", ["fit/0"], why="waits for pack/0")
    assert told(tmp_path).task("fit/0") == Standing(QUEUED, "waits for pack/0")
    tell(tmp_path, "begin", ["fit/0"], pid=8, started=2.5, gpus=["GPU-a"])
    assert told(tmp_path).task("fit/0") == Standing(RUNNING, "", 1, Process(8, 2.5), ("GPU-a",))
    tell(tmp_path, "cancel", ["fit/0", "sum/0"])
    assert (told(tmp_path).task("fit/0").state, told(tmp_path).task("sum/0").state) == (ENDING, QUEUED)
    tell(tmp_path, "end", ["fit/0"], code=75, state=CANCELLED, why="")
    tell(tmp_path, "never", ["sum/0"], why="fit/0 did not end well")
    now = told(tmp_path)
    assert (now.task("fit/0").state, now.task("sum/0").state, now.task("sum/0").why) == (CANCELLED, CANCELLED, "fit/0 did not end well")
    assert now.queue == Process(7, 1.5)
    tell(tmp_path, "over", why="")
    assert (told(tmp_path).queue, told(tmp_path).host) == (None, "here")


def test_a_line_that_is_still_being_written_is_read_when_it_is_whole(tmp_path: Path) -> None:
    reader = Reader(tmp_path)
    assert list(reader.news()) == []
    tell(tmp_path, "wait", ["fit/0"], why="a")
    with (tmp_path / FILE).open("a") as stream:
        stream.write('{"kind": "wait", "task": "fit/0", ')
        stream.flush()
        assert [event["why"] for event in reader.news()] == ["a"]
        stream.write('"why": "b"}\nno event\n[]\n')
    assert [event["why"] for event in reader.news()] == ["b"]
    assert list(reader.news()) == []


def test_events_of_several_processes_do_not_mix(tmp_path: Path) -> None:
    tasks = [f"fit/{index}" for index in range(200)]
    writers = [threading.Thread(target=tell, args=(tmp_path, "end", tasks), kwargs={"state": DONE, "code": 0}) for _ in range(8)]
    for writer in writers:
        writer.start()
    for writer in writers:
        writer.join()
    assert len(list(Reader(tmp_path).news())) == 8 * len(tasks)


def test_a_process_is_known_by_its_start_and_not_by_its_number_alone() -> None:
    assert Process(os.getpid(), started(os.getpid())).is_alive
    assert not Process(os.getpid(), started(os.getpid()) - 3600).is_alive
    gone = next(pid for pid in range(2**22, 2, -1) if not psutil.pid_exists(pid))
    assert not Process(gone, 0.0).is_alive
