"""Results in a folder or on a server: whole once the manifest is there, and the same bytes as at home."""

from __future__ import annotations

import json
import os
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
import urllib.request
from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace

import pytest

from labwright.launch import results
from labwright.launch.results import MANIFEST, PAGE, export_results
from labwright.runs import grid_proxy, publish
from labwright.runs.errors import CommandError, DataError, FaultError, MissingError
from labwright.runs.run import Run

FILES = {
    "report.json": b'{"sections": []}',
    "plots/roc.svg": b"<svg/>" * 1000,
    "friends/SvB.json": b"{}",
    "scores.parquet": bytes(range(256)) * 99,
}


def done_run(folder: Path, files: dict[str, bytes] = FILES) -> Run:
    """A complete run, with a checkpoint and a journal beside its output."""
    for name, data in files.items():
        path = folder / "output" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(data)
    for name in ("checkpoints/a/000001/model.safetensors", "journal/1.jsonl"):
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_bytes(b"")
    publish.write_json(
        folder / "step.json", {"recipe": "events", "step": "evaluate", "fingerprint": "f" * 64, "options": {}, "created": "2026"}, "step"
    )
    done = {"figures": {"auc": 0.9}, "findings": {}, "energy": [], "attempts": 1, "output": publish.manifest(folder / "output")}
    publish.write_json(folder / "done.json", done, "done")
    return Run.open(folder)


@pytest.fixture
def run(tmp_path: Path) -> Run:
    return done_run(tmp_path / "runs" / "evaluate-ffffffffff")


def test_a_folder_gets_the_output_the_page_and_last_the_manifest(run: Run, tmp_path: Path) -> None:
    there = tmp_path / "www" / run.name
    order: list[str] = []
    write = results._Folder.write
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(results._Folder, "write", lambda self, name, source: (order.append(name), write(self, name, source)))
        done = export_results(run, str(tmp_path / "www"))
    assert order[-1] == MANIFEST
    assert {path.relative_to(there).as_posix() for path in there.rglob("*") if path.is_file()} == {*FILES, PAGE, MANIFEST}
    assert all((there / name).read_bytes() == data for name, data in FILES.items())
    told = json.loads((there / MANIFEST).read_text())
    assert publish.verify(there, told["files"], checksums=True) == []
    assert (told["fingerprint"], told["figures"]) == (run.fingerprint, {"auc": 0.9})
    assert (done.files, done.sent) == (6, 6)
    assert b"evaluate" in (there / PAGE).read_bytes()


def test_the_same_again_sends_nothing_and_a_file_that_changed_is_sent_again(run: Run, tmp_path: Path) -> None:
    export_results(run, str(tmp_path / "www"))
    assert export_results(run, str(tmp_path / "www")).sent == 0
    (tmp_path / "www" / run.name / "plots" / "roc.svg").write_bytes(b"<svg>" * 1200)
    assert export_results(run, str(tmp_path / "www")).sent == 2  # and the manifest, which must not stand beside what is not so


def test_what_an_earlier_run_of_the_name_left_goes(run: Run, tmp_path: Path) -> None:
    export_results(run, str(tmp_path / "www"))
    other = done_run(tmp_path / "other" / run.name, {"report.json": b'{"sections": [ ]}'})
    (tmp_path / "www" / run.name / "mine.txt").write_text("somebody's own")
    export_results(other, str(tmp_path / "www"))
    names = {path.relative_to(tmp_path / "www" / run.name).as_posix() for path in (tmp_path / "www").rglob("*") if path.is_file()}
    assert names == {"report.json", PAGE, MANIFEST, "mine.txt"}


def test_killed_midway_there_is_no_manifest_and_the_rest_comes_later(run: Run, tmp_path: Path) -> None:
    words = ["-m", "labwright", "export", "results", str(run.folder), "--to", str(tmp_path / "www")]
    environment = {**os.environ, "LABWRIGHT_FAULT": "output:before-rename@3", "PYTHONPATH": os.pathsep.join(filter(None, sys.path))}
    died = subprocess.run([sys.executable, *words], env=environment, capture_output=True, check=False)
    assert died.returncode == -signal.SIGKILL
    there = tmp_path / "www" / run.name
    assert not (there / MANIFEST).exists()
    arrived = [name for name in FILES if (there / name).is_file()]
    assert arrived
    done = export_results(run, str(tmp_path / "www"))
    assert done.sent == 6 - len(arrived)
    assert publish.verify(there, json.loads((there / MANIFEST).read_text())["files"], checksums=True) == []


def test_a_file_that_arrives_damaged_is_an_error_and_is_not_left(run: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def write(self: results._Folder, name: str, source: Path) -> None:
        (self.folder / name).parent.mkdir(parents=True, exist_ok=True)
        data = bytearray(source.read_bytes())
        data[0] ^= 1
        (self.folder / name).write_bytes(data)

    monkeypatch.setattr(results._Folder, "write", write)
    with pytest.raises(FaultError, match="not the same after it was sent"):
        export_results(run, str(tmp_path / "www"))
    assert not [path for path in (tmp_path / "www").rglob("*") if path.is_file()]


def test_only_whole_runs_are_sent_and_not_into_themselves(run: Run, tmp_path: Path) -> None:
    with pytest.raises(CommandError, match="within the run itself"):
        export_results(run, str(run.folder / "output"))
    run.output("scores.parquet").write_bytes(bytes(len(FILES["scores.parquet"])))
    with pytest.raises(DataError, match="differs from its checksum"):
        export_results(run, str(tmp_path / "www"))
    (run.folder / "done.json").unlink()
    with pytest.raises(MissingError, match="not done"):
        export_results(run, str(tmp_path / "www"))


def test_a_grid_server_asks_for_a_proxy_or_a_ticket(run: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("X509_USER_PROXY", str(tmp_path / "none"))
    monkeypatch.setenv("PATH", "")
    monkeypatch.setattr(grid_proxy, "has_kerberos_ticket", lambda: False)
    with pytest.raises(MissingError, match=r"no grid proxy, .* voms-proxy-init .* kinit"):
        export_results(run, "root://eos.example//eos/www")


@pytest.fixture(scope="module")
def bucket(tmp_path_factory: pytest.TempPathFactory) -> Iterator[SimpleNamespace]:
    """An S3 server of this machine with one bucket; a free port is found by the system."""
    pytest.importorskip("s3fs")
    pytest.importorskip("moto.server")
    port = _free_port()
    log = tmp_path_factory.mktemp("moto") / "log"
    with log.open("wb") as out:
        server = subprocess.Popen(
            [sys.executable, "-m", "moto.server", "-H", "127.0.0.1", "-p", str(port)], stdout=out, stderr=subprocess.STDOUT
        )
    address = f"http://127.0.0.1:{port}"
    with pytest.MonkeyPatch.context() as patch:
        for name, value in {
            "AWS_ENDPOINT_URL": address,
            "AWS_ACCESS_KEY_ID": "key",
            "AWS_SECRET_ACCESS_KEY": "secret",
            "AWS_DEFAULT_REGION": "us-east-1",
            "AWS_EC2_METADATA_DISABLED": "true",
        }.items():
            patch.setenv(name, value)
        try:
            end = time.monotonic() + 60
            while not _answers(address):
                assert server.poll() is None, log.read_text()
                assert time.monotonic() < end, "the server does not come up"
                time.sleep(0.2)
            import s3fs

            files = s3fs.S3FileSystem()
            files.mkdir("results")
            yield SimpleNamespace(files=files, name="results")
        finally:
            server.kill()
            server.wait()


def _answers(address: str) -> bool:
    try:
        with urllib.request.urlopen(address, timeout=2):
            return True
    except OSError:
        return False


def test_an_s3_bucket_gets_the_same(run: Run, bucket: SimpleNamespace, tmp_path: Path) -> None:
    done = export_results(run, "s3://results/www/")
    assert (done.place, done.sent) == (f"s3://results/www/{run.name}", 6)
    told = json.loads(bucket.files.cat(f"results/www/{run.name}/{MANIFEST}"))
    assert set(told["files"]) == {*FILES, PAGE}
    assert all(bucket.files.cat(f"results/www/{run.name}/{name}") == data for name, data in FILES.items())
    assert export_results(run, "s3://results/www").sent == 0
    bucket.files.pipe(f"results/www/{run.name}/scores.parquet", bytes(len(FILES["scores.parquet"])))
    assert export_results(run, "s3://results/www").sent == 2
    assert bucket.files.cat(f"results/www/{run.name}/scores.parquet") == FILES["scores.parquet"]


def test_a_bucket_gets_its_manifest_last(run: Run, bucket: SimpleNamespace, monkeypatch: pytest.MonkeyPatch) -> None:
    write = results._Server.write

    def fails(self: results._Server, name: str, source: Path) -> None:
        if name == PAGE:
            raise ConnectionResetError("the server went away")
        write(self, name, source)

    monkeypatch.setattr(results._Server, "write", fails)
    with pytest.raises(MissingError, match="the server went away"):
        export_results(run, "s3://results/cut")
    assert not bucket.files.exists(f"results/cut/{run.name}/{MANIFEST}")
    monkeypatch.undo()
    assert export_results(run, "s3://results/cut").sent == 2


def test_a_bucket_that_is_not_there_is_a_sentence(run: Run, bucket: SimpleNamespace) -> None:
    with pytest.raises(MissingError, match=r"s3://nowhere.*cannot be sent"):
        export_results(run, "s3://nowhere/www")


@pytest.fixture(scope="module")
def grid(tmp_path_factory: pytest.TempPathFactory) -> Iterator[SimpleNamespace]:
    """An XRootD server of this machine that takes files from anybody on it."""
    pytest.importorskip("fsspec_xrootd")
    if shutil.which("xrootd") is None:
        pytest.skip("needs the Debian package xrootd-server")
    with tempfile.TemporaryDirectory() as own:  # one that other users may enter
        folder = Path(own)
        folder.chmod(0o755)
        (folder / "data").mkdir()
        (folder / "data").chmod(0o777)
        (folder / "admin").mkdir()
        (folder / "admin").chmod(0o777)
        lines = ["all.export / writable", f"oss.localroot {folder}/data", f"all.adminpath {folder}/admin", f"all.pidpath {folder}/admin"]
        (folder / "server.cf").write_text("\n".join([*lines, "xrd.allow host localhost", "xrd.network nodnr", ""]))
        port = _free_port()
        words = ["xrootd", "-p", str(port), "-c", str(folder / "server.cf"), "-l", str(folder / "admin" / "log")]
        user = ["-R", "nobody"] if os.getuid() == 0 else []  # it does not run as root
        server = subprocess.Popen([*words, *user], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        try:
            end = time.monotonic() + 60
            while not _listens(port):
                assert server.poll() is None, "the server does not start"
                assert time.monotonic() < end, "the server does not come up"
                time.sleep(0.2)
            yield SimpleNamespace(address=f"root://127.0.0.1:{port}/", data=folder / "data")
        finally:
            server.kill()
            server.wait()


def _free_port() -> int:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port: int = free.getsockname()[1]
        return port


def _listens(port: int) -> bool:
    try:
        with socket.create_connection(("127.0.0.1", port), timeout=2):
            return True
    except OSError:
        return False


def test_a_grid_server_gets_the_same(run: Run, grid: SimpleNamespace, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(grid_proxy, "has_kerberos_ticket", lambda: True)
    assert export_results(run, f"{grid.address}/www").sent == 6
    there = grid.data / "www" / run.name
    assert publish.verify(there, json.loads((there / MANIFEST).read_text())["files"], checksums=True) == []
    assert export_results(run, f"{grid.address}/www").sent == 0
    (there / "plots" / "roc.svg").unlink()
    assert export_results(run, f"{grid.address}/www").sent == 2
    assert (there / "plots" / "roc.svg").read_bytes() == FILES["plots/roc.svg"]
