from __future__ import annotations

import pytest

from labwright.runs.errors import CommandError, StudyError
from labwright.study.sweep import label, sweep


def test_a_sweep_is_a_grid() -> None:
    assert sweep(["train.learning_rate=1e-3,3e-4", "run.seed=1-3"]) == [
        [f"train.learning_rate={rate}", f"run.seed={seed}"] for rate in ("1e-3", "3e-4") for seed in (1, 2, 3)
    ]


def test_no_axis_makes_no_point() -> None:
    assert sweep([]) == []


@pytest.mark.parametrize(
    ("axis", "values"),
    [
        ("a=1e-3", ["1e-3"]),
        ("a=-1,2", ["-1", "2"]),
        ("a=0-2,7", ["0", "1", "2", "7"]),
        ("a=[1, 2],[3]", ["[1, 2]", "[3]"]),
        ("a={k: 1, b: [2, 3]},{k: 2}", ["{k: 1, b: [2, 3]}", "{k: 2}"]),
        ("a=01-03", ["01-03"]),
        ("a=x-y, z", ["x-y", "z"]),
        ("a=b=c", ["b=c"]),
    ],
)
def test_an_axis_has_these_values(axis: str, values: list[str]) -> None:
    assert sweep([axis]) == [[f"a={value}"] for value in values]


@pytest.mark.parametrize(
    ("axes", "expected"),
    [
        (["a=1,,2"], "a: '1,,2' holds an empty value"),
        (["a="], "a: '' holds an empty value"),
        (["a=1,1"], "a: '1,1' holds a value twice"),
        (["a=3-1"], "a: the range '3-1' runs backwards"),
        (["a=1-999999999999"], "holds more than 1000 values"),
        (["a=1-40", "b=1-40"], "the sweep makes 1600 runs, more than 1000"),
        (["a=1", "a=2"], "a: is swept twice"),
    ],
)
def test_what_can_be_wrong_with_a_sweep(axes: list[str], expected: str) -> None:
    with pytest.raises(StudyError) as caught:
        sweep(axes)
    assert str(caught.value).startswith("--sweep: ")
    assert expected in str(caught.value)


@pytest.mark.parametrize("axis", ["a", "=1,2", ""])
def test_an_axis_without_an_option_is_a_wrong_command(axis: str) -> None:
    with pytest.raises(CommandError, match=r"--sweep: .* is not of the form NAME=VALUE. Write the option and its values"):
        sweep(["b=1", axis])


def test_labels_are_short_and_tell_points_apart() -> None:
    assert label(["train.learning_rate=1e-3", "run.seed=2"]) == "learning_rate=1e-3 seed=2"
    assert label(["train.batch_size=1", "predict.batch_size=2"]) == "train.batch_size=1 predict.batch_size=2"
