"""What no file has is a mistake of the study; what files name in unlike ways is told."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import awkward as ak
import numpy as np
import pytest

from labwright.cli.main import main
from labwright.events.reading.friends import described
from labwright.runs.errors import StudyError
from labwright.testing.trees import events, write_root
from tests.events.studies import conducted, study, two


@pytest.mark.parametrize(
    ("pack", "says"),
    [
        ({"ancillary": ["yeer"]}, r"pack\.ancillary: no file has a column 'yeer'; did you mean 'year'"),
        (
            {"classes": {"B": {"tags": "label:B", "weight": ["weigth"]}, "S": {"tags": "label:S"}}},
            r"pack\.classes\.B\.weight: no file has a column 'weigth'; did you mean 'weight'",
        ),
        ({"ancillary": ["a", "b"]}, "2 mistakes"),
    ],
)
def test_a_column_that_no_file_has_is_a_mistake_of_the_study(tmp_path: Path, pack: dict[str, Any], says: str) -> None:
    path = two(tmp_path, **pack)
    with pytest.raises(StudyError, match=says):
        conducted(path)


def test_the_command_ends_with_78_before_anything_is_read(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["run", str(two(tmp_path, ancillary=["yeer"])), "--step", "pack", "--set", "run.on.workers=1"]) == 78
    said = "".join(capsys.readouterr())
    assert said.count("yeer") == 1
    assert "EVT012" not in said


def test_it_is_looked_for_in_the_files_of_the_class(tmp_path: Path) -> None:
    path = two(tmp_path, signal={"x": 1.0}, classes={"B": {"tags": "label:B", "weight": ["x"]}, "S": {"tags": "label:S", "weight": ["x"]}})
    with pytest.raises(StudyError, match=r"classes\.B\.weight: no file has a column 'x'"):
        conducted(path)


def test_what_every_event_gets_need_not_be_in_a_file(tmp_path: Path) -> None:
    made = ["n_tagged", "n_dropped", "m4j", "m_lead", "m_sub", "pairing", "x_hh", "x_zh", "x_zz", "xW", "xbW", "n_selected", "year"]
    run = conducted(two(tmp_path, ancillary=[*made, "pseudo_tag_weight"], source={"combinatoric_model": {"probability": 0.1}}))
    assert run.figures()["events"] == 1600


def test_a_weight_that_two_friends_bring_names_both(tmp_path: Path) -> None:
    path = two(tmp_path, classes={"B": {"tags": "label:B", "weight": ["FvT"]}, "S": {"tags": "label:S"}})
    data = tmp_path / "data"
    target = {"path": "background.root", "uuid": "", "name": "Events", "num_entries": 900}
    for name in ("one", "two"):
        write_root(data / f"{name}.root", {"FvT": np.ones(900)})
        chunk = {"path": f"{name}.root", "uuid": "", "name": "Events", "num_entries": 900}
        (data / f"{name}.json").write_text(json.dumps(described("FvT", ["FvT"], [(target, [{"start": 0, "stop": 900, "chunk": chunk}])])))
    path.write_text(path.read_text().replace("  - tags: label:B\n", "  - tags: label:B\n      friends: [one.json, two.json]\n"))
    with pytest.raises(StudyError, match=r"one\.json and two\.json both have a column 'FvT'"):
        conducted(path)


def nano(path: Path, tagger: str, seed: int) -> None:
    """A file of an era, whose jets have this tagger."""
    columns = events(40, (6, 6), seed)
    jets = {f"Jet_{name}": columns[f"jet_{name}"] for name in ("pt", "eta", "phi", "mass")}
    jets["Jet_pt"] = jets["Jet_pt"] + 40
    write_root(path, {**jets, f"Jet_{tagger}": ak.ones_like(jets["Jet_pt"]), "genWeight": np.ones(40), "year": np.full(40, 18.0)})


@pytest.mark.parametrize(("taggers", "found"), [(("btagPNetB", "btagDeepFlavB"), 1), (("btagPNetB", "btagPNetB"), 0)])
def test_files_with_unlike_taggers_are_told(tmp_path: Path, taggers: tuple[str, str], found: int) -> None:
    for number, tagger in enumerate(taggers):
        nano(tmp_path / "data" / f"{number}.root", tagger, number)
    path = study(tmp_path, [{"tags": "year:UL18", "files": ["*.root"]}], {"all": {}}, source={"kind": "nanoaod"})
    told = [one for one in conducted(path).findings() if one["code"] == "EVT005"]
    assert len(told) == found
    if found:
        assert told[0]["severity"] == "warning"
        assert told[0]["text"] == "Jet_btagPNetB in 1 file, as 0.root; Jet_btagDeepFlavB in 1 file, as 1.root; all are cut at 0.6"
