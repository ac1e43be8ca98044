from __future__ import annotations

import json
from pathlib import Path

import awkward as ak
import fsspec
import h5py
import numpy as np
import pytest
import uproot
import yaml

from labwright.events.findings import BadFile
from labwright.events.source import applies, chunks, listing, raw_files, read, tags_of, year_of
from labwright.events.source_options import SourceOptions
from labwright.events.table import PADDING
from labwright.runs.errors import DataError, MissingError
from labwright.testing.trees import events, write_root
from tests.events.trees import listed_chunks, read_all, source, write_parquet


@pytest.mark.parametrize(
    ("text", "tags", "counts"),
    [
        ("", "label:data,year:UL18", True),
        ("label:data", "label:data,year:UL18", True),
        ("year:UL18, label:data", "label:data,year:UL18", True),
        ("label:data,year:UL17", "label:data,year:UL18", False),
        ("label:dat", "label:data", False),
    ],
)
def test_an_option_applies_to_files_whose_tags_include_its_own(text: str, tags: str, counts: bool) -> None:
    assert applies(text, tags_of(tags)) is counts


@pytest.mark.parametrize(
    ("tag", "year"),
    [("year:UL18", 18), ("year:UL16_preVFP", 16), ("year:2018", 18), ("year:2022_EE", 22), ("year:23_BPix", 23), ("label:18", None)],
)
def test_the_year_is_the_tags_first_two_digits(tag: str, year: int | None) -> None:
    assert year_of(frozenset([tag])) == year


def test_files_get_the_tags_of_all_groups_that_name_them_and_are_listed_once(tmp_path: Path) -> None:
    for name in ("b2", "b10", "a"):
        write_root(tmp_path / "data" / f"{name}.root", events(5))
    groups = [{"tags": "label:data", "files": ["data/b*.root", "data/b2.root"]}, {"tags": "year:UL17", "files": ["data/*.root"]}]
    listed = listing(SourceOptions.model_validate({"path": tmp_path, "groups": groups}))
    assert listed.names == ("data/b10.root", "data/b2.root", "data/a.root")
    assert [",".join(sorted(file.tags)) for file in listed.files] == ["label:data,year:UL17", "label:data,year:UL17", "year:UL17"]
    assert [file.size for file in raw_files(listed)] == [(tmp_path / name).stat().st_size for name in listed.names]
    assert [file.name for file in raw_files(listed)] == list(listed.names)


@pytest.mark.parametrize("suffix", ["yml", "json"])
def test_lists_of_files_by_a_way_of_keys(tmp_path: Path, suffix: str) -> None:
    write_root(tmp_path / "a.root", events(5))
    content = {"datasets": {"TTTo": {2018: {"files": ["a.root"]}}}}
    (tmp_path / f"sets.{suffix}").write_text(json.dumps(content) if suffix == "json" else yaml.safe_dump(content))

    def listed(way: str) -> tuple[str, ...]:
        group = {"tags": "label:ttbar", "lists": [f"sets.{suffix}@@{way}"]}
        return listing(SourceOptions.model_validate({"path": tmp_path, "groups": [group]})).names

    assert listed("datasets.TTTo.2018.files") == ("a.root",)
    with pytest.raises(MissingError, match=r"no key '2017'.*There is: 2018"):
        listed("datasets.TTTo.2017.files")
    with pytest.raises(DataError, match="not a list of files"):
        listed("datasets.TTTo")


def test_what_lists_and_friends_say_counts_and_where_they_lie_does_not(tmp_path: Path) -> None:
    def raw(folder: Path, lists: dict[str, list[str]], more: str = "") -> list[tuple[str, int, str]]:
        for name, seed in (("a", 1), ("b", 2)):
            if not (folder / f"{name}.root").exists():
                write_root(folder / f"{name}.root", events(5, seed=seed))
        (folder / "sets.yml").write_text(yaml.safe_dump({**lists, "more": more}))
        groups = [{"tags": f"label:{name}", "lists": [f"sets.yml@@{name}"]} for name in lists]
        return [tuple(file[1:]) for file in raw_files(listing(SourceOptions.model_validate({"path": folder, "groups": groups})))]

    first = raw(tmp_path / "one", {"data": ["a.root"], "ttbar": ["b.root"]})
    assert raw(tmp_path / "one", {"data": ["a.root"], "ttbar": ["b.root"]}, more="of other people") == first
    swapped = raw(tmp_path / "one", {"data": ["b.root"], "ttbar": ["a.root"]})
    assert sorted(swapped) != sorted(first)
    (tmp_path / "one").rename(tmp_path / "two")
    assert raw(tmp_path / "two", {"data": ["a.root"], "ttbar": ["b.root"]}) == first


def test_files_outside_of_the_folder_have_names_that_tell_them_apart(tmp_path: Path) -> None:
    for year in (2017, 2018):
        write_root(tmp_path / str(year) / "Events" / "nano.root", events(5))
    groups = [{"files": [str(tmp_path / str(year) / "Events" / "nano.root") for year in (2017, 2018)]}]
    listed = listing(SourceOptions.model_validate({"path": tmp_path / "study", "groups": groups}))
    assert listed.names == ("2017/Events/nano.root", "2018/Events/nano.root")


@pytest.mark.parametrize("files", [["nothing.root"], ["no*.root"], []])
def test_files_that_are_not_there_are_missing(tmp_path: Path, files: list[str]) -> None:
    with pytest.raises(MissingError):
        listing(source(tmp_path, *files))


def test_chunks_cover_each_row_of_each_file_once_in_nearly_equal_pieces(tmp_path: Path) -> None:
    for count in (1, 10, 11, 30):
        write_root(tmp_path / f"{count:02}.root", events(count))
    _, found = listed_chunks(source(tmp_path, "*.root"), rows=10)
    for number, count in enumerate((1, 10, 11, 30)):
        rows = [(start, stop) for file, start, stop in found if file == number]
        assert [row for start, stop in rows for row in range(start, stop)] == list(range(count))
        sizes = {stop - start for start, stop in rows}
        assert max(sizes) - min(sizes) <= 1
        assert max(sizes) <= 10


@pytest.mark.parametrize("form", ["root", "parquet"])
def test_formats_give_the_same_events(tmp_path: Path, form: str) -> None:
    columns = events(40)
    write_root(tmp_path / "a.root", columns)
    write_parquet(tmp_path / "a.parquet", columns)
    table = read_all(source(tmp_path, f"a.{form}"), rows=9)
    assert len(table) == 40
    assert table.row.tolist() == list(range(40))
    assert table.event.tolist() == list(range(40))
    np.testing.assert_allclose(table.weight, columns["weight"])
    leading = ak.to_numpy(ak.max(columns["jet_pt"], axis=1))
    np.testing.assert_array_equal(table.can_jets[:, 0, 0], leading)
    assert (np.diff(table.can_jets[..., 0], axis=1) <= 0).all()
    assert table.extra["year"].tolist() == [18.0] * 40
    # All jets pass, so that what is not among the four is among the others.
    n_jets = ak.to_numpy(ak.num(columns["jet_pt"]))
    assert (table.extra["n_selected"] == n_jets).all()
    assert ((table.other_jets[..., 4] == 1).sum(axis=1) == n_jets - 4).all()
    assert ((table.other_jets[..., 4] == PADDING).sum(axis=1) == 12 - n_jets).all()


@pytest.mark.parametrize("form", ["root", "parquet"])
def test_a_file_behind_an_address_is_read_as_one_here(tmp_path: Path, form: str) -> None:
    (write_root if form == "root" else write_parquet)(tmp_path / f"a.{form}", events(12))
    memory = fsspec.filesystem("memory")
    memory.pipe(f"/bucket/a.{form}", (tmp_path / f"a.{form}").read_bytes())
    memory.pipe("/bucket/list.json", json.dumps({"files": [f"memory://bucket/a.{form}"]}).encode())
    options = SourceOptions.model_validate(
        {"path": tmp_path, "groups": [{"tags": "year:UL18", "lists": ["memory://bucket/list.json@@files"]}]}
    )
    listed = listing(options)
    assert listed.names == (f"memory://bucket/a.{form}",)
    assert raw_files(listed)[0].size == (tmp_path / f"a.{form}").stat().st_size
    np.testing.assert_array_equal(read_all(options).can_jets, read_all(source(tmp_path, f"a.{form}")).can_jets)


def test_a_file_that_its_server_does_not_have_is_missing(tmp_path: Path) -> None:
    listed = listing(source(tmp_path, "memory://bucket/nothing.root"))
    with pytest.raises(MissingError, match="the file cannot be read"):
        raw_files(listed)
    with pytest.raises(MissingError, match="there is no such file"):
        chunks(listed, 10)
    with pytest.raises(MissingError, match="nonsense:// is not an address"):
        raw_files(listing(source(tmp_path, "nonsense://bucket/a.root")))


def test_an_address_whose_package_is_not_installed_says_what_to_type(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(__import__("sys").modules, "fsspec_xrootd", None)
    monkeypatch.setitem(__import__("sys").modules, "s3fs", None)
    for address, package in (("root://server//store/a.root", "fsspec-xrootd"), ("s3://bucket/a.root", "s3fs")):
        listed = listing(source(tmp_path, address, planned_minutes=0))
        with pytest.raises(MissingError, match=f"pip install {package}"):
            raw_files(listed)
        with pytest.raises(MissingError, match=f"pip install {package}"):
            chunks(listed, 10)


def test_files_without_event_numbers_know_equal_events_by_their_jets(tmp_path: Path) -> None:
    columns = {name: values for name, values in events(30).items() if name.startswith("jet_")}
    write_root(tmp_path / "a.root", columns)
    write_root(tmp_path / "b.root", {name: values[::-1] for name, values in columns.items()})
    table = read_all(source(tmp_path, "a.root", "b.root"))
    a, b = (table.take(table.file == number) for number in (0, 1))
    assert len(set(a.event.tolist())) == 30
    assert a.event.tolist() == b.event[::-1].tolist()
    assert [one.code for one in table.findings] == ["EVT003", "EVT003"]
    # The low bits deal events into folds: none of three is favoured beyond chance (30 events, 10 ± 2.6 each).
    assert np.bincount((a.event % np.uint64(3)).astype(int), minlength=3).min() >= 3


def test_columns_by_other_names(tmp_path: Path) -> None:
    columns = events(10)
    columns["w2"], columns["HLT_four"] = columns.pop("weight") * 2, np.arange(10) % 2 == 0
    columns["btagX"] = ak.zeros_like(columns["jet_pt"]) + 0.9
    write_root(tmp_path / "a.root", columns)
    table = read_all(source(tmp_path, "a.root", columns={"weight": "w2", "pass_hlt": "HLT_four", "again": "w2"}, jets={"b_tag": "btagX"}))
    np.testing.assert_allclose(table.weight, columns["w2"])
    np.testing.assert_allclose(table.extra["again"], columns["w2"])
    assert table.has("pass_hlt").tolist() == [row % 2 == 0 for row in range(10)]
    assert table.has("four_tag").all()


def test_flags_and_further_numbers_of_a_flat_file_are_read(tmp_path: Path) -> None:
    columns = events(10)
    columns |= {
        "fourTag": np.ones(10, bool),
        "SR": np.arange(10, dtype=np.int32) % 2,
        "pseudoTagWeight": np.full(10, 0.25),
        "SvB": np.linspace(0, 1, 10),
    }
    write_root(tmp_path / "a.root", columns)
    table = read_all(source(tmp_path, "a.root"))
    assert table.has("four_tag").all()
    assert not table.has("three_tag").any()
    assert table.has("SR").sum() == 5
    assert table.has("!SR").sum() == 5
    np.testing.assert_allclose(table.extra["SvB"], columns["SvB"])
    assert (table.extra["pseudo_tag_weight"] == 0.25).all()


def test_the_combinatoric_model_weighs_three_tag_events(tmp_path: Path) -> None:
    columns = events(20)
    columns |= {"threeTag": np.arange(20) % 2 == 0, "fourTag": np.arange(20) % 2 == 1}
    write_root(tmp_path / "a.root", columns)
    table = read_all(source(tmp_path, "a.root", combinatoric_model={"probability": 0.2}))
    free = table.extra["n_selected"] - 3
    expected = np.where(table.has("three_tag"), 1 - 0.8**free, 1.0)
    np.testing.assert_allclose(table.extra["pseudo_tag_weight"], expected)


def test_a_prepared_file_is_taken_as_it_is(tmp_path: Path) -> None:
    four = np.array([[[90.0, 0, 0, 5], [80, 1, 1, 5], [70, -1, 2, 5], [60, 0, 3, 5]], [[0.0] * 4] * 4])
    rest = [[[50.0, 0.5, 0.5, 4, 1], [30.0, 3.0, 0, 4, 0]], []]
    columns = {f"CanJet_{name}": ak.Array(four[..., place].tolist()) for place, name in enumerate(("pt", "eta", "phi", "mass"))}
    for place, name in enumerate(("pt", "eta", "phi", "mass", "isSelJet")):
        columns[f"NotCanJet_{name}"] = ak.values_astype(ak.Array([[jet[place] for jet in event] for event in rest]), np.float32)
    columns |= {"event": np.array([5, 6], np.uint64), "weight": np.array([1.0, np.nan]), "nSelJets": np.array([5, 0], np.int32)}
    columns |= {"xW": np.array([0.5, 0]), "xbW": np.array([-0.5, 0]), "threeTag": np.array([True, False]), "SR": np.array([True, False])}
    write_root(tmp_path / "a.root", columns)
    table = read_all(source(tmp_path, "a.root", kind="prepared"))
    # The second row is padding, as an analysis writes it where an event failed its selection; nothing in it is wrong.
    assert table.row.tolist() == [0]
    assert table.can_jets[0, :, 0].tolist() == [90, 80, 70, 60]
    assert table.other_jets[0, :3, 0].tolist() == [50, 30, 0]
    assert table.other_jets[0, :3, 4].tolist() == [1, 0, -1]
    assert (table.extra["n_selected"][0], table.extra["xW"][0], table.extra["xbW"][0]) == (5, 0.5, -0.5)
    assert table.has("three_tag").all()
    assert [one.code for one in table.findings] == ["EVT018"]


def test_events_may_have_no_other_jets_or_more_than_places(tmp_path: Path) -> None:
    write_root(tmp_path / "a.root", events(20, jets=(4, 4)))
    write_root(tmp_path / "b.root", events(20, jets=(13, 15), seed=1))
    table = read_all(source(tmp_path, "a.root", "b.root"), rows=100)
    few, many = (table.take(table.file == number) for number in (0, 1))
    assert (few.other_jets[..., 4] == PADDING).all()
    assert (many.other_jets[..., 4] == 1).all()
    assert (many.extra["n_dropped"] == many.extra["n_selected"] - 12).all()
    assert table.dropped_jets == many.extra["n_dropped"].sum() > 0
    (told,) = table.findings
    assert (told.code, told.place) == ("EVT019", "b.root")
    assert (np.diff(many.other_jets[..., 0], axis=1) <= 0).all()


def test_no_file_of_one_kl_reads_those_of_another(tmp_path: Path) -> None:
    """In the original a pattern was filled in once and used for all couplings, so that all read the first one's files."""
    for number, kl in enumerate(("0", "1", "2.45", "5")):
        write_root(tmp_path / f"cHHH{kl}.root", events(5, seed=number))
    groups = [{"tags": f"label:ggF,kl:{kl}", "files": [f"cHHH{kl}.root"]} for kl in ("0", "1", "2.45", "5")]
    listed = listing(SourceOptions.model_validate({"path": tmp_path, "groups": groups}))
    assert [sorted(file.tags)[0] for file in listed.files] == [f"kl:{file.name[4:-5]}" for file in listed.files]
    assert len({file.address for file in listed.files}) == 4


def test_real_hh4b_simulation_is_read_whole(shared_data: Path) -> None:
    options = SourceOptions.model_validate(
        {"path": shared_data / "events", "groups": [{"tags": "year:UL18", "files": ["hh4b_sim_*.root"]}]}
    )
    table = read_all(options, rows=20_000)
    assert np.bincount(table.file).tolist() == [25_512, 19_104]
    assert table.has("SR").sum() + table.has("CR").sum() == len(table)
    np.testing.assert_allclose(table.can_jets[..., 0].sum(axis=1).min(), 160, atol=20)
    with uproot.open(shared_data / "events" / "hh4b_sim_signal.root") as file:
        arrays = file["Events"].arrays(["m4j", "SvB", "weight"], library="np")
    signal = table.take(table.file == 1)
    np.testing.assert_array_equal(signal.extra["SvB"], arrays["SvB"])
    np.testing.assert_array_equal(signal.weight, arrays["weight"].astype(float))


@pytest.mark.parametrize(("b_tag", "used"), [("", "Jet_btagDeepFlavB"), ("Jet_btagCSVV2", "Jet_btagCSVV2")])
def test_real_nanoaod_of_2015_with_either_tagger(shared_data: Path, b_tag: str, used: str) -> None:
    name = "nanoAOD_2015_CMS_Open_Data_ttbar.root"
    options = source(shared_data / "events", name, kind="nanoaod", jets={"b_tag": b_tag, "min_pt_gev": 0.0, "max_abs_eta": 10.0})
    table = read_all(options, rows=200)
    assert len(table) == 54
    with uproot.open(shared_data / "events" / name) as file:
        arrays = file["Events"].arrays(["Jet_pt", used, "event", "genWeight"])
    for number in range(0, 54, 9):
        row = arrays[table.row[number]]
        best = sorted(zip(row[used], row["Jet_pt"], strict=True), reverse=True)[:4]
        assert table.can_jets[number, :, 0].tolist() == sorted((pt for _, pt in best), reverse=True)
        assert table.event[number] == row["event"]
    assert (table.weight == ak.to_numpy(arrays["genWeight"])[table.row]).all()


def test_real_data_have_no_generator_branches_and_weigh_one(shared_data: Path) -> None:
    options = source(shared_data / "events", "nano_dimuon.root", kind="nanoaod", jets={"min_pt_gev": 0.0, "max_abs_eta": 10.0})
    table = read_all(options, rows=40)
    assert len(table) == 35
    assert set(table.run.tolist()) == {315267}
    assert (table.weight == 1).all()


def test_real_spanet_file_uses_its_mask(shared_data: Path) -> None:
    options = source(shared_data / "events", "spanet_full_hadronic_ttbar.h5", kind="spanet", jets={"b_threshold": 0.5})
    table = read_all(options, rows=3000)
    assert len(table) == 10_000
    with h5py.File(shared_data / "events" / "spanet_full_hadronic_ttbar.h5") as file:
        mask, tag = file["INPUTS/Source/MASK"][:], file["INPUTS/Source/btag"][:]
    assert (table.extra["n_selected"] == mask.sum(axis=1)).all()
    assert (table.extra["n_tagged"] == (tag * mask).sum(axis=1)).all()
    assert table.has("four_tag").sum() == 162
    assert table.has("three_tag").sum() == 1621


def test_no_rows_are_no_events(tmp_path: Path) -> None:
    write_root(tmp_path / "a.root", {name: values[:0] for name, values in events(3).items()})
    options = source(tmp_path, "a.root")
    listed, (chunk,) = listed_chunks(options)
    assert (chunk.start, chunk.stop) == (0, 0)
    table = read(listed, chunk, options)
    assert len(table) == 0
    assert [(one.code, one.severity) for one in table.findings] == [("EVT015", "warning")]


@pytest.mark.parametrize(("rows", "code"), [(0, "EVT015"), (3, "EVT018")])
def test_no_event_is_left_of_a_file_without_event_numbers(tmp_path: Path, rows: int, code: str) -> None:
    columns = events(3)
    del columns["event"]
    write_root(tmp_path / "a.root", {name: values[:rows] for name, values in columns.items()})
    options = source(tmp_path, "a.root", jets={"min_pt_gev": 1e6})
    listed, (chunk,) = listed_chunks(options)
    table = read(listed, chunk, options)
    assert len(table) == 0
    assert code in {one.code for one in table.findings}


@pytest.mark.parametrize(
    ("name", "text", "says"),
    [
        ("sets.yml", "data: [a.root]\ndata: [b.root]\n", "'data' stands twice in one section, on line 1 and on line 2"),
        ("sets.yml", "data: !!python/name:os.system [a.root]\n", "the tag .* is refused"),
        ("sets.yml", "data: [a.root\n", "a bracket is not closed|not YAML"),
        ("sets.json", '{"data": ["a.root"], "data": ["b.root"]}', "'data' stands twice"),
    ],
)
def test_a_list_that_says_a_thing_twice_is_refused(tmp_path: Path, name: str, text: str, says: str) -> None:
    write_root(tmp_path / "a.root", events(5))
    (tmp_path / name).write_text(text)
    with pytest.raises(DataError, match=says):
        listing(SourceOptions.model_validate({"path": tmp_path, "groups": [{"lists": [f"{name}@@data"]}]}))


def test_a_list_may_be_as_long_as_a_campaign(tmp_path: Path) -> None:
    write_root(tmp_path / "a.root", events(5))
    (tmp_path / "sets.yml").write_text("data:\n" + "- a.root\n" * 30_000)
    assert listing(SourceOptions.model_validate({"path": tmp_path, "groups": [{"lists": ["sets.yml@@data"]}]})).names == ("a.root",)


def test_the_least_momentum_of_the_other_jets(tmp_path: Path) -> None:
    write_root(tmp_path / "a.root", events(50, (9, 9)))
    every, some = (read_all(source(tmp_path, "a.root", jets={"min_other_pt_gev": least})) for least in (0, 60))
    np.testing.assert_array_equal(every.can_jets, some.can_jets)
    there = every.other_jets[..., 4] != PADDING
    kept = there & (every.other_jets[..., 0] >= 60)
    assert 0 < kept.sum() < there.sum()
    assert (some.other_jets[..., 4] != PADDING).sum(axis=1).tolist() == kept.sum(axis=1).tolist()
    np.testing.assert_array_equal(some.other_jets[some.other_jets[..., 4] != PADDING], every.other_jets[kept])


def test_the_regression_scales_momentum_and_mass_of_the_four_and_leaves_the_others(tmp_path: Path) -> None:
    columns = events(50, (6, 6))
    write_root(tmp_path / "a.root", {**columns, "jet_bReg": ak.ones_like(columns["jet_pt"]) * np.float32(1.25)})
    plain, scaled = (read_all(source(tmp_path, "a.root", jets=jets)) for jets in ({}, {"b_regression": "jet_bReg"}))
    np.testing.assert_allclose(scaled.can_jets, plain.can_jets * np.array([1.25, 1, 1, 1.25], np.float32), rtol=1e-6)
    np.testing.assert_array_equal(scaled.other_jets, plain.other_jets)
    with pytest.raises(BadFile, match="no column 'jet_bRegg', which the study names for factor"):
        read_all(source(tmp_path, "a.root", jets={"b_regression": "jet_bRegg"}))
