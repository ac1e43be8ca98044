from __future__ import annotations

from labwright.study.fingerprint import effective
from labwright.study.run_options import RunOptions


def test_only_the_seed_counts() -> None:
    assert effective(RunOptions(seed=7, name="x", tags=("a",), on={"workers": 3})) == {"seed": 7}
