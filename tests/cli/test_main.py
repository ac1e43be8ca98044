"""Whatever goes wrong ends in one line that says what to do, and in the right exit code."""

from __future__ import annotations

import importlib
import json
import subprocess
import sys
import tempfile
from pathlib import Path

import pytest

from labwright.cli.arguments import parse
from labwright.cli.verbs import BY_NAME
from labwright.runs import publish


@pytest.mark.parametrize(
    ("words", "code", "told"),
    [
        (["rnu"], 64, "there is no verb 'rnu'. Did you mean `labwright run`?"),
        (["study.yaml"], 64, "`labwright run study.yaml`"),
        (["xyzzy"], 64, "`labwright help` lists them"),
        (["run"], 64, "STUDY is missing"),
        (["run", "study.yaml", "--stp", "train"], 64, "there is no flag --stp. Did you mean --step?"),
        (["run", "study.yaml", "--train.guess=3"], 64, "`--set train.guess=3`"),
        (["expand", "study.yaml", "--follow"], 64, "logs take"),
        (["run", "study.yaml", "--step"], 64, "--step: expected one argument"),
        (["run", "study.yaml", "--step", "tran"], 64, "has no step 'tran'. Did you mean train?"),
        (["list", "recipez"], 64, "Did you mean 'recipes'?"),
        (["list", "codes"], 64, "Did you mean 'findings'?"),
        (["help", "events"], 64, "events is a recipe: `labwright list options --recipe events`"),
        (["schema", "toi"], 64, "Did you mean 'toy'?"),
        (["help", "--filter", "("], 64, "'(' is not a regular expression"),
        (["run", "absent.yaml"], 66, "there is no such study file"),
        (["status", "data"], 66, "there is no study and no run here"),
        (["run", "study.yaml", "--runs", "r", "--run", "train-9"], 66, "no run begins with 'train-9'"),
        (["run", "study.yaml", "--set", "train.gues=3"], 78, "did you mean 'train.guess'"),
        (["run", "study.yaml", "--set", "train.guess=high"], 78, "expected number"),
        (["run", "study.yaml", "--param", "date=x"], 78, "did you mean 'data'"),
    ],
)
def test_a_mistake_is_one_line_with_what_to_do(labwright, study: Path, words: list[str], code: int, told: str) -> None:
    said = labwright(*words)
    assert said.code == code
    assert told in said.err
    assert said.err.startswith("labwright: error: ")
    assert "Traceback" not in said.err
    assert said.out == ""
    assert not Path("runs").exists()


def test_all_mistakes_of_a_study_are_told_at_once(labwright, study: Path) -> None:
    study.write_text("recipe: toy\npack: {path: data, colour: red}\ntrain: {guess: high}\n")
    said = labwright("plan", study)
    assert said.code == 78
    assert "study.yaml:2" in said.err
    assert "study.yaml:3" in said.err


def test_with_json_a_mistake_is_an_object(labwright, study: Path) -> None:
    said = labwright("plan", "absent.yaml", "--json")
    assert said.code == said.json["code"] == 66
    assert said.json["error"]["where"] == "absent.yaml"
    assert said.err == ""


def test_words_may_stand_in_any_order(labwright, study: Path) -> None:
    more = study.with_name("more.yaml")
    more.write_text("train: {guess: 4}\n")
    said = labwright("expand", "--set", "check.smallest=-1", study, "--json", more)
    values = {row["path"]: row for row in said.json}
    assert values["train.guess"]["value"] == 4
    assert values["check.smallest"] == {"path": "check.smallest", "value": -1, "origin": "--set"}


def test_our_fault_is_said_and_its_traceback_kept(labwright, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    def broken(_: object) -> int:
        raise ZeroDivisionError("an accident")

    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    monkeypatch.setattr(importlib.import_module("labwright.cli.commands.help"), "run", broken)
    said = labwright("help")
    assert said.code == 70
    assert "our fault" in said.err
    assert "Traceback" not in said.err
    (kept,) = tmp_path.glob("labwright-fault-*")
    assert str(kept) in said.err
    assert "ZeroDivisionError: an accident" in kept.read_text()
    monkeypatch.setenv("LABWRIGHT_TRACE", "1")
    assert "Traceback" in labwright("help").err


def test_ctrl_c_says_how_to_go_on(labwright, monkeypatch: pytest.MonkeyPatch) -> None:
    def interrupted(_: object) -> int:
        raise KeyboardInterrupt

    monkeypatch.setattr(importlib.import_module("labwright.cli.commands.help"), "run", interrupted)
    said = labwright("help")
    assert said.code == 75
    assert "run the same command again" in said.err


def test_ctrl_c_while_it_starts_says_the_same() -> None:
    code = """
import runpy, sys
class Interrupt:
    def find_spec(self, name, *_):
        if name == "labwright.cli.main":
            raise KeyboardInterrupt
sys.meta_path.insert(0, Interrupt())
runpy.run_module("labwright", run_name="__main__")
"""
    outcome = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert outcome.returncode == 75
    assert outcome.stderr.splitlines() == ["labwright: stopped; nothing that was done is lost, run the same command again to go on"]


def test_a_full_disk_is_a_sentence(labwright, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(_: object) -> int:
        raise OSError(28, "No space left on device", "somewhere")

    monkeypatch.setattr(importlib.import_module("labwright.cli.commands.help"), "run", full)
    said = labwright("help")
    assert said.code == 70
    assert "somewhere: the disk is full" in said.err


@pytest.mark.parametrize(
    ("words", "place", "todo"),
    [
        (["run", "study.yaml"], "runs/pack-", "or put runs elsewhere with --runs DIR."),
        (["report", "study.yaml"], "report.html", "or name another place with --to FILE."),
        (["demo", "toy", "--to", "sample"], "sample", "or name another place with --to DIR."),
        (["new", "toy", "mine"], "mine", "or name another place."),
    ],
)
def test_a_place_without_permission_is_named_with_what_the_verb_takes_instead(
    labwright, study: Path, monkeypatch: pytest.MonkeyPatch, words: list[str], place: str, todo: str
) -> None:
    if words[0] == "report":
        assert labwright("run", study).code == 0

    def refuse(path: Path) -> None:
        raise PermissionError(13, "Permission denied", str(path))

    monkeypatch.setattr(publish, "_sync", refuse)
    said = labwright(*words)
    assert said.code == 66
    assert place in said.err
    assert ".tmp-" not in said.err
    assert said.err.rstrip().endswith(todo)


def test_a_closed_pipe_is_no_error() -> None:
    code = "import sys\nfrom labwright.cli.main import main\nsys.exit(main(['help', '--all']))"
    with subprocess.Popen([sys.executable, "-c", code], stdout=subprocess.PIPE, stderr=subprocess.PIPE) as process:
        assert process.stdout
        assert process.stderr
        process.stdout.close()
        errors = process.stderr.read()
        assert process.wait(60) == 0
    assert errors == b""


def test_no_word_at_all_shows_help_and_is_an_error(labwright) -> None:
    said = labwright()
    assert said.code == 64
    assert "labwright VERB" in said.out


def test_json_of_a_run_is_all_that_goes_to_standard_output(study: Path) -> None:
    # A process of its own: what a step prints past Python counts too.
    site = str(Path(__file__).parent / "site")
    code = f"import sys\nsys.path.insert(0, {site!r})\nfrom labwright.cli.main import main\nsys.exit(main(sys.argv[1:]))"
    outcome = subprocess.run([sys.executable, "-c", code, "run", "study.yaml", "--json"], capture_output=True, text=True, check=False)
    assert outcome.returncode == 0, outcome.stderr
    told = json.loads(outcome.stdout)
    assert [run["step"] for run in told["runs"]] == ["pack", "check", "train", "evaluate"]
    assert "read 3 numbers" in (Path("runs") / told["runs"][0]["run"] / "journal" / "0001.log").read_text()


def test_a_command_is_all_that_follows_two_dashes() -> None:
    verb = BY_NAME["attach"]
    found = parse(verb, ["study.yaml", "--task", "2", "--", "sh", "-c", "echo --task 3", "--"])
    assert (found.place, found.name, found.task) == ("study.yaml", None, "2")
    assert found.command == ["sh", "-c", "echo --task 3", "--"]
    assert parse(verb, ["study.yaml"]).command == []
