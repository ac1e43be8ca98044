"""The layer that plays a mount going away does so below its folder, for as long as it is told, and nowhere else."""

from __future__ import annotations

import subprocess
import sys
import time
from pathlib import Path

import pytest

from labwright.testing import mount

TRIES = """
import os, shutil, sys
from pathlib import Path
from labwright.testing import mount

folder, control = Path(sys.argv[1]), Path(sys.argv[2])
inside, outside = folder / "inside", folder / "outside"
descriptor = os.open(inside / "open", os.O_WRONLY | os.O_CREAT)
mount.fail_below(inside, control)
control.write_text(mount.GONE)
tries = {
    "open": lambda: open(inside / "file"), "os.open": lambda: os.open(inside / "file", os.O_RDONLY), "stat": (inside / "file").stat,
    "exists": (inside / "file").exists, "mkdir": (inside / "new").mkdir, "list": lambda: os.listdir(inside),
    "glob": lambda: list(inside.glob("*")), "write": lambda: os.write(descriptor, b"x"), "sync": lambda: os.fsync(descriptor),
    "rename": lambda: os.rename(inside / "file", inside / "other"), "out": lambda: os.replace(inside / "file", outside / "other"),
    "in": lambda: os.replace(outside / "file", inside / "other"), "remove": (inside / "file").unlink,
    "write_text": lambda: (inside / "file").write_text(""),
}
for name, action in tries.items():
    try:
        action()
        print(name, "went through")
    except OSError as error:
        print(name, error.errno)
(outside / "file").write_text("written")
control.unlink()
print((inside / "file").read_text(), os.write(descriptor, b"x"))
"""


def test_it_fails_inside_and_nowhere_else(tmp_path: Path) -> None:
    for name in ("inside", "outside"):
        (tmp_path / name).mkdir()
        (tmp_path / name / "file").write_text("kept")
    words = [sys.executable, "-c", TRIES, str(tmp_path), str(tmp_path / "control")]
    told = subprocess.run(words, capture_output=True, text=True, check=True).stdout.splitlines()
    names = ["open", "os.open", "stat", "exists", "mkdir", "list", "glob", "write", "sync", "rename", "out", "in", "remove", "write_text"]
    assert told == [*(f"{name} {5 if name in ('write', 'sync') else 116}" for name in names), "kept 1"]
    assert (tmp_path / "outside" / "file").read_text() == "written"


HANGS = """
import sys
from pathlib import Path
from labwright.testing import mount
mount.fail_below(Path(sys.argv[1]), Path(sys.argv[2]))
print("ready", flush=True)
print((Path(sys.argv[1]) / "file").read_text(), flush=True)
"""


@pytest.mark.parametrize("then", ["kept", mount.GONE])
def test_it_hangs_for_as_long_as_it_is_told(tmp_path: Path, then: str) -> None:
    folder, control = tmp_path / "inside", tmp_path / "control"
    folder.mkdir()
    (folder / "file").write_text("kept")
    control.write_text(mount.HUNG)
    words = [sys.executable, "-c", HANGS, str(folder), str(control)]
    with subprocess.Popen(words, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == "ready\n"
        time.sleep(0.2)
        assert process.poll() is None
        if then == mount.GONE:
            control.write_text(mount.GONE)
        else:
            control.unlink()
        out, err = process.communicate(timeout=20)
    assert out == ("" if then == mount.GONE else "kept\n")
    assert ("Stale file handle" in err) == (then == mount.GONE)
