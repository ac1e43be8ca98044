"""The pack is the same, byte for byte, however it came about; bad events and files leave the others as they are."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow.parquet as parquet
import pytest
import zarr

from labwright.data.packs import Pack
from labwright.events import pack
from labwright.events.pack import PIECES
from labwright.events.pack_options import PackOptions
from labwright.events.packing import bind
from labwright.events.packing.bind import EVENTS, PACK
from labwright.events.packing.classes import NONE
from labwright.events.reading.friends import described
from labwright.events.source import Chunk, chunks, listing, read
from labwright.parts.execute import execute
from labwright.parts.job import LocalJob
from labwright.runs.errors import DataError, Stopped
from labwright.runs.publish import digest, manifest
from labwright.runs.run import Run
from labwright.study.plan import create, options_of, plan
from labwright.study.resolve import resolve
from labwright.testing.trees import write_root
from tests.events.studies import PLAIN, codes, conducted, study, tree, two


def content(run: Run) -> dict[str, str]:
    """Digests of all output but the figures."""
    files = manifest(run.output())
    return {name: entry["sha256"] for name, entry in files.items()}


def events(run: Run) -> dict[str, np.ndarray[Any, Any]]:
    table = parquet.read_table(run.output(EVENTS))
    return {name: table.column(name).to_numpy() for name in table.column_names}


def options(run: Run) -> PackOptions:
    from labwright.study.registry import recipe

    found = options_of(run, recipe("events").step("pack"))
    assert isinstance(found, PackOptions)
    return found


@pytest.fixture(scope="module")
def path(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return two(tmp_path_factory.mktemp("pack"))


@pytest.fixture(scope="module")
def run(path: Path) -> Run:
    return conducted(path)


@pytest.mark.parametrize("sets", [("run.on.workers=2", "pack.read_events=1000"), ("pack.read_events=1300",)])
def test_neither_workers_nor_the_events_of_a_read_change_a_byte(
    path: Path, run: Run, tmp_path: Path, sets: tuple[str, ...], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(pack, "chunks", lambda listed, count: chunks(listed, count // 7))
    other = conducted(path, *sets, runs=tmp_path)
    assert content(other) == content(run)


def test_every_event_is_as_the_file_has_it(run: Run) -> None:
    found, listed = Pack.open(run.output(PACK)), listing(options(run).source)
    rows = events(run)
    jets, others = (
        np.concatenate([found.arrays[name][i] for i in range(len(found.arrays[name]))])[:1600] for name in ("can_jets", "other_jets")
    )
    assert [file["name"] for file in found.attributes["files"]] == ["signal.root", "background.root"]
    for number, count in enumerate((700, 900)):
        table = read(listed, Chunk(number, 0, count), options(run).source)
        mine = np.flatnonzero(rows["file"] == number)
        order = mine[np.argsort(rows["row"][mine])]
        assert np.array_equal(jets[order], table.can_jets)
        assert np.array_equal(others[order], table.other_jets)
        assert np.array_equal(rows["event"][order], table.event)
        assert np.array_equal(rows["xW"][order], table.extra["xW"])
        assert set(rows["label"][order].tolist()) == {1 - number}


def test_weights_are_those_of_the_file_scaled_to_the_norm(tmp_path: Path) -> None:
    weight = np.linspace(-0.2, 3, 700).astype(np.float32)
    run = conducted(two(tmp_path, signal={"weight": weight}))
    rows = events(run)
    mine = rows["label"] == 1
    assert rows["weight"][mine].sum() == pytest.approx(1)
    assert rows["weight"][~mine].sum() == pytest.approx(2)
    raw = weight[rows["row"][mine]].astype(float)
    assert np.allclose(rows["raw_weight"][mine], raw)
    assert np.allclose(rows["weight"][mine], raw / weight.astype(float).sum())
    assert {one["name"]: one["negative"] for one in _summary(run)["classes"]} == {"B": 0, "S": int((weight < 0).sum())}


def _summary(run: Run) -> dict[str, Any]:
    found: dict[str, Any] = json.loads(run.output("summary.json").read_text())
    return found


def test_the_order_is_random_of_the_seed_and_can_be_that_of_the_files(path: Path, run: Run) -> None:
    plain, other = conducted(path, "pack.shuffle=false"), conducted(path, "run.seed=8")
    ordered = events(plain)
    assert np.array_equal(ordered["file"], np.repeat([0, 1], [700, 900]))
    assert np.array_equal(ordered["row"], np.concatenate([np.arange(700), np.arange(900)]))
    places = [events(one)["event"] for one in (run, other)]
    assert not np.array_equal(*places)
    assert all(np.array_equal(np.sort(place), np.sort(ordered["event"])) for place in places)
    first = events(run)["file"][:800]
    assert first.mean() == pytest.approx(900 / 1600, abs=0.06)


def test_zarr_reads_chunks_whose_end_is_zero(run: Run) -> None:
    group = zarr.open_group(run.output(PACK), mode="r")
    assert group["can_jets"].shape == (13, 128, 4, 4)
    assert group["other_jets"].shape == (13, 128, 8, 5)
    assert (group.attrs["events"], group.attrs["classes"]) == (1600, ["B", "S"])
    assert not group["can_jets"][12, 64:].any()
    assert group["can_jets"][12, :64].all()
    items = Pack.open(run.output(PACK)).items.to_pylist()
    assert items[-1] == {"identity": "chunk 12", "start": 1536, "events": 64}


def test_what_was_read_is_recorded_with_its_digest_and_a_changed_file_is_noticed(tmp_path: Path) -> None:
    path = two(tmp_path)
    run = conducted(path)
    data = tmp_path / "data"
    assert {name: one["sha256"] for name, one in run.sources().items()} == {
        name: digest(data / name) for name in ("signal.root", "background.root")
    }
    assert not run.output(PIECES).exists()
    shape = (data / "signal.root").stat().st_size
    tree(data / "signal.root", 700, 1, weight=2.0)
    if (data / "signal.root").stat().st_size == shape:
        with pytest.raises(DataError, match="raw files changed after they were read"):
            conducted(path)


class Killed(BaseException):
    """Stands for a kill: nothing catches it."""


@pytest.mark.parametrize("place", ["second shard", "after the summary"])
def test_a_pack_that_was_broken_off_goes_on_to_the_same_bytes(
    path: Path, run: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, place: str
) -> None:
    monkeypatch.setattr(bind, "SHARD_CHUNKS", 4)
    whole, calls = bind.write_shard, []

    def broken(*arguments: Any) -> None:
        calls.append(arguments)
        if len(calls) == 8:
            raise Killed
        whole(*arguments)

    def half_removed(folder: Path) -> None:
        assert folder.name == PIECES
        shutil.rmtree(next(folder.iterdir()))
        raise Killed

    known = resolve([path], sets=[*PLAIN, "pack.read_events=1000"])
    begun = create(plan(known, runs=tmp_path, steps=["pack"])[0], known)
    with monkeypatch.context() as patch:
        patch.setattr(*((bind, "write_shard", broken) if place == "second shard" else (pack, "remove", half_removed)))
        with pytest.raises(Killed):
            execute(begun, quiet=True)
    parts = len(begun.records("part"))
    assert begun.done() is None
    assert execute(begun, quiet=True) == 0
    assert len(begun.records("part")) == parts, "what was read is not read again"
    assert not begun.output(PIECES).exists()
    monkeypatch.undo()
    rows = events(begun)
    assert all(np.array_equal(values, rows[name], equal_nan=values.dtype.kind == "f") for name, values in events(run).items())
    arrays = [Pack.open(one.output(PACK)).arrays for one in (run, begun)]
    assert all(np.array_equal(arrays[0][name][i], arrays[1][name][i]) for name in arrays[0] for i in range(13))
    assert (begun.findings(), begun.sections()[1]) == (run.findings(), run.sections()[1])


def test_a_pack_that_is_stopped_while_it_is_put_together_goes_on(
    path: Path, run: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with monkeypatch.context() as patch:
        patch.setattr(LocalJob, "stopping", lambda job: len(job.results()) == 2)
        with pytest.raises(Stopped, match="stopped while the pack was put together"):
            conducted(path, runs=tmp_path)
    assert content(conducted(path, runs=tmp_path)) == content(run)


def test_a_friend_brings_a_column_for_the_weight_and_its_file_is_recorded(tmp_path: Path) -> None:
    path = two(tmp_path, classes={"B": {"tags": "label:B", "weight": ["weight", "FvT"]}, "S": {"tags": "label:S"}})
    data = tmp_path / "data"
    ratio = np.linspace(0.1, 2, 900)
    pieces = []
    for start, stop in ((0, 300), (300, 900)):
        write_root(data / f"fvt_{start}.root", {"FvT": ratio[start:stop]})
        pieces.append(
            {
                "start": start,
                "stop": stop,
                "chunk": {"path": f"fvt_{start}.root", "uuid": "", "name": "Events", "num_entries": stop - start},
            }
        )
    target = {"path": "background.root", "uuid": "", "name": "Events", "num_entries": 900}
    (data / "friend.json").write_text(json.dumps(described("FvT", ["FvT"], [(target, pieces)])))
    path.write_text(path.read_text().replace("  - tags: label:B\n", "  - tags: label:B\n      friends: [friend.json]\n"))
    run = conducted(path)
    rows = events(run)
    mine = rows["label"] == 0
    assert np.allclose(rows["weight"][mine], ratio[rows["row"][mine]])
    assert {digest(data / name) for name in ("fvt_0.root", "fvt_300.root")} <= {one["sha256"] for one in run.sources().values()}


def test_a_file_that_cannot_be_read_is_set_aside_and_the_rest_packed(tmp_path: Path) -> None:
    path = two(tmp_path)
    data = tmp_path / "data"
    shutil.copy(data / "signal.root", data / "broken.root")
    whole = (data / "broken.root").read_bytes()
    (data / "broken.root").write_bytes(whole[: len(whole) // 2])
    text = path.read_text().replace("- signal.root", "- broken.root\n      - signal.root")
    path.write_text(text)
    run = conducted(path)
    assert ("EVT010", "error", "broken.root") in codes(run)
    assert run.figures()["events_S"] == 700


def test_rows_that_cannot_be_read_leave_the_other_rows_of_the_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A corrupted basket spoils the events that lie in it."""
    path = two(tmp_path)
    whole = pack.read

    def spoiled(listed: Any, chunk: Chunk, source: Any) -> Any:
        if chunk == Chunk(1, 450, 900):
            raise pack.BadFile("EVT010", "rows 450 to 899 of jet_pt cannot be read", where="background.root")
        return whole(listed, chunk, source)

    monkeypatch.setattr(pack, "chunks", lambda listed, count: chunks(listed, 450))
    monkeypatch.setattr(pack, "read", spoiled)
    run = conducted(path)
    assert run.figures()["events_B"] == 450
    assert ("EVT010", "error", "background.root") in codes(run)


def test_a_file_under_two_names_is_counted_once(tmp_path: Path) -> None:
    path = two(tmp_path)
    shutil.copy(tmp_path / "data" / "signal.root", tmp_path / "data" / "again.root")
    path.write_text(path.read_text().replace("- signal.root", "- signal.root\n      - again.root"))
    run = conducted(path)
    (found,) = [one for one in run.findings() if one["code"] == "EVT030"]
    assert (found["place"], found["severity"]) == ("again.root", "error")
    assert found["text"] == "700 events are there already, the first is run 7, lumi 1, event 1000 of signal.root; they are left out"
    assert (run.figures()["events"], run.figures()["repeated"], run.figures()["events_S"]) == (1600, 700, 700)


def test_other_events_of_the_same_number_are_only_a_warning(tmp_path: Path) -> None:
    """Simulated samples all have run 1 and number their events from 1 on."""
    run = conducted(two(tmp_path, signal={"event": np.arange(700, dtype=np.uint64)}, background={"event": np.arange(900, dtype=np.uint64)}))
    assert [one for one in codes(run) if one[1] != "note"] == [("EVT039", "warning", "background.root")]
    assert run.figures()["events"] == 1600


@pytest.mark.parametrize("keep", ["keep", "drop"])
def test_events_of_no_class_are_packed_without_weight_or_left_out(tmp_path: Path, keep: str) -> None:
    signal = np.arange(700) % 2 == 0
    classes = {"B": {"tags": "label:B"}, "S": {"tags": "label:S", "where": ["SR"], "norm": 1}}
    run = conducted(two(tmp_path, signal={"SR": signal}, classes=classes, regions="file", unlabelled=keep))
    assert ("EVT032", "note", "signal.root") in codes(run)
    rows = events(run)
    assert len(rows["label"]) == (1600 if keep == "keep" else 1250)
    unlabelled = rows["label"] == NONE
    assert np.count_nonzero(unlabelled) == (350 if keep == "keep" else 0)
    assert not rows["weight"][unlabelled].any()
    assert rows["weight"][rows["label"] == 1].sum() == pytest.approx(1)


def test_a_file_that_no_class_wants_is_told(tmp_path: Path) -> None:
    path = two(tmp_path, classes={"B": {"tags": "label:b"}, "S": {"tags": "label:S"}})
    found = {one["code"]: (one["place"], one["text"]) for one in conducted(path).findings()}
    assert found["EVT002"] == ("background.root", "none of its 900 events is of a class; its tags are label:B")
    assert found["EVT033"] == ("B", "no file has all of its tags 'label:b'; did you mean label:B; the tags are label:B and label:S")


@pytest.mark.parametrize(
    ("columns", "pack_options", "code"),
    [
        ({"weight": np.where(np.arange(900) == 5, np.nan, 1.0)}, {}, "EVT017"),
        (
            {"FvT": np.where(np.arange(900) == 5, np.nan, 1.0)},
            {"classes": {"B": {"tags": "label:B", "weight": ["weight", "FvT"]}}},
            "EVT017",
        ),
        ({"weight": np.zeros(900)}, {}, "EVT034"),
        ({"x": np.where(np.arange(900) == 5, np.inf, 1.0)}, {"ancillary": ["x"], "classes": {"B": {"tags": "label:B"}}}, "EVT023"),
        ({}, {"ancillary": ["x"]}, "EVT012"),
        ({}, {"classes": {"B": {"weight": ["x"]}}}, "EVT012"),
        ({"count": 0}, {}, "EVT015"),
        ({"count": 0}, {}, "EVT033"),
        ({}, {"classes": {"B": {"tags": "label:B"}, "all": {}}}, "EVT031"),
        ({"jets": 14}, {}, "EVT019"),
    ],
)
def test_bad_input_is_a_finding_at_its_place(tmp_path: Path, columns: dict[str, Any], pack_options: dict[str, Any], code: str) -> None:
    path = two(tmp_path, background=columns, signal={"x": 1.0}, **pack_options)
    run = conducted(path)
    (found,) = [one for one in run.findings() if one["code"] == code]
    assert found["place"] in ("background.root", "B", "B, all")
    rows = events(run)
    assert np.isfinite(rows["weight"]).all()
    arrays = Pack.open(run.output(PACK)).arrays
    assert all(np.isfinite(arrays["ancillary"][i]).all() for i in range(len(arrays["ancillary"])))


@pytest.mark.parametrize(("jets", "kept"), [(4, 8), (4, 0), (14, 3)])
def test_events_without_and_with_many_other_jets(tmp_path: Path, jets: int, kept: int) -> None:
    run = conducted(two(tmp_path, signal={"jets": jets}, background={"jets": jets}), f"pack.source.jets.max_others={kept}")
    others = Pack.open(run.output(PACK)).arrays["other_jets"]
    assert others.shape[2:] == (max(kept, 1), 5)
    there = np.concatenate([others[i] for i in range(len(others))])[:1600, :, 4] >= 0
    assert set(there.sum(axis=1).tolist()) == {min(jets - 4, kept)}


def test_columns_of_only_some_files_are_null_for_the_others(tmp_path: Path) -> None:
    run = conducted(two(tmp_path, signal={"kl": 5.0}, background={"label": 3.0}))
    table = parquet.read_table(run.output(EVENTS)).to_pydict()
    assert all((value is None) == (file == 1) for value, file in zip(table["kl"], table["file"], strict=True))
    assert {value for value, file in zip(table["file_label"], table["file"], strict=True) if file == 1} == {3.0}
    assert set(table["label"]) == {0, 1}


def test_where_no_event_is_left_nothing_is_packed(tmp_path: Path) -> None:
    path = two(tmp_path, signal={"jets": 3}, background={"jets": 2})
    with pytest.raises(DataError, match="no event is left of all files"):
        conducted(path)


def test_where_no_event_is_of_a_class_and_others_are_dropped_nothing_is_packed(tmp_path: Path) -> None:
    path = two(tmp_path, classes={"B": {"tags": "label:X"}}, unlabelled="drop")
    with pytest.raises(DataError, match="no event is left of all files"):
        conducted(path)
    (folder,) = (tmp_path / "runs").glob("pack-*")
    assert ("EVT033", "error", "B") in codes(Run.open(folder))


def test_the_number_of_chunks_may_be_asked_for_in_place_of_their_size(path: Path, run: Run) -> None:
    seven = conducted(path, "pack.chunks=7")
    assert Pack.open(seven.output(PACK)).arrays["can_jets"].shape[:2] == (7, 229)
    assert parquet.read_table(seven.output(EVENTS)).equals(parquet.read_table(run.output(EVENTS)))


def test_a_dry_run_tells_of_each_set_of_tags(path: Path) -> None:
    planned = plan(resolve([path]), steps=["pack"])[0]
    lines = "\n".join(planned.step.preview(planned.options, {}))
    assert "label:B: 1 file: background.root" in lines
    assert "900 rows, sum of weights 900" in lines
    assert "B, weighed by weight" in lines


def test_real_simulation_is_packed_whole(shared_data: Path, tmp_path: Path) -> None:
    source = {"path": str(shared_data / "events"), "planned_minutes": 0}
    groups = [{"tags": f"label:{name}", "files": [f"hh4b_sim_{name}.root"]} for name in ("signal", "qcd")]
    classes = {name: {"tags": f"label:{name}", "weight": [], "norm": 1} for name in ("qcd", "signal")}
    run = conducted(study(tmp_path, groups, classes, source=source, regions="file", chunk_events=8192))
    assert (run.figures()["events_signal"], run.figures()["events_qcd"]) == (19104, 25512)
    assert {one["severity"] for one in run.findings()} == {"note"}
    rows = events(run)
    assert np.allclose([rows["weight"][rows["label"] == label].sum() for label in (0, 1)], 1)
    assert rows["m4j"].min() > 0
