"""From scores to a page: right figures, nothing trained, nothing fetched, nothing blinded shown."""

from __future__ import annotations

import json
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow.parquet as parquet
import pytest
import torch
from sklearn.metrics import roc_auc_score

from labwright.events import evaluate
from labwright.events.evaluation import calibration_page, pages
from labwright.events.evaluation.closing import NoModel
from labwright.events.evaluation.epochs_page import epochs_page, spaced
from labwright.events.recipe import EvaluateOptions
from labwright.events.training.epochs import EPOCHS, FPR, read_epochs
from labwright.parts.conduct import conduct
from labwright.runs.errors import DataError, MissingError, Stopped, StudyError
from labwright.runs.publish import digest
from labwright.runs.run import Run
from labwright.study.resolve import resolve
from labwright.watch.report import write_report
from tests.events.judging import FVT, SVB, flag, job, made, random
from tests.events.studies import PLAIN, conducted, two
from tests.events.test_train import SETS

HOW = (*SETS, "train.epochs=2", "train.members=apart", "evaluate.bootstrap=20", "evaluate.bins=8", 'evaluate.slices=["region", "class"]')


@pytest.fixture(autouse=True)
def one_thread() -> None:
    torch.set_num_threads(1)


@pytest.fixture(scope="module")
def study(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return two(tmp_path_factory.mktemp("evaluate"))


@pytest.fixture(scope="module")
def run(study: Path) -> Run:
    conducted(study, *HOW, step="train")
    return conducted(study, *HOW, step="evaluate")


def table(run: Run, name: str) -> Any:
    return json.loads(run.output(f"tables/{name}.json").read_text())


def test_the_area_is_that_of_the_scores(run: Run) -> None:
    predict = Run.open(run.inputs["predict"])
    score = parquet.read_table(predict.output("scores.parquet"), columns=["p_S"]).column(0).to_numpy()
    events = parquet.read_table(Run.open(predict.inputs["pack"]).output("events.parquet"), columns=["label", "weight"])
    label, weight = (events.column(name).to_numpy() for name in ("label", "weight"))
    figures = run.figures()
    assert figures["auc"] == pytest.approx(roc_auc_score(label == 1, score, sample_weight=weight), abs=1e-6)
    assert figures["auc_unweighted"] == pytest.approx(roc_auc_score(label == 1, score), abs=1e-6)
    assert figures["auc_low"] < figures["auc"] < figures["auc_high"]
    assert list(figures)[:3] == ["auc", "auc_low", "auc_high"]
    assert (figures["events"], figures["shown"], figures["unlabelled"]) == (1600, 1600, 0)


def test_numbers_and_plots_lie_in_files(run: Run) -> None:
    for name in ("roc", "rejection", "scores", "calibration", "confusion"):
        for form, begin in (("png", b"\x89PNG"), ("svg", b"<?xml")):
            assert run.output(f"plots/{name}.{form}").read_bytes().startswith(begin)
    (contest,) = table(run, "curves")["contests"]
    assert contest["auc"] == run.figures()["auc"]
    assert contest["curve"][0] == [0, 0]
    assert contest["curve"][-1] == [1, 1]
    confusion = table(run, "calibration")["confusion"]
    assert np.sum(confusion["events"]) == 1600
    assert {row["slice"] for row in table(run, "slices")["slices"]} >= {"class B", "class S"}


class Fetched(HTMLParser):
    """Whatever a page would fetch."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.found: list[str] = []
        self.feed(text)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.found += [str(value) for name, value in attrs if name in ("src", "href", "srcset", "data") and not str(value).startswith("#")]


def test_the_page_is_one_file_that_fetches_nothing(run: Run, tmp_path: Path) -> None:
    train = Run.open(Run.open(run.inputs["predict"]).inputs["train"])
    page = write_report([train, run], tmp_path / "report.html").read_text(encoding="utf-8")
    assert all(source.startswith("data:") for source in Fetched(page).found)
    assert "default-src 'none'" in page
    for title in ("What is told from what", "ROC", "Score by class", "Calibration", "Confusion", "By slice", "AUC over the epochs"):
        assert f"<h3>{title}</h3>" in page
    assert f"ROC over the epochs of {train.name}" in page
    kinds = {section["kind"] for section in run.sections()}
    assert {"film", "heat", "curves", "table", "figures"} <= kinds


def test_an_old_run_is_evaluated_without_training_again(study: Path, run: Run) -> None:
    """The study has moved on, to options that nobody trained with; the old run is named."""
    folder = study.parent / "runs"
    before = {path.name for path in folder.iterdir()}
    resolved = resolve([study], sets=[*PLAIN, *HOW, "train.epochs=9", "train.learning_rate=0.5", "evaluate.bins=5"])
    results = list(conduct(resolved, step="evaluate", chosen={"predict": run.inputs["predict"]}, quiet=True))
    assert [one.step for one in results if one.fresh] == ["evaluate"]
    assert {path.name for path in folder.iterdir()} - before == {results[-1].folder.name}
    assert Run.open(results[-1].folder).figures()["auc"] == run.figures()["auc"]
    with pytest.raises(MissingError, match="no training starts unasked"):
        list(conduct(resolved, step="evaluate", quiet=True))


def test_merged_scores_are_evaluated_like_others(study: Path, run: Run) -> None:
    given = f"merge.from={json.dumps([str(run.inputs['predict'])])}"
    merged = Run.open(list(conduct(resolve([study], sets=[*PLAIN, *HOW, given]), step="evaluate", quiet=True))[-1].folder)
    assert set(merged.inputs) == {"merge"}
    assert merged.figures()["auc"] == pytest.approx(run.figures()["auc"], abs=1e-6)
    assert [one["title"] for one in merged.sections() if one["kind"] == "film"] == [
        one["title"] for one in run.sections() if one["kind"] == "film"
    ]


def test_the_same_scores_give_the_same_bytes(study: Path, run: Run, tmp_path: Path) -> None:
    resolved = resolve([study], sets=[*PLAIN, *HOW])
    (*_, again) = conduct(resolved, step="evaluate", runs=tmp_path, chosen={"predict": run.inputs["predict"]}, quiet=True)
    other = Run.open(again.folder)
    files = sorted(path.relative_to(run.output()) for path in run.output().rglob("*") if path.is_file())
    assert len(files) > 15
    for file in files:
        assert digest(run.output() / file) == digest(other.output() / file), file


def test_what_training_recorded_is_what_is_shown(run: Run) -> None:
    train = Run.open(Run.open(run.inputs["predict"]).inputs["train"])
    rows = read_epochs(train.output(EPOCHS))
    assert len(rows) == 3 * 2 * 2
    assert {row["events"] for row in rows} == {"validation", "training"}
    assert [row["epoch"] for row in rows if row["member"] == rows[0]["member"] and row["events"] == "training"] == [1.0, 2.0]
    assert {(row["epoch"], row["batch_size"], row["ghosts"]) for row in rows} == {(1.0, 64, 4), (2.0, 128, 4)}
    assert {row["learning_rate"] for row in rows} == {0.01}
    journal = train.curves()
    for row in rows:
        assert len(row["tpr"]) == len(FPR)
        assert np.trapezoid(row["tpr"], row["fpr"]) == pytest.approx(row["auc"], abs=0.01)
        if row["events"] == "validation":
            assert journal[row["member"], "validate", "auc"][row["step"]] == pytest.approx(row["auc"])
    (film,) = [section for section in run.sections() if section["kind"] == "film"]
    assert [frame["name"] for frame in film["frames"]] == ["1", "2"]
    assert "batch size 128" in film["frames"][1]["words"]
    mean = np.mean([row["tpr"] for row in rows if row["events"] == "validation" and row["epoch"] == 2.0], axis=0)
    np.testing.assert_allclose(film["frames"][1]["lines"][0], mean, atol=1e-3)


@pytest.mark.parametrize(
    ("every", "shown"), [("1 epoch", [1, 2, 3, 4, 5]), ("2 epochs", [1, 2, 4, 5]), ("20 steps", [1, 2, 4, 5]), ("9 epochs", [1, 5])]
)
def test_epochs_are_shown_as_often_as_is_asked(every: str, shown: list[float]) -> None:
    assert spaced([1, 2, 3, 4, 5], {place: 10 * place for place in range(1, 6)}, every) == shown


def test_a_training_without_a_record_of_its_epochs_is_no_obstacle(run: Run, tmp_path: Path) -> None:
    (section,) = epochs_page(job(tmp_path, EvaluateOptions()), Run(tmp_path, {"fingerprint": "0" * 10}), "")
    assert "no record" in section["body"]


def test_no_blinded_event_is_in_any_figure_or_plot(tmp_path: Path) -> None:
    n = 3000
    p, label = random(n)
    flags = np.where(np.arange(n) % 3 == 0, flag("SR"), flag("SB"))
    hidden = (flags == flag("SR")) & (label == 0)
    other = p.copy()
    other[hidden] = (0.97, 0.01, 0.01, 0.01)
    weight = np.where(hidden, 100.0, 1.0)
    found = []
    for name, (values, weights) in {"one": (p, 1.0), "other": (other, weight)}.items():
        work = job(tmp_path / name, EvaluateOptions(bootstrap=10, formats=("png",), slices=("region", "class")))
        scored = made(values, label, classes=FVT, objective="fvt", flags=flags, weight=weights)
        for make in (pages.told_apart, calibration_page.meant, pages.sliced):
            page = make(work, scored)
            found.append((name, page.figures, json.dumps(page.data), json.dumps(page.sections)))
    for one, two_ in zip(found[:3], found[3:], strict=True):
        assert one[1:] == two_[1:]
    files = sorted((tmp_path / "one" / "output" / "plots").iterdir())
    assert len(files) >= 5
    for file in files:
        assert file.read_bytes() == (tmp_path / "other" / "output" / "plots" / file.name).read_bytes()


def test_pairs_are_a_matrix_where_there_are_several(tmp_path: Path) -> None:
    p, label = random(1000)
    found = {}
    for objective, classes in (("fvt", FVT), ("svb", SVB)):
        work = job(tmp_path / objective, EvaluateOptions(bootstrap=5, formats=("png",)))
        page = pages.told_apart(work, made(p, label, classes=classes, objective=objective))
        found[objective] = [one["title"] for one in page.sections if one["kind"] == "heat"]
        assert (tmp_path / objective / "output" / "plots" / "pairs.png").exists() is bool(found[objective])
    assert found == {"fvt": [], "svb": ["AUC of pairs of classes"]}


def test_a_stop_is_heard_between_two_curves(tmp_path: Path) -> None:
    p, label = random(200)
    work = job(tmp_path, EvaluateOptions(bootstrap=10))
    work.stop_at = 3
    with pytest.raises(Stopped):
        pages.told_apart(work, made(p, label))
    assert work.asked == 3


def test_a_failed_closure_leaves_the_rest(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(*_: Any) -> None:
        raise NoModel("nothing closes")

    monkeypatch.setattr(evaluate.closure, "report", fail)
    p, label = random(50)
    page = evaluate.MAKERS["closure"](job(tmp_path, EvaluateOptions()), made(p, label, classes=FVT, objective="fvt"))
    assert page.figures == {}
    assert "nothing closes" in page.sections[0]["body"]


@pytest.mark.parametrize(("name", "told"), [("m4jj", "Did you mean 'm4j'"), ("zzzzzz", "There are")])
def test_a_variable_that_is_not_there_is_an_error_whatever_is_drawn(study: Path, run: Run, name: str, told: str) -> None:
    resolved = resolve([study], sets=[*PLAIN, *HOW, f"evaluate.variables=[{name}]"])
    with pytest.raises(StudyError, match=told):
        list(conduct(resolved, step="evaluate", chosen={"predict": run.inputs["predict"]}, quiet=True))


def test_only_scores_that_make_no_model_excuse_a_missing_closure(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(*_: Any) -> None:
        raise DataError("the scores are damaged")

    monkeypatch.setattr(evaluate.closure, "report", fail)
    p, label = random(50)
    with pytest.raises(DataError, match="damaged"):
        evaluate.MAKERS["closure"](job(tmp_path, EvaluateOptions()), made(p, label, classes=FVT, objective="fvt"))


def test_what_would_be_evaluated_is_told_beforehand(run: Run) -> None:
    (line,) = evaluate.preview(EvaluateOptions(), {"predict": Run.open(run.inputs["predict"])})
    assert line == "1,600 events, svb scores of 3 models: B, S"
