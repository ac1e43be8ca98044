"""An exported ensemble scores as the trained one, in a study, in Python and against its own example."""

from __future__ import annotations

import json
import re
from pathlib import Path

import numpy as np
import pytest
import torch

from labwright.cli.main import main
from labwright.events import export
from labwright.events.export import EXAMPLE, EXPORTED, export_weights, invented
from labwright.events.folds import fold_of, scored
from labwright.events.identity import Identity
from labwright.events.packing.load import load
from labwright.events.scoring.ensemble import Inputs, probabilities, score
from labwright.events.training.models import load_models
from labwright.learn import tensors
from labwright.learn.cards import CARD
from labwright.runs.errors import CommandError, FaultError, MissingError, StudyError
from labwright.runs.run import Run
from tests.events.studies import conducted, two
from tests.events.test_train import SETS


@pytest.fixture(autouse=True)
def one_thread() -> None:
    torch.set_num_threads(1)


@pytest.fixture(scope="module")
def trained(tmp_path_factory: pytest.TempPathFactory) -> Run:
    return conducted(two(tmp_path_factory.mktemp("export")), *SETS, "train.members=together", step="train")


@pytest.fixture(scope="module")
def exported(trained: Run, tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("exported") / "model"
    assert main(["export", "weights", str(trained.folder), "--to", str(folder)]) == 0
    return folder


def test_a_folder_has_all_models_and_what_is_needed_to_use_them(exported: Path, trained: Run) -> None:
    assert {path.name for path in exported.iterdir()} == EXPORTED
    told = json.loads((exported / "model.json").read_text())
    assert {path.stem for path in (exported / "best").iterdir()} == {one["name"] for one in told["members"]}
    assert all("Philox4x32-10" in one["folding"]["rule"] for one in told["members"])
    assert [one["name"] for one in told["inputs"]] == ["can_jets", "other_jets", "ancillary"]
    card = (exported / CARD).read_text()
    assert trained.name in card
    assert "year, n_selected, xW, xbW" in card


def test_the_lines_of_the_card_score_events_as_predict_does(exported: Path, trained: Run) -> None:
    """The card's own code, run as it stands."""
    packed = load(Run.open(trained.inputs["pack"]))
    (code,) = re.findall(r"```python\n(.*?)```", (exported / CARD).read_text(), re.DOTALL)
    given = {"can_jets": packed.can_jets.numpy(), "other_jets": packed.other_jets.numpy(), "ancillary": packed.ancillary.numpy()}
    names = {**given, **packed.identity._asdict()}
    exec(code.replace("THIS_FOLDER", str(exported)), names)
    found = names["scores"]
    models = load_models(trained.output("model"))
    for one, network in zip(models.members, models.networks, strict=True):
        own = scored(one, packed.identity)
        expected = probabilities(network, [values[own] for values in given.values()])
        np.testing.assert_array_equal(found["p_S"][own], expected[:, 1])  # type: ignore[index]
    assert (found["n_models"] == 1).all()  # type: ignore[index]


def test_the_example_tells_another_program_whether_it_is_right(exported: Path) -> None:
    """Only tensors and model.json, as somebody would have it who does not use us."""
    content = {name: one.numpy() for name, one in tensors.read(exported / EXAMPLE).items()}
    models = load_models(exported)
    inputs = [content[name] for name in ("can_jets", "other_jets", "ancillary")]
    mean = np.full_like(content["mean"], np.nan)
    for one, network in zip(models.members, models.networks, strict=True):
        with torch.no_grad():
            logits, views = network(*(torch.from_numpy(column) for column in inputs))
        said = torch.cat((logits.softmax(-1), views.softmax(-1)), -1).numpy()
        np.testing.assert_allclose(said, content[f"model.{one.name}"], atol=1e-6)
        own = content[f"fold.{one.folding.name}"] == one.fold
        mean[own] = said[own]
    np.testing.assert_allclose(mean, content["mean"], atol=1e-6)
    identity = Identity(*(content[name].astype(kind) for name, kind in (("run", np.uint32), ("lumi", np.uint32), ("event", np.uint64))))
    np.testing.assert_array_equal(fold_of(identity, models.members[0].folding), content["fold.random3.0"])


def test_models_that_score_otherwise_are_not_published(trained: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    whole = export.load_models

    def other(folder: Path) -> object:
        found = whole(folder)
        if folder != trained.output("model"):
            with torch.no_grad():
                next(found.networks[1].parameters()).mul_(1.001)
        return found

    monkeypatch.setattr(export, "load_models", other)
    with pytest.raises(FaultError, match="differs from that of the trained ones"):
        export_weights(trained, tmp_path / "model")
    assert list(tmp_path.iterdir()) == []


def test_an_export_replaces_an_export_and_nothing_else(exported: Path, trained: Run, tmp_path: Path) -> None:
    before = {path.name: path.read_bytes() for path in exported.rglob("*") if path.is_file()}
    export_weights(trained, exported)
    assert {path.name: path.read_bytes() for path in exported.rglob("*") if path.is_file()} == before
    (tmp_path / "thesis.tex").write_text("")
    with pytest.raises(CommandError, match="other files"):
        export_weights(trained, tmp_path)
    with pytest.raises(MissingError, match="not a complete training"):
        export_weights(Run.open(trained.inputs["pack"]), tmp_path / "model")


def test_events_of_another_shape_are_refused(exported: Path) -> None:
    models = load_models(exported)
    events = invented(models.description, 10)
    with pytest.raises(StudyError, match="other_jets of an event have the shape"):
        score(models, events._replace(other_jets=events.other_jets[:, :3]))


def test_scores_of_no_events_are_no_scores(exported: Path) -> None:
    models = load_models(exported)
    events = invented(models.description, 0)
    assert {len(column) for column in score(models, Inputs(*events)).values()} == {0}
