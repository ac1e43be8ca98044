"""Areas by slices: the right events in each, and no number from too few."""

from __future__ import annotations

from typing import Any

import numpy as np
import pyarrow as pa
import pytest
from sklearn.metrics import roc_auc_score

from labwright.events.evaluation import slices
from labwright.events.evaluation.contests import contests
from labwright.events.evaluation.scored import Scored
from labwright.events.recipe import EvaluateOptions
from labwright.runs.errors import StudyError
from tests.events.judging import FVT, flag, made, random

N = 4000
NUMBER = np.arange(N)
COLUMNS = {"year": np.where(NUMBER % 3 == 0, 17.0, 18.0), "m4j": NUMBER.astype(float), "file": (NUMBER % 2).astype(np.uint16)}
FILES = ({"name": "a", "tags": ["label:x", "kl:1"]}, {"name": "b", "tags": ["label:x", "kl:2.45"]})


@pytest.fixture(autouse=True)
def table(monkeypatch: pytest.MonkeyPatch) -> None:
    """The pack's table has these columns."""
    monkeypatch.setattr(slices.parquet, "read_schema", lambda _: pa.schema([(name, pa.float64()) for name in COLUMNS]))


@pytest.fixture
def scored() -> Scored:
    p, label = random(N)
    return made(p, label, flags=np.where(NUMBER < N // 2, flag("SR", "ZZSR"), flag("SB")), columns=dict(COLUMNS), files=FILES)


def rows(scored: Scored, *by: str, **options: Any) -> dict[str, dict[str, Any]]:
    wanted = EvaluateOptions.model_validate({"slices": by, **options})
    return {row["slice"]: row for row in slices.table(scored, contests(scored.scores.objective, scored.classes), wanted, 1)}


def test_each_slice_has_the_area_of_its_events(scored: Scored) -> None:
    found = rows(scored, "year", "region", "kl")
    assert set(found) == {"year 17", "year 18", "SR", "SB", "ZZSR", "kl 1", "kl 2.45"}
    for name, inside in (("year 17", NUMBER % 3 == 0), ("SR", NUMBER < N // 2), ("kl 2.45", NUMBER % 2 == 1)):
        signal = scored.label[inside] >= 2
        row = found[name]
        assert row["auc"] == pytest.approx(roc_auc_score(signal, scored.p[inside, 2:].sum(axis=1)), abs=1e-5)
        assert (row["positives"], row["negatives"]) == (np.count_nonzero(signal), np.count_nonzero(~signal))
        assert row["sum_positive"] == np.count_nonzero(signal)
        assert row["auc_low"] < row["auc"] < row["auc_high"]


def test_a_column_of_many_values_is_cut_into_quarters(scored: Scored) -> None:
    found = rows(scored, "m4j")
    assert len(found) == 4
    assert sum(row["positives"] + row["negatives"] for row in found.values()) == N
    assert {row["positives"] + row["negatives"] for row in found.values()} <= {N // 4 - 1, N // 4, N // 4 + 1}


def test_each_class_against_the_other_side(scored: Scored) -> None:
    found = rows(scored, "class")
    assert {row["contest"] for row in found.values()} == {
        "ZZ+ZH vs multijet",
        "ZZ+ZH vs ttbar",
        "ZZ vs multijet+ttbar",
        "ZH vs multijet+ttbar",
    }


def test_too_few_events_have_no_area_and_say_so() -> None:
    p, label = random(N)
    few = made(p, label, flags=np.where(NUMBER < 60, flag("SR"), flag("SB")), columns=dict(COLUMNS))
    row = rows(few, "region")["SR"]
    assert (row["auc"], row["auc_low"], row["auc_high"]) == (None, None, None)
    assert row["note"] == "too few events: fewer than 50 on a side"
    assert row["positives"] + row["negatives"] == 60
    assert rows(few, "region", least_events=10)["SR"]["auc"] is not None


def test_weights_that_cancel_leave_no_area() -> None:
    p, label = random(N)
    cancelled = made(p, label, weight=np.where(label >= 2, np.where(NUMBER % 2, 1.0, -1.01), 1.0), columns=dict(COLUMNS))
    row = rows(cancelled, "region")["no region"]
    assert row["auc"] is None
    assert row["note"] == "the weights of a side add up to nothing or less"


def test_the_signal_region_of_fvt_is_not_compared() -> None:
    p, label = random(N)
    blind = made(p, label, classes=FVT, objective="fvt", flags=np.where(NUMBER % 2, flag("SR"), flag("SB")), columns=dict(COLUMNS))
    found = rows(blind, "region")
    assert found["SR"]["auc"] is None
    assert found["SR"]["note"].startswith("not compared")
    assert (found["SR"]["positives"], found["SR"]["negatives"]) == (0, 0)
    assert found["SB"]["auc"] is not None


def test_a_slice_that_is_not_there_is_named(scored: Scored) -> None:
    with pytest.raises(StudyError, match="no column and no tag 'm4jj'"):
        rows(scored, "m4jj")
    # Every study is asked for years.
    bare = {name: values for name, values in COLUMNS.items() if name != "year"}
    with pytest.MonkeyPatch.context() as patched:
        patched.setattr(slices.parquet, "read_schema", lambda _: pa.schema([(name, pa.float64()) for name in bare]))
        assert rows(scored, "year") == {}


def test_events_that_lack_a_value_are_a_slice_of_their_own() -> None:
    p, label = random(N)
    year = np.where(NUMBER % 4 == 0, np.nan, 18.0)
    found = rows(made(p, label, columns={"year": year}), "year")
    assert {name: row["positives"] + row["negatives"] for name, row in found.items()} == {"year 18": 3000, "year unknown": 1000}
