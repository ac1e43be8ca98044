"""A pack gives back what was put in, to every reader, and says so when it is damaged."""

from __future__ import annotations

import importlib.util
import json
import multiprocessing
import os
import pickle
import random
import time
from concurrent.futures import Executor, ProcessPoolExecutor, ThreadPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pytest
import zarr
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays

from labwright.data.packs import Pack
from labwright.data.write import ArraySpec, content_digest, finish_pack, shard_bytes, shards, write_shard
from labwright.runs import publish
from labwright.runs.errors import DataError, FaultError, MissingError


def table(count: int) -> pa.Table:
    return pa.table({"identity": [f"item {number}" for number in range(count)]})


def pack(folder: Path, data: np.ndarray, shard_items: int, compression: Any = None, name: str = "images/01") -> Pack:
    spec = ArraySpec(name, data.shape, data.dtype.name, shard_items, compression)
    for start, stop, file in shards(spec):
        write_shard(folder / file, spec, start, data[start:stop])
    finish_pack(folder, [spec], table(len(data)), {"pixel_size_um": 0.5})
    return Pack.open(folder)


def frames(count: int = 18, side: int = 16) -> np.ndarray:
    data = np.random.default_rng(0).integers(1, 60000, (count, side, side)).astype(np.uint16)
    data[4:6] = 0  # one shard of two is all black
    return data


def write_one(folder: Path, spec: ArraySpec, start: int, stop: int, file: str, delay: float) -> None:
    time.sleep(delay)
    write_shard(folder / file, spec, start, frames()[start:stop])


def contents(folder: Path) -> dict[str, bytes]:
    return {path.relative_to(folder).as_posix(): path.read_bytes() for path in sorted(folder.rglob("*")) if path.is_file()}


def make(folder: Path, workers: Executor | None, order: list[int]) -> dict[str, bytes]:
    spec = ArraySpec("images/01", frames().shape, "uint16", 2)
    plan = [shards(spec)[number] for number in order]
    if workers is None:
        for start, stop, file in plan:
            write_one(folder, spec, start, stop, file, 0)
    else:
        # The shard that is begun first is ready last.
        waits = [0.01 * (len(plan) - place) for place in range(len(plan))]
        for task in [workers.submit(write_one, folder, spec, *shard, wait) for shard, wait in zip(plan, waits, strict=True)]:
            task.result()
    finish_pack(folder, [spec], table(len(frames())), {"b": 1, "a": [1.5, "x"]})
    return contents(folder)


def test_bytes_do_not_depend_on_workers_or_order(tmp_path: Path) -> None:
    straight = make(tmp_path / "straight", None, list(range(9)))
    assert len([name for name in straight if "/c/" in name]) == 9
    shuffled = random.Random(3).sample(range(9), 9)
    assert make(tmp_path / "shuffled", None, shuffled) == straight
    with ThreadPoolExecutor(4) as threads:
        assert make(tmp_path / "threads", threads, list(range(9))) == straight
    with ProcessPoolExecutor(2, multiprocessing.get_context("spawn")) as processes:
        assert make(tmp_path / "processes", processes, shuffled) == straight
    black = straight["images/01/c/2/0/0"]
    assert len(black) == len(straight["images/01/c/0/0/0"])


def test_finishing_twice_changes_nothing(tmp_path: Path) -> None:
    first = make(tmp_path, None, list(range(9)))
    publish.sweep(tmp_path)
    assert make(tmp_path, None, [8, 0]) == first


def test_leftovers_of_a_killed_process_do_not_count(tmp_path: Path) -> None:
    clean = make(tmp_path / "clean", None, list(range(9)))
    leftover = tmp_path / "killed/images/01/c/3/0/.tmp-1-0-0"
    leftover.parent.mkdir(parents=True)
    leftover.write_bytes(b"half a shard")
    killed = make(tmp_path / "killed", None, list(range(9)))
    assert killed.pop("images/01/c/3/0/.tmp-1-0-0") == b"half a shard"
    assert killed == clean
    assert Pack.open(tmp_path / "killed").verify(checksums=True) == []


def test_items_table_bytes_do_not_depend_on_its_chunks(tmp_path: Path) -> None:
    spec = ArraySpec("labels", (0, 4), "int32", 2)
    whole = table(100)
    finish_pack(tmp_path / "a", [spec], whole, {})
    finish_pack(tmp_path / "b", [spec], pa.concat_tables([whole.slice(0, 37), whole.slice(37)]), {})
    assert contents(tmp_path / "a") == contents(tmp_path / "b")


@pytest.mark.parametrize("compression", [None, "zstd"])
def test_every_zarr_reader_opens_it(tmp_path: Path, compression: str | None) -> None:
    data = frames(17)
    pack(tmp_path, data, 4, compression)
    group = zarr.open_group(tmp_path, mode="r")
    assert group.attrs["pixel_size_um"] == 0.5
    assert [name for name, _ in group["images"].arrays()] == ["01"]
    np.testing.assert_array_equal(group["images/01"][:], data)


@pytest.mark.skipif(importlib.util.find_spec("tensorstore") is None, reason="tensorstore is not installed")
@pytest.mark.parametrize("compression", [None, "zstd"])
def test_tensorstore_reads_it(tmp_path: Path, compression: str | None) -> None:
    import tensorstore

    data = frames(17)
    pack(tmp_path, data, 4, compression)
    store = tensorstore.open({"driver": "zarr3", "kvstore": {"driver": "file", "path": str(tmp_path / "images/01")}}).result()
    np.testing.assert_array_equal(store.read().result(), data)


SHAPES = arrays.array_shapes(min_dims=1, max_dims=4, max_side=7)
TYPES = st.sampled_from(["bool", "uint8", "uint16", "int32", "int64", "float16", "float32", "float64", "complex64"])


@settings(max_examples=40)
@given(st.data(), st.integers(1, 9), st.sampled_from([None, "zstd"]))
def test_any_array_comes_back(
    tmp_path_factory: pytest.TempPathFactory, data: st.DataObject, shard_items: int, compression: str | None
) -> None:
    array = data.draw(arrays.arrays(data.draw(TYPES), data.draw(SHAPES)))
    opened = pack(tmp_path_factory.mktemp("pack"), array, shard_items, compression).arrays["images/01"]
    assert (opened.shape, opened.dtype, len(opened)) == (array.shape, array.dtype, len(array))
    for number in range(-len(array), len(array)):
        item = opened[number]
        np.testing.assert_array_equal(item, array[number])
        assert isinstance(item, np.ndarray)
        assert item.dtype == array.dtype
        assert not item.flags.writeable
    for outside in (len(array), -len(array) - 1):
        with pytest.raises(IndexError):
            opened[outside]


def test_views_lie_on_the_file_and_hold_no_descriptor(tmp_path: Path) -> None:
    opened = pack(tmp_path, np.arange(200, dtype=np.int32).reshape(200, 1), 2).arrays["images/01"]
    before = len(os.listdir("/proc/self/fd"))
    views = [opened[number] for number in range(200)]
    assert len(os.listdir("/proc/self/fd")) == before
    maps = Path("/proc/self/maps").read_text()
    assert maps.count(f"{tmp_path}/images/01/c/") == 100
    assert [int(view[0]) for view in views] == list(range(200))


def test_a_view_outlives_its_pack(tmp_path: Path) -> None:
    data = frames()
    view = pack(tmp_path, data, 2).arrays["images/01"][7]
    np.testing.assert_array_equal(view, data[7])


def test_threads_read_the_same(tmp_path: Path) -> None:
    data = frames(64)
    opened = pack(tmp_path, data, 3).arrays["images/01"]
    order = np.random.default_rng(1).integers(0, 64, 2000)
    with ThreadPoolExecutor(8) as threads:
        sums = list(threads.map(lambda number: int(opened[number].sum()), order))
    assert sums == [int(data[number].sum()) for number in order]


def test_a_pack_travels_to_another_process_by_its_folder(tmp_path: Path) -> None:
    data = frames()
    opened = pack(tmp_path, data, 2)
    assert opened.arrays["images/01"][0].sum() == data[0].sum()
    again = pickle.loads(pickle.dumps(opened))  # noqa: S301 - its own bytes
    np.testing.assert_array_equal(again.arrays["images/01"][3], data[3])


def test_items_and_attributes_come_back(tmp_path: Path) -> None:
    opened = pack(tmp_path, frames(), 4)
    assert opened.items.equals(table(18))
    assert opened.attributes == {"pixel_size_um": 0.5}
    assert "18 items, 1 arrays" in repr(opened)


def test_a_shard_that_another_writer_left_holes_in_is_read_by_zarr(tmp_path: Path) -> None:
    """Zarr writers that skip empty chunks leave 2**64 - 1 in the index; the item is the fill value."""
    data = frames()
    pack(tmp_path, data, 4)
    store = zarr.open_array(tmp_path / "images/01", mode="r+", config={"write_empty_chunks": False})
    store[4:8] = data[4:8]
    files = {"format": "labwright-pack", "format_version": 1, "files": publish.manifest(tmp_path)}
    files["files"].pop("manifest.json")
    (tmp_path / "manifest.json").write_text(json.dumps(files))
    opened = Pack.open(tmp_path).arrays["images/01"]
    for number in range(18):
        np.testing.assert_array_equal(opened[number], data[number])


def test_missing_and_unfinished_packs_are_named(tmp_path: Path) -> None:
    with pytest.raises(MissingError, match="there is no pack"):
        Pack.open(tmp_path / "nowhere")
    pack(tmp_path, frames(), 2)
    (tmp_path / "manifest.json").unlink()
    with pytest.raises(MissingError, match="not finished"):
        Pack.open(tmp_path)


def test_a_truncated_shard_is_found_on_opening(tmp_path: Path) -> None:
    pack(tmp_path, frames(), 2)
    shard = tmp_path / "images/01/c/3/0/0"
    shard.write_bytes(shard.read_bytes()[:-7])
    with pytest.raises(DataError, match="images/01/c/3/0/0 has"):
        Pack.open(tmp_path)


def test_a_flipped_bit_is_found_by_checksums(tmp_path: Path) -> None:
    opened = pack(tmp_path, frames(), 2)
    assert opened.verify(checksums=True) == []
    shard = tmp_path / "images/01/c/3/0/0"
    content = bytearray(shard.read_bytes())
    content[5] ^= 1
    shard.write_bytes(content)
    assert Pack.open(tmp_path).verify() == []
    assert opened.verify(checksums=True) == ["images/01/c/3/0/0 differs from its checksum"]


@pytest.mark.parametrize("compression", [None, "zstd"])
def test_a_damaged_index_is_an_error_not_a_wrong_picture(tmp_path: Path, compression: str | None) -> None:
    pack(tmp_path, frames(), 2, compression)
    shard = tmp_path / "images/01/c/3/0/0"
    content = bytearray(shard.read_bytes())
    content[-20] ^= 1
    shard.write_bytes(content)
    with pytest.raises(DataError):
        Pack.open(tmp_path).arrays["images/01"][6]


def test_an_index_with_a_good_checksum_cannot_point_outside(tmp_path: Path) -> None:
    import google_crc32c

    pack(tmp_path, frames(), 2)
    shard = tmp_path / "images/01/c/3/0/0"
    content = bytearray(shard.read_bytes())
    size = 16 * 16 * 2
    index = np.array([[10**6, size], [10**6 + size, size]], "<u8").tobytes()
    content[-36:] = index + google_crc32c.value(index).to_bytes(4, "little")
    shard.write_bytes(content)
    with pytest.raises(DataError, match="past the end"):
        Pack.open(tmp_path).arrays["images/01"][6]


def tamper(folder: Path, change: Any) -> None:
    value = json.loads((folder / "manifest.json").read_text())
    change(value)
    (folder / "manifest.json").write_text(json.dumps(value))


@pytest.mark.parametrize(
    ("change", "sentence"),
    [
        (lambda value: value.update(format="other"), "no Labwright pack"),
        (lambda value: value.update(format_version=2), "pack format 2 is not known"),
        (lambda value: value.update(files=[]), "manifest is damaged"),
        (lambda value: value["files"].update({"../zarr.json": {"size": 1, "sha256": ""}}), "manifest is damaged"),
        (lambda value: value["files"].update({"/etc/zarr.json": {"size": 1, "sha256": ""}}), "manifest is damaged"),
        (lambda value: value["files"].pop("items.parquet"), "manifest is damaged"),
        (lambda value: value["files"].pop("images/01/c/8/0/0"), "manifest lacks images/01/c/8/0/0"),
        (lambda value: value["files"]["images/01/c/8/0/0"].update(size=1), "images/01/c/8/0/0 has"),
        (lambda value: value["files"].update({"absent": {"size": 1, "sha256": ""}}), "absent is missing"),
    ],
)
def test_a_tampered_manifest_is_refused(tmp_path: Path, change: Any, sentence: str) -> None:
    pack(tmp_path, frames(), 2)
    tamper(tmp_path, change)
    with pytest.raises(DataError, match=sentence):
        Pack.open(tmp_path)


@pytest.mark.parametrize("text", ["", "[1]", "{}", '{"shape": [3'])
def test_unreadable_metadata_is_refused(tmp_path: Path, text: str) -> None:
    pack(tmp_path, frames(), 2)
    (tmp_path / "images/01/zarr.json").write_text(text)
    tamper(tmp_path, lambda value: value["files"]["images/01/zarr.json"].update(size=len(text)))
    with pytest.raises(DataError, match=r"images/01/zarr\.json"):
        Pack.open(tmp_path)


def test_a_pack_is_not_finished_without_all_shards(tmp_path: Path) -> None:
    spec = ArraySpec("images/01", (4, 2, 2), "uint8", 2)
    write_shard(tmp_path / shards(spec)[0].file, spec, 0, np.ones((2, 2, 2), np.uint8))
    with pytest.raises(FaultError, match="1 of 2 shards are missing"):
        finish_pack(tmp_path, [spec], table(4), {})
    assert not (tmp_path / "manifest.json").exists()


def test_an_identity_is_given_once(tmp_path: Path) -> None:
    spec = ArraySpec("labels", (0, 4), "int32", 2)
    with pytest.raises(DataError, match="01/frame 3"):
        finish_pack(tmp_path, [spec], pa.table({"identity": ["01/frame 2", "01/frame 3", "01/frame 3"]}), {})


@pytest.mark.parametrize("name", ["", "/a", "a//b", "../a", "a/../b", "a/", "__x", ".tmp-3"])
def test_names_that_leave_the_folder_are_refused(name: str) -> None:
    with pytest.raises(ValueError, match="cannot name an array"):
        ArraySpec(name, (2, 2), "uint8", 1)


@pytest.mark.parametrize(("shape", "dtype", "shard_items"), [((), "uint8", 1), ((3, 0), "uint8", 1), ((3,), "str", 1), ((3,), "uint8", 0)])
def test_impossible_arrays_are_refused(shape: tuple[int, ...], dtype: str, shard_items: int) -> None:
    with pytest.raises(ValueError, match="array a"):
        ArraySpec("a", shape, dtype, shard_items)


@pytest.mark.parametrize(("start", "data"), [(1, np.zeros((2, 3), np.uint8)), (0, np.zeros((1, 3), np.uint8)), (0, np.zeros((2, 3)))])
def test_a_shard_takes_exactly_its_items(start: int, data: np.ndarray) -> None:
    with pytest.raises(ValueError, match="is not its shard"):
        shard_bytes(ArraySpec("a", (5, 3), "uint8", 2), start, data)


def test_the_content_digest_knows_type_shape_and_values() -> None:
    base = np.arange(6, dtype=np.int32).reshape(2, 3)
    others = [base.astype(np.int64), base.reshape(3, 2), base + 1]
    assert len({content_digest(array) for array in (base, *others)}) == 4
    assert content_digest(base) == content_digest(np.asfortranarray(base))
