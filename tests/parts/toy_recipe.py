"""A toy recipe of another people's package, in pure Python: count words → gate → fit → sum.

It is registered as such a package is, by an entry point of an installed distribution, so that worker
processes and subprocesses find it on their path too.
"""

from __future__ import annotations

import hashlib
import json
import os
import subprocess
import sys
import time
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

from pydantic import create_model

from labwright.parts.conduct import Result, conduct
from labwright.runs import sections
from labwright.runs.errors import DataError, MissingError, Stopped
from labwright.runs.publish import write_json
from labwright.runs.run import Run
from labwright.study.options import Options, option
from labwright.study.plan import Planned, create, plan
from labwright.study.references import named
from labwright.study.resolve import Study, resolve
from labwright.study.step import LazyStep, Part, RawFile, Recipe

REPOSITORY = Path(__file__).resolve().parents[2]


class CountOptions(Options):
    """Count the words of each text."""

    source: Path = option(effect=False)
    """Folder of text files."""
    letters: int = option(1, ge=1)
    """Only words with so many letters count."""
    fail: tuple[str, ...] = option((), effect=False)
    """Texts that cannot be read."""
    die: tuple[str, ...] = option((), effect=False)
    """Texts whose process dies, as one does for want of memory."""
    sleep_s: float = option(0.0, ge=0, unit="s", effect=False)
    """Time for each text."""


class GateOptions(Options):
    """Look for texts that are too long."""

    most: int = option(100, ge=0)
    """Words of a text that is not too long."""


class FitOptions(Options):
    """Train something."""

    rounds: int = option(3, ge=1)
    """How many."""
    rate: float = option(0.5, gt=0)
    """How fast."""
    sleep_s: float = option(0.0, ge=0, unit="s", effect=False)
    """Time for each round."""


_From = create_model(
    "_From", __base__=Options, **{"from": (tuple[Path, ...], option((), effect=False, description="Runs of fit or mean, to be averaged."))}
)


class MeanOptions(_From):
    """Average several fits."""

    digits: int = option(3, ge=0)
    """Rounded to so many."""


class SumOptions(Options):
    """Add it all up."""

    title: str = option("sum")
    """A word for the report."""


RECIPE = Recipe(
    "counting",
    "Count words.",
    (
        LazyStep("count", 1, CountOptions, __name__, "Count the words of each text."),
        LazyStep("gate", 1, GateOptions, __name__, "Look for errors.", needs=("count",)),
        LazyStep("fit", 1, FitOptions, __name__, "Train.", needs=("count",), gates=("gate",), trains=True),
        LazyStep(
            "mean",
            1,
            MeanOptions,
            __name__,
            "Average several fits.",
            optional=True,
            replaces=("fit",),
            runs=lambda options: named(getattr(options, "from"), ("fit", "mean")),
        ),
        LazyStep("sum", 1, SumOptions, __name__, "Add up.", needs=("count", "fit")),
    ),
    extra="",
)


def sources(options: Options) -> Iterable[RawFile]:
    if isinstance(options, CountOptions):
        if not options.source.is_dir():
            raise MissingError("there is no such folder", where=str(options.source))
        for path in sorted(options.source.glob("*.txt")):
            yield RawFile(path, path.name, path.stat().st_size)


def parts(job: Any) -> list[Part]:
    if isinstance(job.options, CountOptions):
        texts = [Part(path.stem, cost=float(path.stat().st_size)) for path in sorted(job.options.source.glob("*.txt"))]
        return [Part("all", 1e6, after=tuple(part.id for part in texts)), *texts]
    return [Part("one")]


def work(job: Any, part: Part) -> Mapping[str, Any]:
    match job.options:
        case CountOptions() if part.id == "all":
            counts = {name: figures["words"] for name, figures in job.results().items()}
            with job.output("all.json") as path:
                path.write_text(json.dumps(counts, sort_keys=True))
            return {"texts": len(counts)}
        case CountOptions():
            return _count(job, part)
        case GateOptions():
            counts = json.loads(job.inputs["count"].output("all.json").read_text())
            for name, words in counts.items():
                if words > job.options.most:
                    job.finding("TOY002", name, f"{words} words are too many")
            return {}
        case FitOptions():
            return _fit(job, part)
    return {}


def finish(job: Any) -> Mapping[str, Any]:
    match job.options:
        case CountOptions():
            return {"words": sum(figures.get("words", 0) for figures in job.results().values())}
        case MeanOptions():
            weights = [run.figures()["weight"] for run in job.inputs.values()]
            return {"weight": round(sum(weights) / len(weights), job.options.digits)}
        case SumOptions():
            figures = {
                "total": job.inputs["count"].figures()["words"],
                "weight": job.inputs.get("mean", job.inputs.get("fit")).figures()["weight"],
            }
            report = [sections.figures(job.options.title, [sections.figure(name, value) for name, value in figures.items()])]
            write_json(job.run.output("report.json"), {"sections": report}, "report")
            return figures
    return dict(job.results()["one"])


def _count(job: Any, part: Part) -> Mapping[str, Any]:
    path = job.options.source / f"{part.id}.txt"
    data = path.read_bytes()
    job.source(path.name, path, hashlib.sha256(data).hexdigest())
    os.write(1, f"native words about {part.id}\n".encode())
    time.sleep(job.options.sleep_s)
    if part.id in job.options.fail:
        job.finding("TOY003", part.id, "not readable")
        raise DataError("the text cannot be read", where=part.id)
    if part.id in job.options.die:
        os.kill(os.getpid(), 9)
    words = [word for word in data.decode().split() if len(word) >= job.options.letters]
    if not words:
        job.finding("TOY001", part.id, "a text without words", "warning")
    with job.stage("count"), job.output(f"{part.id}/count.txt", "shard") as temporary:
        temporary.write_text("\n".join(sorted(words)))
    return {"words": len(words)}


def _fit(job: Any, part: Part) -> Mapping[str, Any]:
    weight = 0.0
    for step in range(1, job.options.rounds + 1):
        if job.stopping():
            raise Stopped("stopped between two rounds")
        time.sleep(job.options.sleep_s)
        weight += job.options.rate * (job.inputs["count"].figures()["words"] - weight)
        job.record("metric", phase="train", step=step, epoch=0, part=part.id, values={"weight": weight})
    with job.output("weight.txt", "model") as path:
        path.write_text(repr(weight))
    return {"weight": weight}


class Desk:
    """A folder with texts and a study of them, and ways to run it here and in a process of its own."""

    def __init__(self, folder: Path, texts: Mapping[str, str] | None = None) -> None:
        self.folder = folder
        self.texts = folder / "texts"
        self.texts.mkdir(parents=True)
        for name, text in (texts or {"a": "one two three", "b": "four five", "c": ""}).items():
            (self.texts / f"{name}.txt").write_text(text)
        self.path = folder / "study.yaml"
        self.path.write_text(f"recipe: counting\ncount: {{source: {json.dumps(str(self.texts))}}}\nrun: {{seed: 3, on: {{workers: 1}}}}\n")

    def study(self, *sets: str) -> Study:
        return resolve([self.path], sets=sets)

    def plan(self, *sets: str, **options: Any) -> dict[str, Planned]:
        return {one.name: one for one in plan(self.study(*sets), **options)}

    def created(self, step: str, *sets: str) -> Run:
        """The run folder of a step, with its ``step.json`` and nothing done."""
        return create(self.plan(*sets, steps=[step])[step], self.study(*sets))

    def conduct(self, *sets: str, **options: Any) -> dict[str, Result]:
        return {result.step: result for result in conduct(self.study(*sets), quiet=True, **options)}

    def start(self, *words: str, fault: str = "", python: Sequence[str] = ("-m", "labwright"), **options: Any) -> subprocess.Popen[str]:
        """``labwright`` with these words, in a process of its own; with ``fault``, killed there."""
        environment = {**os.environ, "PYTHONPATH": os.pathsep.join(path for path in sys.path if path), "LABWRIGHT_FAULT": fault}
        return subprocess.Popen(
            [sys.executable, *python, *words],
            env=environment, cwd=self.folder, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, **options,
        )  # fmt: skip

    def labwright(self, *words: str, **options: Any) -> subprocess.CompletedProcess[str]:
        """The same, waited for."""
        with self.start(*words, **options) as process:
            out, err = process.communicate(timeout=60)
        return subprocess.CompletedProcess(words, process.returncode, out, err)


def register(site: Path) -> None:
    """Write what installing a package with this recipe would leave in ``site-packages``."""
    info = site / "labwright_counting-1.0.dist-info"
    info.mkdir(parents=True)
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: labwright-counting\nVersion: 1.0\n")
    (info / "entry_points.txt").write_text(f"[labwright.recipes]\ncounting = {__name__}:RECIPE\n")


def output_of(run: Run) -> dict[str, bytes]:
    """Every file of a run's output, by relative path."""
    return {path.relative_to(run.output()).as_posix(): path.read_bytes() for path in run.output().rglob("*") if path.is_file()}


def until(condition: Any, seconds: float = 20.0) -> None:
    """Wait until ``condition()`` holds."""
    end = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < end, "waited in vain"
        time.sleep(0.02)
