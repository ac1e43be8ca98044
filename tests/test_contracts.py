"""The rules of the house that no single module can keep: floors, sizes, wording, and what ships in the package."""

from __future__ import annotations

import re
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest

LONGEST_MODULE = 400
PATHS_OF_ONE_MACHINE = re.compile(r"/(?:work|root|home|Users)/\w")
TEXT = {".py", ".md", ".toml", ".yaml", ".yml", ".cff", ".txt", ".sh", ".html", ".css", ".js", ".json", ""}


def tracked(repository: Path) -> list[Path]:
    """The files of the repository, or of an unpacked source archive, that people wrote."""
    listed = subprocess.run(["git", "ls-files", "-z"], cwd=repository, capture_output=True, text=True, check=False)
    if listed.returncode != 0:
        pytest.skip("not a git checkout")
    return [path for name in listed.stdout.split("\0") if name and (path := repository / name).is_file()]


def test_floors_hold(repository: Path) -> None:
    command = [sys.executable, "-c", "from importlinter.cli import lint_imports; raise SystemExit(lint_imports(cache_dir=None))"]
    outcome = subprocess.run(command, cwd=repository, capture_output=True, text=True, check=False)
    assert outcome.returncode == 0, outcome.stdout


def test_modules_stay_short(repository: Path) -> None:
    lengths = {path: len(path.read_text().splitlines()) for path in (repository / "src").rglob("*.py")}
    assert lengths
    long = {str(path.relative_to(repository)): count for path, count in lengths.items() if count > LONGEST_MODULE}
    assert not long


def test_no_path_of_one_machine_is_written_down(repository: Path) -> None:
    here = Path(__file__).resolve()
    found = [
        f"{path.relative_to(repository)}:{number}: {line.strip()}"
        for path in tracked(repository)
        if path.suffix in TEXT and path != here
        for number, line in enumerate(path.read_text(encoding="utf-8").splitlines(), 1)
        if PATHS_OF_ONE_MACHINE.search(line)
    ]
    assert not found


def test_torch_is_pinned_within_the_range_that_users_get(repository: Path) -> None:
    from packaging.requirements import Requirement

    project = tomllib.loads((repository / "pyproject.toml").read_text())["project"]
    ranges = {Requirement(line).name: Requirement(line) for lines in project["optional-dependencies"].values() for line in lines}
    pins = [Requirement(line) for line in (repository / "requirements" / "ci.txt").read_text().split()]
    assert [pin.name for pin in pins] == ["torch"]
    for pin in pins:
        (version,) = (part.version for part in pin.specifier)
        assert version in ranges[pin.name].specifier


def test_torchvision_stays_out(repository: Path) -> None:
    # Beside a CPU build of torch its native part cannot load, and then Lightning cannot be imported either.
    project = tomllib.loads((repository / "pyproject.toml").read_text())["project"]
    named = {line.split(">")[0] for lines in project["optional-dependencies"].values() for line in lines}
    assert "torchvision" not in named


def test_help_is_reachable_without_the_recipes_extras(repository: Path) -> None:
    blocked = (
        "import sys\nfor name in ('torch', 'zarr', 'numpy', 'scipy', 'numba', 'tifffile', 'pyarrow', 'plotly'): sys.modules[name] = None\n"
    )
    code = blocked + "from labwright.cli.main import main\nraise SystemExit(main(['--help']))"
    outcome = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert outcome.returncode == 0, outcome.stderr
    assert "run" in outcome.stdout
