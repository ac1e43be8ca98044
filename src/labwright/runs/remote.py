"""Files on servers, by address: ``root://…``, ``s3://…``, ``https://…``, whatever fsspec has a package for."""

from __future__ import annotations

import importlib
from typing import Any

from labwright.runs.errors import MissingError

PACKAGES = {"root": "fsspec-xrootd", "s3": "s3fs", "gs": "gcsfs", "http": "aiohttp", "https": "aiohttp"}
"""What opens the addresses of a scheme."""


def is_remote(address: str) -> bool:
    return "://" in address


def file_system(address: str) -> tuple[Any, str]:
    """fsspec's file system of an address, and the path in it.

    Raises:
        MissingError: the package is not installed, or the scheme is unknown.
    """
    import fsspec

    scheme = address.partition("://")[0]
    package = PACKAGES.get(scheme, f"the fsspec package for {scheme}")
    try:
        if scheme == "root":
            importlib.import_module("fsspec_xrootd")
        files, path = fsspec.core.url_to_fs(address)
    except ImportError as error:
        raise MissingError(f"{scheme}:// needs the package {package}", where=address, todo=f"Type: pip install {package}") from error
    except ValueError as error:
        raise MissingError(f"{scheme}:// is not an address that can be read here", where=address) from error
    return files, str(path)
