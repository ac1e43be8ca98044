from __future__ import annotations

import shutil
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from labwright.cells.source import Listing, identity, raw_files, scan
from labwright.cells.source_options import SourceOptions
from labwright.runs.errors import MissingError
from labwright.testing.tiny import tiny_sequences


def listed(path: Path, **options: object) -> Listing:
    return scan(SourceOptions(path=path, **options))


def touch(folder: Path, *names: str) -> Path:
    """Listing reads no pixel, so empty files do."""
    folder.mkdir(parents=True, exist_ok=True)
    for name in names:
        (folder / name).touch()
    return folder


@pytest.mark.parametrize(
    ("name", "masks", "sequence", "frames"),
    [
        ("t98g_phase", None, "01", 37),
        ("u373_phase_resized", None, "01", 115),
        ("hela_nuclei", "{sequence}_ERR_SEG", "02", 20),
        ("cancer_nuclei", "{sequence}_AUTO/SEG", "01", 48),
        ("myoblast_phase", "{sequence}_AUTO/SEG", "01", 10),
    ],
)
def test_real_folders_pair_each_frame_with_the_mask_of_its_number(
    shared_data: Path, name: str, masks: str | None, sequence: str, frames: int
) -> None:
    listing = listed(shared_data / "cells" / name, masks=masks)
    assert list(listing.sequences) == [sequence]
    assert [frame.frame for frame in listing.sequences[sequence]] == list(range(frames))
    for frame in listing.sequences[sequence]:
        assert frame.mask is not None
        assert (frame.image.name, frame.mask.name) == (f"t{frame.frame:03d}.tif", f"man_seg{frame.frame:03d}.tif")
    assert listing.findings == ()
    assert len(raw_files(listing)) == 2 * frames


def test_a_real_folder_whose_masks_are_elsewhere_tells_the_option_that_finds_them(shared_data: Path) -> None:
    listing = listed(shared_data / "cells" / "hela_nuclei")
    (found,) = listing.findings
    assert (found.code, found.severity, found.place) == ("CEL004", "note", "hela_nuclei/02")
    assert "'{sequence}_ERR_SEG'" in found.text
    assert all(frame.mask is None for frame in listing.sequences["02"])


def test_a_real_folder_with_nothing_but_tracks_holds_no_sequence(shared_data: Path) -> None:
    with pytest.raises(MissingError, match="01_RES"):
        listed(shared_data / "cells" / "hela_tracks_only")


@given(
    frames=st.dictionaries(
        st.integers(0, 20_000), st.tuples(st.integers(1, 6), st.one_of(st.none(), st.integers(1, 6))), min_size=1, max_size=12
    )
)
def test_frames_pair_by_number_whatever_the_padding(
    tmp_path_factory: pytest.TempPathFactory, frames: dict[int, tuple[int, int | None]]
) -> None:
    folder = tmp_path_factory.mktemp("data")
    touch(folder / "a", *(f"t{number:0{width}d}.tif" for number, (width, _) in frames.items()))
    touch(folder / "a_GT", *(f"man_seg{number:0{width}d}.tif" for number, (_, width) in frames.items() if width))
    sequence = listed(folder, kind="challenge").sequences["a"]
    assert [frame.frame for frame in sequence] == sorted(frames)
    for frame in sequence:
        wide, mask_wide = frames[frame.frame]
        assert frame.image.name == f"t{frame.frame:0{wide}d}.tif"
        assert (frame.mask and frame.mask.name) == (f"man_seg{frame.frame:0{mask_wide}d}.tif" if mask_wide else None)


def test_gold_masks_go_before_silver_ones_and_a_named_folder_before_both(tmp_path: Path) -> None:
    touch(tmp_path / "01", "t000.tif")
    for masks in ("01_ST/SEG", "01_GT/SEG", "01_OURS"):
        touch(tmp_path / masks, "man_seg000.tif")

    def taken(**options: object) -> str:
        mask = listed(tmp_path, **options).sequences["01"][0].mask
        assert mask is not None
        return mask.parent.relative_to(tmp_path).as_posix()

    assert taken() == "01_GT/SEG"
    assert taken(masks="{sequence}_OURS") == "01_OURS"
    shutil.rmtree(tmp_path / "01_GT")
    assert taken() == "01_ST/SEG"


def test_a_folder_of_frames_is_the_sequence_it_would_be_in_its_source(tmp_path: Path) -> None:
    tiny_sequences(tmp_path / "data")
    whole, alone = listed(tmp_path / "data"), listed(tmp_path / "data" / "02")
    assert alone.sequences == {"02": whole.sequences["02"]}
    assert alone.root == whole.root == "data"
    assert {file.name for file in raw_files(alone)} <= {file.name for file in raw_files(whole)}


def test_images_without_any_mask_are_listed(tmp_path: Path) -> None:
    touch(tmp_path / "d", "t0000.tif", "t0001.tif")
    listing = listed(tmp_path, kind="challenge")
    assert [frame.mask for frame in listing.sequences["d"]] == [None, None]
    assert [found.severity for found in listing.findings] == ["note"]


def test_masks_named_like_images_are_no_sequence_of_their_own(tmp_path: Path) -> None:
    touch(tmp_path / "a", "t000.tif")
    touch(tmp_path / "a_labels", "t000.tif")
    listing = listed(tmp_path, masks="{sequence}_labels")
    assert list(listing.sequences) == ["a"]
    assert listing.sequences["a"][0].mask == tmp_path / "a_labels" / "t000.tif"


def test_what_names_alone_show_is_found(tmp_path: Path) -> None:
    touch(tmp_path / "01", "t000.tif", "t001.tif", "t0001.tif", "t004.tif", "overview.tif", "._t000.tif", "notes.txt")
    touch(tmp_path / "01_GT" / "SEG", "man_seg000.tif", "man_seg004.tif", "man_seg4.tif", "man_seg009.tif", "man_seg_001_012.tif")
    listing = listed(tmp_path)
    root = tmp_path.name
    assert [frame.frame for frame in listing.sequences["01"]] == [0]
    found = {(found.code, found.place): found.text for found in listing.findings}
    assert found.keys() == {
        ("CEL001", f"{root}/01/frame 9"),
        ("CEL003", f"{root}/01/frame 1"),
        ("CEL003", f"{root}/01/frame 4"),
        ("CEL005", f"{root}/01"),
        ("CEL032", f"{root}/01"),
    }
    assert "t0001.tif and t001.tif" in found["CEL003", f"{root}/01/frame 1"]
    assert "2-3" in found["CEL032", f"{root}/01"]
    strays = [found.text for found in listing.findings if found.code == "CEL005"]
    assert ["overview.tif" in strays[0], "man_seg_001_012.tif" in strays[1]] == [True, True]
    assert "._t000" not in strays[0]


def test_files_set_aside_still_count_as_raw_files(tmp_path: Path) -> None:
    touch(tmp_path / "01", "t000.tif", "t001.tif", "t0001.tif")
    assert {file.name for file in raw_files(listed(tmp_path))} == {"01/t000.tif", "01/t001.tif", "01/t0001.tif"}


def test_raw_files_are_named_alike_wherever_the_source_lies(tmp_path: Path) -> None:
    here = raw_files(listed(tiny_sequences(tmp_path / "here")))
    there = raw_files(listed(tiny_sequences(tmp_path / "deep" / "there")))
    assert [file[1:] for file in here] == [file[1:] for file in there]
    assert all(file.size == file.path.stat().st_size > 0 for file in here)


def test_a_link_to_nowhere_is_missed_and_not_overlooked(tmp_path: Path) -> None:
    touch(tmp_path / "01", "t000.tif")
    (tmp_path / "01" / "t001.tif").symlink_to(tmp_path / "gone.tif")
    listing = listed(tmp_path)
    assert len(listing.sequences["01"]) == 2
    with pytest.raises(MissingError, match=r"t001\.tif"):
        raw_files(listing)


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"path": "dat"}, "Did you mean 'data'"),
        ({"path": "data/01/t000.tif"}, "no such source folder"),
        ({"path": "no/such/place"}, "not there either"),
        ({"path": "empty"}, "none at all"),
        ({"path": "data", "sequences": ("01", "02_2")}, "Did you mean '02'"),
        ({"path": "data", "sequences": ("a",)}, "there are: 01, 02."),
        ({"path": "data", "masks": "{sequence}_ST/SEG"}, "{sequence}_GT/SEG"),
    ],
)
def test_what_is_missing_is_named_with_what_is_there(tmp_path: Path, options: dict[str, object], words: str) -> None:
    tiny_sequences(tmp_path / "data", frames=1)
    (tmp_path / "empty").mkdir()
    with pytest.raises(MissingError) as caught:
        scan(SourceOptions(**{**options, "path": tmp_path / str(options["path"])}))
    assert words in str(caught.value)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("masks", ["01_GT/SEG", "/masks/{sequence}", "../{sequence}_GT"])
def test_a_mask_pattern_lies_below_the_source_and_depends_on_the_sequence(masks: str) -> None:
    with pytest.raises(ValidationError):
        SourceOptions(path=Path("data"), masks=masks)


def test_identity_reads_as_a_place() -> None:
    assert identity("t98g", "01", 12) == "t98g/01/frame 12"
