"""Joules by Slurm's accounting, against twins of ``sacct`` and ``sinfo`` that print what real ones do on good and bad days."""

from __future__ import annotations

import json
import shlex
import time
from collections.abc import Callable
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from labwright.cli.arguments import parse as parse_words
from labwright.cli.commands import energy
from labwright.cli.main import main
from labwright.cli.verbs import BY_NAME
from labwright.launch import accounting
from labwright.launch.accounting import FIELDS, IMPLAUSIBLE, OWN, PERHAPS_SHARED, RUNNING, SHARED, Used
from labwright.launch.job import Job, Task
from labwright.launch.site import Queue, Site
from labwright.launch.submission import begin
from labwright.runs.energy import NOT_MEASURED
from labwright.runs.errors import CommandError, MissingError
from labwright.runs.journal import Journal
from labwright.runs.run import Run
from labwright.study.resources import Resources

CPUS = {"n1": 4, "n2": 4}
Twin = Callable[..., None]


def line(id: str, joules: str = "", *, nodes: str = "1", on: str = "n1", cpus: str = "4", seconds: str = "60", **other: str) -> str:
    """A line of sacct, in the order of ``FIELDS``."""
    values = {
        "JobID": id,
        "User": "ada",
        "Account": "lab",
        "NNodes": nodes,
        "NodeList": on,
        "AllocCPUS": cpus,
        "ElapsedRaw": seconds,
        "Elapsed": "00:01:00",
        "State": "COMPLETED",
        "ConsumedEnergyRaw": joules,
        "ConsumedEnergy": "",
        "JobName": "train",
        **other,
    }
    return "|".join(values[name] for name in FIELDS)


@pytest.fixture
def twin(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Twin:
    """Puts a program of that name first on the path; what it was called with is in ``calls``."""
    folder = tmp_path / "bin"
    folder.mkdir()
    monkeypatch.setenv("PATH", f"{folder}:/usr/bin:/bin")

    def put(name: str, *lines: str, then: str = "") -> None:
        text = "".join(f"printf '%s\\n' {shlex.quote(one)}\n" for one in lines)
        (folder / name).write_text(f'#!/bin/sh\nprintf "%s\\n" "$*" >>{shlex.quote(str(tmp_path / "calls"))}\n{text}{then}\n')
        (folder / name).chmod(0o755)

    return put


@pytest.fixture
def cluster(twin: Twin) -> Twin:
    """A cluster of n1 and n2, with four processors each and each in two partitions."""
    twin("sinfo", "n1|4", "n1|4", "n2|4", "n2|4")
    return twin


def ask_command(*words: str) -> int:
    return energy.run(parse_words(BY_NAME["energy"], ["--slurm", *words]))


@pytest.mark.parametrize(
    ("text", "joules"),
    [("101630", 101630.0), ("101.63K", 101630.0), ("4.58M", 4.58e6), ("1.5G", 1.5e9), (" 42 ", 42.0)],
)
def test_suffixes_are_thousands(text: str, joules: float) -> None:
    assert accounting.joules_of(text) == pytest.approx(joules)


@pytest.mark.parametrize(
    "text", ["", "0", "0K", "0.00", "Unknown", "-5", "18446744073709551614", "18446744073709551615", "18446744073709.55M", "4294967294"]
)
def test_what_slurm_prints_for_nothing_is_never_a_figure(text: str) -> None:
    assert accounting.joules_of(text) is None


@given(st.text(max_size=12))
def test_any_text_is_a_positive_figure_or_none(text: str) -> None:
    joules = accounting.joules_of(text)
    assert joules is None or joules > 0


def test_the_raw_column_goes_before_the_rounded_one() -> None:
    jobs, _ = accounting.parse(line("7", "101632", ConsumedEnergy="101.63K") + "\n" + line("8", "", ConsumedEnergy="4.58M"))
    assert [(job.joules, job.raw) for job in jobs] == [(101632.0, "101632"), (4.58e6, "4.58M")]


def test_odd_ids_are_jobs_and_steps_are_not() -> None:
    ids = ["1234", "1234_5", "1234_[1-3%2]", "1234+0", "1234+1"]
    text = "\n".join(
        [
            line(ids[0], "6000"),
            line("1234.batch", "5000"),
            line("1234.extern", "6000"),
            line("1234.0"),
            *map(line, ids[1:]),
            line("1234+1.0"),
        ]
    )
    jobs, skipped = accounting.parse(text)
    assert [job.id for job in jobs] == ids
    assert skipped == 0
    assert jobs[0].joules == 6000.0


def test_garbled_lines_are_passed_over_and_counted() -> None:
    garbled = ["sacct: something odd", "1|ada|lab", line("abc"), line("2", nodes="many"), line("3", seconds="soon"), line("9.batch")]
    jobs, skipped = accounting.parse("\n".join([line("1", "6000"), *garbled, "", line("4", "6000")]))
    assert [job.id for job in jobs] == ["1", "4"]
    assert skipped == 6


@given(st.text(max_size=300))
def test_no_text_breaks_the_parser(text: str) -> None:
    jobs, skipped = accounting.parse(text)
    assert len(jobs) + skipped <= len(text.splitlines())


def test_a_name_may_hold_the_delimiter() -> None:
    jobs, skipped = accounting.parse(line("1", "6000", JobName="a|b || c"))
    assert (jobs[0].name, jobs[0].joules, skipped) == ("a|b || c", 6000.0, 0)


def test_each_attempt_of_a_requeued_job_keeps_its_own_steps() -> None:
    lines = [line("8", State="PREEMPTED"), line("8.batch", "3000"), line("8"), line("8.batch", "5000")]
    jobs, _ = accounting.parse("\n".join(lines))
    assert [(job.state, job.joules) for job in jobs] == [("PREEMPTED", 3000.0), ("COMPLETED", 5000.0)]


def test_steps_that_overlap_are_not_added_up() -> None:
    steps = [line("5.batch", "5000"), line("5.extern", "5200"), line("5.0", "2000"), line("5.1", "2500")]
    (alone,), _ = accounting.parse("\n".join([line("5"), *steps]))
    assert alone.joules == 5200.0
    # On several nodes the script's step saw the first only.
    (wide,), _ = accounting.parse("\n".join([line("5", nodes="2", on="n[1-2]"), *steps]))
    assert wide.joules == 4500.0


@pytest.mark.parametrize(("elapsed", "seconds"), [("00:01:30", 90.0), ("2-01:00:00", 176400.0), ("01:02.500", 62.5)])
def test_old_releases_tell_the_elapsed_time_as_a_clock(elapsed: str, seconds: float) -> None:
    (job,), _ = accounting.parse(line("1", seconds="", Elapsed=elapsed))
    assert job.seconds == seconds


@pytest.mark.parametrize(
    ("text", "names"),
    [
        ("n1", ["n1"]),
        ("n[1-2]", ["n1", "n2"]),
        ("n[08-10,12],gpu3", ["n08", "n09", "n10", "n12", "gpu3"]),
        ("r[1-2]c[0-1]-ib", ["r1c0-ib", "r1c1-ib", "r2c0-ib", "r2c1-ib"]),
        ("", []),
        ("None assigned", ["None assigned"]),
    ],
)
def test_host_lists_are_spelled_out(text: str, names: list[str]) -> None:
    assert accounting.hosts(text) == names


def used(
    joules: float | None = 12000.0, *, nodes: int = 1, on: str = "n1", cpus: int = 4, seconds: float = 60.0, state: str = "COMPLETED"
) -> Used:
    return Used("1", "ada", "lab", "train", nodes, on, cpus, seconds, state, joules, "")


@pytest.mark.parametrize(
    ("job", "trust"),
    [
        (used(), OWN),
        (used(nodes=2, on="n[1-2]", cpus=8), OWN),
        (used(cpus=3), SHARED),
        (used(nodes=2, on="n[1-2]", cpus=7), SHARED),
        (used(on="gone1"), PERHAPS_SHARED),
        (used(on="None assigned"), PERHAPS_SHARED),
        (used(None), NOT_MEASURED),
        (used(state="RUNNING"), RUNNING),
        (used(None, state="RUNNING"), RUNNING),
        (used(state="CANCELLED by 1000"), OWN),
        (used(60.0 * 49), IMPLAUSIBLE),
        (used(60.0 * 50), OWN),
        (used(60.0 * 12000), OWN),
        (used(60.0 * 12001), IMPLAUSIBLE),
        (used(60.0 * 20000, nodes=2, on="n[1-2]", cpus=8), OWN),
        (used(1e15), IMPLAUSIBLE),
        (used(seconds=0.0), IMPLAUSIBLE),
    ],
)
def test_a_figure_is_trusted_only_if_final_possible_and_the_jobs_own(job: Used, trust: str) -> None:
    assert accounting.verdict(job, CPUS)[0] == trust


def test_a_site_says_what_its_nodes_can_draw() -> None:
    small = Site(kind="slurm", max_watts=800.0)
    assert accounting.verdict(used(60.0 * 900), CPUS)[0] == OWN
    assert accounting.verdict(used(60.0 * 900), CPUS, small)[0] == IMPLAUSIBLE


@pytest.mark.parametrize(
    ("text", "start", "end"),
    [
        ("2026-11-20", "2026-11-20T00:00:00", "2026-11-20T23:59:59"),
        ("2026-11-20T08:00", "2026-11-20T08:00:00", "2026-11-20T08:00:00"),
        ("2026-11-20 08:00:01", "2026-11-20T08:00:01", "2026-11-20T08:00:01"),
    ],
)
def test_times_are_handed_on_with_their_t(text: str, start: str, end: str) -> None:
    assert (accounting.moment(text), accounting.moment(text, end=True)) == (start, end)


def test_a_time_with_a_zone_is_handed_on_in_local_time(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TZ", "Europe/Berlin")
    time.tzset()
    try:
        assert accounting.moment("2026-11-20T08:00+00:00") == "2026-11-20T09:00:00"
    finally:
        monkeypatch.undo()
        time.tzset()


@pytest.mark.parametrize("text", ["yesterday", "2023-05-2508:00:00", "20.11.2026", ""])
def test_what_is_no_time_is_refused(text: str) -> None:
    with pytest.raises(CommandError, match="is no date or time"):
        accounting.moment(text)


def test_the_command_prints_a_row_a_job_and_adds_up_what_can_be_trusted(
    cluster: Twin, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    cluster(
        "sacct",
        line("1", "1800000", seconds="3600"),
        line("2", "1800000", seconds="3600", State="CANCELLED by 1000"),
        line("3", "360000", seconds="3600", cpus="1"),
        line("4", "0"),
        line("5", ""),
        line("6", "99999999999", seconds="60"),
        line("7", "5000", State="RUNNING"),
        line("8", State="PENDING", seconds="0", on="None assigned"),
    )
    assert ask_command("--since", "2026-11-20T08:00", "--until", "2026-11-21", "--user", "ada") == 0
    printed = capsys.readouterr().out
    assert "3600000 J (1 kWh) over 2 jobs on nodes of their own" in printed
    assert "2 jobs not measured" in printed
    assert "1 job not in the sum, shared node: 360000 J as Slurm counts" in printed
    assert "1 job not in the sum, implausible" in printed
    assert "1 job not in the sum, running" in printed
    rows = [words for words in map(str.split, printed.splitlines()) if words[:2] == ["ada", "lab"]]
    assert [words[2] for words in rows] == list("1234567")
    assert not any(" 0 J" in one for one in printed.splitlines())
    (called,) = [one for one in (tmp_path / "calls").read_text().splitlines() if "--starttime" in one]
    assert "--starttime=2026-11-20T08:00:00 --endtime=2026-11-21T23:59:59 --user=ada" in called
    assert "--duplicates" in called


def test_both_attempts_of_a_requeued_job_are_in_the_sum(cluster: Twin, capsys: pytest.CaptureFixture[str]) -> None:
    cluster("sacct", line("8", "6000", State="PREEMPTED"), line("8", "9000"))
    ask_command("--json")
    printed = json.loads(capsys.readouterr().out)
    assert [(row["id"], row["state"]) for row in printed["rows"]] == [("8", "PREEMPTED"), ("8", "COMPLETED")]
    assert printed["joules"] == 15000.0


def test_json_keeps_the_text_that_was_seen_and_no_zero_for_nothing(cluster: Twin, capsys: pytest.CaptureFixture[str]) -> None:
    cluster("sacct", line("1", "0"), line("2"), "noise")
    ask_command("--json")
    printed = json.loads(capsys.readouterr().out)
    assert [(row["joules"], row["raw"], row["trust"]) for row in printed["rows"]] == [(None, "0", NOT_MEASURED), (None, "", NOT_MEASURED)]
    assert (printed["joules"], printed["kwh"], printed["jobs"], printed["lines_skipped"]) == (None, None, 0, 1)
    assert printed["by_trust"] == [{"trust": NOT_MEASURED, "jobs": 2, "joules": None, "kwh": None}]


def test_nothing_measured_is_said(cluster: Twin, capsys: pytest.CaptureFixture[str]) -> None:
    cluster("sacct", line("1", "0"), "noise")
    ask_command()
    printed = capsys.readouterr().out
    assert "Energy: not measured: none of 1 job has joules that are its own." in printed
    assert "1 line of sacct could not be read" in printed


def test_an_old_sacct_is_asked_for_what_it_has(cluster: Twin) -> None:
    old = """for field in ConsumedEnergyRaw ElapsedRaw; do
      case "$*" in *$field*) echo "sacct: error: Invalid field requested: \\"$field\\"" >&2; exit 1;; esac
    done"""
    fields = [name for name in FIELDS if name not in ("ElapsedRaw", "ConsumedEnergyRaw")]
    values = dict(zip(FIELDS, line("1", ConsumedEnergy="12K").split("|"), strict=True))
    cluster("sacct", then=f"{old}\nprintf '%s\\n' {shlex.quote('|'.join(values[name] for name in fields))}")
    (job,), skipped = accounting.ask()
    assert (job.joules, job.seconds, skipped) == (12000.0, 60.0, 0)


def test_an_sacct_without_a_field_that_is_needed_leaves_it_unknown(cluster: Twin) -> None:
    cluster("sacct", then='echo "sacct: error: Invalid field requested: \\"NodeList\\"" >&2; exit 1')
    with pytest.raises(MissingError, match=r"unknown: .*NodeList"):
        accounting.ask()


def test_a_failed_sacct_leaves_it_unknown(cluster: Twin, capsys: pytest.CaptureFixture[str]) -> None:
    cluster("sacct", then='echo "Slurm accounting storage is disabled" >&2; exit 1')
    assert main(["energy", "--slurm"]) == 66
    assert "unknown: Slurm accounting storage is disabled" in capsys.readouterr().err


def test_a_slow_sacct_leaves_it_unknown(cluster: Twin) -> None:
    cluster("sacct", then="exec sleep 30")
    with pytest.raises(MissingError, match="unknown: sacct gave no answer"):
        accounting.ask(within_s=0.2)


def test_no_sacct_leaves_it_unknown(monkeypatch: pytest.MonkeyPatch, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    assert main(["energy", "--slurm"]) == 66
    assert "unknown: sacct is not installed here" in capsys.readouterr().err


def test_no_jobs_is_no_zero(cluster: Twin, capsys: pytest.CaptureFixture[str]) -> None:
    cluster("sacct")
    assert main(["energy", "--slurm", "--user", "ada"]) == 66
    assert "lists no job of ada" in capsys.readouterr().err


def test_without_sinfo_nobody_knows_whose_a_node_was(twin: Twin, capsys: pytest.CaptureFixture[str]) -> None:
    twin("sacct", line("1", "6000"))
    twin("sinfo", then="exit 1")
    ask_command("--json")
    assert json.loads(capsys.readouterr().out)["by_trust"] == [{"trust": PERHAPS_SHARED, "jobs": 1, "joules": 6000.0, "kwh": 6000 / 3.6e6}]


@pytest.mark.parametrize("words", [["--slurm", "study.yaml"], ["--since", "2026-11-20", "study.yaml"], []])
def test_the_accounting_and_the_meters_are_two_questions(words: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["energy", *words]) == 64
    assert "labwright energy" in capsys.readouterr().err


@pytest.fixture
def submitted(tmp_path: Path) -> Run:
    """A run with joules by a meter, that worked as task 1 of a queued array."""
    runs = tmp_path / "runs"
    for name in ("train-0000000000", "train-1111111111"):
        (runs / name).mkdir(parents=True)
        (runs / name / "step.json").write_text(json.dumps({"recipe": "cells", "step": "train", "fingerprint": name[6:], "options": {}}))
    run = Run.open(runs / "train-1111111111")
    journal = Journal(run.folder / "journal" / "0001.jsonl")
    journal.record("energy", stage="train", joules=700.0, method="NVML counter", scope="gpu 0", coverage=1.0, seconds=55.0)
    journal.close()
    tasks = (Task(runs / "train-0000000000"), Task(run.folder))
    job = Job("train", "train", tasks, Resources(), Queue())
    begin(runs, site="slurm", kind="slurm", study="study.yaml", jobs=[job]).queued("train", "1234")
    return run


def test_slurms_figure_stands_beside_the_meters_and_is_not_added(
    cluster: Twin, submitted: Run, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    cluster("sacct", line("1234_1", "6000", State="PREEMPTED"), line("1234_1", "9000"))
    assert main(["energy", str(submitted.folder), "--json"]) == 0
    printed = json.loads(capsys.readouterr().out)
    assert [(row["method"], row["joules"]) for row in printed["rows"]] == [("NVML counter", 700.0), ("slurm", 15000.0)]
    assert {total["method"]: total["joules"] for total in printed["totals"]} == {"NVML counter": 700.0, "slurm": 15000.0}
    assert "--jobs=1234_1 " in (tmp_path / "calls").read_text()


@pytest.mark.parametrize(
    ("lines", "scope"),
    [
        ([line("1234_1", "0")], "not measured: 1 of 1 jobs"),
        ([line("1234_1", "6000"), line("1234_1", "6000", cpus="1")], "shared node: 1 of 2 jobs"),
        ([], "accounting lists none of its jobs"),
    ],
)
def test_a_figure_that_is_not_the_runs_own_is_not_shown_as_such(cluster: Twin, submitted: Run, lines: list[str], scope: str) -> None:
    cluster("sacct", *lines)
    row = accounting.compare(submitted)
    assert row is not None
    assert (row["joules"], row["scope"]) == (None, scope)


def test_accounting_that_does_not_answer_hides_no_meter(cluster: Twin, submitted: Run, capsys: pytest.CaptureFixture[str]) -> None:
    cluster("sacct", then="echo 'Connection refused' >&2; exit 1")
    assert main(["energy", str(submitted.folder)]) == 0
    printed = capsys.readouterr().out
    assert "700 J" in printed
    assert "unknown: Connection refused" in printed


def test_a_run_that_was_never_submitted_asks_nobody(cluster: Twin, tmp_path: Path) -> None:
    folder = tmp_path / "runs" / "train-0000000000"
    folder.mkdir(parents=True)
    (folder / "step.json").write_text(json.dumps({"recipe": "cells", "step": "train", "fingerprint": "0", "options": {}}))
    assert accounting.compare(Run.open(folder)) is None
    assert not (tmp_path / "calls").exists()
