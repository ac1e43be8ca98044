"""Who may talk to the page: a token, a Host that is this server's name, an Origin that is this page, and small requests.

A page on the loopback address is open to every account of the machine and to every site in the user's browser. The token keeps the
first out, Host and Origin the second, also where a name was made to point here (DNS rebinding). The token is taken from a
header and never from a cookie: a browser sends cookies of one loopback port to the servers of all others, which may be other people's.
"""

from __future__ import annotations

import ipaddress
import secrets
from collections.abc import Collection, Mapping
from urllib.parse import urlsplit

from starlette.responses import JSONResponse
from starlette.types import ASGIApp, Message, Receive, Scope, Send

HEADERS = {
    "content-security-policy": (
        "default-src 'none'; script-src 'self'; style-src 'self' 'unsafe-inline'; connect-src 'self'; img-src data:; "
        "base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
    ),
    "x-content-type-options": "nosniff",
    "referrer-policy": "no-referrer",
    "cross-origin-resource-policy": "same-origin",
    "cross-origin-opener-policy": "same-origin",
}
"""Of every answer. Styles may be inline, as plotly sets them; scripts may not."""
BODY_BYTES = 1024
OPEN = "/api/"
"""What lies below it needs the token; the rest is the page's empty shell and its scripts, the same for everybody."""


class Guard:
    """ASGI middleware around the whole application."""

    def __init__(self, app: ASGIApp, token: str, hosts: Collection[str]) -> None:
        """``hosts``: names and addresses under which the server may be called, without ports; see :func:`known_host`."""
        self.app, self.token, self.hosts = app, token, frozenset(hosts)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            if scope["type"] == "lifespan":
                await self.app(scope, receive, send)
            return

        async def guarded(message: Message) -> None:
            if message["type"] == "http.response.start":
                present = {name.lower() for name, _ in message["headers"]}
                extra = [(name.encode(), value.encode()) for name, value in HEADERS.items() if name.encode() not in present]
                message = {**message, "headers": [*message["headers"], *extra]}
                if b"cache-control" not in present:
                    message["headers"].append((b"cache-control", b"no-store"))
            await send(message)

        headers = {name.decode("latin-1"): value.decode("latin-1") for name, value in scope["headers"]}
        if (why := refusal(headers, scope["path"], self.token, self.hosts)) is not None:
            await JSONResponse({"error": why}, 403)(scope, receive, guarded)
        elif not headers.get("content-length", "0").isdigit() or int(headers.get("content-length", "0")) > BODY_BYTES:
            await JSONResponse({"error": "the request is too large"}, 413)(scope, receive, guarded)
        elif "transfer-encoding" in headers:
            await JSONResponse({"error": "say how long the request is"}, 411)(scope, receive, guarded)
        else:
            await self.app(scope, receive, guarded)


def refusal(headers: Mapping[str, str], path: str, token: str, hosts: Collection[str]) -> str | None:
    """Why a request is refused; None where it is let in."""
    host = headers.get("host", "")
    if not known_host(host, hosts):
        return "this is not the name of this server"
    origin = headers.get("origin")
    if origin is not None and origin != f"http://{host}":
        return "the request comes from another page"
    given = headers.get("authorization", "").removeprefix("Bearer ")
    # A wrong token is refused everywhere, so that whoever tries one learns so at once.
    if (path.startswith(OPEN) or given) and not secrets.compare_digest(given.encode(), token.encode()):
        return "the token is missing or wrong; open the link that `labwright watch` printed"
    return None


def known_host(header: str, hosts: Collection[str]) -> bool:
    """Whether a Host header names this server; any port, since a tunnel may use another.

    A literal address cannot have been made to point here by anyone, so where ``hosts`` holds ``*`` each one is fine.
    """
    try:
        parts = urlsplit(f"//{header}")
        name, _ = parts.hostname or "", parts.port
    except ValueError:
        return False
    if name in hosts:
        return True
    if "*" in hosts:
        try:
            ipaddress.ip_address(name)
        except ValueError:
            return False
        return True
    return False
