"""What a journal record costs: a line appended by one write, against a row committed to SQLite's write-ahead log."""

from __future__ import annotations

import statistics
import tempfile
import time
from pathlib import Path
from typing import Any

from reference.journal_records import SqliteJournal

from labwright.runs.journal import Journal, read_file

RECORDS, TURNS = 5000, 9


def record_all(journal: Journal | SqliteJournal) -> float:
    """Seconds a record, over what a training writes most: metric records."""
    start = time.perf_counter()
    for step in range(RECORDS):
        values = {"loss": 1.0 / (step + 1), "learning_rate": 1e-3, "data_wait": 0.0125}
        journal.record("metric", phase="train", step=step, epoch=step // 100, values=values, part="all")
    return (time.perf_counter() - start) / RECORDS


def without_time(records: list[dict[str, Any]]) -> list[dict[str, Any]]:
    return [{key: value for key, value in record.items() if key != "t"} for record in records]


def main() -> None:
    with tempfile.TemporaryDirectory(prefix="labwright-journal-") as name:
        folder = Path(name)
        ours, reference = Journal(folder / "equal.jsonl"), SqliteJournal(folder / "equal.sqlite")
        record_all(ours)
        record_all(reference)
        ours.close()
        assert without_time(list(read_file(ours.path))) == without_time(reference.read()), "the journals differ"
        reference.close()
        seconds: tuple[list[float], list[float]] = ([], [])
        for turn in range(TURNS):
            ours, reference = Journal(folder / f"{turn}.jsonl"), SqliteJournal(folder / f"{turn}.sqlite")
            seconds[1].append(record_all(reference))
            seconds[0].append(record_all(ours))
            ours.close()
            reference.close()
    fast, slow = (1e6 * statistics.median(column) for column in seconds)
    print(f"reference: {1e6 / slow:,.0f} records/s, {slow:.2f} µs a record (median of {TURNS} turns of {RECORDS})")
    print(
        f"ours:      {1e6 / fast:,.0f} records/s, {fast:.2f} µs a record; the slowest turn {1e6 * max(seconds[0]):.2f} µs, allowed are 20"
    )
    print(f"ratio {slow / fast:.2f} — one journal record, wall time (ours {fast:.2f} µs, reference {slow:.2f} µs)")


if __name__ == "__main__":
    main()
