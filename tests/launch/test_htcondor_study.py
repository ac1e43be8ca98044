"""A whole cells study in a pool without a shared file system: evicted in the middle of its training, it changes no digit."""

from __future__ import annotations

import json
import os
import signal
from pathlib import Path

import pytest

from labwright.parts.conduct import conduct
from labwright.runs.run import Run
from labwright.study.resolve import resolve
from labwright.testing.tiny import tiny_sequences, tiny_study
from tests.kill.equal import differences
from tests.kill.ground import OPTIONS, STEPS
from tests.launch.condor import Sent, foreign_events, make_pool, pool_site

LONG = ("train.epochs=30", "train.validate.every=10 epochs")
"""Long enough to be met in the middle."""
FIRST, SECOND = 20, 40
"""Steps of the training after which it leaves by itself, and after which it is evicted."""


class Training:
    """What happens to the training while it runs: it leaves once to have its state kept, and is evicted later."""

    def __init__(self) -> None:
        self.kept = self.lost = 0

    def __call__(self, id: str, folder: Path) -> str:
        steps = [int(path.name) for path in folder.glob("train-*/checkpoints/*/[0-9]*")]
        at = max(steps, default=0)
        if not self.kept and at >= FIRST:
            self.kept = at
            newest = max(folder.glob("train-*/journal/*.jsonl"))
            # What a step does to itself every ``checkpoint_minutes``.
            os.kill(json.loads(newest.read_text().partition("\n")[0])["pid"], signal.SIGUSR1)
        elif self.kept and not self.lost and at >= SECOND:
            self.lost = at
            return "evict"
        return ""


@pytest.mark.slow
def test_a_study_that_was_evicted_in_its_training_ends_as_if_it_had_not_been(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    study = resolve([tiny_study(tmp_path / "here", tiny_sequences(tmp_path / "data"))], sets=[*OPTIONS, *LONG])
    pool = make_pool(tmp_path, monkeypatch)
    sent = Sent(study, pool_site()).queue()
    training = Training()
    pool.work(training)
    assert sent.states() == dict.fromkeys(STEPS, "done")
    (folder,) = sent.runs.glob("train-*")
    run = Run.open(folder)
    assert training.lost > training.kept > 0
    assert run.attempts() == 2, "that which was evicted left nothing"
    (log,) = folder.glob("jobs/*.log")
    assert [event.type.name for event in foreign_events(log) if event.type.name in ("EXECUTE", "JOB_EVICTED", "JOB_TERMINATED")] == [
        "EXECUTE",
        "JOB_EVICTED",
        "EXECUTE",
        "JOB_TERMINATED",
    ]
    for _ in conduct(study, runs=tmp_path / "unbroken", quiet=True):
        pass
    assert differences(tmp_path / "unbroken", sent.runs) == []
