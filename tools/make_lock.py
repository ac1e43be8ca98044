"""Write the versions that the container image has: everything that a user can install, as pip resolves it today.

    python tools/make_lock.py requirements/lock.txt

Needs a network, and the Python whose minor version the image has (see ``Containerfile``). Tests and lint tools are left out. A version
of a CPU build (``2.13.0+cpu``) is written without its suffix: the same file serves images with and without CUDA.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
import tomllib
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[1]
NOT_FOR_USERS = {"test", "dev"}
HEAD = """\
# What the container image has. Written by tools/make_lock.py with Python {python}; how: docs/decisions/0018-containers-by-digest.md
"""


def extras(project: dict[str, Any]) -> list[str]:
    """The extras that users install, in order of name."""
    return sorted(set(project["optional-dependencies"]) - NOT_FOR_USERS)


def resolved(wanted: list[str]) -> dict[str, str]:
    """Name → version of everything that pip would install, without installing any of it."""
    command = [sys.executable, "-m", "pip", "install", "--quiet", "--dry-run", "--ignore-installed", "--report", "-"]
    command += ["--constraint", str(ROOT / "requirements" / "ci.txt"), *wanted]
    report = json.loads(subprocess.run(command, cwd=ROOT, check=True, capture_output=True, text=True).stdout)
    found = {item["metadata"]["name"]: item["metadata"]["version"].partition("+")[0] for item in report["install"]}
    del found["labwright"]
    return found


def text(versions: dict[str, str]) -> str:
    """The lock file."""
    lines = [f"{name}=={version}\n" for name, version in sorted(versions.items(), key=lambda item: item[0].lower())]
    return HEAD.format(python=".".join(map(str, sys.version_info[:2]))) + "".join(lines)


def main() -> None:
    arguments = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    arguments.add_argument("file", type=Path)
    file = arguments.parse_args().file
    frame = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))
    # The build backend too: the image builds labwright from its source.
    versions = resolved([f".[{','.join(extras(frame['project']))}]", *frame["build-system"]["requires"]])
    file.write_text(text(versions), encoding="utf-8")
    print(f"{len(versions)} versions")


if __name__ == "__main__":
    main()
