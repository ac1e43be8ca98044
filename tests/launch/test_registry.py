"""Tags become digests as Docker's own client reads them, from a registry of the test's own on the loopback."""

from __future__ import annotations

import hashlib
import json
import socket
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import parse_qs, urlsplit

import pytest

from labwright.launch.registry import LARGEST_MANIFEST, digest, pinned, reference
from labwright.runs.errors import Exit, MissingError

INDEX = json.dumps({"schemaVersion": 2, "manifests": [{"platform": {"architecture": "amd64"}}, {"platform": {"architecture": "arm64"}}]})
PLAIN = json.dumps({"schemaVersion": 2, "config": {}, "layers": []})


def sha256(text: str) -> str:
    return f"sha256:{hashlib.sha256(text.encode()).hexdigest()}"


class Registry(ThreadingHTTPServer):
    """Serves manifests by (repository, tag); with ``token`` only to those who fetched it."""

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        self.manifests: dict[tuple[str, str], str] = {}
        self.token = ""
        self.status = 0
        self.tells_digest = True
        self.allows_head = True
        self.challenge = ""
        self.asked: list[str] = []

    @property
    def host(self) -> str:
        return f"127.0.0.1:{self.server_address[1]}"


class _Handler(BaseHTTPRequestHandler):
    server: Registry

    def do_HEAD(self) -> None:
        self._manifest(with_body=False)

    def do_GET(self) -> None:
        if self.path.startswith("/token?"):
            query = parse_qs(urlsplit(self.path).query)
            right = query == {"service": ["shelf"], "scope": ["repository:lab/tools:pull"]}
            return self._answer(200 if right else 400, {}, json.dumps({"token": self.server.token}))
        return self._manifest(with_body=True)

    def _manifest(self, with_body: bool) -> None:
        self.server.asked.append(self.command)
        if self.server.status:
            return self._answer(self.server.status)
        if not with_body and not self.server.allows_head:
            return self._answer(405)
        if self.server.token and self.headers.get("Authorization") != f"Bearer {self.server.token}":
            challenge = (
                self.server.challenge or f'Bearer realm="http://{self.server.host}/token",service="shelf",scope="repository:lab/tools:pull"'
            )
            return self._answer(401, {"WWW-Authenticate": challenge})
        _, _, *repository, kind, tag = self.path.split("/")
        assert kind == "manifests"
        text = self.server.manifests.get(("/".join(repository), tag))
        if text is None:
            return self._answer(404)
        if text == INDEX and "application/vnd.oci.image.index.v1+json" not in self.headers["Accept"]:
            text = PLAIN  # what a registry gives to a client that knows no index: another digest
        headers = {"Docker-Content-Digest": sha256(text)} if self.server.tells_digest else {}
        return self._answer(200, headers, text if with_body else "")

    def _answer(self, status: int, headers: dict[str, str] | None = None, body: str = "") -> None:
        self.send_response(status)
        for name, value in {**(headers or {}), "Content-Length": str(len(body))}.items():
            self.send_header(name, value)
        self.end_headers()
        self.wfile.write(body.encode())

    def log_message(self, *_: Any) -> None:
        pass


@pytest.fixture
def registry(monkeypatch: pytest.MonkeyPatch) -> Iterator[Registry]:
    # A proxy that the environment names is not asked for a registry on this machine.
    monkeypatch.setenv("http_proxy", "http://127.0.0.1:9")
    with Registry() as server:
        server.manifests["lab/tools", "1.2"] = INDEX
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        yield server
        server.shutdown()
        thread.join()


def refused(image: str) -> str:
    with pytest.raises(MissingError) as caught:
        pinned(image, None)
    assert caught.value.code == Exit.MISSING
    assert "write the digest yourself" in caught.value.todo
    return str(caught.value)


@pytest.mark.parametrize("written", ["docker://{}/lab/tools:1.2", "{}/lab/tools:1.2"])
def test_a_tag_is_named_by_the_digest_of_its_index(registry: Registry, written: str) -> None:
    image = written.format(registry.host)
    assert pinned(image, None) == (f"docker://{registry.host}/lab/tools@{sha256(INDEX)}", None)
    assert registry.asked == ["HEAD"]


def test_a_registry_that_wants_a_token_gets_one(registry: Registry) -> None:
    registry.token = "t0ken"
    assert digest(reference(f"{registry.host}/lab/tools:1.2")) == sha256(INDEX)
    assert registry.asked == ["HEAD", "HEAD"]


@pytest.mark.parametrize("knows", [{"tells_digest": False}, {"tells_digest": False, "allows_head": False}])
def test_a_registry_that_tells_no_digest_is_asked_for_the_manifest(registry: Registry, knows: dict[str, bool]) -> None:
    vars(registry).update(knows)
    assert digest(reference(f"{registry.host}/lab/tools:1.2")) == sha256(INDEX)
    assert registry.asked == ["HEAD", "GET"]


def test_a_moved_tag_is_a_finding(registry: Registry) -> None:
    image = f"{registry.host}/lab/tools:1.2"
    before, _ = pinned(image, None)
    assert pinned(image, before) == (before, None)
    registry.manifests["lab/tools", "1.2"] = PLAIN
    after, finding = pinned(image, before)
    assert after == f"docker://{registry.host}/lab/tools@{sha256(PLAIN)}"
    assert finding is not None
    assert (finding.code, finding.severity, finding.place) == ("LCH001", "warning", image)
    assert sha256(INDEX) in finding.text
    assert sha256(PLAIN) in finding.text


def test_what_is_no_tag_is_left_as_it_is() -> None:
    for image in (f"docker://lab/tools@{sha256(PLAIN)}", sha256(PLAIN), "tools.sif", "/cvmfs/unpacked/lab/tools:1.2", "$SCRATCH/tools"):
        assert pinned(image, f"docker://lab/tools@{sha256(INDEX)}") == (image, None)


@pytest.mark.parametrize(
    ("image", "host", "repository", "tag"),
    [
        ("tools", "registry-1.docker.io", "library/tools", "latest"),
        ("docker://lab/tools:1.2", "registry-1.docker.io", "lab/tools", "1.2"),
        ("docker.io/lab/tools:1.2", "registry-1.docker.io", "lab/tools", "1.2"),
        ("docker.io/tools:1.2", "registry-1.docker.io", "library/tools", "1.2"),
        ("ghcr.io/group/lab/tools:1.2", "ghcr.io", "group/lab/tools", "1.2"),
        ("localhost:5000/tools", "localhost:5000", "tools", "latest"),
        ("localhost/tools:1", "localhost", "tools", "1"),
        ("[::1]:5000/tools:1", "[::1]:5000", "tools", "1"),
    ],
)
def test_names_have_dockers_defaults(image: str, host: str, repository: str, tag: str) -> None:
    assert reference(image)[1:] == (host, repository, tag)


def test_an_unknown_tag_is_told(registry: Registry) -> None:
    assert "knows no such image or tag" in refused(f"{registry.host}/lab/tools:9.9")


@pytest.mark.parametrize(("status", "words"), [(403, "refuses"), (429, "too often"), (307, "HTTP status 307"), (500, "HTTP status 500")])
def test_every_other_answer_is_told(registry: Registry, status: int, words: str) -> None:
    registry.status = status
    assert words in refused(f"{registry.host}/lab/tools:1.2")


@pytest.mark.parametrize(
    "challenge", ['Basic realm="shelf"', 'Bearer realm="http://example.org/token"', 'Bearer realm="file:///etc/passwd"', "Bearer"]
)
def test_a_token_is_fetched_from_safe_places_only(registry: Registry, challenge: str) -> None:
    registry.token, registry.challenge = "t0ken", challenge
    assert "only to those who sign in" in refused(f"{registry.host}/lab/tools:1.2")


def test_a_refused_token_is_told(registry: Registry) -> None:
    registry.token = "t0ken"
    registry.challenge = f'Bearer realm="http://{registry.host}/token",service="another"'
    assert "HTTP status 400" in refused(f"{registry.host}/lab/tools:1.2")


def test_an_endless_manifest_is_not_read(registry: Registry) -> None:
    registry.tells_digest = False
    registry.manifests["lab/tools", "1.2"] = " " * (LARGEST_MANIFEST + 1)
    assert f"more than {LARGEST_MANIFEST} bytes" in refused(f"{registry.host}/lab/tools:1.2")


def test_a_registry_that_is_not_there_is_told() -> None:
    with socket.socket() as nobody:
        nobody.bind(("127.0.0.1", 0))
        assert "cannot be reached" in refused(f"127.0.0.1:{nobody.getsockname()[1]}/lab/tools:1.2")


def test_a_registry_elsewhere_is_asked_over_https_only(monkeypatch: pytest.MonkeyPatch) -> None:
    asked = []

    def refuse(address: tuple[str, int], *_: Any, **__: Any) -> socket.socket:
        asked.append(address)
        raise OSError("no network")

    for name in ("http_proxy", "https_proxy", "all_proxy", "HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setattr(socket, "create_connection", refuse)
    assert "no network" in refused("docker://lab/tools:1.2")
    assert asked == [("registry-1.docker.io", 443)]
