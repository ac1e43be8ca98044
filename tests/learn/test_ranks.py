"""Two processes that train together on the CPU: the same result as one, and resume to the digit."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest
import torch

from tests.learn.fake import final, same, train
from tests.learn.test_loop import options

# Without batch statistics and dropout a batch may be divided at will.
CHOSEN = {"optimizer": {"kind": "sgd"}, "batch_size": 10}
SCRIPT = """
import sys
from pathlib import Path
from torch.distributed import destroy_process_group
from tests.learn.fake import train
from tests.learn.test_ranks import CHOSEN
from tests.learn.test_loop import options

train(Path(sys.argv[1]), options(**CHOSEN), stop_at=int(sys.argv[2]) or None, norm=False, dropout=0.0)
destroy_process_group()
"""


def together(folder: Path, stop_at: int, repository: Path) -> None:
    script = folder.parent / "script.py"
    script.write_text(SCRIPT)
    launcher = [sys.executable, "-m", "torch.distributed.run", "--nproc-per-node", "2", "--rdzv-backend", "c10d"]
    loopback = {"GLOO_SOCKET_IFNAME": "lo", "OMP_NUM_THREADS": "1", "PYTHONPATH": os.pathsep.join([str(repository), *sys.path])}
    done = subprocess.run(
        [*launcher, "--rdzv-endpoint", "localhost:0", str(script), str(folder), str(stop_at)],
        env={**os.environ, **loopback},
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    assert done.returncode == 0, done.stderr


@pytest.mark.slow
@pytest.mark.skipif(not torch.distributed.is_available(), reason="this torch has no process groups")
def test_two_ranks_give_the_result_of_one_and_resume_exactly(tmp_path: Path, repository: Path) -> None:
    together(tmp_path / "whole", 0, repository)
    together(tmp_path / "parts", 3, repository)
    together(tmp_path / "parts", 0, repository)
    assert same(final(tmp_path / "parts"), final(tmp_path / "whole"))
    train(tmp_path / "alone", options(**CHOSEN), norm=False, dropout=0.0)
    alone = final(tmp_path / "alone")
    for name, tensor in final(tmp_path / "whole").items():
        torch.testing.assert_close(tensor, alone[name], rtol=1e-5, atol=1e-5)
