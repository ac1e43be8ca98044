"""Each case of the corpus really holds its defect, and what reads data finds it. Whole runs are tested with the command line."""

from __future__ import annotations

import errno
import itertools
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from labwright.cells.findings import CATALOGUE, BadItem
from labwright.cells.frames import common_plane, pair_findings, repeat_findings
from labwright.cells.source import scan
from labwright.cells.source_options import SourceOptions
from labwright.cells.tiff import Plane, plane, read_image, read_mask
from labwright.runs.errors import Exit, LabwrightError
from labwright.runs.publish import digest
from labwright.study.resolve import resolve
from labwright.testing.hostile import CORPUS, FRAME, Hostile, small_disk
from labwright.testing.tiny import tiny_sequences, tiny_study

SPLITS = ("01", "02")
"""The sequences that the tiny study trains on and validates with."""


def cases(kind: str) -> list[Hostile]:
    return [case for case in CORPUS if case.kind == kind]


def named(name: str) -> Hostile:
    (found,) = (case for case in CORPUS if case.name == name)
    return found


def codes(data: Path) -> set[str]:
    """What listing, reading and comparing find in the data, as packing does it."""
    listing = scan(SourceOptions(path=data))
    found = {one.code for one in listing.findings}
    for name, frames in listing.sequences.items():
        planes: dict[int, Plane] = {}
        for frame in frames:
            try:
                planes[frame.frame] = plane(frame.image)
                found |= {one.code for one in pair_findings("", read_image(frame.image), frame.mask and read_mask(frame.mask))}
            except BadItem as bad:
                found.add(bad.finding)
        found |= {one.code for one in common_plane("", name, planes)[1]}
        found |= {one.code for one in repeat_findings("", name, {frame.frame: digest(frame.image) for frame in frames})}
        if name in SPLITS and not all(frame.mask for frame in frames):
            found.add("CEL002")
    return found


@pytest.mark.parametrize("case", cases("data"), ids=lambda case: case.name)
def test_the_planted_defect_is_found_and_no_error_besides(tmp_path: Path, case: Hostile) -> None:
    found = codes(case.make(tmp_path).parent / "data")
    assert case.expect_code in found
    errors = {code for code in found if CATALOGUE[code].severity == "error"}
    assert errors == ({case.expect_code} if case.expect_exit is Exit.DATA else set())


def test_every_finding_of_cells_is_provoked_with_the_exit_code_of_its_severity() -> None:
    assert {case.expect_code for case in cases("data")} == set(CATALOGUE)
    for case in cases("data"):
        assert case.expect_code
        assert case.expect_exit is (Exit.DATA if CATALOGUE[case.expect_code].severity == "error" else Exit.DONE)
    assert len({case.name for case in CORPUS}) == len(CORPUS)


def test_many_labels_are_more_than_16_bits_count(tmp_path: Path) -> None:
    data = named("more than 65,535 labels").make(tmp_path).parent / "data"
    labels = read_mask(data / "01_GT" / "SEG" / f"man_seg{FRAME:03d}.tif")
    assert labels.dtype == np.uint32
    assert len(np.unique(labels)) > 65_536


def test_tiny_data_are_clean_and_the_same_for_the_same_seed(tmp_path: Path) -> None:
    one, two, other = (tiny_sequences(tmp_path / str(number), seed=seed) for number, seed in enumerate((0, 0, 1)))
    assert codes(one) == set()
    files = sorted(path.relative_to(one) for path in one.rglob("*.tif"))
    assert len(files) == 2 * 2 * 6
    assert all((one / file).read_bytes() == (two / file).read_bytes() for file in files)
    assert any((one / file).read_bytes() != (other / file).read_bytes() for file in files)


def test_tiny_cells_keep_their_labels_move_and_stay_apart(tmp_path: Path) -> None:
    data = tiny_sequences(tmp_path, ("a",), frames=4, size=80, cells=7)
    masks = [read_mask(path) for path in sorted((data / "a_GT" / "SEG").iterdir())]
    for before, after in itertools.pairwise(masks):
        assert np.unique(before).tolist() == list(range(8))
        assert not np.array_equal(before, after)
        both = before[(before > 0) & (after > 0)], after[(before > 0) & (after > 0)]
        assert np.array_equal(*both)
    for one, other in ((masks[0][1:], masks[0][:-1]), (masks[0][:, 1:], masks[0][:, :-1])):
        assert not np.any((one > 0) & (other > 0) & (one != other))


def test_the_tiny_study_is_a_valid_one(tmp_path: Path) -> None:
    study = resolve([tiny_study(tmp_path, tiny_sequences(tmp_path / "data"))])
    listing = scan(study.steps["pack"].source)
    assert {name: len(frames) for name, frames in listing.sequences.items()} == {"01": 6, "02": 6}


@pytest.mark.parametrize("case", cases("study"), ids=lambda case: case.name)
def test_a_study_is_refused_for_its_one_defect_with_one_sentence(tmp_path: Path, case: Hostile) -> None:
    study = case.make(tmp_path)
    assert codes(tmp_path / "data") == set()
    with pytest.raises(LabwrightError) as caught:
        scan(resolve([study]).steps["pack"].source)
    assert caught.value.code is case.expect_exit
    assert case.expect_text in str(caught.value)
    assert not (tmp_path / "harm").exists()


def test_the_folder_for_runs_can_be_made_by_nobody(tmp_path: Path) -> None:
    folder = named("folder that cannot be written").make(tmp_path).parent
    with pytest.raises((PermissionError, NotADirectoryError)):
        (folder / "runs" / "pack-0000000000").mkdir(parents=True)


def test_a_small_disk_is_full_soon_and_leaves_the_machine_as_it_was(tmp_path: Path) -> None:
    study = named("full disk").make(tmp_path)
    assert "folder: small" in study.read_text()
    words = small_disk(tmp_path / "small")
    if words is None:
        pytest.skip("this machine lets nobody mount in a namespace of one's own")
    write = "import sys; open(sys.argv[1], 'wb').write(bytes(int(sys.argv[2])))"
    for size, full in ((1024, False), (2**20, True)):
        command = [*words, sys.executable, "-c", write, str(tmp_path / "small" / "file"), str(size)]
        outcome = subprocess.run(command, capture_output=True, text=True, check=False)
        assert (os.strerror(errno.ENOSPC) in outcome.stderr) is full
    assert list((tmp_path / "small").iterdir()) == []


@pytest.mark.parametrize("case", cases("run"), ids=lambda case: case.name)
def test_only_the_newest_checkpoint_is_damaged(tmp_path: Path, case: Hostile) -> None:
    content = {"model.safetensors": bytes(range(64)), "optimizer.safetensors": b"o" * 32, "state.json": b'{"step": 1}'}
    for step in ("000002", "000010"):
        folder = tmp_path / "checkpoints" / "fit" / step
        folder.mkdir(parents=True)
        for name, data in content.items():
            (folder / name).write_bytes(data)
    damaged = case.make(tmp_path)
    assert damaged.parent.name == "000010"
    changed = [path for path in tmp_path.rglob("*") if path.is_file() and path.read_bytes() != content[path.name]]
    assert changed == [damaged]
    if case.name == "checkpoint tampered with":
        assert damaged.stat().st_size == 64


def test_a_run_without_a_checkpoint_cannot_be_damaged(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="no checkpoint"):
        named("checkpoint cut short").make(tmp_path)
