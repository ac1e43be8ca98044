"""A server for one board: its port, its token file, and what to tell the user."""

from __future__ import annotations

import asyncio
import contextlib
import getpass
import ipaddress
import os
import secrets
import signal
import socket
import sys
import tempfile
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from types import FrameType
from typing import Any, NamedTuple

import uvicorn

from labwright.runs.errors import CommandError, FaultError
from labwright.watch.board import Board
from labwright.watch.server import Stop, application

LOOPBACK = "127.0.0.1"
HEADER_BYTES = 1 << 14


class Place(NamedTuple):
    """Where a server can be reached, and with what."""

    address: str
    port: int
    token: str
    token_file: Path

    @property
    def url(self) -> str:
        name = f"[{self.address}]" if ":" in self.address else self.address
        return f"http://{name}:{self.port}"

    @property
    def link(self) -> str:
        """Opens the page. What is behind the # is never sent, so it stands in no log and no Referer."""
        return f"{self.url}/#token={self.token}"

    @property
    def tunnel(self) -> str:
        """The command that brings the page to another machine."""
        return f"ssh -L {self.port}:{self.address}:{self.port} {getpass.getuser()}@{socket.gethostname()}"


class _Server(uvicorn.Server):
    """Lets open pages go when it is to end; it would wait for them."""

    def __init__(self, config: uvicorn.Config, closing: asyncio.Event) -> None:
        super().__init__(config)
        self._closing = closing

    def handle_exit(self, sig: int, frame: FrameType | None) -> None:
        self._closing.set()
        super().handle_exit(sig, frame)


def serve(
    board: Board, *, address: str = LOOPBACK, ports: Sequence[int] = (0,), stop: Stop | None = None, ready: Callable[[Place], Any]
) -> None:
    """Serve until SIGINT or SIGTERM.

    Args:
        board: the runs.
        address: what to bind to.
        ports: the first free one is taken; 0 is any free port.
        stop: as :func:`labwright.watch.server.application` takes it.
        ready: told once requests are answered.

    Raises:
        CommandError: no port is free, or the address is not one of this machine.
        FaultError: the token file cannot be written.
    """
    with contextlib.closing(listen(address, ports)) as listening, token_file() as (token, path):
        place = Place(address, listening.getsockname()[1], token, path)
        closing = asyncio.Event()
        config = uvicorn.Config(
            application(board, token, hosts(address), stop, closing),
            http="h11",
            ws="none",
            loop="asyncio",
            lifespan="off",
            access_log=False,
            log_level="warning",
            server_header=False,
            proxy_headers=False,
            h11_max_incomplete_event_size=HEADER_BYTES,
            limit_concurrency=64,
            timeout_graceful_shutdown=5,
        )
        # The server raises again what ended it, and the token file has to be removed.
        before = signal.signal(signal.SIGTERM, signal.default_int_handler)
        try:
            ready(place)
            _Server(config, closing).run(sockets=[listening])
        except KeyboardInterrupt:
            return
        finally:
            signal.signal(signal.SIGTERM, before)


def listen(address: str, ports: Sequence[int]) -> socket.socket:
    """A listening socket on the first of these ports that is free."""
    family = socket.AF_INET6 if ":" in address else socket.AF_INET
    problem: OSError | None = None
    for port in ports:
        made = socket.socket(family, socket.SOCK_STREAM)
        try:
            made.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            made.bind((address, port))
            made.listen(64)
            return made
        except OSError as error:
            made.close()
            problem = error
    tried = f"port {ports[0]}" if len(ports) == 1 else f"any of the ports {ports[0]} to {ports[-1]}"
    todo = "Leave --port out for any free one."
    raise CommandError(f"cannot listen on {tried}: {problem.strerror if problem else ''}", where=address, todo=todo)


def hosts(address: str) -> set[str]:
    """The names under which a server on ``address`` may be called; ``*`` stands for each literal address."""
    names = {LOOPBACK, "localhost", "::1", address}
    if not is_loopback(address):
        names |= {socket.gethostname().lower(), socket.getfqdn().lower(), "*"}
    return names


def is_loopback(address: str) -> bool:
    """Whether only this machine can reach the address."""
    try:
        return ipaddress.ip_address(address).is_loopback
    except ValueError:
        return address == "localhost"


@contextmanager
def token_file() -> Iterator[tuple[str, Path]]:
    """A fresh token in a file that only this user can read; the file is removed at the end."""
    token = secrets.token_urlsafe(32)
    folder = _private_folder()
    descriptor, name = tempfile.mkstemp(prefix="watch-", suffix=".token", dir=folder)
    try:
        os.fchmod(descriptor, 0o600)
        with os.fdopen(descriptor, "w", encoding="ascii") as stream:
            stream.write(token + "\n")
        yield token, Path(name)
    finally:
        Path(name).unlink(missing_ok=True)


def _private_folder() -> Path:
    """The user's own runtime folder, else the state folder; never the shared temporary one."""
    base = os.environ.get("XDG_RUNTIME_DIR") or os.environ.get("XDG_STATE_HOME") or Path.home() / ".local" / "state"
    folder = Path(base) / "labwright"
    try:
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    except OSError as error:
        todo = "Set XDG_RUNTIME_DIR to a folder of your own."
        raise FaultError(f"the token cannot be kept: {error.strerror}", where=str(folder), todo=todo) from error
    return folder


def tell(place: Place) -> None:
    """Print where the page is. The token itself is shown on a terminal only: a file of printed text may be others' to read."""
    lines = [f"watching at {place.url}"]
    if sys.stdout.isatty():
        lines.append(f"open        {place.link}")
    lines += [f"token       {place.token_file}", f"from afar   {place.tunnel}"]
    sys.stdout.write("\n".join(lines) + "\n")
    sys.stdout.flush()
