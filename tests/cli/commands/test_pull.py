"""``pull``: runs come from where they were made, verified; what was left out is said in the folder of the run."""

from __future__ import annotations

import json
import os
import shutil
from pathlib import Path

import pytest

from labwright.runs import light
from labwright.runs.run import Run

pytestmark = pytest.mark.skipif(shutil.which("rsync") is None, reason="rsync is not installed here")


@pytest.fixture
def there(labwright, study: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A study that was run on another machine, which a stand-in for ssh reaches; a site named ``far``."""
    assert labwright("run", "study.yaml", "--quiet").code == 0
    (tmp_path / "bin").mkdir()
    ssh = tmp_path / "bin" / "ssh"
    # What ssh does: the words after the host are a line for the shell there.
    ssh.write_text(f'#!/bin/sh\necho "$1" >>{tmp_path}/hosts\n[ "$1" = far.example ] || {{ echo "ssh: no host $1" >&2; exit 255; }}\n')
    with ssh.open("a") as stream:
        stream.write('shift; cd /; exec sh -c "$*"\n')
    ssh.chmod(0o755)
    monkeypatch.setenv("PATH", f"{tmp_path / 'bin'}:{os.environ['PATH']}")
    desk = tmp_path / "desk"
    (desk / "sites").mkdir(parents=True)
    (desk / "sites" / "far.yaml").write_text("kind: slurm\nlogin: far.example\n")
    (desk / "sites" / "near.yaml").write_text("kind: local\n")
    (desk / "sites" / "silent.yaml").write_text("kind: htcondor\n")
    monkeypatch.chdir(desk)
    return study


def states(folder: Path) -> dict[str, str]:
    return {path.parent.name.split("-")[0]: Run.open(path.parent).state() for path in folder.glob("*/step.json")}


def test_whole_runs_come_by_ssh_and_can_be_gone_on_with(labwright, there: Path, tmp_path: Path) -> None:
    said = labwright("pull", "far", there, "--to", "runs", "--json")
    assert said.code == 0, said.err
    assert {row["state"] for row in said.json["runs"]} == {"done"}
    assert {row["kept_at"] for row in said.json["runs"]} == {""}
    assert set((tmp_path / "hosts").read_text().split()) == {"far.example"}
    assert states(Path("runs")) == dict.fromkeys(("pack", "check", "train", "evaluate"), "done")
    assert not list(Path("runs").glob("*/claim.lock"))
    again = labwright("run", there, "--runs", "runs", "--json").json
    assert not any(run["fresh"] for run in again["runs"])


def test_what_was_left_out_is_said_in_the_run(labwright, there: Path, tmp_path: Path) -> None:
    said = labwright("pull", "far", there.parent, "--to", "runs", "--only", "tables")
    assert said.code == 0, said.err
    (train,) = Path("runs").glob("train-*")
    (pack,) = Path("runs").glob("pack-*")
    assert (pack / "output" / "numbers.json").is_file()
    assert not (train / "output" / "model").exists()
    assert light.kept_at(train) == f"far.example:{there.parent}/runs/{train.name}"
    assert set(states(Path("runs")).values()) == {"done"}
    assert light.kept_at(train) in said.out
    assert said.out.splitlines()[-1] == "fetched from far.example"
    # A partial run feeds no other step.
    said = labwright("evaluate", there, "--runs", "runs", "--set", "evaluate.scale=2")
    assert said.code == 66
    assert "only a part of this run is here" in said.err
    # The rest makes it whole.
    assert labwright("pull", "far", there.parent / "runs", "--to", "runs").code == 0
    assert light.kept_at(train) == ""
    assert (train / "output" / "model").is_file()
    # And a part of what is whole here takes nothing from it.
    labwright("pull", "far", there, "--to", "runs", "--only", "report")
    assert light.kept_at(train) == ""


def test_a_run_that_is_partial_there_is_partial_here(labwright, there: Path) -> None:
    (train,) = (there.parent / "runs").glob("train-*")
    light.mark(train, "node7:/scratch/runs")
    (train / "output" / "model").unlink()
    labwright("pull", "far", there, "--to", "runs")
    assert light.kept_at(Path("runs", train.name)) == "node7:/scratch/runs"


@pytest.mark.parametrize("site", ["near", "local", "slurm", "htcondor"])
def test_a_site_that_is_no_place_copies_on_this_machine_and_says_so(labwright, there: Path, tmp_path: Path, site: str) -> None:
    said = labwright("pull", site, there, "--to", "runs")
    assert (said.code, said.out.splitlines()[-1]) == (0, "copied on this machine")
    assert len(states(Path("runs"))) == 4
    assert not (tmp_path / "hosts").exists()


@pytest.mark.parametrize("site", ["silent", "horeka", "chtc", "lpc"])
def test_what_lies_here_never_passes_for_what_lies_at_a_cluster(labwright, there: Path, site: str) -> None:
    said = labwright("pull", site, there, "--to", "runs")
    assert said.code == 78
    assert f"site {site} does not say from which host its runs are fetched" in said.err
    assert "write `login: HOST`" in said.err
    assert not Path("runs").exists()


def test_a_changed_file_is_sent_again_and_a_damaged_one_is_told(labwright, there: Path) -> None:
    labwright("pull", "far", there, "--to", "runs")
    (mine,) = Path("runs").glob("pack-*/output/numbers.json")
    size, times = mine.stat().st_size, mine.stat().st_mtime
    mine.write_text("[" + "0" * (size - 2) + "]")
    os.utime(mine, (times, times))
    assert labwright("pull", "far", there, "--to", "runs").code == 0
    assert json.loads(mine.read_text()) == [1.5, 2.5, 3.25]
    (theirs,) = (there.parent / "runs").glob("pack-*/output/numbers.json")
    theirs.write_text("[" + "0" * (size - 2) + "]")
    said = labwright("pull", "far", there, "--to", "runs")
    assert said.code == 65
    assert "1 of 4 runs do not fit their manifest" in said.err


def test_another_run_of_the_same_name_is_not_touched(labwright, there: Path) -> None:
    (pack,) = (there.parent / "runs").glob("pack-*")
    own = Path("runs", pack.name)
    own.mkdir(parents=True)
    (own / "step.json").write_text((pack / "step.json").read_text().replace('"seed"', '"seed" '))
    said = labwright("pull", "far", there, "--to", "runs")
    assert said.code == 64
    assert f"another run has the same name here: {pack.name}" in said.err
    assert [path.name for path in Path("runs").iterdir()] == [pack.name]


def test_the_folder_of_runs_is_where_the_study_says(labwright, there: Path, tmp_path: Path) -> None:
    (there.parent / "runs").rename(tmp_path / "elsewhere")
    there.write_text(there.read_text().replace("run: {", f"run: {{folder: {tmp_path / 'elsewhere'}, "))
    shutil.copy(there, "study.yaml")
    assert labwright("pull", "far", "study.yaml", "--to", "runs").code == 0
    assert len(states(Path("runs"))) == 4


@pytest.mark.parametrize(
    ("words", "code", "text"),
    [
        (["far", "/nowhere/study.yaml"], 66, "far.example:/nowhere/runs"),
        (["far", "."], 66, "there is no run"),
        (["nosite", "x"], 66, "there is no site 'nosite'"),
        (["far", "STUDY", "--only", "pictures"], 64, "there is no kind 'pictures' of files. It takes report, tables, weights"),
        (["far", "STUDY", "--to", "/proc/nowhere"], 66, "/proc/nowhere: no folder can be made there"),
        (["far", "STUDY", "--to", "file"], 66, "file: a file stands where a folder has to be"),
        (["lost", "STUDY"], 66, "no host lost.example"),
    ],
)
def test_mistakes_are_sentences(labwright, there: Path, words: list[str], code: int, text: str) -> None:
    Path("sites/lost.yaml").write_text("kind: slurm\nlogin: lost.example\n")
    Path("file").touch()
    given = [there if word == "STUDY" else word for word in words]
    said = labwright("pull", *given, *([] if "--to" in words else ["--to", "runs"]))
    assert said.code == code
    assert text in said.err


def test_rsync_is_needed(labwright, there: Path, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("PATH", str(tmp_path / "empty"))
    said = labwright("pull", "far", there, "--to", "runs")
    assert said.code == 66
    assert "rsync is not installed here" in said.err
    (tmp_path / "empty").mkdir()
    (tmp_path / "empty" / "rsync").symlink_to("/usr/bin/rsync")
    said = labwright("pull", "far", there, "--to", "runs")
    assert said.code == 66
    assert "ssh is not installed here" in said.err
