from __future__ import annotations

import os
import stat
import subprocess
from pathlib import Path

import pytest

from labwright.events.source import listing
from labwright.runs import grid_proxy
from labwright.runs.errors import Exit, MissingError
from tests.events.trees import source


@pytest.fixture
def twin(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder that is all of PATH, for a voms-proxy-info of our own; and a proxy file that is not there."""
    folder = tmp_path / "bin"
    folder.mkdir()
    monkeypatch.setenv("PATH", str(folder))
    monkeypatch.setenv("X509_USER_PROXY", str(tmp_path / "proxy.pem"))
    return folder


def answer(folder: Path, script: str) -> None:
    path = folder / "voms-proxy-info"
    path.write_text(f'#!/bin/sh\n[ "$1" = -timeleft ] || exit 2\n{script}\n')
    path.chmod(path.stat().st_mode | stat.S_IXUSR)


def certificate(path: Path, seconds: int) -> None:
    """A certificate that ends so many seconds from now, rounded down to a day by openssl; negative for one that has ended."""
    command = [
        "/usr/bin/openssl",
        "req",
        "-x509",
        "-newkey",
        "ec",
        "-pkeyopt",
        "ec_paramgen_curve:prime256v1",
        "-nodes",
        "-subj",
        "/CN=toy",
    ]
    days = seconds // 86_400
    key = path.with_suffix(".key")
    subprocess.run([*command, "-days", str(days), "-out", str(path), "-keyout", str(key)], check=True, capture_output=True)
    path.write_text(path.read_text() + key.read_text())


def test_a_proxy_that_lasts_is_enough(twin: Path) -> None:
    answer(twin, "echo 7200")
    grid_proxy.check(120)


@pytest.mark.parametrize(
    ("script", "says"),
    [
        ("echo 7199", "lasts 119 more minutes, 120 are planned"),
        ("echo 0", "lasts 0 more minutes"),
        ("echo -3", "lasts 0 more minutes"),
        ("echo Couldn\\'t find a valid proxy. >&2; exit 1", "there is no grid proxy"),
    ],
)
def test_a_proxy_that_ends_too_soon_is_refused_with_the_line_to_type(twin: Path, script: str, says: str) -> None:
    answer(twin, script)
    with pytest.raises(MissingError, match=says) as caught:
        grid_proxy.check(120)
    assert caught.value.code == Exit.MISSING
    assert "Type: voms-proxy-init --rfc --voms cms -valid 192:00" in caught.value.todo


def test_longer_plans_ask_for_a_longer_proxy(twin: Path) -> None:
    with pytest.raises(MissingError, match="-valid 301:00"):
        grid_proxy.check(300 * 60)


def test_without_the_command_the_proxys_file_is_read(twin: Path, tmp_path: Path) -> None:
    if not os.path.exists("/usr/bin/openssl"):
        pytest.skip("there is no openssl to make a certificate")
    certificate(tmp_path / "proxy.pem", 3 * 86_400)
    left = grid_proxy.seconds_left()
    assert left is not None
    assert 3 * 86_400 - 120 < left <= 3 * 86_400
    grid_proxy.check(2 * 24 * 60)
    with pytest.raises(MissingError, match="more minutes"):
        grid_proxy.check(4 * 24 * 60)


def test_the_soonest_end_of_a_chain_counts(twin: Path, tmp_path: Path) -> None:
    if not os.path.exists("/usr/bin/openssl"):
        pytest.skip("there is no openssl to make a certificate")
    certificate(tmp_path / "long.pem", 40_000 * 86_400)  # after 2049 the time is written in another way
    certificate(tmp_path / "short.pem", 86_400)
    chain = tmp_path / "proxy.pem"
    chain.write_text((tmp_path / "long.pem").read_text())
    assert (grid_proxy.seconds_left() or 0) > 39_999 * 86_400
    chain.write_text((tmp_path / "long.pem").read_text() + (tmp_path / "short.pem").read_text())
    assert (grid_proxy.seconds_left() or 0) <= 86_400


@pytest.mark.parametrize(
    "content", [b"", b"no certificate", b"\xff\xfe", b"-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n"]
)
def test_a_file_that_is_no_proxy_is_none(twin: Path, tmp_path: Path, content: bytes) -> None:
    (tmp_path / "proxy.pem").write_bytes(content)
    assert grid_proxy.seconds_left() is None


def test_the_proxy_is_asked_before_a_server_is(twin: Path, tmp_path: Path) -> None:
    answer(twin, "echo 60")
    with pytest.raises(MissingError, match="lasts 1 more minutes, 60 are planned"):
        listing(source(tmp_path, "root://cmseos.fnal.gov//store/a.root"))
    assert listing(source(tmp_path, "root://eospublic.cern.ch//eos/a.root", planned_minutes=0)).names == (
        "root://eospublic.cern.ch//eos/a.root",
    )


def test_a_ticket_is_looked_for_where_kinit_leaves_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os, "getuid", lambda: 987_654_321)
    monkeypatch.delenv("KRB5CCNAME", raising=False)
    assert not grid_proxy.has_kerberos_ticket()
    monkeypatch.setenv("KRB5CCNAME", "KCM:")
    assert grid_proxy.has_kerberos_ticket()
