"""Who is let in, and who is not."""

from __future__ import annotations

import pytest

from labwright.watch.guard import known_host, refusal

TOKEN = "a-secret-token"
HOST = "127.0.0.1:8000"
GOOD = {"host": HOST, "authorization": f"Bearer {TOKEN}"}


@pytest.mark.parametrize(
    ("headers", "path"),
    [
        (GOOD, "/api/runs"),
        ({**GOOD, "origin": f"http://{HOST}"}, "/api/runs"),
        ({"host": "localhost:9999", "authorization": f"Bearer {TOKEN}", "origin": "http://localhost:9999"}, "/api/runs"),
        ({"host": HOST}, "/"),
        ({"host": HOST}, "/page.js"),
    ],
)
def test_the_page_and_whoever_has_the_token_come_in(headers: dict[str, str], path: str) -> None:
    assert refusal(headers, path, TOKEN, {"127.0.0.1", "localhost"}) is None


@pytest.mark.parametrize(
    "change",
    [
        {"authorization": "Bearer wrong"},
        {"authorization": ""},
        {"authorization": f"Basic {TOKEN}"},
        {"authorization": f"Bearer {TOKEN} "},
        {"authorization": "Bearer ü"},
        {"cookie": f"token={TOKEN}", "authorization": ""},
        {"host": "evil.example:8000"},
        {"host": "127.0.0.1.evil.example:8000"},
        {"host": ""},
        {"host": "127.0.0.1:8000:9"},
        {"origin": "http://evil.example"},
        {"origin": "null"},
        {"origin": "https://127.0.0.1:8000"},
        {"origin": "http://127.0.0.1:9000"},
    ],
    ids=str,
)
def test_all_others_stay_out(change: dict[str, str]) -> None:
    assert refusal({**GOOD, **change}, "/api/runs", TOKEN, {"127.0.0.1"}) is not None


def test_a_wrong_token_is_refused_where_none_is_needed() -> None:
    assert refusal({**GOOD, "authorization": "Bearer wrong"}, "/", TOKEN, {"127.0.0.1"}) is not None
    assert refusal({**GOOD, "origin": "http://evil.example"}, "/", TOKEN, {"127.0.0.1"}) is not None


@pytest.mark.parametrize(
    ("header", "hosts", "known"),
    [
        ("[::1]:80", {"::1"}, True),
        ("localhost", {"localhost"}, True),
        ("LOCALHOST:80", {"localhost"}, True),
        ("10.0.0.7:80", {"127.0.0.1"}, False),
        ("10.0.0.7:80", {"node7", "*"}, True),
        ("node7:80", {"node7", "*"}, True),
        ("evil.example:80", {"node7", "*"}, False),
        ("127.0.0.1@evil.example", {"127.0.0.1"}, False),
        ("127.0.0.1/x", {"127.0.0.1"}, True),
        ("[::1", {"::1"}, False),
    ],
)
def test_a_host_is_known_by_its_name(header: str, hosts: set[str], known: bool) -> None:
    assert known_host(header, hosts) == known
