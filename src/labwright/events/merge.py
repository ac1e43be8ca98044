"""The merge step: the models of several runs as if one training had made them all; mean and spread over them, row by row.

A part is a range of the pack's rows. Nothing is taken from the means of the runs: each model's own scores are read again, so that
merging trainings gives what one training of all folds, foldings and seeds gives, to the last bit. The runs stay as they are.
"""

from __future__ import annotations

import json
import shutil
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as parquet
from numpy.typing import NDArray

from labwright.events.findings import BadFile
from labwright.events.recipe import MergeOptions
from labwright.events.scoring import score_files
from labwright.events.scoring.means import Means
from labwright.events.scoring.scores import COUNT, DESCRIPTION, MEMBERS, Scores, base_columns, columns, pack_of
from labwright.events.scoring.union import Union, objections, union
from labwright.runs import sections
from labwright.runs.errors import StudyError
from labwright.runs.publish import remove, write_json
from labwright.runs.run import Run
from labwright.study.step import Figures, Job, Part

PIECES = "pieces"


def preview(options: MergeOptions, inputs: Mapping[str, Run]) -> list[str]:
    """What would be merged, or why it would be refused."""
    _refuse_nothing(inputs)
    found = union(inputs)
    if reasons := list(objections(found)):
        return [f"would be refused: {one.code} {one.place}: {one.text}" for one in reasons]
    name = _name(options, found)
    return [
        f"{len(found.members)} models of {len(found.scores)} runs, {len(found.trained())} for each of {found.n:,} events",
        f"friends/{name}.json in {', '.join(options.formats)}; {-(-found.n // options.rows_per_chunk)} parts",
    ]


def parts(job: Job[MergeOptions]) -> list[Part]:
    """Ranges of rows; before that, whether the runs go together."""
    _refuse_nothing(job.inputs)
    found = union(job.inputs)
    reasons = list(objections(found))
    for one in reasons:
        job.finding(one.code, one.place, one.text)
    if reasons:
        raise BadFile(reasons[0].code, reasons[0].text, where=reasons[0].place)
    size = job.options.rows_per_chunk
    ranges = [(start, min(start + size, found.n)) for start in range(0, found.n, size)]
    return [Part(f"{start:012d}-{stop:012d}", cost=stop - start) for start, stop in ranges]


def work(job: Job[MergeOptions], part: Part) -> Figures:
    """Average a range of rows, and publish it as a piece."""
    found = union(job.inputs)
    start, stop = map(int, part.id.split("-"))
    first = found.scores[0]
    means = Means(first.objective, first.classes, stop - start)
    base = base_columns(first.classes)
    times = {trained: np.zeros(stop - start, np.uint8) for trained in found.trained()}
    with job.stage("merge"):
        for one, place in found.members:
            index, values = _between(found.scores[place], one.name, base, start, stop)
            times[one.folding, one.seed][index] += 1
            means.add(index, values)
        for (folding, seed), count in times.items():
            if (wrong := count != 1).any():
                row = start + int(np.argmax(wrong))
                said = "no model" if count[row - start] == 0 else f"{count[row - start]} models"
                text = f"{np.count_nonzero(wrong):,} events, the first in row {row}, have {said} of {folding.name}, seed {seed}"
                raise BadFile("EVT053", text, where=", ".join(one.run.name for one in found.scores))
        merged = means.columns()
        with job.output(f"{PIECES}/{part.id}.npy") as path, path.open("wb") as file:
            np.save(file, np.stack([values.astype(np.float32) for values in merged.values()], axis=1), allow_pickle=False)
    spread = {name: _sum(merged[f"{name}_std"]) for name in means.names}
    return {"events": stop - start, "std": spread}


def finish(job: Job[MergeOptions]) -> Figures:
    """Write what predict writes; ``scores.json``, which says that all is there, last."""
    description = job.run.output(DESCRIPTION)
    content = json.loads(description.read_text(encoding="utf-8")) if description.is_file() else _put_together(job)
    figures = _figures(job, content)
    write_json(job.run.output("report.json"), {"sections": _report(job, content, figures)}, "report")
    write_json(description, content, "output")
    remove(job.run.output(PIECES))
    return figures


def _put_together(job: Job[MergeOptions]) -> dict[str, Any]:
    """Pieces and copies of the models' own scores → files; what ``scores.json`` says."""
    options: MergeOptions = job.options
    found = union(job.inputs)
    first, name = found.scores[0], _name(options, found)
    pack = pack_of(first.run)
    # Names of parts sort by row.
    pieces = [np.load(job.run.output(f"{PIECES}/{part}.npy"), mmap_mode="r") for part in sorted(job.results())]
    blocks = score_files.Blocks(pieces, columns(first.objective, first.classes))
    score_files.write_table(job, blocks)
    for one, place in found.members:
        with job.output(f"{MEMBERS}/{one.name}.parquet") as path:
            shutil.copyfile(_member_file(found.scores[place], one.name), path)
    files = score_files.write_friends(job, blocks, score_files.places(pack), name, options.formats, options.rows_per_chunk)
    return {
        "name": name,
        "objective": first.objective,
        "classes": list(first.classes),
        "events": found.n,
        "pack": first.description["pack"],
        "members": found.described(),
        "files": files,
        "merged": [{"run": one.run.name, "fingerprint": one.run.fingerprint, "members": len(one.members)} for one in found.scores],
    }


def _refuse_nothing(inputs: Mapping[str, Run]) -> None:
    if not inputs:
        raise StudyError("no run is named", where="merge.from", todo="Name runs of predict: --set merge.from=runs/predict-*")


def _name(options: MergeOptions, found: Union) -> str:
    """Of the merged friend."""
    names = sorted({one.name for one in found.scores})
    if not options.name and len(names) > 1:
        raise StudyError(f"the runs have several names, {', '.join(names)}", where="merge.name", todo="Give the merged friend its name.")
    return options.name or names[0]


def _member_file(scores: Scores, member: str) -> Path:
    return scores.run.output(f"{MEMBERS}/{member}.parquet")


def _between(scores: Scores, member: str, base: Sequence[str], start: int, stop: int) -> tuple[NDArray[np.int64], NDArray[np.float32]]:
    """What a model says of the rows of a range: their places in it, rising, and its columns, (n, columns).

    Raises:
        BadFile: the file cannot be read (EVT010), or lacks a column (EVT012).
    """
    path = _member_file(scores, member)
    try:
        # Row groups whose range of `index` lies outside are not read.
        table = parquet.read_table(path, columns=["index", *base], filters=[("index", ">=", start), ("index", "<", stop)])
    except FileNotFoundError as error:
        raise BadFile("EVT053", f"the scores of {member} are not there", where=str(path)) from error
    except (pa.ArrowInvalid, OSError) as error:
        raise BadFile("EVT010", f"the scores cannot be read ({' '.join(str(error).split())[:120]})", where=str(path)) from error
    if absent := [name for name in ("index", *base) if name not in table.column_names]:
        raise BadFile("EVT012", f"there is no column {absent[0]!r}", where=str(path))
    values = [table.column(name).to_numpy() for name in base]
    return table.column("index").to_numpy() - start, np.stack(values, axis=1)


def _sum(values: NDArray[np.float32]) -> float:
    """Over the events that have a spread."""
    return float(np.nansum(values, dtype=np.float64))


def _figures(job: Job[MergeOptions], content: Mapping[str, Any]) -> dict[str, Any]:
    members = content["members"]
    models = len({(str(one["folding"]), one["seed"]) for one in members})
    mean = "FvT" if content["objective"] == "fvt" else "p_sig"
    results = job.results().values()
    spread = [one["std"].get(mean) for one in results]
    known = [value for value in spread if value is not None]
    return {
        "events": content["events"],
        "runs": len(content["merged"]),
        "members": len(members),
        COUNT: models,
        **({f"mean_std_{mean}": sum(known) / content["events"]} if known and models > 1 else {}),
        "files": len(content["files"]),
    }


def _report(job: Job[MergeOptions], content: Mapping[str, Any], figures: Mapping[str, Any]) -> list[sections.Section]:
    columns = ("name", "seed", "fold")
    trainings = [[*(one[name] for name in columns), _training(one)] for one in content["members"]]
    return [
        sections.figures("Merge", [sections.figure(name.replace("_", " "), value) for name, value in figures.items()]),
        sections.table("Merged runs", ["run", "models"], [[one["run"], one["members"]] for one in content["merged"]]),
        sections.table("Models", ["model", "seed", "fold", "training"], trainings),
        sections.table("Friends", ["file", "rows", "scored"], [[one["file"], one["rows"], one["scored"]] for one in content["files"]]),
    ]


def _training(member: Mapping[str, Any]) -> str:
    told = member.get("training") or {}
    return str(told.get("run") or told.get("path") or "")
