"""A server has a port, a token and a file of its own, and stays small."""

from __future__ import annotations

import os
import signal
import socket
import stat
import sys
import time
from contextlib import closing
from pathlib import Path

import httpx
import psutil
import pytest

from labwright.runs.errors import CommandError, FaultError
from labwright.watch.serve import Place, hosts, is_loopback, listen, tell, token_file
from tests.watch import made
from tests.watch.served import served


@pytest.fixture
def runs(tmp_path: Path) -> Path:
    made.run_folder(tmp_path / "runs" / "train-1", {"0001": [made.start(time.time()), made.metric(time.time(), 1, loss=0.5)]})
    return tmp_path / "runs"


def test_two_servers_at_once_have_nothing_in_common(runs: Path, tmp_path: Path) -> None:
    made.run_folder(tmp_path / "others" / "pack-1", step="pack")
    with served(runs, state=tmp_path) as one, served(tmp_path / "others", state=tmp_path) as other:
        assert one.url != other.url
        assert one.token_file != other.token_file
        assert one.headers != other.headers
        assert (one.runs(), other.runs()) == (["train-1"], ["pack-1"])
        assert httpx.get(f"{one.url}/api/runs", headers=other.headers).status_code == 403
        for server in (one, other):
            assert stat.S_IMODE(server.token_file.stat().st_mode) == 0o600
            assert stat.S_IMODE(server.token_file.parent.stat().st_mode) == 0o700


def test_it_listens_on_this_machine_only_and_loads_nothing_heavy(runs: Path, tmp_path: Path) -> None:
    with served(runs, state=tmp_path) as server:
        assert server.runs() == ["train-1"]
        with httpx.stream("GET", f"{server.url}/api/events", headers=server.headers) as stream:
            assert next(stream.iter_lines()) == "event: news"
        process = psutil.Process(server.process.pid)
        (listening,) = [one.laddr.ip for one in process.net_connections("tcp") if one.status == psutil.CONN_LISTEN]
        assert listening == "127.0.0.1"
        mapped = " ".join(entry.path for entry in process.memory_maps())
        assert not any(f"/{heavy}/" in mapped for heavy in ("numpy", "torch", "pyarrow", "pydantic_core", "zarr", "numcodecs"))
        assert process.memory_info().rss < 80e6


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_it_ends_well_and_takes_its_token_along(runs: Path, tmp_path: Path, number: signal.Signals) -> None:
    with served(runs, state=tmp_path) as server:
        with httpx.stream("GET", f"{server.url}/api/events", headers=server.headers) as stream:
            lines = stream.iter_lines()
            assert next(lines) == "event: news"
            server.process.send_signal(number)
            assert sum(1 for _ in lines) >= 1, "the open page is let go, not cut off"
        assert server.process.wait(10) == 0
        assert not server.token_file.exists()
        assert server.process.stdout is not None
        assert "rror" not in server.process.stdout.read()


def test_the_token_is_never_printed_where_nobody_looks(runs: Path, tmp_path: Path) -> None:
    with served(runs, state=tmp_path) as server:
        token = server.token_file.read_text().strip()
        httpx.get(f"{server.url}/api/runs", headers=server.headers)
        httpx.get(f"{server.url}/api/runs?token={token}")
        server.process.terminate()
        assert server.process.stdout is not None
        rest = server.process.stdout.read()
        assert token not in rest
        assert f"ssh -L {server.url.rpartition(':')[2]}:127.0.0.1:" in rest


def test_on_a_terminal_the_link_holds_the_token_behind_the_hash(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys) -> None:  # type: ignore[no-untyped-def]
    monkeypatch.setattr(sys.stdout, "isatty", lambda: True, raising=False)
    tell(Place("127.0.0.1", 8000, "secret", tmp_path / "file"))
    assert "http://127.0.0.1:8000/#token=secret" in capsys.readouterr().out


def test_the_first_free_port_of_a_range_is_taken() -> None:
    with closing(listen("127.0.0.1", [0])) as taken:
        port = taken.getsockname()[1]
        with pytest.raises(CommandError, match=f"port {port}: Address already in use"):
            listen("127.0.0.1", [port])
        with closing(listen("127.0.0.1", [port, 0])) as other:
            assert other.getsockname()[1] != port


def test_an_address_that_is_not_ours_is_refused() -> None:
    with pytest.raises(CommandError, match="any of the ports 1 to 2"):
        listen("192.0.2.1", range(1, 3))


def test_token_files_are_new_each_time_and_go_away(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_RUNTIME_DIR", str(tmp_path / "run"))
    with token_file() as (token, path), token_file() as (other, another):
        assert token != other
        assert path != another
        assert path.read_text() == f"{token}\n"
        assert len(token) >= 40
        assert path.stat().st_uid == os.getuid()
    assert list((tmp_path / "run" / "labwright").iterdir()) == []


def test_a_folder_that_cannot_be_made_is_said(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "file").write_text("")
    monkeypatch.setenv("XDG_RUNTIME_DIR", str(tmp_path / "file"))
    with pytest.raises(FaultError, match="the token cannot be kept"), token_file():
        pass


def test_without_a_runtime_folder_the_state_folder_is_taken(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("XDG_RUNTIME_DIR", raising=False)
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / "state"))
    with token_file() as (_, path):
        assert path.parent == tmp_path / "state" / "labwright"


def test_names_of_a_server_are_those_of_its_address() -> None:
    assert hosts("127.0.0.1") == {"127.0.0.1", "localhost", "::1"}
    assert {"*", socket.gethostname().lower()} <= hosts("0.0.0.0")
    assert [is_loopback(one) for one in ("127.0.0.1", "127.8.8.8", "::1", "localhost", "0.0.0.0", "node7")] == [True] * 4 + [False] * 2
