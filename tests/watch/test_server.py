"""The page's HTTP: what is served, to whom, and nothing else."""

from __future__ import annotations

import asyncio
import json
import re
import time
from pathlib import Path
from typing import Any

import httpx
import pytest

from labwright.runs.errors import CommandError
from labwright.runs.run import Run
from labwright.watch import server as module
from labwright.watch.board import Board
from labwright.watch.guard import BODY_BYTES
from labwright.watch.server import Reader, application, stream
from tests.watch import made

TOKEN = "a-secret-token"
HOST = "127.0.0.1:8000"
RIGHT = {"Authorization": f"Bearer {TOKEN}"}


class Client:
    """Calls an application within this process."""

    def __init__(self, app: Any) -> None:
        self.app = app

    def request(self, method: str, path: str, **options: Any) -> Any:
        async def call() -> Any:
            transport = httpx.ASGITransport(app=self.app)
            async with httpx.AsyncClient(transport=transport, base_url=f"http://{HOST}") as client:
                return await client.request(method, path, **options)

        return asyncio.run(call())

    def get(self, path: str, **options: Any) -> Any:
        return self.request("GET", path, **options)

    def post(self, path: str, **options: Any) -> Any:
        return self.request("POST", path, **options)


@pytest.fixture
def board(tmp_path: Path) -> Board:
    made.run_folder(tmp_path / "runs" / "train-1", {"0001": [made.start(time.time()), made.metric(time.time(), 1, loss=0.5)]})
    made.run_folder(tmp_path / "runs" / "pack-1", step="pack")
    found = Board([tmp_path / "runs"])
    found.look()
    return found


@pytest.fixture
def client(board: Board) -> Client:
    return Client(application(board, TOKEN, {"127.0.0.1"}))


SHELL = ["/", "/page.css", "/page.js", "/live.js", "/plotly.js"]
CLOSED = ["/api/runs", "/api/events", "/api/nothing"]


@pytest.mark.parametrize("path", SHELL)
def test_the_shell_is_the_same_for_everybody_and_holds_no_data(client: Client, path: str) -> None:
    answer = client.get(path)
    assert answer.status_code == 200
    assert "train-1" not in answer.text
    assert TOKEN not in answer.text


def test_the_page_loads_nothing_from_elsewhere_and_has_no_script_inline(client: Client) -> None:
    page = client.get("/").text
    assert re.findall(r"(?:src|href)=\"([^\"]*)\"", page) == ["data:,", "/page.css", "/plotly.js", "/page.js", "/live.js", "#"]
    assert not re.search(r"<script(?![^>]*src=)", page)
    assert not re.search(r"\son\w+=", page)
    for path in ("/page.js", "/live.js"):
        code = client.get(path).text
        assert "innerHTML" not in code
        assert "insertAdjacentHTML" not in code
        assert "eval(" not in code
        assert not re.search(r"https?://", code)


@pytest.mark.parametrize("path", CLOSED)
@pytest.mark.parametrize("headers", [{}, {"Authorization": "Bearer wrong"}, {"Authorization": TOKEN[:-1]}], ids=str)
def test_without_the_token_there_is_nothing(client: Client, path: str, headers: dict[str, str]) -> None:
    answer = client.get(path, headers=headers)
    assert answer.status_code == 403
    assert "token" in answer.json()["error"]


@pytest.mark.parametrize("path", ["/", "/page.js", *CLOSED])
@pytest.mark.parametrize("headers", [{"Host": "evil.example"}, {"Origin": "http://evil.example"}, {"Origin": "null"}], ids=str)
def test_foreign_hosts_and_origins_are_refused_everywhere(client: Client, path: str, headers: dict[str, str]) -> None:
    assert client.get(path, headers={**RIGHT, **headers}).status_code == 403


@pytest.mark.parametrize("path", ["/", "/api/runs", "/nowhere"])
def test_every_answer_says_what_a_browser_may_do_with_it(client: Client, path: str) -> None:
    headers = client.get(path).headers
    policy = dict(part.split(" ", 1) for part in headers["content-security-policy"].split("; "))
    assert policy["default-src"] == "'none'"
    assert policy["script-src"] == "'self'"
    assert policy["frame-ancestors"] == "'none'"
    assert headers["x-content-type-options"] == "nosniff"
    assert headers["referrer-policy"] == "no-referrer"
    assert headers["cache-control"] == "no-store"


def test_runs_are_listed_by_ids(client: Client, board: Board) -> None:
    answer = client.get("/api/runs", headers=RIGHT)
    assert answer.headers["content-type"] == "application/json"
    assert {one["name"]: one["id"] for one in answer.json()["runs"]} == {name: id_ for id_, name in board.names().items()}
    assert answer.json()["actions"] is False


@pytest.mark.parametrize(
    "path",
    [
        "/api/events?run=nowhere",
        "/api/events?run=../../etc/passwd",
        "/nowhere",
        "/page.css/../server.py",
        "/%2e%2e/server.py",
        "/api/runs/x",
        "/server.py",
    ],
)
def test_what_is_not_known_is_not_there(client: Client, path: str) -> None:
    answer = client.get(path, headers=RIGHT)
    assert answer.status_code == 404
    assert "error" in answer.json()


@pytest.mark.parametrize("path", ["/", "/api/runs", "/api/events"])
@pytest.mark.parametrize("method", ["POST", "PUT", "DELETE", "PATCH", "OPTIONS"])
def test_it_can_only_be_read(client: Client, path: str, method: str) -> None:
    assert client.request(method, path, headers=RIGHT).status_code == 405


def test_without_permission_no_run_can_be_stopped(client: Client, board: Board) -> None:
    assert client.post(f"/api/runs/{next(iter(board.names()))}/stop", headers=RIGHT).status_code == 404


def test_large_requests_are_refused(client: Client) -> None:
    assert client.post("/api/runs", headers=RIGHT, content=b"x" * (BODY_BYTES + 1)).status_code == 413
    assert client.post("/api/runs", headers={**RIGHT, "Content-Length": "many"}).status_code == 413
    assert client.post("/api/runs", headers={**RIGHT, "Transfer-Encoding": "chunked"}).status_code == 411


def test_with_permission_a_run_can_be_stopped(board: Board) -> None:
    stopped: list[str] = []

    def stop(run: Run) -> str:
        if run.step == "pack":
            raise CommandError("it is somebody else's")
        stopped.append(run.name)
        return "asked 1 process to stop"

    client, (train, pack) = Client(application(board, TOKEN, {"127.0.0.1"}, stop)), board.names()
    assert client.get("/api/runs", headers=RIGHT).json()["actions"] is True
    assert client.post(f"/api/runs/{train}/stop").status_code == 403
    assert client.post(f"/api/runs/{train}/stop", headers={**RIGHT, "Origin": "http://evil.example"}).status_code == 403
    assert client.get(f"/api/runs/{train}/stop", headers=RIGHT).status_code == 405
    assert client.post("/api/runs/other/stop", headers=RIGHT).status_code == 404
    assert stopped == []
    assert client.post(f"/api/runs/{train}/stop", headers=RIGHT).json() == {"said": "asked 1 process to stop"}
    assert client.post(f"/api/runs/{pack}/stop", headers=RIGHT).status_code == 409
    assert stopped == ["train-1"]


def news(reader: Reader) -> dict[str, Any]:
    text, _ = reader.news()
    return json.loads(text) if text else {}


def test_a_reader_gets_all_at_first_and_then_what_changed(board: Board, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("labwright.watch.board.TURN_S", 1e9)
    reader = Reader(board, "")
    first = news(reader)
    assert (first["run"], first["name"]) == (next(iter(board.names())), "train-1")
    assert {"overview", "alive", "curves", "energy", "commands"} <= first["parts"].keys()
    assert news(reader) == {}
    made.append(tmp_path / "runs" / "train-1", made.metric(time.time(), 2, loss=0.25))
    second = news(reader)["parts"]
    assert "curves" in second
    assert {"commands", "energy", "changes"}.isdisjoint(second)


def test_a_reader_follows_what_is_at_work_unless_it_asked_for_a_run(board: Board, tmp_path: Path) -> None:
    train, pack = board.names()
    following, asking = Reader(board, ""), Reader(board, train)
    assert news(following)["run"] == news(asking)["run"] == train
    made.append(tmp_path / "runs" / "train-1", made.end(time.time()))
    made.append(tmp_path / "runs" / "pack-1", made.start(time.time()))
    for follow in board.runs.values():
        follow.look(at_once=True)
    moved = news(following)
    assert (moved["run"], moved["name"]) == (pack, "pack-1")
    assert "commands" in moved["parts"], "of another run everything is new"
    assert news(asking)["run"] == train


def test_numbers_that_json_has_not_arrive_as_json(board: Board, tmp_path: Path) -> None:
    with (tmp_path / "runs" / "train-1" / "journal" / "0001.jsonl").open("a") as stream_:
        stream_.write('{"t": 1, "kind": "metric", "phase": "train", "step": 9, "values": {"loss": NaN, "rate": Infinity}}\n')
        stream_.write('{"t": 1, "kind": "progress", "title": "\\ud800", "done": NaN, "total": Infinity}\n')
    text, _ = Reader(board, "").news()
    json.loads(text, parse_constant=pytest.fail)
    text.encode()


async def events(board: Board, run: str, count: int, ending: asyncio.Event) -> list[str]:
    found = []
    async for event in stream(board, run, ending):
        found.append(event)
        if len(found) == count:
            ending.set()
    return found


def test_events_are_one_line_of_json_each_and_end_with_the_server(board: Board) -> None:
    (event,) = asyncio.run(events(board, "", 1, asyncio.Event()))
    kind, data, *rest = event.split("\n")
    assert (kind, rest) == ("event: news", ["", ""])
    assert json.loads(data.removeprefix("data: "))["name"] == "train-1"


def test_a_quiet_stream_says_that_it_is_there(board: Board, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "KEEP_ALIVE_S", 0.0)
    monkeypatch.setattr(module, "pause_after", lambda _: 0.01)
    monkeypatch.setattr("labwright.watch.board.TURN_S", 1e9)
    assert asyncio.run(events(board, "", 2, asyncio.Event()))[1] == ": still here\n\n"


def test_a_reader_of_a_run_that_went_away_is_told(board: Board, tmp_path: Path) -> None:
    run = next(iter(board.names()))
    del board.runs[run]
    assert asyncio.run(events(board, run, 9, asyncio.Event()))[0].startswith("event: gone\n")


def test_only_so_many_pages_are_open_at_once(board: Board, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "MOST_READERS", 0)
    assert Client(application(board, TOKEN, {"127.0.0.1"})).get("/api/events", headers=RIGHT).status_code == 503
