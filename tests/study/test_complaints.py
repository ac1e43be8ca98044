from __future__ import annotations

from types import ModuleType
from typing import Any

import pytest
from pydantic import ValidationError

from labwright.study.complaints import dotted, locate


@pytest.mark.parametrize(
    ("data", "path", "doc"),
    [
        ({"epochs": "x"}, "train.epochs", "Passes over the items. Each sees all of them."),
        ({"schedule": {"kind": "step", "factor": 2}}, "train.schedule.factor", "By how much."),
        ({"schedule": {"kind": "other"}}, "train.schedule", "How it falls."),
        ({"stop": {"joules": -1}}, "train.stop.joules", "Budget of energy."),
        ({"widths": [1, "x"]}, "train.widths[1]", "Channels of each level."),
        ({"costs": {"a": "x"}}, "train.costs.a", "Cost of each class."),
        ({"checkpoint": [1]}, "train.checkpoint", "`best`, the number of a step, or a file."),
    ],
)
def test_a_complaint_is_led_back_to_the_option(toy: ModuleType, data: dict[str, Any], path: str, doc: str) -> None:
    with pytest.raises(ValidationError) as caught:
        toy.TrainOptions.model_validate(data)
    for problem in caught.value.errors():
        place = locate(toy.TrainOptions, problem["loc"])
        assert dotted("train", place.keys) == path
        assert place.doc == doc


def test_an_unknown_option_is_led_back_to_the_section_that_lacks_it(toy: ModuleType) -> None:
    place = locate(toy.TrainOptions, ("schedule", "step", "warmup_steps"))
    assert place.section is toy.StepDown
    assert place.keys == ("schedule", "warmup_steps")
