"""What all tests share: the repository's folder, and the folder of sample data where there is one."""

from __future__ import annotations

import signal
from pathlib import Path

import hypothesis
import pytest

from tests.parts.toy_recipe import Desk, register

# No test is about how fast this machine is just now.
hypothesis.settings.register_profile("unhurried", deadline=None)
hypothesis.settings.load_profile("unhurried")

# Under nohup, or in the background of a script, the tests and their children would be started deaf to these.
for _number, _handler in ((signal.SIGINT, signal.default_int_handler), (signal.SIGHUP, signal.SIG_DFL)):
    if signal.getsignal(_number) == signal.SIG_IGN:
        signal.signal(_number, _handler)


@pytest.fixture(scope="session")
def repository() -> Path:
    return Path(__file__).resolve().parents[1]


@pytest.fixture(scope="session")
def shared_data(repository: Path) -> Path:
    """Real data beside the repository, more of it than can be bundled."""
    folder = repository.parent / "shared" / "data"
    if not folder.is_dir():
        pytest.skip("there is no ../shared/data beside this repository")
    return folder


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    """What tests told by ``record_property``: of a *matrix* how many cases passed, of the *hostile* corpus how each was answered."""
    reports = [report for outcome in ("passed", "failed") for report in terminalreporter.stats.get(outcome, []) if report.when == "call"]
    matrices: dict[str, list[bool]] = {}
    for report in reports:
        for name, value in report.user_properties:
            if name == "matrix":
                matrices.setdefault(value, []).append(report.passed)
    for name, passed in sorted(matrices.items()):
        terminalreporter.write_line(f"{name}: {sum(passed)} of {len(passed)}")
    answers = [value for report in reports for name, value in report.user_properties if name == "hostile"]
    if answers:
        terminalreporter.write_line(
            f"hostile corpus: {len(answers)} files, {answers.count('traceback')} tracebacks, {answers.count('silent')} silent"
        )


@pytest.fixture
def desk(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Desk:
    """A study of the toy recipe, which is registered as another people's package is."""
    register(tmp_path / "site")
    monkeypatch.syspath_prepend(str(tmp_path / "site"))
    return Desk(tmp_path / "desk")
