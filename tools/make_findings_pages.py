"""Write a reference page for each finding code, from the catalogues, with an example line from data that really have it.

    python tools/make_findings_pages.py docs/reference/findings

A test compares the pages in the repository with what this writes.
"""

from __future__ import annotations

import argparse
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pyarrow as pa

from labwright.cells.findings import CATALOGUE, BadItem
from labwright.cells.findings import finding as cells_finding
from labwright.cells.frames import common_plane, pair_findings, repeat_findings
from labwright.cells.source import Listing, identity, scan
from labwright.cells.source_options import SourceOptions
from labwright.cells.tiff import Plane, plane, read_image, read_mask
from labwright.data.findings import GENERIC, Code, Finding
from labwright.data.splits import coverage, leaks
from labwright.events.findings import CATALOGUE as EVENTS
from labwright.launch.findings import CATALOGUE as OF_SUBMISSIONS
from labwright.launch.registry import moved
from labwright.runs.publish import digest
from labwright.study.registry import BUILT_IN, recipe
from labwright.testing.hostile import CORPUS
from labwright.testing.hostile_events import CORPUS as EVENTS_CORPUS

NOTE = "<!-- Written by tools/make_findings_pages.py; change the catalogue of the codes, not this page. -->"
SEVERITIES = {
    "error": "**Error**: training refuses to start (exit code 65) until it is mended.",
    "warning": "**Warning**: it is shown and counted, and the work goes on.",
    "note": "**Note**: it is only recorded.",
}
FRAME_ASIDE = """
The frame is set aside and the rest goes on. In a frame that no split takes it is only a note:
to leave a frame out is one way to mend the data."""
EVENT_ASIDE = """
What is bad (events, rows of a file, or the file) is set aside and the rest goes on."""

OF_SCORES = "**Error**: the step stops (exit code 65) and leaves no scores."
SCORES = {
    "EVT040": ("pack-0123456789", "467 of 700 events lie in folds that have no model; there are modulo3-f0-s0"),
    "EVT050": ("predict-89abcdef01", "pack-0123456789, pack-23456789ab: it scored other events"),
    "EVT051": ("predict-89abcdef01", "predict-0123456789 has svb of B, S; predict-89abcdef01 has fvt of d4, d3"),
    "EVT052": ("predict-89abcdef01", "random3.0-f1-s0 is in predict-0123456789, predict-89abcdef01"),
    "EVT053": ("predict-89abcdef01", "fold 0, 2 of 3 of random3.1, seed 0, has no model in any run"),
    "EVT054": ("predict-89abcdef01", "300 models would score each event, more than 255"),
}
"""Of the codes that predict and merge refuse with: place and text."""


def pages() -> dict[str, str]:
    """File name → text: a page for each code, and ``README.md`` with the list of them."""
    examples = {one.code: one for one in (*_of_splits(), *_of_submissions(), *_of_cells(), *_of_events())}
    groups = {"Every recipe": dict(GENERIC), "Submissions": dict(OF_SUBMISSIONS)}
    for name in BUILT_IN:
        if "findings" in recipe(name).tools:
            groups[f"Recipe {name}"] = dict(recipe(name).tool("findings"))
    asides = dict.fromkeys(CATALOGUE, FRAME_ASIDE) | dict.fromkeys(EVENTS, EVENT_ASIDE)
    texts = {
        f"{code.code}.md": _page(code, examples[code.code], asides.get(code.code, ""))
        for codes in groups.values()
        for code in codes.values()
    }
    return {"README.md": _index(groups), **texts}


def _index(groups: dict[str, dict[str, Code]]) -> str:
    lines = ["# Findings", "", NOTE, ""]
    lines += [
        "What packing, checking and predicting find in the data has a code, a severity, a place and what to do about it; so has what",
        "submitting finds in a site. `labwright check study.yaml` looks for all that is in the data;",
        "`labwright list findings --finding CEL014` explains a code on the terminal.",
        "",
    ]
    for title, codes in groups.items():
        lines += [f"## {title}", "", "| code | severity | what |", "|---|---|---|"]
        lines += [f"| [{code.code}]({code.code}.md) | {code.severity} | {code.title} |" for code in codes.values()]
        lines += [""]
    return "\n".join(lines)


def _page(code: Code, example: Finding, aside: str) -> str:
    means = SEVERITIES[code.severity] + (aside if code.severity == "error" else "")
    return f"""# {code.code}: {code.title}

{NOTE}

{OF_SCORES if code.code in SCORES else means}

## Why it matters

{code.why}

## Example

```text
{example.severity} {example.code} {example.place}: {example.text}
```

## What to do

{code.todo}
"""


def _of_cells() -> Iterator[Finding]:
    """One finding of each code of the cells recipe, from the first case of the hostile corpus that has it."""
    for name in CATALOGUE:
        case = next(case for case in CORPUS if case.expect_code == name)
        with tempfile.TemporaryDirectory() as folder:
            data = case.make(Path(folder)).parent / "data"
            yield next(one for one in _found(data) if one.code == name)


def _of_events() -> Iterator[Finding]:
    """One finding of each code of the events recipe: the line that the hostile corpus asks for, which a test compares with what comes."""
    yield EVENTS["EVT037"].at("random3.0-f0-s0", "700 events to train on, a batch has 1,024")
    yield from (EVENTS[code].at(place, text) for code, (place, text) in SCORES.items())
    for case in EVENTS_CORPUS:
        if case.expect_text:
            code, _, rest = case.expect_text.partition(" ")
            place, _, text = rest.partition(": ")
            yield EVENTS[code].at(place, text)


def _found(data: Path) -> Iterator[Finding]:
    """What listing, reading and comparing tell, as packing does it."""
    listing = scan(SourceOptions(path=data))
    yield from listing.findings
    for name, frames in listing.sequences.items():
        planes: dict[int, Plane] = {}
        for frame in frames:
            place = identity(listing.root, name, frame.frame)
            if frame.mask is None:
                yield cells_finding("CEL002", place, "split train needs a mask for each image")
            try:
                planes[frame.frame] = plane(frame.image)
                yield from pair_findings(place, read_image(frame.image), read_mask(frame.mask) if frame.mask else None)
            except BadItem as bad:
                yield cells_finding(bad.finding, place, f"{bad.what} ({Path(bad.where).name})")
        yield from common_plane(listing.root, name, planes)[1]
        yield from _repeats(listing, name)


def _repeats(listing: Listing, name: str) -> list[Finding]:
    return repeat_findings(listing.root, name, {frame.frame: digest(frame.image) for frame in listing.sequences[name]})


def _items(count: int, **columns: Any) -> pa.Table:
    """Items of sequence 01; what is not given is as it should be."""
    plain = {
        "identity": [f"data/01/frame {frame}" for frame in range(count)],
        "sequence": ["01"] * count,
        "frame": list(range(count)),
        "split": ["train"] * count,
        "digest": [str(frame) for frame in range(count)],
        "constant": [False] * count,
        "labelled": [True] * count,
    }
    return pa.table(plain | columns)


def _of_splits() -> Iterator[Finding]:
    """One finding of each code that every recipe has."""
    halves = ["train"] * 3 + ["validate"] * 3
    yield from leaks(_items(6, split=halves), 2)
    yield from leaks(_items(6, split=halves, sequence=["01"] * 3 + ["02"] * 3, digest=["a", "b", "c", "a", "d", "e"]), 2)
    splits = {"train": ["01", "O2"], "validate": ["02"]}
    yield from coverage(_items(2, labelled=[True, False], constant=[True, True]), splits, ("train",))
    yield from coverage(_items(3, split=["train", "train", None]), {"train": ["01:0-1"]})


def _of_submissions() -> Iterator[Finding]:
    """One finding of each code that handing a study to a cluster has."""
    before, now = (f"docker://lab/labwright@sha256:{letter * 64}" for letter in "0f")
    yield from filter(None, [moved("docker://lab/labwright:1.2", before, now)])


def main() -> None:
    arguments = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    arguments.add_argument("folder", type=Path)
    folder = arguments.parse_args().folder
    folder.mkdir(parents=True, exist_ok=True)
    texts = pages()
    for path in folder.glob("*.md"):
        if path.name not in texts:
            path.unlink()
    for name, text in texts.items():
        (folder / name).write_text(text, encoding="utf-8")
    print(f"{len(texts)} pages")


if __name__ == "__main__":
    main()
