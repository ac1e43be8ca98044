"""A journal in SQLite, set up as it is advised for many small writers: write-ahead log, NORMAL durability, a commit a record.

Like the journal of lines it survives the death of its process and not that of the machine.
"""

from __future__ import annotations

import json
import sqlite3
import time
from pathlib import Path
from typing import Any


class SqliteJournal:
    """One table of records: time, kind, the rest as JSON."""

    def __init__(self, path: Path) -> None:
        self.connection = sqlite3.connect(path, isolation_level=None)
        self.connection.execute("PRAGMA journal_mode = WAL")
        self.connection.execute("PRAGMA synchronous = NORMAL")
        self.connection.execute("CREATE TABLE records (t REAL, kind TEXT, fields TEXT)")

    def record(self, kind: str, **fields: Any) -> None:
        # Without an open transaction each statement is one, committed when it ends.
        self.connection.execute("INSERT INTO records VALUES (?, ?, ?)", (time.time(), kind, json.dumps(fields)))

    def read(self) -> list[dict[str, Any]]:
        rows = self.connection.execute("SELECT t, kind, fields FROM records ORDER BY rowid")
        return [{"t": t, "kind": kind, **json.loads(fields)} for t, kind, fields in rows]

    def close(self) -> None:
        self.connection.close()
