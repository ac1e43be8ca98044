"""The pack is the same, byte for byte, however it came about, and one bad file moves no other."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import tifffile
import zarr

from labwright.cells.pack import PACK
from labwright.cells.target import border_core
from labwright.data.packs import Pack
from labwright.parts.conduct import conduct
from labwright.parts.execute import execute
from labwright.runs.errors import MissingError, StudyError
from labwright.runs.publish import digest, manifest
from labwright.runs.run import Run
from labwright.study.plan import create, plan
from labwright.study.resolve import Study, resolve
from labwright.study.step import LazyStep
from labwright.testing.hostile import CORPUS
from labwright.testing.tiny import write_tiff
from tests.cells.studies import PLAIN, conducted, tiny

FRAMES = 9
SHARDS = 10
"""Two sequences of nine frames, two frames a shard."""


def black(study: Path, frame: int = 3) -> None:
    path = study.parent / "data" / "01" / f"t{frame:03d}.tif"
    write_tiff(path, np.zeros_like(tifffile.imread(path)))


def packed(study: Path, *sets: str) -> Run:
    return conducted(study, *sets, step="pack")["pack"]


def content(run: Run) -> dict[str, str]:
    return {name: entry["sha256"] for name, entry in manifest(run.output(PACK)).items()}


def opened(run: Run) -> Pack:
    return Pack.open(run.output(PACK))


def rows(run: Run) -> dict[str, dict[str, Any]]:
    return {row["identity"]: row for row in opened(run).items.to_pylist()}


@pytest.fixture(scope="module")
def study(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Two sequences, a black frame in the first."""
    made = tiny(tmp_path_factory.mktemp("pack"), frames=FRAMES)
    black(made)
    return made


@pytest.fixture(scope="module")
def run(study: Path) -> Run:
    return packed(study)


def resolved(study: Path, folder: Path, *sets: str) -> Study:
    return resolve([study], sets=[*PLAIN, f"run.folder={folder}", *sets])


@pytest.mark.parametrize("workers", [2, 4])
def test_any_number_of_workers_makes_the_same_bytes(study: Path, run: Run, tmp_path: Path, workers: int) -> None:
    (result,) = conduct(resolved(study, tmp_path, f"run.on.workers={workers}"), step="pack", quiet=True)
    other = Run.open(result.folder)
    assert len(run.records("part")) == len(other.records("part")) == SHARDS
    assert content(other) == content(run)
    assert other.findings() == run.findings()


def test_any_order_of_completion_makes_the_same_bytes(study: Path, run: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    # The pool takes parts by cost: the last one first, each after the other in this one process.
    ordered = LazyStep.parts
    monkeypatch.setattr(LazyStep, "parts", lambda step, job: [part._replace(cost=i) for i, part in enumerate(ordered(step, job))])
    (result,) = conduct(resolved(study, tmp_path), step="pack", quiet=True)
    reverse = Run.open(result.folder)
    finished = [one["id"] for one in reverse.records("part")]
    assert finished == sorted(finished, reverse=True)
    assert content(reverse) == content(run)


DELAYED = """
import time
from labwright.cells import pack
plain = pack.write_shard
def late(path, spec, start, data):
    time.sleep(0.4 if start == 0 else 0.0)  # the first shards come last
    plain(path, spec, start, data)
pack.write_shard = late
"""


def test_delays_in_the_workers_change_no_byte(study: Path, run: Run, tmp_path: Path) -> None:
    site = tmp_path / "site"
    site.mkdir()
    (site / "sitecustomize.py").write_text(DELAYED)
    command = [sys.executable, "-m", "labwright", "run", str(study), "--step", "pack", "--quiet", "--runs", str(tmp_path / "runs")]
    command += ["--set", "run.on.workers=2"]
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join([str(site), os.environ.get("PYTHONPATH", "")])}
    outcome = subprocess.run(command, env=environment, capture_output=True, text=True, check=False)
    assert outcome.returncode == 0, outcome.stderr
    (folder,) = (tmp_path / "runs").iterdir()
    late = Run.open(folder)
    finished = [one["id"] for one in late.records("part")]
    assert finished != sorted(finished)
    assert content(late) == content(run)


class Killed(BaseException):
    """Stands for a kill: nothing catches it."""


def test_a_pack_that_was_broken_off_goes_on_to_the_same_bytes(
    study: Path, run: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from labwright.cells import pack

    whole, written = pack.write_shard, []

    def broken(path: Path, *arguments: Any) -> None:
        if len(written) == 10:
            raise Killed
        written.append(path)
        whole(path, *arguments)

    study_there = resolved(study, tmp_path)
    begun = create(plan(study_there, steps=["pack"])[0], study_there)
    with monkeypatch.context() as patch:
        patch.setattr(pack, "write_shard", broken)
        with pytest.raises(Killed):
            execute(begun, quiet=True)
    assert begun.done() is None
    times = {path: path.stat().st_mtime_ns for path in written}
    assert execute(begun, quiet=True) == 0
    assert content(begun) == content(run)
    kept = [path for path, before in times.items() if path.stat().st_mtime_ns == before]
    assert len(kept) == 9, "three whole shards stay as they are; the tenth file belongs to a part that was not done"


def test_a_black_frame_is_set_aside_and_keeps_its_place_and_its_bytes(run: Run) -> None:
    pack, items = opened(run), rows(run)
    row = items["data/01/frame 3"]
    assert (row["split"], row["aside"], row["index"]) == (None, "CEL014", 3)
    assert not pack.arrays["images/01"][3].any()
    assert pack.arrays["images/01"][3].base is not None, "mapped, so that it has bytes"
    assert [(one["code"], one["place"], one["severity"]) for one in run.findings()] == [("CEL014", "data/01/frame 3", "error")]
    assert run.figures()["set_aside"] == 1
    assert run.figures()["items_train"] == FRAMES - 1


def test_every_other_frame_is_what_its_files_hold(study: Path, run: Run) -> None:
    pack, data = opened(run), study.parent / "data"
    for name, row in rows(run).items():
        if row["aside"]:
            continue
        image = tifffile.imread(data / row["sequence"] / f"t{row['frame']:03d}.tif")
        mask = tifffile.imread(data / f"{row['sequence']}_GT" / "SEG" / f"man_seg{row['frame']:03d}.tif")
        arrays = {kind: pack.arrays[f"{kind}/{row['array']}"][row["index"]] for kind in ("images", "labels", "targets")}
        assert np.array_equal(arrays["images"], image), name
        assert np.array_equal(arrays["labels"], mask), name
        assert np.array_equal(arrays["targets"], border_core(mask, 4)), name
        assert row["split"] == {"01": "train", "02": "validate"}[row["sequence"]]
        assert row["n_instances"] == len(np.unique(mask)) - 1
        assert row["mean"] == pytest.approx(image.mean(dtype=float))
        assert row["deviation"] == pytest.approx(image.std(dtype=float))
        assert (row["minimum"], row["maximum"]) == (image.min(), image.max())


def test_zarr_reads_it_too(run: Run) -> None:
    group = zarr.open_group(run.output(PACK), mode="r")
    pack = opened(run)
    assert sorted(pack.arrays) == [f"{kind}/{sequence}" for kind in ("images", "labels", "targets") for sequence in ("01", "02")]
    for name, array in pack.arrays.items():
        assert np.array_equal(group[name][:], np.stack([array[i] for i in range(len(array))]))
    assert group.attrs["target"]["width_px"] == 4


def test_what_was_read_is_recorded_with_its_digest(study: Path, run: Run) -> None:
    data = study.parent / "data"
    sources = run.sources()
    assert sources.keys() == {path.relative_to(data).as_posix() for path in data.rglob("*.tif")} - {"01_GT/SEG/man_seg003.tif"}
    path = data / "02_GT" / "SEG" / "man_seg004.tif"
    assert sources["02_GT/SEG/man_seg004.tif"] == {
        "size": path.stat().st_size,
        "mtime_ns": path.stat().st_mtime_ns,
        "sha256": digest(path),
    }


def test_the_report_tells_of_each_frame(run: Run) -> None:
    figures, table = run.sections()
    assert {item["name"]: item["value"] for item in figures["items"]}["set aside"] == 1
    assert len(table["rows"]) == 2 * FRAMES


def test_compressed_arrays_are_equal_and_smaller(study: Path, run: Run, tmp_path: Path) -> None:
    (result,) = conduct(resolved(study, tmp_path, "pack.compression=zstd"), step="pack", quiet=True)
    small = Run.open(result.folder)
    assert small.figures()["bytes"] < 0.7 * run.figures()["bytes"]
    for name, array in opened(run).arrays.items():
        assert all(np.array_equal(array[i], opened(small).arrays[name][i]) for i in range(len(array)))
    assert opened(small).items.equals(opened(run).items)


def test_scales_travel_from_the_tags_or_from_the_study(tmp_path: Path) -> None:
    study = tiny(tmp_path)
    for path in (tmp_path / "data" / "01").iterdir():
        description = {"unit": "um", "finterval": 120.0}
        tifffile.imwrite(path, tifffile.imread(path), imagej=True, resolution=(4.0, 4.0), metadata=description)
    items = rows(packed(study))
    assert {(row["pixel_size_um"], row["frame_interval_s"]) for row in items.values() if row["sequence"] == "01"} == {(0.25, 120.0)}
    assert {(row["pixel_size_um"], row["frame_interval_s"]) for row in items.values() if row["sequence"] == "02"} == {(None, None)}
    told = rows(packed(study, "pack.source.pixel_size_um=0.65", "pack.source.frame_interval_s=300"))
    assert {(row["pixel_size_um"], row["frame_interval_s"]) for row in told.values()} == {(0.65, 300.0)}


CASES = {case.name: case for case in CORPUS if case.kind == "data"}


@pytest.mark.parametrize(
    "name", ["truncated image", "colour mask", "image and mask of different sizes", "frame of another size", "NaN in an image"]
)
def test_a_bad_file_moves_no_other(tmp_path: Path, name: str) -> None:
    clean, study = tiny(tmp_path / "clean", frames=6), CASES[name].make(tmp_path / "bad")
    if name == "NaN in an image":  # the case makes the whole sequence float
        for path in (tmp_path / "clean" / "data" / "01").iterdir():
            write_tiff(path, tifffile.imread(path).astype(np.float32))
    whole, holed = packed(clean), packed(study)
    assert CASES[name].expect_code in {one["code"] for one in holed.findings() if one["severity"] == "error"}
    assert [row["aside"] for row in rows(holed).values()].count(CASES[name].expect_code) == 1
    for identity, row in rows(holed).items():
        if not row["aside"]:
            assert row == rows(whole)[identity]
            for kind in ("images", "labels", "targets"):
                pair = (opened(one).arrays[f"{kind}/{row['array']}"][row["index"]] for one in (whole, holed))
                assert np.array_equal(*pair)


def test_leaving_a_bad_frame_out_of_the_splits_mends_the_data(tmp_path: Path) -> None:
    study = tiny(tmp_path, frames=6)
    black(study)
    left_out = packed(study, "pack.split={train: ['01:0-2,4-5'], validate: ['02']}")
    assert [(one["code"], one["severity"]) for one in left_out.findings()] == [("CEL014", "note")]
    assert left_out.figures()["items_train"] == 5


def test_a_sequence_of_which_nothing_can_be_read_is_one_finding(tmp_path: Path) -> None:
    study = tiny(tmp_path)
    for path in (tmp_path / "data" / "01").iterdir():
        path.write_bytes(b"")
    run = packed(study)
    assert [(one["code"], one["place"]) for one in run.findings()] == [("CEL010", "data/01")]
    assert {row["sequence"] for row in rows(run).values()} == {"02"}


def test_where_nothing_can_be_read_nothing_is_packed(tmp_path: Path) -> None:
    study = tiny(tmp_path)
    for path in (tmp_path / "data").glob("0?/*.tif"):
        path.write_bytes(b"")
    with pytest.raises(MissingError, match="no image can be read"):
        packed(study)


def test_a_frame_in_two_splits_is_refused_before_anything_is_packed(tmp_path: Path) -> None:
    with pytest.raises(StudyError, match="01, frame 0: the splits train and validate both select it"):
        packed(tiny(tmp_path, split='{train: ["01"], validate: ["0*"]}'))
    assert not list((tmp_path / "runs").rglob("c"))


def test_a_dry_run_tells_what_would_be_made(study: Path) -> None:
    planned = plan(resolve([study]), steps=["pack"])[0]
    lines = planned.step.preview(planned.options, {})
    assert lines[0] == "01: 9 frames of 64×64 uint16, 9 masks → 0.3 MB"
