"""Completion goes in and out of a start file without a trace, and real shells complete with it."""

from __future__ import annotations

import json
import os
import select
import shutil
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from labwright.cli import shells

SHELLS = ("bash", "zsh", "fish")
PATIENCE_S = 60
PROMPT = {
    "bash": 'PS1="READY> "\n',
    "zsh": 'PS1="READY> "\n',
    "fish": "function fish_prompt\n    echo -n 'READY> '\nend\nfunction fish_greeting\nend\n",
}


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    home = tmp_path / "home"
    home.mkdir()
    monkeypatch.setenv("HOME", str(home))
    monkeypatch.delenv("ZDOTDIR", raising=False)
    monkeypatch.delenv("XDG_CONFIG_HOME", raising=False)
    return home


@pytest.mark.parametrize("shell", SHELLS)
def test_installing_twice_is_installing_once_and_uninstalling_leaves_no_trace(labwright, home: Path, shell: str) -> None:
    path = shells.start_file(shell)
    assert home in path.parents
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text("# mine\nalias ll='ls -l'")  # no newline at the end
    path.chmod(0o600)
    assert labwright("complete", "install", shell).code == 0
    once = path.read_text()
    assert once.count(shells.BEGIN) == once.count(shells.END) == 1
    path.write_text(once + "# later\n")
    assert "as before" in labwright("complete", "install", shell).out
    assert path.read_text() == once + "# later\n"
    assert labwright("complete", "uninstall", shell).code == 0
    assert path.read_text() == "# mine\nalias ll='ls -l'\n# later\n"
    assert path.stat().st_mode & 0o777 == 0o600
    assert "there is no completion" in labwright("complete", "uninstall", shell).out


def test_an_older_block_is_replaced_where_it_stands(labwright, home: Path) -> None:
    path = home / ".bashrc"
    path.write_text(f"# above\n{shells.BEGIN}\nold\n{shells.END}\n# below\n")
    labwright("complete", "install", "bash")
    assert path.read_text() == f"# above\n{shells.script('bash')}# below\n"


def test_a_file_that_holds_nothing_else_goes_with_the_block(labwright, home: Path) -> None:
    labwright("complete", "install", "fish")
    labwright("complete", "uninstall", "fish")
    assert not shells.start_file("fish").exists()


def test_a_linked_start_file_stays_a_link(labwright, home: Path) -> None:
    (home / "dotfiles").mkdir()
    (home / "dotfiles" / "bashrc").write_text("# mine\n")
    (home / ".bashrc").symlink_to("dotfiles/bashrc")
    labwright("complete", "install", "bash")
    assert (home / ".bashrc").is_symlink()
    assert shells.BEGIN in (home / "dotfiles" / "bashrc").read_text()


def test_the_shell_in_use_is_the_default(labwright, home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SHELL", "/usr/bin/zsh")
    assert str(home / ".zshrc") in labwright("complete", "install").out
    monkeypatch.setenv("SHELL", "/bin/tcsh")
    said = labwright("complete", "install")
    assert said.code == 64
    assert "Name one of bash, zsh, fish" in said.err


@pytest.mark.parametrize("shell", SHELLS)
def test_the_script_is_what_gets_installed(labwright, home: Path, shell: str) -> None:
    assert labwright("complete", "script", shell).out == shells.script(shell)


class Terminal:
    """A shell on a terminal of its own, as a user has it, with keys to press."""

    def __init__(self, command: list[str], environment: dict[str, str]) -> None:
        # A process in between makes the terminal: forking this one would not be safe beside threads.
        spawn = [sys.executable, "-c", "import pty, sys; pty.spawn(sys.argv[1:])", *command]
        self.process = subprocess.Popen(spawn, stdin=subprocess.PIPE, stdout=subprocess.PIPE, bufsize=0, env=environment)
        assert self.process.stdin
        assert self.process.stdout
        self.keys, self.screen = self.process.stdin, self.process.stdout
        self.seen = b""

    def press(self, keys: str) -> None:
        self.keys.write(keys.encode())

    def wait_for(self, path: Path, lines: int) -> list[list[str]]:
        """The recorded commands, once there are so many."""
        end = time.monotonic() + PATIENCE_S
        while time.monotonic() < end:
            self._read()
            rows = path.read_text().splitlines() if path.is_file() else []
            if len(rows) >= lines:
                return [json.loads(row) for row in rows]
        raise AssertionError(f"the shell did not answer; it showed {self.seen[-2000:]!r}")

    def wait_for_prompt(self) -> None:
        end = time.monotonic() + PATIENCE_S
        while b"READY> " not in self.seen:
            assert time.monotonic() < end, f"no prompt; the shell showed {self.seen[-2000:]!r}"
            self._read()

    def close(self) -> None:
        self.process.kill()
        self.process.wait()
        self.keys.close()
        self.screen.close()

    def _read(self) -> None:
        if select.select([self.screen], [], [], 0.05)[0]:
            self.seen += os.read(self.screen.fileno(), 65536)


@pytest.fixture(params=SHELLS)
def terminal(request: pytest.FixtureRequest, labwright, study: Path, home: Path) -> Iterator[Terminal]:
    """A shell of the current folder in which completion was installed; ``labwright`` writes its words into a file."""
    shell = str(request.param)
    if shutil.which(shell) is None:
        pytest.skip(f"{shell} is not on this machine")
    tools = home / "bin"
    tools.mkdir()
    script = tools / "labwright"
    record = "import json, sys; print(json.dumps(sys.argv[1:]))"
    script.write_text(
        f'#!/bin/sh\nif [ "$1" = __complete ]; then exec {sys.executable} -m labwright "$@"; fi\n'
        f"exec {sys.executable} -c '{record}' \"$@\" >> {home}/said\n"
    )
    script.chmod(0o755)
    start = home / ".config" / "fish" / "config.fish" if shell == "fish" else shells.start_file(shell)
    start.parent.mkdir(parents=True, exist_ok=True)
    start.write_text(PROMPT[shell])
    labwright("list", "recipes")
    assert labwright("complete", "install", shell).code == 0
    environment = {
        **{name: os.environ[name] for name in ("XDG_CACHE_HOME", "PYTHONPATH") if name in os.environ},
        "HOME": str(home),
        "PATH": f"{tools}:{os.environ['PATH']}",
        "TERM": "xterm",
        "LC_ALL": "C.UTF-8",
        "SHELL": shell,
    }
    # The start file of the system is not the user's and may do anything.
    flags = {"bash": ["--rcfile", str(start), "-i"], "zsh": ["--no-globalrcs", "-i"], "fish": ["-i"]}[shell]
    terminal = Terminal([shell, *flags], environment)
    terminal.wait_for_prompt()
    yield terminal
    terminal.close()


def test_a_real_shell_completes(terminal: Terminal, study: Path, home: Path) -> None:
    study.with_name("my other.yaml").write_text(study.read_text())
    run = study.parent / "runs" / "pack-0123456789"
    run.mkdir(parents=True)
    (run / "step.json").write_text("{}")
    pressed = {
        "labwright sche\tto\t\n": ["schema", "toy"],
        "labwright run study.y\t--step ev\t\n": ["run", "study.yaml", "--step", "evaluate"],
        # The path ends in = without a space, so that the value can follow at once.
        "labwright run study.yaml --set train.gu\t5\n": ["run", "study.yaml", "--set", "train.guess=5"],
        "labwright run study.yaml --set train.gu\t\t\n": ["run", "study.yaml", "--set", "train.guess=1.0"],
        "labwright run study.yaml --set train.trouble=b\t\n": ["run", "study.yaml", "--set", "train.trouble=bug"],
        "labwright run study.yaml --param da\t/tmp\n": ["run", "study.yaml", "--param", "data=/tmp"],
        "labwright run study.yaml --run pack-\t\n": ["run", "study.yaml", "--run", "pack-0123456789"],
        "labwright run my\t--js\t\n": ["run", "my other.yaml", "--json"],
        "labwright list --finding TOY001\t\n": ["list", "--finding", "TOY001"],
    }
    for count, keys in enumerate(pressed, 1):
        terminal.press(keys)
        terminal.wait_for(home / "said", count)
    assert terminal.wait_for(home / "said", len(pressed)) == list(pressed.values())
