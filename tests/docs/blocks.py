"""The ``bash`` blocks of a page, run one after the other in one folder, as a reader would type them."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path


def bash_blocks(page: Path) -> list[str]:
    """The text of each block, in order."""
    return re.findall(r"^```bash\n(.*?)^```$", page.read_text(encoding="utf-8"), re.MULTILINE | re.DOTALL)


def run(block: str, folder: Path, within_s: float = 300) -> str:
    """Run a block in ``folder`` with the labwright of the tests; every line of it has to end well.

    Returns:
        What it printed on standard output.
    """
    environment = {
        **os.environ,
        # Twins of a scheduler's tools that a test put on PATH go before those beside the interpreter.
        "PATH": os.pathsep.join([os.environ["PATH"], str(Path(sys.executable).parent)]),
        "PYTHONPATH": os.pathsep.join(path for path in sys.path if path),
        "OMP_NUM_THREADS": "1",
    }
    done = subprocess.run(
        ["bash", "-euxo", "pipefail", "-c", block],
        cwd=folder,
        env=environment,
        capture_output=True,
        text=True,
        timeout=within_s,
        check=False,
    )
    assert done.returncode == 0, f"{block}\n{done.stdout[-2000:]}\n{done.stderr[-4000:]}"
    return done.stdout
