"""What the options accept, and what a fingerprint must not see."""

from __future__ import annotations

import pytest
from pydantic import ValidationError

from labwright.learn.options import FitOptions


@pytest.mark.parametrize("text", ["1 epoch", "12 epochs", "500 steps", "1 step"])
def test_intervals_carry_their_unit(text: str) -> None:
    options = FitOptions.model_validate({"validate": {"every": text}, "keep": {"every": text}})
    assert options.validate != "never"
    assert options.validate.every == options.keep.every == text


@pytest.mark.parametrize("text", ["5", "0 epochs", "1.5 epochs", "epoch", "5 minutes", "5 steps "])
def test_other_intervals_are_refused(text: str) -> None:
    with pytest.raises(ValidationError, match="pattern"):
        FitOptions.model_validate({"validate": {"every": text}})


def test_an_option_of_another_optimiser_is_refused() -> None:
    with pytest.raises(ValidationError, match="momentum"):
        FitOptions.model_validate({"optimizer": {"kind": "adamw", "momentum": 0.9}})


def test_start_from_and_continue_from_exclude_each_other() -> None:
    with pytest.raises(ValidationError, match="exclude each other"):
        FitOptions.model_validate({"start_from": "a", "continue_from": "b"})


def test_these_options_cannot_change_a_result() -> None:
    marks = {name: field.json_schema_extra for name, field in FitOptions.model_fields.items()}
    without_effect = {name for name, extra in marks.items() if isinstance(extra, dict) and extra.get("effect") is False}
    assert without_effect == {"accelerator", "checkpoint_every_s", "keep", "prefetch"}
