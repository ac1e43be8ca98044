"""Run the study on a disk that is too small, then on one that is a little larger, and so on; to be run behind ``small_disk``.

Prints as JSON what each run said, and in the end what the finished runs differ in from the unbroken ones.
"""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[2]))

from labwright.testing.commands import Command
from tests.kill.equal import differences
from tests.kill.ground import OPTIONS

STEP_KIB = 96


def main(folder: Path, disk: Path) -> None:
    options = [word for one in OPTIONS for word in ("--set", one)]
    kib, full = STEP_KIB, []
    while True:
        subprocess.run(["mount", "-o", f"remount,size={kib}k", disk], check=True)
        command = Command(["run", folder / "study.yaml", "--runs", disk / "runs", *options], folder / "said-on-small-disk")
        code = command.wait()
        if code == 0:
            break
        full.append({"kib": kib, "code": code, "err": command.err.read_text(), "steps": len(list(disk.glob("runs/*")))})
        kib += STEP_KIB
    print(json.dumps({"full": full, "differences": differences(folder / "unbroken", disk / "runs")}))  # noqa: T201 - this is its answer


if __name__ == "__main__":
    main(Path(sys.argv[1]), Path(sys.argv[2]))
