"""Does the grid proxy last as long as the work? Asked before a server is, because XRootD hangs or fails late without it."""

from __future__ import annotations

import os
import re
import shutil
import ssl
import subprocess
import time
from datetime import UTC, datetime
from pathlib import Path

from labwright.runs.errors import MissingError

_VALIDITY = re.compile(rb"\x30[\x1e-\x22](?:\x17\x0d(\d{12}Z)|\x18\x0f(\d{14}Z))(?:\x17\x0d(\d{12}Z)|\x18\x0f(\d{14}Z))")
"""The validity of an X.509 certificate in DER: a sequence of two times (RFC 5280, section 4.1.2.5)."""
_PEM = re.compile(r"-----BEGIN CERTIFICATE-----.+?-----END CERTIFICATE-----", re.DOTALL)


def check(planned_minutes: int, otherwise: str = "") -> None:
    """Refuse work that outlasts the proxy.

    Args:
        planned_minutes: how long the work takes.
        otherwise: a sentence on how one does without a proxy.

    Raises:
        MissingError: there is no proxy, or it ends before ``planned_minutes`` have passed; with the line to type.
    """
    left = seconds_left()
    hours = max(192, planned_minutes // 60 + 1)
    line = f"voms-proxy-init --rfc --voms cms -valid {hours}:00"
    todo = f"Type: {line} (--voms with your own experiment). {otherwise}".rstrip()
    if left is None:
        raise MissingError("there is no grid proxy, which root:// needs", where=str(proxy_file()), todo=todo)
    if left < planned_minutes * 60:
        what = f"the grid proxy lasts {max(left, 0) // 60} more minutes, {planned_minutes} are planned"
        raise MissingError(what, where=str(proxy_file()), todo=todo)


def has_kerberos_ticket() -> bool:
    """Whether there is a ticket that servers of files may take instead: ``KRB5CCNAME``, else ``/tmp/krb5cc_<user>``."""
    return bool(os.environ.get("KRB5CCNAME")) or Path(f"/tmp/krb5cc_{os.getuid()}").is_file()


def proxy_file() -> Path:
    """Where the proxy lies: ``X509_USER_PROXY``, else ``/tmp/x509up_u<user>``."""
    return Path(os.environ.get("X509_USER_PROXY") or f"/tmp/x509up_u{os.getuid()}")


def seconds_left() -> int | None:
    """How long the proxy lasts, by ``voms-proxy-info`` or else by its file; None without one."""
    if command := shutil.which("voms-proxy-info"):
        try:
            told = subprocess.run([command, "-timeleft"], capture_output=True, text=True, timeout=60, check=False)
        except (OSError, subprocess.TimeoutExpired):
            return _by_file()
        if told.returncode == 0 and told.stdout.strip().lstrip("-").isdigit():
            return int(told.stdout)
    return _by_file()


def _by_file() -> int | None:
    try:
        text = proxy_file().read_text(encoding="ascii")
    except (OSError, UnicodeDecodeError):
        return None
    # A chain is valid only as long as each of its certificates.
    ends = [_end(ssl.PEM_cert_to_DER_cert(one)) for one in _PEM.findall(text)]
    known = [end for end in ends if end is not None]
    return int(min(known) - time.time()) if known else None


def _end(certificate: bytes) -> float | None:
    found = _VALIDITY.search(certificate)
    if found is None:
        return None
    short, long = found[3], found[4]
    moment = (short or long).decode("ascii")
    return datetime.strptime(moment, "%y%m%d%H%M%SZ" if short else "%Y%m%d%H%M%SZ").replace(tzinfo=UTC).timestamp()
