"""Who is told from whom, by which score, with which events."""

from __future__ import annotations

import math

import numpy as np
import pytest
from sklearn.metrics import roc_auc_score

from labwright.events.evaluation import slices
from labwright.events.evaluation.contests import Contest, as_json, contests, play, score
from labwright.events.evaluation.scored import joined
from labwright.events.recipe import EvaluateOptions
from labwright.runs.errors import DataError, StudyError
from tests.events.judging import FVT, SVB, flag, made, random

PLAIN = EvaluateOptions(weighted=False)


def named(name: str, objective: str = "svb", classes: tuple[str, ...] = SVB) -> Contest:
    (found,) = [one for one in contests(objective, classes) if one.name == name]
    return found


def test_a_pair_of_classes_is_judged_on_these_two_alone() -> None:
    """ZZ vs ZH was once ZZ vs everything: no event and no probability of another class may enter."""
    p, label = random(4000)
    scored = made(p, label)
    pair = named("ZZ vs ZH")
    found = play(scored, pair, PLAIN, 1)
    zz, zh = SVB.index("ZZ"), SVB.index("ZH")
    two = np.isin(label, (zz, zh))
    by_hand = roc_auc_score(label[two] == zz, p[two, zz] / (p[two, zz] + p[two, zh]))
    assert found.auc.value == pytest.approx(by_hand, abs=1e-6)
    assert (found.auc.positives, found.auc.negatives) == (np.count_nonzero(label == zz), np.count_nonzero(label == zh))
    everything = roc_auc_score(label == zz, p[:, zz])
    assert abs(found.auc.value - everything) > 0.005
    # What others are like changes nothing.
    changed = p.copy()
    changed[~two] = np.random.default_rng(2).dirichlet(np.ones(4), np.count_nonzero(~two))
    assert play(made(changed, label), pair, PLAIN, 1).auc == found.auc


def test_signal_and_background_are_all_classes() -> None:
    p, label = random(3000)
    main, *others = contests("svb", SVB)
    assert (main.positive, main.negative) == (("ZZ", "ZH"), ("multijet", "ttbar"))
    found = play(made(p, label), main, PLAIN, 1)
    assert found.auc.value == pytest.approx(roc_auc_score(label >= 2, p[:, 2:].sum(axis=1)), abs=1e-6)
    assert [one.name for one in others[:2]] == ["ZZ vs background", "ZH vs background"]
    assert {one.name for one in others if one.group == "one against the rest"} == {f"{name} vs rest" for name in SVB}
    assert len([one for one in others if one.group == "pairs of classes"]) == 6


def test_two_classes_have_one_contest() -> None:
    assert [one.name for one in contests("svb", ("qcd", "signal"))] == ["signal vs background"]


def test_the_signal_is_what_the_options_say() -> None:
    main = contests("svb", SVB, ("ZH",))[0]
    assert (main.positive, main.negative) == (("ZH",), ("multijet", "ttbar", "ZZ"))
    with pytest.raises(StudyError, match="no class 'ZX'"):
        contests("svb", SVB, ("ZX",))
    with pytest.raises(StudyError, match="every class counts as signal"):
        contests("svb", SVB, SVB)


def test_contests_of_fvt() -> None:
    found = {one.name: (one.positive, one.negative) for one in contests("fvt", FVT)}
    assert found == {
        "data 4b vs data 3b": (("d4",), ("d3",)),
        "4b vs 3b": (("d4", "t4"), ("d3", "t3")),
        "ttbar vs data": (("t4", "t3"), ("d4", "d3")),
    }
    assert [one.name for one in contests("fvt", ("d4", "d3"))] == ["data 4b vs data 3b"]


def test_weights_count_where_they_should() -> None:
    p, label = random(2000)
    weight = np.random.default_rng(3).exponential(size=2000) * np.where(np.arange(2000) % 20 == 0, -0.4, 1.0)
    scored = made(p, label, weight=weight)
    main = contests("svb", SVB)[0]
    found = play(scored, main, EvaluateOptions(), 1)
    used = weight.astype(np.float32).astype(np.float64)
    positive, values = label >= 2, score(scored, main)
    psi = (values[positive][:, None] > values[~positive]) + 0.5 * (values[positive][:, None] == values[~positive])
    by_hand = used[positive] @ psi @ used[~positive] / used[positive].sum() / used[~positive].sum()
    assert found.auc.value == pytest.approx(by_hand, abs=1e-9)
    assert found.alike.value == pytest.approx(psi.mean(), abs=1e-9)
    assert found.auc.negative == 100
    told = as_json(found)
    assert told["bent_points"] > 0
    assert told["sum_positive"] == pytest.approx(used[positive].sum())


def test_events_without_class_or_score_are_left_out_and_counted() -> None:
    p, label = random(1000)
    label[:30] = 255
    p[30:50] = math.nan
    scored = made(p, label)
    assert {name: scored.counts[name] for name in ("events", "unlabelled", "unscored", "shown")} == {
        "events": 1000,
        "unlabelled": 30,
        "unscored": 20,
        "shown": 950,
    }
    found = play(scored, contests("svb", SVB)[0], PLAIN, 1)
    assert found.auc.positives + found.auc.negatives == 950


def test_four_tag_data_of_the_signal_region_are_blinded() -> None:
    p, label = random(4000)
    inside = np.arange(4000) % 4 == 0
    flags = np.where(inside, flag("SR"), flag("SB"))
    main = contests("fvt", FVT)[0]
    blind = made(p, label, classes=FVT, objective="fvt", flags=flags)
    assert not blind.shown[inside & (label == 0)].any()
    # Their counterparts are not held against four-tag data of elsewhere.
    assert not blind.compared[inside].any()
    found = play(blind, main, PLAIN, 1)
    assert found.auc.positives == np.count_nonzero(~inside & (label == 0))
    # Whatever the blinded events are like shows nowhere.
    other = p.copy()
    other[inside & (label == 0)] = (0.97, 0.01, 0.01, 0.01)
    assert play(made(other, label, classes=FVT, objective="fvt", flags=flags), main, PLAIN, 1).auc == found.auc
    opened = made(p, label, classes=FVT, objective="fvt", flags=flags, unblind=True)
    assert opened.counts["events"] == 4000
    assert play(opened, main, PLAIN, 1).auc.positives == np.count_nonzero(label == 0)
    # Where they are in no class, there is nothing to compare though it were allowed.
    label[inside & (label == 0)] = 255
    assert not made(p, label, classes=FVT, objective="fvt", flags=flags, unblind=True).compared[inside].any()


@pytest.mark.parametrize("label_of_blinded", [0, 255])
def test_nothing_tells_how_many_events_are_blinded(label_of_blinded: int) -> None:
    """Whether they are of a class that is not shown, or of none."""
    p, label = random(4000)
    hidden = (np.arange(4000) % 4 == 0) & (label == 0)
    flags = np.where(np.arange(4000) % 4 == 0, flag("SR"), flag("SB")) | np.where(label == 0, flag("four_tag"), 0)
    label[hidden] = label_of_blinded
    kept = np.flatnonzero(~hidden | (np.cumsum(hidden) <= 20))
    options = EvaluateOptions(slices=("region", "class"))
    whole, fewer = (made(p[rows], label[rows], classes=FVT, objective="fvt", flags=flags[rows]) for rows in (np.arange(4000), kept))
    assert whole.counts == fewer.counts
    main = contests("fvt", FVT)
    assert slices.table(whole, main, options, 1) == slices.table(fewer, main, options, 1)


def test_an_interval_may_come_from_resampling() -> None:
    p, label = random(1500)
    main = contests("svb", SVB)[0]
    one, other = (play(made(p, label), main, EvaluateOptions(interval=kind, bootstrap=100), 5).auc for kind in ("delong", "bootstrap"))
    assert one.value == other.value
    assert other.std == pytest.approx(one.std, rel=0.3)
    assert one.low != other.low


def test_scores_of_other_events_are_refused() -> None:
    p, label = random(10)
    scored = made(p, label)
    scored.scores.description["events"] = 11  # type: ignore[index]
    with pytest.raises(DataError, match="scores of 11 events"):
        joined(scored.packed, scored.scores)
