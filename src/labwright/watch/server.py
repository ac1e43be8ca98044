"""The live page's HTTP: an empty shell that anybody may load, JSON and events for whoever has the token."""

from __future__ import annotations

import asyncio
import contextlib
import json
import time
from collections.abc import AsyncIterator, Callable, Collection
from importlib.resources import files
from pathlib import Path
from typing import Any

import anyio.to_thread
from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import FileResponse, JSONResponse, Response, StreamingResponse
from starlette.routing import Route

from labwright.runs.errors import LabwrightError
from labwright.runs.run import Run
from labwright.watch.board import Board, pause_after
from labwright.watch.guard import Guard
from labwright.watch.plots import plotly_file

MOST_READERS = 8
KEEP_ALIVE_S = 15.0
Stop = Callable[[Run], str]
"""Stops a run gently; returns what was done, in words."""


def application(board: Board, token: str, hosts: Collection[str], stop: Stop | None = None, closing: asyncio.Event | None = None) -> Guard:
    """The ASGI application.

    Args:
        board: the runs.
        token: what a request below ``/api/`` has to bring as ``Authorization: Bearer``.
        hosts: names under which the server may be called.
        stop: stops a run; None makes the page read-only.
        closing: set when the server is to end, so that open pages are let go.
    """
    readers, ending = 0, closing or asyncio.Event()

    async def runs(request: Request) -> Response:
        await anyio.to_thread.run_sync(board.look)
        names = await anyio.to_thread.run_sync(board.names)
        return JSONResponse({"runs": [{"id": id_, "name": name} for id_, name in names.items()], "actions": stop is not None})

    async def events(request: Request) -> Response:
        nonlocal readers
        id_ = request.query_params.get("run", "")
        if id_ and id_ not in board.runs:
            raise HTTPException(404, "there is no such run")
        if readers >= MOST_READERS:
            raise HTTPException(503, f"the page is open {MOST_READERS} times already")
        return StreamingResponse(counted(id_), media_type="text/event-stream", headers={"x-accel-buffering": "no"})

    async def counted(id_: str) -> AsyncIterator[str]:
        nonlocal readers
        readers += 1
        try:
            async for event in stream(board, id_, ending):
                yield event
        finally:
            readers -= 1

    async def stop_run(request: Request) -> Response:
        follow = board.runs.get(request.path_params["id"])
        if follow is None:
            raise HTTPException(404, "there is no such run")
        assert stop is not None, "the route is there only with it"
        try:
            said = await anyio.to_thread.run_sync(stop, follow.run)
        except LabwrightError as error:
            raise HTTPException(409, str(error)) from error
        return JSONResponse({"said": said})

    routes = [
        *(Route(path, _file(path, *file)) for path, file in _shell().items()),
        Route("/api/runs", runs),
        Route("/api/events", events),
        *([Route("/api/runs/{id}/stop", stop_run, methods=["POST"])] if stop is not None else []),
    ]
    return Guard(Starlette(routes=routes, exception_handlers={HTTPException: _refused}), token, hosts)


async def stream(board: Board, asked: str, ending: asyncio.Event) -> AsyncIterator[str]:
    """Server-sent events for one reader: what changed of the overview and of the panels of one run.

    Args:
        board: the runs.
        asked: the id of a run; empty for the one at work, whichever that is.
        ending: ends the stream.
    """
    reader, spoke = Reader(board, asked), time.monotonic()
    while not ending.is_set():
        await anyio.to_thread.run_sync(board.look)
        try:
            news, cost_s = await anyio.to_thread.run_sync(reader.news)
        except KeyError:
            yield "event: gone\ndata: {}\n\n"
            return
        if news:
            yield f"event: news\ndata: {news}\n\n"
            spoke = time.monotonic()
        elif time.monotonic() - spoke > KEEP_ALIVE_S:
            yield ": still here\n\n"
            spoke = time.monotonic()
        with contextlib.suppress(TimeoutError):
            await asyncio.wait_for(ending.wait(), pause_after(cost_s))


class Reader:
    """What one open page has been sent, and so needs no more."""

    def __init__(self, board: Board, asked: str) -> None:
        self._board, self._asked, self._run = board, asked, ""
        self._sent: dict[str, int] = {}
        self._mark: object = None

    def news(self) -> tuple[str, float]:
        """JSON of what changed since the last call, empty where nothing did; and the CPU seconds that this took.

        Raises:
            KeyError: the run is no longer there.
        """
        began = time.thread_time()
        names = self._board.names()
        run = self._asked or next(iter(names), "")
        if run != self._run:
            self._run, self._mark, self._sent = run, None, {}
        parts: dict[str, Any] = {"overview": self._board.overview()}
        if run and (found := self._board.panels(run, self._mark)) is not None:
            self._mark, made = found
            parts |= made
        changed = []
        for key, part in parts.items():
            text = _compact(part)
            if self._sent.get(key) != hash(text):
                self._sent[key] = hash(text)
                changed.append(f'"{key}":{text}')
        name = _compact(names.get(run, ""))
        news = f'{{"now":{time.time():.3f},"run":"{run}","name":{name},"parts":{{{",".join(changed)}}}}}' if changed else ""
        return news, time.thread_time() - began


_compact = json.JSONEncoder(separators=(",", ":"), allow_nan=False).encode


async def _refused(_request: Request, error: Exception) -> Response:
    assert isinstance(error, HTTPException)
    return JSONResponse({"error": error.detail}, error.status_code, headers=error.headers)


def _file(path: str, file: Path, kind: str) -> Callable[[Request], Any]:
    # The library is large and its name holds no data; the rest may change with the next version.
    headers = {"cache-control": "private, max-age=86400"} if path == "/plotly.js" else None

    async def answer(_request: Request) -> Response:
        return FileResponse(file, media_type=kind, headers=headers)

    return answer


def _shell() -> dict[str, tuple[Path, str]]:
    """The files of the empty page, by the only paths under which anything of the disk is served."""
    here = Path(str(files("labwright.watch")))
    script, style = "text/javascript; charset=utf-8", "text/css; charset=utf-8"
    return {
        "/": (here / "live.html", "text/html; charset=utf-8"),
        "/page.css": (here / "page.css", style),
        "/page.js": (here / "page.js", script),
        "/live.js": (here / "live.js", script),
        "/plotly.js": (plotly_file(), script),
    }
