"""Our reader of HTCondor's event log sees what HTCondor's own sees, while the log grows and however it is torn."""

from __future__ import annotations

import datetime
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from labwright.launch.eventlog import Event, EventLog, JobState, after, meaning, read
from labwright.testing import condor_events as events
from tests.launch.condor import foreign_events

NIGHT = datetime.datetime(2026, 11, 21, 3, 54)
WORDS = (
    st.text("abc xyz()[]:;,.'0123456789_-", min_size=1)
    .map(str.strip)
    .filter(lambda text: text and text != "..." and not text.startswith("Code "))
)
EVENTS = st.one_of(
    st.builds(events.submitted, st.sampled_from(["", "DAG Node: train", "DAG Node: predict-finish"])),
    st.builds(events.executing, st.just("slot1_2@node-7.example.org"), st.just("/var/lib/condor/execute/dir_1")),
    st.builds(events.evicted),
    st.builds(events.requeued, st.sampled_from([1, 75]), st.just(0)),
    st.builds(events.requeued, st.none(), st.sampled_from([9, 15])),
    st.builds(events.terminated, st.integers(0, 255)),
    st.builds(events.terminated, st.none(), st.sampled_from([9, 11])),
    st.builds(events.shadow_exception, WORDS),
    st.builds(events.aborted, WORDS),
    st.builds(events.suspended),
    st.builds(events.unsuspended),
    st.builds(events.held, WORDS, st.integers(1, 40), st.integers(0, 255)),
    st.builds(events.released, WORDS),
    st.builds(events.disconnected, WORDS, st.just("slot1@node")),
    st.builds(events.reconnected, st.just("slot1@node")),
    st.builds(events.reconnect_failed, WORDS, st.just("slot1@node")),
    st.builds(events.skipped, st.just("check")),
    st.builds(events.transfer, st.sampled_from(["Started", "Finished"]), st.sampled_from(["input", "output"])),
)
HISTORY = st.lists(st.tuples(st.integers(1, 2**31 - 1), st.integers(0, 20_000), EVENTS, st.integers(0, 10**7)), min_size=1, max_size=12)


def write(path: Path, *history: tuple[int, str], cluster: int = 7, proc: int = 0) -> Path:
    for event in history:
        events.write([path], cluster, proc, event, NIGHT)
    return path


def stands(path: Path, *history: tuple[int, str]) -> JobState:
    return EventLog(write(path, *history)).update().jobs[(7, 0)]


@given(HISTORY)
@settings(suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_both_readers_see_the_same_events(tmp_path: Path, history: list[tuple[int, int, tuple[int, str], int]]) -> None:
    path = tmp_path / "log"
    path.unlink(missing_ok=True)
    for cluster, proc, event, seconds in history:
        events.write([path], cluster, proc, event, NIGHT + datetime.timedelta(seconds=seconds))
    ours, theirs = read(path)[0], foreign_events(path)
    assert [(one.number, one.cluster, one.proc) for one in ours] == [(int(one.type), one.cluster, one.proc) for one in theirs]
    for one, other in zip(ours, theirs, strict=True):
        assert datetime.datetime.fromisoformat(one.when).timestamp() == other.timestamp
        state = after(one, None)
        if "HoldReason" in other:
            assert state == JobState("held", other["HoldReason"])
        if one.number == 5:
            assert state is not None
            assert (state.state == "done") == (other.get("ReturnValue") == 0)
            told = other["ReturnValue"] if other["TerminatedNormally"] else other["TerminatedBySignal"]
            assert told == 0 or str(told) in state.reason
        if "StructuredNotes" in other:
            assert other["StructuredNotes"]["DAGNodeName"] in one.body[0]


@given(HISTORY, st.data())
@settings(suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_a_log_that_is_read_as_it_grows_ends_as_one_read_at_once(
    tmp_path: Path, history: list[tuple[int, int, tuple[int, str], int]], data: st.DataObject
) -> None:
    whole = tmp_path / "whole"
    whole.unlink(missing_ok=True)
    for cluster, proc, event, _ in history:
        events.write([whole], cluster, proc, event, NIGHT)
    content = whole.read_bytes()
    cuts = sorted(data.draw(st.lists(st.integers(0, len(content)), max_size=6)))
    path = tmp_path / "log"
    path.write_bytes(b"")
    log = EventLog(path)
    for start, end in zip([0, *cuts], [*cuts, len(content)], strict=True):
        with path.open("ab") as stream:
            stream.write(content[start:end])
        log.update()
        assert len(read(path)[0]) == content[:end].count(b"\n...\n")
    at_once = EventLog(whole).update()
    assert (log.jobs, log.nodes) == (at_once.jobs, at_once.nodes)


def test_old_versions_write_dates_without_a_year_and_new_ones_milliseconds(tmp_path: Path) -> None:
    path = tmp_path / "log"
    path.write_text(
        "000 (82549230.000.000) 03/03 15:12:32 Job submitted from host: <128.104.100.44:9618>\n...\n"
        "001 (82549230.000.000) 2026-03-03 15:13:33.250 Job executing on host: <131.225.189.241:64433?CCBID=128.104.100.30>\n...\n"
        "009 (82549230.000.000) 2026-03-03T15:14:00Z Job was aborted by the user.\n...\n"
    )
    found, _ = read(path)
    assert [event.when for event in found] == ["03/03 15:12:32", "2026-03-03 15:13:33", "2026-03-03T15:14:00"]
    assert after(found[1], None) == JobState("running", "", "131.225.189.241")
    assert after(found[2], None) == JobState("cancelled")


@pytest.mark.parametrize(
    ("history", "state"),
    [
        ([events.submitted()], JobState("queued")),
        ([events.submitted(), events.transfer("Started", "input")], JobState("queued", "its files are on their way to the machine")),
        ([events.executing("slot1_1@node7", "/x")], JobState("running", "", "node7")),
        ([events.executing("slot1@n", "/x"), events.transfer("Started", "output")], JobState("ending", "its files come back", "n")),
        (
            [events.executing("slot1@n", "/x"), events.transfer("Started", "output"), events.transfer("Finished", "output")],
            JobState("running", "", "n"),
        ),
        ([events.executing("slot1@n", "/x"), events.evicted()], JobState("queued", "evicted; it goes on from what it saved last", "n")),
        ([events.requeued(75, 0)], JobState("queued", "it asked to be run again")),
        ([events.requeued(137, 0)], JobState("queued", "it was killed, often for want of memory (exit code 137); it is tried again")),
        ([events.held("no GPU is left", 3, 65)], JobState("held", "no GPU is left")),
        ([events.held("bad", 3, 65), events.released("via condor_release")], JobState("queued", "released")),
        ([events.executing("slot1@n", "/x"), events.suspended()], JobState("running", "suspended by the machine's owner", "n")),
        ([events.executing("slot1@n", "/x"), events.suspended(), events.unsuspended()], JobState("running", "", "n")),
        (
            [events.executing("slot1@n", "/x"), events.disconnected("gone", "slot1@n")],
            JobState("running", "the connection is lost, HTCondor tries to get it back: gone", "n"),
        ),
        ([events.executing("slot1@n", "/x"), events.reconnect_failed("no job there", "slot1@n")], JobState("queued", "no job there", "n")),
        ([events.terminated(0)], JobState("done")),
        ([events.terminated(1)], JobState("failed", "exit code 1")),
        ([events.terminated(130)], JobState("cancelled", "it was cancelled (exit code 130)")),
        ([events.terminated(None, 11)], JobState("failed", "ended by signal 11")),
        ([events.aborted("via condor_rm (by user ada)")], JobState("cancelled", "via condor_rm (by user ada)")),
        ([events.submitted(), events.shadow_exception("the disk is full there")], JobState("queued", "the disk is full there")),
    ],
)
def test_how_a_job_stands_is_told_in_plain_words(tmp_path: Path, history: list[tuple[int, str]], state: JobState) -> None:
    assert stands(tmp_path / "log", *history) == state


def test_events_that_say_nothing_of_the_state_leave_it(tmp_path: Path) -> None:
    size = (6, "Image size of job updated: 6000\n\t12  -  MemoryUsage of job (MB)")
    usage = (28, "Job ad information event triggered.\nProc = 0")
    assert stands(tmp_path / "log", events.executing("slot1@n", "/x"), size, usage).state == "running"


def test_a_log_that_was_replaced_is_read_anew(tmp_path: Path) -> None:
    path = write(tmp_path / "log", events.submitted("DAG Node: train"), events.executing("slot1@n", "/x"))
    log = EventLog(path).update()
    assert log.nodes == {"train": 7}
    path.unlink()
    write(path, events.submitted(), cluster=8)
    assert log.update().jobs == {(8, 0): JobState("queued")}
    assert log.nodes == {}


def test_blocks_that_are_none_are_passed_over(tmp_path: Path) -> None:
    path = tmp_path / "log"
    path.write_bytes(b"\xff\xfe nonsense\n...\n...\nNULL\n...\n")
    write(path, events.submitted())
    assert read(path)[0] == [Event(0, 7, 0, "2026-11-21 03:54:00", f"Job submitted from host: {events.HOST}", ())]


def test_exit_codes_that_nobody_gave_a_meaning_are_numbers() -> None:
    assert meaning(65) == "the data have findings of severity error (exit code 65)"
    assert meaning(3) == "exit code 3"
