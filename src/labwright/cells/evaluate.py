"""The evaluate step: scores of predicted masks against known ones, paired by identity, a part per split."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from labwright.cells.metrics import FIGURES, FrameScores, score_frame, summarise
from labwright.cells.overlay import write_overlay
from labwright.cells.pack import PACK
from labwright.cells.tiff import read_image, read_mask
from labwright.cells.views import nearest
from labwright.data.packs import Pack
from labwright.runs import sections
from labwright.runs.errors import MissingError, Stopped
from labwright.runs.publish import write_json
from labwright.runs.run import Run
from labwright.study.step import Figures, Part

FOLDER = "folder"
"""Name of the part for frames that came from a folder and so belong to no split."""


def parts(job: Any) -> list[Part]:
    frames = scorable(job.inputs["predict"])
    splits = [frame["split"] or FOLDER for frame in frames]
    return [Part(split, cost=splits.count(split)) for split in sorted(set(splits))]


def scorable(predict: Run) -> list[dict[str, Any]]:
    """Predicted frames whose mask is known.

    Raises:
        MissingError: there is none.
    """
    frames = json.loads(predict.output("predictions.json").read_text(encoding="utf-8"))["frames"]
    known = [frame for frame in frames if frame["truth"] is not None]
    if not known:
        raise MissingError("no predicted frame has a mask to be scored against", where=predict.name, todo="Predict a split with masks, or stop at predict.")
    return known


def work(job: Any, part: Part) -> Figures:
    """Score the frames of one split."""
    predict = job.inputs["predict"]
    frames = [frame for frame in scorable(predict) if (frame["split"] or FOLDER) == part.id]
    pack = open_pack(predict)
    scores: dict[str, list[FrameScores]] = {}
    rows = []
    with job.stage("evaluate"):
        for frame in frames:
            if job.stopping():
                raise Stopped("stopped between two frames")
            score = _score(job.options.size, truth_of(frame, pack), read_mask(predict.output(frame["file"])))
            scores.setdefault(frame["sequence"], []).append(score)
            rows.append({"identity": frame["identity"], "sequence": frame["sequence"], **row_of(score)})
            job.progress(len(rows), len(frames), f"evaluate {part.id}")
    return {"frames": rows, "summary": summarise(scores, resamples=job.options.bootstrap, seed=job.seed)}


def row_of(score: FrameScores) -> dict[str, Any]:
    """One frame's figures and counts, flat."""
    row = asdict(score)
    return {**row, **row.pop("counts")}


def finish(job: Any) -> Figures:
    """Write scores.json, the overlays of the best and worst frames, and the report."""
    results = {part.id: job.results()[part.id] for part in parts(job)}
    rows = [{"split": split, **row} for split, result in results.items() for row in result["frames"]]
    write_json(job.run.output("scores.json"), {"splits": {split: result["summary"] for split, result in results.items()}, "frames": rows}, "output")
    figures = {}
    report = []
    for split, result in results.items():
        figures |= {f"{name}_{split}": result["summary"]["overall"][name] for name in FIGURES}
        report.append(_headlines(split, result["summary"], job.options.size))
    report += _pictures(job, rows)
    columns = ["identity", "split", "instance_dice", "f1", "pq", "seg", "det", "truth_cells", "predicted_cells", "matches", "missed", "spurious", "splits"]
    report.append(sections.table("Frames", columns, [[row.get(name) for name in columns] for row in rows]))
    write_json(job.run.output("report.json"), {"sections": report}, "report")
    return figures


def truth_of(frame: Mapping[str, Any], pack: Pack | None) -> NDArray[np.unsignedinteger]:
    """The known mask of a predicted frame, from the pack or from its file."""
    if frame["truth"] == "pack":
        assert pack is not None
        return pack.arrays[f"labels/{frame['sequence']}"][frame["index"]]
    return read_mask(Path(frame["truth"]))


def open_pack(predict: Run) -> Pack | None:
    """The pack whose splits were predicted; None where a folder was."""
    return Pack.open(Run.open(predict.inputs["pack"]).output(PACK)) if "pack" in predict.inputs else None


def _score(size: str, truth: NDArray[np.unsignedinteger], prediction: NDArray[np.unsignedinteger]) -> FrameScores:
    if size == "256":
        truth, prediction = nearest(truth, (256, 256)), nearest(prediction, (256, 256))
    return score_frame(truth, prediction)


def _headlines(split: str, summary: Mapping[str, Any], size: str) -> sections.Section:
    where = "both sides at 256×256" if size == "256" else "original size"
    overall = summary["overall"]
    items = []
    for name in FIGURES:
        interval = overall["intervals"][name]
        spread = f", {interval[0]:.3f}–{interval[1]:.3f}" if interval else ""
        items.append(sections.figure(name.replace("_", " "), overall[name], method=f"{where}{spread}"))
    note = f"{overall['n_frames']} frames, {overall['n_empty_both']} of them empty on both sides (scored 1). "
    note += f"Intervals: {summary['interval_method']}. Where the masks are silver or automatic labels, these figures are agreement, not accuracy."
    return sections.figures(f"Scores on {split}", items, note)


def _pictures(job: Any, rows: list[dict[str, Any]]) -> list[sections.Section]:
    predict = job.inputs["predict"]
    pack = open_pack(predict)
    frames = {frame["identity"]: frame for frame in scorable(predict)}
    ordered = sorted(rows, key=lambda row: row["instance_dice"])
    count = min(job.options.overlays, len(ordered))
    groups = {"Worst frames": ordered[:count], "Best frames": ordered[::-1][: min(count, len(ordered) - count)]}
    found = []
    for title, chosen in groups.items():
        items = []
        for row in chosen:
            frame = frames[row["identity"]]
            image = _image_of(frame, pack, predict)
            name = f"overlays/{row['identity'].replace('/', '-').replace(' ', '-')}.png"
            with job.output(name) as path:
                write_overlay(path, image, truth_of(frame, pack), read_mask(predict.output(frame["file"])))
            items.append((name, f"{row['identity']} ({row['split']}): Instance Dice {row['instance_dice']:.3f}"))
        if items:
            found.append(sections.images(title, items, "Outlines: known masks yellow, predicted masks cyan."))
    return found


def _image_of(frame: Mapping[str, Any], pack: Pack | None, predict: Run) -> NDArray[Any]:
    if pack is not None and frame["index"] is not None:
        return pack.arrays[f"images/{frame['sequence']}"][frame["index"]]
    return read_image(Path(frame["image"]))
