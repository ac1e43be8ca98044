"""The evaluate step: scores of predicted masks against known ones, paired by identity, a part per split."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any, NamedTuple

from numpy.typing import NDArray

from labwright.cells.findings import CATALOGUE, BadItem
from labwright.cells.metrics import FIGURES, FrameScores, score_frame, summarise
from labwright.cells.overlay import write_overlay
from labwright.cells.pack import PACK
from labwright.cells.pixels import nearest
from labwright.cells.recipe import EvaluateOptions, PredictOptions
from labwright.cells.source import scan
from labwright.cells.tiff import read_image, read_mask
from labwright.data.packs import Pack
from labwright.runs import sections
from labwright.runs.errors import MissingError, Stopped
from labwright.runs.publish import write_json
from labwright.runs.run import Run
from labwright.study.step import Figures, Job, Part

FOLDER = "folder"
"""Name of the part for frames that came from a folder and so belong to no split."""
COLUMNS = (
    *("identity", "split", "instance_dice", "f1", "pq", "seg", "det"),
    *("truth_cells", "predicted_cells", "matches", "missed", "spurious", "splits"),
)
Labels = NDArray[Any]


class Predictions(NamedTuple):
    """What a predict run left, and where its images and known masks lie: in ``pack``, or below ``base``."""

    run: Run
    frames: tuple[Mapping[str, Any], ...]
    """Predicted frames with a known mask."""
    unread: tuple[Mapping[str, Any], ...]
    """Frames with a known mask whose image could not be read."""
    pack: Pack | None
    base: Path

    def of(self, part: str) -> list[Mapping[str, Any]]:
        return [frame for frame in self.frames if _part(frame) == part]

    def image(self, frame: Mapping[str, Any]) -> NDArray[Any]:
        return read_image(self.base / frame["image"]) if self.pack is None else self._packed("images", frame)

    def truth(self, frame: Mapping[str, Any]) -> Labels:
        return read_mask(self.base / frame["truth"]) if self.pack is None else self._packed("labels", frame)

    def labels(self, frame: Mapping[str, Any]) -> Labels:
        return read_mask(self.run.output(frame["file"]))

    def _packed(self, kind: str, frame: Mapping[str, Any]) -> NDArray[Any]:
        assert self.pack is not None
        return self.pack.arrays[f"{kind}/{frame['sequence']}"][frame["index"]]


def predictions(run: Run) -> Predictions:
    """Open a predict run.

    Raises:
        MissingError: none of its frames has a known mask, or the folder of its images is gone.
    """
    content = json.loads(run.output("predictions.json").read_text(encoding="utf-8"))
    frames, unread = (tuple(frame for frame in content[name] if frame["truth"] is not None) for name in ("frames", "unread"))
    if not frames:
        todo = "Predict a split with masks, or stop at predict."
        raise MissingError("no predicted frame has a mask to be scored against", where=run.name, todo=todo)
    source = PredictOptions.model_validate(run.options).source
    if source is not None:
        return Predictions(run, frames, unread, None, scan(source).base)
    return Predictions(run, frames, unread, Pack.open(Run.open(run.inputs["pack"]).output(PACK)), Path())


def parts(job: Job[EvaluateOptions]) -> list[Part]:
    names = [_part(frame) for frame in predictions(job.inputs["predict"]).frames]
    return [Part(name, cost=names.count(name)) for name in sorted(set(names))]


def work(job: Job[EvaluateOptions], part: Part) -> Figures:
    """Score the frames of one split. A known mask that cannot be used is a finding, and the rest is scored."""
    predicted = predictions(job.inputs["predict"])
    frames = predicted.of(part.id)
    scores: dict[str, list[FrameScores]] = {}
    rows: list[dict[str, Any]] = []
    with job.stage("evaluate"):
        for done, frame in enumerate(frames):
            if job.stopping():
                raise Stopped("stopped between two frames")
            job.progress(done, len(frames), f"evaluate {part.id}")
            try:
                score = score_pair(job.options.size, _checked(predicted.truth(frame), predicted.labels(frame)))
            except BadItem as bad:
                job.finding(bad.finding, frame["identity"], bad.what, CATALOGUE[bad.finding].severity)
                continue
            scores.setdefault(frame["sequence"], []).append(score)
            rows.append({"identity": frame["identity"], "sequence": frame["sequence"], **row_of(score)})
    not_scored = len(frames) - len(rows) + sum(_part(frame) == part.id for frame in predicted.unread)
    return {"frames": rows, "not_scored": not_scored, "summary": summarise(scores, resamples=job.options.bootstrap, seed=job.seed)}


def _part(frame: Mapping[str, Any]) -> str:
    return frame["split"] or FOLDER


def _checked(truth: Labels, labels: Labels) -> tuple[Labels, Labels]:
    if truth.shape != labels.shape:
        sizes = (f"{shape[1]}×{shape[0]}" for shape in (labels.shape, truth.shape))
        raise BadItem("CEL020", "the image has {} pixels, its mask {}".format(*sizes))
    return truth, labels


def score_pair(size: str, pair: tuple[Labels, Labels]) -> FrameScores:
    """Score (truth, prediction), both brought to 256×256 first where ``size`` is ``256``."""
    return score_frame(*(nearest(labels, (256, 256)) if size == "256" else labels for labels in pair))


def row_of(score: FrameScores) -> dict[str, Any]:
    """One frame's figures and counts, flat."""
    row = asdict(score)
    return {**row, **row.pop("counts")}


def finish(job: Job[EvaluateOptions]) -> Figures:
    """Write scores.json, the overlays of the best and worst frames, and the report."""
    predicted, results = predictions(job.inputs["predict"]), job.results()
    splits = sorted({_part(frame) for frame in predicted.frames})
    rows = [{"split": split, **row} for split in splits for row in results[split]["frames"]]
    summaries = {split: results[split]["summary"] for split in splits}
    write_json(job.run.output("scores.json"), {"splits": summaries, "frames": rows}, "output")
    figures: dict[str, Any] = {}
    report = []
    for split in splits:
        figures |= {f"{name}_{split}": summaries[split]["overall"][name] for name in FIGURES}
        figures |= {f"frames_{split}": summaries[split]["overall"]["n_frames"], f"not_scored_{split}": results[split]["not_scored"]}
        report.append(_headlines(split, summaries[split], job.options.size, results[split]["not_scored"]))
    report += _pictures(job, predicted, rows)
    report.append(sections.table("Frames", COLUMNS, [[row[name] for name in COLUMNS] for row in rows]))
    write_json(job.run.output("report.json"), {"sections": report}, "report")
    return figures


def _headlines(split: str, summary: Mapping[str, Any], size: str, not_scored: int) -> sections.Section:
    where = "both sides at 256×256" if size == "256" else "original size"
    overall = summary["overall"]
    items = []
    for name in FIGURES:
        interval = overall["intervals"][name]
        spread = f", {interval[0]:.3f}–{interval[1]:.3f}" if interval else ""
        items.append(sections.figure(name.replace("_", " "), overall[name], method=f"{where}{spread}"))
    note = f"{overall['n_frames']} frames, {overall['n_empty_both']} of them empty on both sides (scored 1). "
    if not_scored:
        note += f"{not_scored} more could not be scored: see the findings of predict and evaluate. "
    note += f"Intervals: {summary['interval_method']}. "
    note += "Where the masks are silver or automatic labels, these figures are agreement, not accuracy."
    return sections.figures(f"Scores on {split}", items, note)


def _pictures(job: Job[EvaluateOptions], predicted: Predictions, rows: Sequence[Mapping[str, Any]]) -> list[sections.Section]:
    frames = {frame["identity"]: frame for frame in predicted.frames}
    ordered = sorted(rows, key=lambda row: row["instance_dice"])
    count = min(job.options.overlays, len(ordered))
    groups = {"Worst frames": ordered[:count], "Best frames": ordered[::-1][: min(count, len(ordered) - count)]}
    found = []
    for title, chosen in groups.items():
        items = []
        for row in chosen:
            frame = frames[row["identity"]]
            name = f"overlays/{row['identity'].replace('/', '-').replace(' ', '-')}.png"
            with job.output(name) as path:
                write_overlay(path, predicted.image(frame), predicted.truth(frame), predicted.labels(frame))
            items.append((name, f"{row['identity']} ({row['split']}): Instance Dice {row['instance_dice']:.3f}"))
        if items:
            found.append(sections.images(title, items, "Outlines: known masks yellow, predicted masks cyan, where both agree white."))
    return found
