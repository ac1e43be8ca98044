"""Figures as files: what is in them, and the same bytes each time."""

from __future__ import annotations

import xml.etree.ElementTree as ElementTree
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from matplotlib.colors import to_hex
from matplotlib.figure import Figure

from labwright.events.evaluation import plots, stacks
from labwright.events.evaluation.plots import Curve
from labwright.events.evaluation.stacks import Counts
from tests.learn.fake import FakeJob

EDGES = np.linspace(200, 900, 8)
SUM = np.array([50.0, 40, 30, 20, 10, 5, 0])


def stack(**options: Any) -> Figure:
    parts = {"top pairs": Counts(0.2 * SUM, 0.04 * SUM), "multijets": Counts(0.8 * SUM, 0.64 * SUM)}
    return stacks.stacked(
        EDGES,
        parts,
        ("data", Counts(1.1 * SUM, SUM)),
        title="Sideband",
        x="four-jet mass [GeV]",
        mark="TOY",
        outlines={"before": Counts(2 * SUM, SUM)},
        **options,
    )


def curve() -> Figure:
    x = np.linspace(0, 1, 20)
    curves = {
        "line": Curve(x, x**2, x**2 - 0.1, x**2 + 0.1),
        "steps": Curve(x, x, look="steps"),
        "points": Curve(x, 1 - x, 0.9 - x, 1.2 - x, look="points"),
        "chance": Curve([0, 1], [0, 1], look="reference"),
    }
    return plots.lines(curves, title="ROC", x="false positives", y="true positives", mark="TOY", notes=["AUC 0.9"])


def heat() -> Figure:
    return plots.heatmap(
        [[0.9, 0.1], [0.2, np.nan]], title="Confusion", x="found", y="true", columns=["a", "b"], rows=["a", "b"], colour="share", text=".1f"
    )


def words(figure: Figure) -> set[str]:
    found = {axes.get_title(place) for axes in figure.axes for place in ("left", "right")}
    found |= {label for axes in figure.axes for label in (axes.get_xlabel(), axes.get_ylabel())}
    legends = [legend for axes in figure.axes if (legend := axes.get_legend())]
    return found | {text.get_text() for legend in legends for text in (*legend.get_texts(), legend.get_title())}


@pytest.mark.parametrize("draw", [stack, curve, heat])
def test_the_same_numbers_give_the_same_bytes(tmp_path: Path, draw: Any) -> None:
    found = []
    for name in ("one", "two"):
        job: Any = FakeJob(tmp_path / name)
        paths = plots.publish(job, "some/figure", draw(), ("png", "svg"))
        assert paths == ["plots/some/figure.png", "plots/some/figure.svg"]
        found.append([(job.folder / "output" / path).read_bytes() for path in paths])
    assert found[0] == found[1]
    png, svg = found[0]
    assert png.startswith(b"\x89PNG")
    assert b"Software" not in png
    assert ElementTree.fromstring(svg).tag.endswith("svg")
    assert b"<dc:date>" not in svg


def test_drawing_changes_nothing_for_others() -> None:
    import matplotlib
    from matplotlib import pyplot

    before = dict(matplotlib.rcParams)
    stack(), curve(), heat()
    assert dict(matplotlib.rcParams) == before
    assert pyplot.get_fignums() == []


def test_a_stack_shows_its_sum_the_points_and_their_ratio() -> None:
    figure = stack(notes=["χ²/ndf = 1"])
    above, below = figure.axes
    assert {"Sideband", "TOY", "four-jet mass [GeV]", "data", "top pairs", "multijets", "before", "χ²/ndf = 1"} <= words(figure)
    (ratio,) = [one for one in below.containers if one.get_label() != "_nolegend_"]
    x, y = ratio.lines[0].get_data()
    np.testing.assert_allclose(y[:6], 1.1)
    assert np.isnan(y[6])
    np.testing.assert_allclose(x[:6], (EDGES[1:7] + EDGES[:6]) / 2)
    assert above.get_ylim()[1] > 1.1 * SUM.max()


@pytest.mark.parametrize("log_y", [False, True])
def test_nothing_of_a_stack_is_cut_off(log_y: bool) -> None:
    """Points far above the sum with their errors, an outline further above, and one below all else."""
    outlines = {"above": Counts(9 * SUM, SUM), "below": Counts(np.full(7, 0.01), SUM)}
    data = Counts(np.where(np.arange(7) == 2, 6 * SUM, SUM), 100 * SUM)
    above, _ = stacks.stacked(EDGES, {"sum": Counts(SUM, SUM)}, ("data", data), title="t", x="x", outlines=outlines, log_y=log_y).axes
    low, high = above.get_ylim()
    assert low <= 0.01
    assert high > max(9 * SUM.max(), (data.values + np.sqrt(data.variances)).max())


def test_ratios_beyond_the_axis_are_marked() -> None:
    ratio = np.array([1.0, 1.6, 0.3, 1.2, 7.0, 1.0, 1.0])
    figure = stacks.stacked(EDGES, {"sum": Counts(SUM, SUM)}, ("data", Counts(ratio * SUM, SUM)), title="t", x="x")
    below = figure.axes[1]
    marked = {line.get_marker(): line.get_data() for line in below.lines if line.get_marker() in ("^", "v")}
    centres = (EDGES[1:] + EDGES[:-1]) / 2
    assert marked["^"][0].tolist() == centres[[1, 4]].tolist()
    assert set(marked["^"][1]) == {below.get_ylim()[1]}
    assert marked["v"][0].tolist() == centres[[2]].tolist()
    assert set(marked["v"][1]) == {below.get_ylim()[0]}


def test_a_stack_of_nothing_is_drawn() -> None:
    none = Counts(np.zeros(7), np.zeros(7))
    for log_y in (False, True):
        assert stacks.stacked(EDGES, {"nothing": none}, ("data", none), title="Nothing", x="x", log_y=log_y).axes


def test_numbers_in_a_heat_map_can_be_read_on_their_colour() -> None:
    figure = heat()
    texts = {text.get_text(): to_hex(text.get_color()) for text in figure.axes[0].texts}
    assert texts == {"0.9": "#000000", "0.1": "#ffffff", "0.2": "#ffffff"}


def test_a_heat_map_takes_edges() -> None:
    figure = plots.heatmap(
        np.arange(6.0).reshape(2, 3),
        title="Plane",
        x="lead [GeV]",
        y="sub [GeV]",
        columns=np.array([0.0, 1, 3, 9]),
        rows=np.array([0.0, 5, 6]),
        colour="events",
    )
    assert figure.axes[0].get_xlim() == (0, 9)
    assert figure.axes[0].get_ylim() == (0, 6)


@pytest.mark.parametrize(
    ("name", "mark"), [("data/toy_data_UL17.root", "TOY"), ("toy_HH_UL18.root", "TOY"), ("HH.root", ""), ("toys/HH.root", "")]
)
def test_figures_of_toy_files_are_marked(name: str, mark: str) -> None:
    assert plots.mark_of([{"name": "other.root"}, {"name": name}]) == mark
