"""The predict step: each packed event scored by the models that never saw it; means, spreads, and friend trees of both.

A part is a range of the pack's rows, scored by all models. The end puts the ranges together and writes the friends, file by file.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from functools import lru_cache
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow.parquet as parquet
from numpy.typing import NDArray

from labwright.data.packs import Pack
from labwright.events.findings import BadFile
from labwright.events.folds import RULES, prove, scored
from labwright.events.identity import Identity
from labwright.events.packing.bind import EVENTS, PACK
from labwright.events.reading.files import opened
from labwright.events.recipe import PredictOptions
from labwright.events.scoring import ensemble, predict_report, score_files
from labwright.events.scoring.means import Means
from labwright.events.scoring.score_files import Blocks
from labwright.events.scoring.scores import COUNT, DESCRIPTION, base_columns, columns
from labwright.events.training.models import Models, Which, load_models, model_files, model_folder
from labwright.learn.devices import inference
from labwright.learn.model import MODEL, read_model
from labwright.runs.errors import DataError, Stopped, StudyError
from labwright.runs.publish import digest, remove, write_json
from labwright.runs.run import Run
from labwright.study.step import Figures, Job, Part, RawFile

PART_EVENTS = 131_072
"""So many events at most are scored again after a kill."""
PIECES = "pieces"
WHOLE = "columns"
NAMES = {"svb": "SvB", "fvt": "FvT"}


def sources(options: PredictOptions) -> Iterable[RawFile]:
    """The files of models that are given by path."""
    return model_files(options.checkpoint) if isinstance(options.checkpoint, Path) else []


def preview(options: PredictOptions, inputs: Mapping[str, Run]) -> list[str]:
    """What would be scored and written."""
    models = _folder(options, inputs)
    if models is None or not (models / "model.json").is_file():
        return [f"friends in {', '.join(options.formats)}, when the models are trained"]
    told = read_model(models)
    name = options.name or NAMES[told["objective"]]
    lines = [f"{len(told['members'])} models of {told['objective']}: {', '.join(columns(told['objective'], told['classes']))}"]
    if "pack" in inputs and inputs["pack"].done() is not None:
        files = Pack.open(inputs["pack"].output(PACK)).attributes["files"]
        each = sum(-(-file["entries"] // options.rows_per_file) for file in files)
        rows = sum(file["entries"] for file in files)
        lines.append(f"{rows:,} rows of {len(files)} files → friends/{name}.json and {each * len(options.formats)} files")
    return lines


def parts(job: Job[PredictOptions]) -> list[Part]:
    """Ranges of rows; before that, the proof that no model scores what it has seen, and that each event has a model."""
    models, pack = _models(job), job.inputs["pack"]
    table = parquet.read_table(pack.output(EVENTS), columns=list(Identity._fields))
    identity = Identity(*(table.column(name).to_numpy() for name in Identity._fields))
    _fits(models, pack)
    columns(models.description["objective"], models.description["classes"])  # names that clash are told before any work
    write_json(job.run.output("folds.json"), prove(models.members, identity), "output")
    without = ~np.logical_or.reduce([scored(one, identity) for one in models.members])
    if without.any():
        there = ", ".join(one.name for one in models.members)
        text = f"{np.count_nonzero(without):,} of {len(without):,} events lie in folds that have no model; there are {there}"
        job.finding("EVT040", pack.name, text, "note" if job.options.partial else "error")
        if not job.options.partial:
            raise BadFile("EVT040", text, where=pack.name)
    return [
        Part(f"{start:012d}-{stop:012d}", cost=stop - start)
        for start in range(0, len(without), PART_EVENTS)
        for stop in (min(start + PART_EVENTS, len(without)),)
    ]


def work(job: Job[PredictOptions], part: Part) -> Figures:
    """Score a range of rows by all models, and publish what they say as a piece."""
    options: PredictOptions = job.options
    start, stop = map(int, part.id.split("-"))
    with job.stage("read"):
        events, label, flags = _events(job.inputs["pack"], start, stop)
    models = _models(job)
    told = models.description
    means = Means(told["objective"], told["classes"], stop - start)
    total = sum(int(np.count_nonzero(scored(one, events.identity))) for one in models.members)

    def pause(done: int) -> None:
        if job.stopping():
            raise Stopped("stopped between two batches of events", where=job.run.name, todo="Run the same command again to go on.")
        job.progress(done, total, f"predict {part.id}")

    with job.output(f"{PIECES}/{part.id}") as temporary, job.stage("predict"), inference("fp32", job.machine.threads) as device:
        temporary.mkdir()
        for network in models.networks:
            network.to(device.torch_device)
        for one in ensemble.outputs(models, events, options.batch_size, pause):
            means.add(one.rows, one.values)
            np.save(temporary / f"{one.member.name}.index.npy", one.rows + start, allow_pickle=False)
            np.save(temporary / f"{one.member.name}.npy", one.values, allow_pickle=False)
        found = means.columns()
        np.save(temporary / f"{WHOLE}.npy", np.stack([values.astype(np.float32) for values in found.values()], 1), allow_pickle=False)
    shown = predict_report.shown(told["objective"], told["classes"])
    hidden = predict_report.blinded(told["objective"], told["classes"], label, flags)
    return {
        "events": stop - start,
        "scored": int(np.count_nonzero(found[COUNT])),
        "classes": predict_report.sums(found, label, shown, hidden),
        "device": str(device.torch_device),
    }


def finish(job: Job[PredictOptions]) -> Figures:
    """Write ``scores.parquet``, ``members``, ``friends`` and the report; ``scores.json``, which says that all are there, last."""
    path = job.run.output(DESCRIPTION)
    # Where it is there only the end of the run is missing, and the pieces may be gone.
    content = json.loads(path.read_text(encoding="utf-8")) if path.is_file() else _put_together(job)
    results = job.results()
    figures, made = predict_report.report(content, [results[part] for part in sorted(results)], job.run.energy())
    write_json(job.run.output("report.json"), {"sections": made}, "report")
    write_json(path, content, "output")
    remove(job.run.output(PIECES))
    return figures


def _put_together(job: Job[PredictOptions]) -> dict[str, Any]:
    """Pieces → files; what ``scores.json`` says."""
    options: PredictOptions = job.options
    folder, which = _folder(options, job.inputs), _which(options)
    assert folder is not None
    told = read_model(folder)
    objective, classes, members = told["objective"], told["classes"], told["members"]
    name = options.name or NAMES[objective]
    pieces = [job.run.output(f"{PIECES}/{part}") for part in sorted(job.results())]
    blocks = Blocks([np.load(piece / f"{WHOLE}.npy", mmap_mode="r") for piece in pieces], columns(objective, classes))
    score_files.write_table(job, blocks)
    base = base_columns(classes)
    for one in members:
        found = ((np.load(piece / f"{one['name']}.index.npy"), np.load(piece / f"{one['name']}.npy")) for piece in pieces)
        score_files.write_member(job, one["name"], base, found)
    where = score_files.places(job.inputs["pack"])
    files = score_files.write_friends(job, blocks, where, name, options.formats, options.rows_per_file)
    return {
        "name": name,
        "objective": objective,
        "classes": classes,
        "events": len(blocks),
        "pack": {"run": job.inputs["pack"].name, "fingerprint": job.inputs["pack"].fingerprint},
        "members": [{**one, "training": _training(job, folder, which, one["name"])} for one in members],
        "files": files,
    }


def _training(job: Job[PredictOptions], folder: Path, which: Which, name: str) -> dict[str, Any]:
    """Where a member comes from; the digest of its weights tells it from every other."""
    train = job.inputs.get("train")
    origin = {"run": train.name, "fingerprint": train.fingerprint} if train is not None else {"path": str(job.options.checkpoint)}
    return {**origin, "checkpoint": which, "sha256": digest(folder / which / f"{name}.safetensors")}


def _folder(options: PredictOptions, inputs: Mapping[str, Run]) -> Path | None:
    """The folder of the models; None where they are to be trained yet."""
    if isinstance(options.checkpoint, Path):
        return model_folder(options.checkpoint)
    return inputs["train"].output(MODEL) if "train" in inputs else None


def _which(options: PredictOptions) -> Which:
    return "best" if isinstance(options.checkpoint, Path) else options.checkpoint


@lru_cache(maxsize=1)
def _loaded(folder: Path, which: Which, written_ns: int) -> Models:
    """The models, read once by each worker for all its parts."""
    models = load_models(folder, which)
    for one in models.description["members"]:
        if one["folding"].get("rule") != RULES.get(one["folding"]["kind"]):
            raise DataError(
                "these models were trained by another fold rule, so that nobody can tell what they have seen",
                where=str(folder),
                todo="Train them again.",
            )
    return models


def _models(job: Job[PredictOptions]) -> Models:
    folder = _folder(job.options, job.inputs)
    assert folder is not None
    description = folder / "model.json"
    return _loaded(folder, _which(job.options), description.stat().st_mtime_ns if description.is_file() else 0)


def _fits(models: Models, pack: Run) -> None:
    """Raise where labels or further inputs of a pack are not those of the models; equal in number, both would go unnoticed."""
    packed, trained = Pack.open(pack.output(PACK)).attributes, models.description
    for names, noun, hint in (("classes", "classes", "; a class may have no event"), ("ancillary", "further inputs", "")):
        if packed[names] != trained[names]:
            told = [", ".join(of[names]) or "none" for of in (trained, packed)]
            raise StudyError(
                f"the models know the {noun} {told[0]}, the pack has {told[1]}",
                where="predict.checkpoint",
                todo=f"Give pack.{names} the same names in the same order{hint}.",
            )


def _events(pack: Run, start: int, stop: int) -> tuple[ensemble.Inputs, NDArray[np.uint8], NDArray[np.uint16]]:
    """Rows of a pack, their labels and their flags; only these are read."""
    arrays = Pack.open(pack.output(PACK)).arrays
    with opened(str(pack.output(EVENTS)), "") as table:
        found = table.read([*Identity._fields, "label", "flags"], start, stop)
    identity = Identity(*(np.asarray(found[name]) for name in Identity._fields))

    def rows(name: str) -> NDArray[Any]:
        array = arrays[name]
        chunk = array.shape[1]
        first, last = start // chunk, -(-stop // chunk)
        whole = np.concatenate([array[number] for number in range(first, last)])
        return whole[start - first * chunk : stop - first * chunk]

    ancillary = rows("ancillary") if "ancillary" in arrays else np.zeros((stop - start, 0), np.float32)
    inputs = ensemble.Inputs(rows("can_jets"), rows("other_jets"), ancillary, identity)
    return inputs, np.asarray(found["label"]), np.asarray(found["flags"])
