from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from labwright.events.physics.jcm import pseudo_tag_weight


def test_by_hand() -> None:
    # n = 2: one more tag makes four, an even number: 0.5·2·0.1·0.9·(1 + 1/2) = 0.135; two more make five: 0.5·0.01 = 0.005.
    assert pseudo_tag_weight(np.array([2]), 0.1, 0.5, 1.0, 1.0) == pytest.approx([0.140])
    assert pseudo_tag_weight(np.array([0]), 0.1, 0.5, 1.0, 1.0) == pytest.approx([0.0])


@given(st.integers(0, 12), st.floats(0, 1), st.floats(0.1, 2))
def test_without_enhancement_it_is_the_chance_of_any_further_tag(n: int, p: float, t: float) -> None:
    assert pseudo_tag_weight(np.array([n]), p, t, 0.0, 0.0)[0] == pytest.approx(t * (1 - (1 - p) ** n), abs=1e-12)


def test_each_event_has_the_weight_of_its_own_number() -> None:
    counts = np.array([3, 1, 3, 0, 7])
    together = pseudo_tag_weight(counts, 0.2, 1.0, 0.4, 0.7)
    alone = [pseudo_tag_weight(np.array([count]), 0.2, 1.0, 0.4, 0.7)[0] for count in counts]
    np.testing.assert_array_equal(together, alone)
