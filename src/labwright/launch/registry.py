"""From the tag of a container image to its digest, over the HTTP API of registries.

A tag can be moved, a digest cannot: jobs name their image by digest, so that all of an array, and the attempt after a requeue,
have the same software inside. Protocol: OCI Distribution Specification 1.1, "Pulling manifests", and the token
authentication of the Docker registry. Registries are asked over HTTPS; only one on this machine may speak HTTP, as with Docker.
"""

from __future__ import annotations

import hashlib
import http.client
import ipaddress
import json
import re
import urllib.error
import urllib.parse
import urllib.request
from typing import Any, NamedTuple, NoReturn

from labwright import __version__
from labwright.data.findings import Finding
from labwright.launch.container import form_of
from labwright.launch.findings import MOVED_TAG
from labwright.runs.errors import MissingError

TIMEOUT_S = 15.0
LARGEST_TOKEN = 2**20
"""Bytes of an answer with a token; more is no token."""
LARGEST_MANIFEST = 4 * 2**20
"""Bytes of a manifest; registries refuse larger ones."""
MANIFESTS = (
    # An image for several architectures is named by its index, so that the same digest runs on each of them.
    "application/vnd.oci.image.index.v1+json",
    "application/vnd.docker.distribution.manifest.list.v2+json",
    "application/vnd.oci.image.manifest.v1+json",
    "application/vnd.docker.distribution.manifest.v2+json",
)
_SHA256 = re.compile(r"sha256:[0-9a-f]{64}")
_PARAMETER = re.compile(r'(\w+)="([^"]*)"')


class Reference(NamedTuple):
    """A tagged image, its parts spelled out."""

    name: str
    """As it was written, without ``docker://`` and the tag."""
    host: str
    repository: str
    tag: str


def pinned(image: str, recorded: str | None) -> tuple[str, Finding | None]:
    """The image by its digest, and a finding where that is another one than was recorded.

    Args:
        image: as a site names it. What is no tag (a digest, a file, a folder) is returned as it is.
        recorded: what an earlier submission had for this image, if there was one.

    Raises:
        MissingError: the registry cannot be reached, refuses, or knows no such tag.
    """
    if form_of(image) != "tag":
        return image, None
    asked = reference(image)
    now = f"docker://{asked.name}@{digest(asked)}"
    return now, moved(image, recorded, now)


def moved(image: str, recorded: str | None, now: str) -> Finding | None:
    """A finding where the tag ``image`` means ``now`` and was recorded as something else."""
    if recorded is None or recorded == now or form_of(recorded) != "digest":
        return None
    return MOVED_TAG.at(image, f"it meant {recorded.partition('@')[2]} and now means {now.partition('@')[2]}")


def reference(image: str) -> Reference:
    """The parts of ``docker://NAME:TAG`` or ``NAME:TAG``, with Docker's defaults: its hub, ``library/``, ``latest``."""
    name, tag = image.removeprefix("docker://"), "latest"
    if ":" in name.rpartition("/")[2]:
        name, _, tag = name.rpartition(":")
    host, _, repository = name.partition("/")
    if not repository or not ("." in host or ":" in host or host == "localhost"):
        host, repository = "docker.io", name
    if host == "docker.io":
        host, repository = "registry-1.docker.io", repository if "/" in repository else f"library/{repository}"
    return Reference(name, host, repository, tag)


def digest(asked: Reference) -> str:
    """What the tag means now, as ``sha256:…``.

    Raises:
        MissingError: the registry cannot be reached, refuses, or knows no such tag.
    """
    scheme = "http" if _is_here(asked.host) else "https"
    url = f"{scheme}://{asked.host}/v2/{asked.repository}/manifests/{urllib.parse.quote(asked.tag)}"
    headers = {"Accept": ", ".join(MANIFESTS)}
    try:
        answer = _ask(url, "HEAD", headers)
        if answer.status == 401:
            headers["Authorization"] = f"Bearer {_token(answer, asked)}"
            answer = _ask(url, "HEAD", headers)
        found = str(answer.headers.get("Docker-Content-Digest", ""))
        if answer.status in (200, 405) and not _SHA256.fullmatch(found):
            answer = _ask(url, "GET", headers)
            found = f"sha256:{hashlib.sha256(answer.body).hexdigest()}"
    except (OSError, http.client.HTTPException) as error:
        reason = getattr(error, "reason", None) or error
        _give_up(asked, f"the registry {asked.host} cannot be reached: {reason}")
    if answer.status != 200:
        _refused(asked, answer.status)
    return found


class _Answer(NamedTuple):
    status: int
    headers: Any
    body: bytes


class _NoRedirect(urllib.request.HTTPRedirectHandler):
    """urllib would hand a token on to wherever it is sent."""

    def redirect_request(self, *_: Any) -> None:
        return None


def _ask(url: str, method: str, headers: dict[str, str], limit: int = LARGEST_MANIFEST) -> _Answer:
    host = urllib.parse.urlsplit(url).netloc
    handlers: list[Any] = [_NoRedirect, *([urllib.request.ProxyHandler({})] if _is_here(host) else [])]
    request = urllib.request.Request(url, method=method, headers={"User-Agent": f"labwright/{__version__}", **headers})
    try:
        with urllib.request.build_opener(*handlers).open(request, timeout=TIMEOUT_S) as stream:
            body = stream.read(limit + 1)
            if len(body) > limit:
                raise http.client.HTTPException(f"it answers with more than {limit} bytes")
            return _Answer(stream.status, stream.headers, body)
    except urllib.error.HTTPError as error:
        with error:
            return _Answer(error.code, error.headers, b"")


def _token(challenge: _Answer, asked: Reference) -> str:
    """A token for reading, as the registry's challenge says where to get it; anybody gets one for a public image."""
    words = challenge.headers.get("WWW-Authenticate", "")
    fields = dict(_PARAMETER.findall(words))
    realm = urllib.parse.urlsplit(fields.get("realm", ""))
    if not words.lower().startswith("bearer ") or not (realm.scheme == "https" or (realm.scheme == "http" and _is_here(realm.netloc))):
        _refused(asked, 401)
    query = {"scope": fields.get("scope") or f"repository:{asked.repository}:pull"}
    if "service" in fields:
        query["service"] = fields["service"]
    url = realm._replace(query="&".join(filter(None, [realm.query, urllib.parse.urlencode(query)]))).geturl()
    answer = _ask(url, "GET", {}, LARGEST_TOKEN)
    try:
        content = json.loads(answer.body)
        token = content.get("token") or content["access_token"]
    except (ValueError, KeyError, AttributeError):
        token = None
    if not isinstance(token, str) or not token.isprintable():
        _refused(asked, answer.status if answer.status != 200 else 401)
    return token


def _refused(asked: Reference, status: int) -> NoReturn:
    reasons = {
        401: f"the registry {asked.host} shows this image only to those who sign in, or has none of this name",
        403: f"the registry {asked.host} refuses to show this image",
        404: f"the registry {asked.host} knows no such image or tag",
        429: f"the registry {asked.host} has been asked too often from here",
    }
    _give_up(asked, reasons.get(status, f"the registry {asked.host} answers with HTTP status {status}"))


def _give_up(asked: Reference, what: str) -> NoReturn:
    raise MissingError(
        what,
        where=f"container.image {asked.name}:{asked.tag}",
        todo=f"Check the name, or write the digest yourself: `image: docker://{asked.name}@sha256:…` "
        "(`skopeo inspect` and `docker buildx imagetools inspect` show it).",
    )


def _is_here(host: str) -> bool:
    """Whether a host, with or without a port, is this machine."""
    name = urllib.parse.urlsplit(f"//{host}").hostname or ""
    try:
        return name == "localhost" or ipaddress.ip_address(name).is_loopback
    except ValueError:
        return False
