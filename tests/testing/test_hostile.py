"""Each case of the corpus really holds its defect, and what reads data finds it. Whole runs are tested with the command line."""

from __future__ import annotations

import errno
import itertools
import os
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path

import numpy as np
import pytest
import tifffile

from labwright.cells.findings import CATALOGUE, BadItem
from labwright.cells.frames import inspect_image, inspect_mask
from labwright.cells.source import scan
from labwright.cells.source_options import SourceOptions
from labwright.cells.tiff import read_image, read_mask
from labwright.runs.errors import Exit, LabwrightError
from labwright.study.resolve import resolve
from labwright.testing.hostile import CORPUS, FRAME, Hostile, small_disk
from labwright.testing.tiny import tiny_sequences, tiny_study

COMPARED = {"CEL002", "CEL020", "CEL030", "CEL031", "CEL033"}
"""Codes that packing gives, which compares what was read; here only the defect itself is looked at."""


def cases(kind: str) -> list[Hostile]:
    return [case for case in CORPUS if case.kind == kind]


def named(name: str) -> Hostile:
    (found,) = (case for case in CORPUS if case.name == name)
    return found


def codes(data: Path) -> set[str]:
    """What listing and reading find in the data."""
    listing = scan(SourceOptions(path=data))
    found = {one.code for one in listing.findings}
    for frame in (frame for frames in listing.sequences.values() for frame in frames):
        try:
            found |= {one.code for one in inspect_image(read_image(frame.image), "")}
            if frame.mask:
                found |= {one.code for one in inspect_mask(read_mask(frame.mask), "")}
        except BadItem as bad:
            found.add(bad.finding)
    return found


@pytest.mark.parametrize("case", [case for case in cases("data") if case.expect_code not in COMPARED], ids=lambda case: case.name)
def test_reading_finds_the_planted_defect_and_no_error_besides(tmp_path: Path, case: Hostile) -> None:
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


def frames(data: Path) -> Mapping[int, tuple[Path, Path | None]]:
    return {frame.frame: (frame.image, frame.mask) for frame in scan(SourceOptions(path=data)).sequences["01"]}


def test_defects_that_only_show_beside_other_frames_are_planted(tmp_path: Path) -> None:
    data = {
        case.expect_code: frames(case.make(tmp_path / case.name).parent / "data") for case in cases("data") if case.expect_code in COMPARED
    }
    assert data.keys() == COMPARED

    def shapes(code: str) -> list[tuple[int, ...]]:
        return [tifffile.imread(path).shape for path in data[code][FRAME] if path]

    assert data["CEL002"][FRAME][1] is None
    assert shapes("CEL020") == [(64, 64), (64, 60)]
    assert shapes("CEL030") == [(48, 64), (48, 64)]
    assert {number: tifffile.imread(image).dtype.name for number, (image, _) in data["CEL031"].items()} == {
        number: "uint8" if number == FRAME else "uint16" for number in range(6)
    }
    assert data["CEL033"][FRAME][0].read_bytes() == data["CEL033"][FRAME + 1][0].read_bytes()


def test_many_labels_are_more_than_16_bits_count(tmp_path: Path) -> None:
    image, mask = frames(named("more than 65,535 labels").make(tmp_path).parent / "data")[FRAME]
    assert mask is not None
    labels = read_mask(mask)
    assert labels.dtype == np.uint32
    assert labels.shape == read_image(image).shape
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
