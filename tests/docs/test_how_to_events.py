"""The how-to pages of events do what they say, block by block, on few toy events; ``small.yaml`` is merged over each study."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from labwright.events.toy import write_toy
from labwright.runs.run import runs_in
from tests.docs.blocks import bash_blocks, run

SMALL = """\
train: {epochs: 1, batch_size: 128, members: apart, network: {kind: hcr, attention: false}, ghost: {batches: 2}}
evaluate: {bootstrap: 2}
run: {on: {workers: 1, threads: 1}}
"""
WORK = "run|predict|check|submit|train|export results|export weights"


@pytest.fixture
def folder(tmp_path: Path, repository: Path) -> Path:
    """A folder with toy files, a study of them, and what makes it small."""
    write_toy(tmp_path / "data", "svb", 2500, 1)
    sample = repository / "src" / "labwright" / "events" / "sample" / "study.yaml"
    (tmp_path / "study.yaml").write_text(sample.read_text(encoding="utf-8"))
    (tmp_path / "small.yaml").write_text(SMALL)
    return tmp_path


def blocks(repository: Path, page: str) -> list[str]:
    """The blocks of a page with the small study behind each study that is worked on; what installs packages is left out."""
    text = bash_blocks(repository / "docs" / "how-to" / f"{page}.md")
    worked = [re.sub(rf"(labwright (?:{WORK})) ((?:\w+\.yaml ?)+)", r"\1 \2 small.yaml ", block) for block in text]
    return [block for block in worked if not block.startswith("pip ")]


@pytest.mark.slow
def test_a_ratio_is_learnt_merged_and_weighs_a_background(folder: Path, repository: Path) -> None:
    for block in blocks(repository, "weigh-a-background"):
        run(block, folder, within_s=900)
    found = runs_in(folder / "runs")
    assert {one.state() for one in found} == {"done"}
    assert [one.step for one in found].count("merge") == 1
    assert [one.step for one in found].count("train") == 3


@pytest.mark.slow
def test_scores_and_networks_go_elsewhere(folder: Path, repository: Path) -> None:
    said = [run(block, folder, within_s=900) for block in blocks(repository, "use-the-scores")]
    assert "SvB.json" in said[0].split()
    assert {path.name.partition("-")[0] for path in (folder / "published").iterdir()} == {"predict", "evaluate"}
    assert all((path / "manifest.json").is_file() for path in (folder / "published").iterdir())
    assert (folder / "networks" / "model.json").is_file()
    again = [one for one in runs_in(folder / "runs") if one.step == "predict" and one.options["name"] == "again"]
    assert [one.output("friends/again.json").is_file() for one in again] == [True]


def test_the_jobs_of_a_cluster_are_shown(folder: Path, repository: Path) -> None:
    first, sweep = (run(block, folder) for block in blocks(repository, "train-events-on-a-cluster"))
    assert re.findall(r"^==> .*/(\w+)\.sbatch <==$", first, re.MULTILINE) == ["pack", "check", "train", "predict", "evaluate"]
    assert sweep.count("#SBATCH --array=0-2") == 3
    assert not (folder / "runs").exists()


def test_own_files_are_described_before_they_are_read(folder: Path, repository: Path) -> None:
    study, check, _ = blocks(repository, "use-your-own-events")
    told = run(study, folder)
    assert "rows, sum of weights" in told
    assert "labwright check" in check
