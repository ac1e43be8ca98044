"""The evaluate step: what scores are worth. It reads a run of predict or merge, and trains nothing.

Parts are curves, calibration, slices and, for FvT, closure; each leaves its numbers as ``output/tables/<part>.json``, its plots below
``output/plots``, and its sections for the report.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from typing import Any

from labwright.data.packs import Pack
from labwright.events.evaluation import calibration_page, closure, pages, variables
from labwright.events.evaluation.closing import FVT, NoModel
from labwright.events.evaluation.epochs_page import epochs_page
from labwright.events.evaluation.pages import Page
from labwright.events.evaluation.plots import mark_of
from labwright.events.evaluation.scored import Scored, open_scored
from labwright.events.packing.bind import PACK
from labwright.events.recipe import EvaluateOptions
from labwright.events.scoring.scores import open_scores, pack_of
from labwright.runs import sections
from labwright.runs.publish import write_json
from labwright.runs.run import Run
from labwright.study.step import Figures, Job, Part

TABLES = "tables"
Make = Callable[[Job[EvaluateOptions], Scored], Page]


def _closed(job: Job[EvaluateOptions], scored: Scored) -> Page:
    try:
        figures, made = closure.report(job, scored.packed, scored.scores)
    except NoModel as error:
        # Scores that close nothing are scores all the same: the rest of the page tells why.
        job.say(f"no closure: {error}")
        return Page({}, [sections.text("FvT closure", f"There is none: {error}")], {})
    return Page(dict(figures), list(made), {})


MAKERS: Mapping[str, Make] = {"curves": pages.told_apart, "calibration": calibration_page.meant, "slices": pages.sliced, "closure": _closed}


def scores_run(inputs: Mapping[str, Run]) -> Run:
    """The run whose scores are evaluated: of merge where the study has one, else of predict."""
    return inputs["merge"] if "merge" in inputs else inputs["predict"]


def preview(options: EvaluateOptions, inputs: Mapping[str, Run]) -> list[str]:
    """What would be evaluated."""
    if not {"merge", "predict"} & inputs.keys() or (run := scores_run(inputs)).done() is None:
        return []
    scores = open_scores(run)
    return [f"{scores.n:,} events, {scores.objective} scores of {len(scores.members)} models: {', '.join(scores.classes)}"]


def parts(job: Job[EvaluateOptions]) -> list[Part]:
    run = scores_run(job.inputs)
    objective = open_scores(run).objective
    # Whether or not they are drawn: a slip of the pen is no reason to leave something out in silence.
    variables.require((name for name in job.options.variables if name != FVT), pack_of(run).folder)
    return [Part(name) for name in MAKERS if name != "closure" or objective == "fvt"]


def work(job: Job[EvaluateOptions], part: Part) -> Figures:
    """Make one page: its figures are returned, all else lies in ``output/tables``."""
    with job.stage("read"):
        scored = open_scored(scores_run(job.inputs).folder, job.options.unblind)
    with job.stage(part.id):
        page = MAKERS[part.id](job, scored)
    write_json(job.run.output(f"{TABLES}/{part.id}.json"), {**page.data, "sections": page.sections}, "output")
    return {**page.figures, "counts": dict(scored.counts)}


def finish(job: Job[EvaluateOptions]) -> Figures:
    """Put the pages together, with those of the training's epochs."""
    run, results = scores_run(job.inputs), job.results()
    names = [name for name in MAKERS if name in results]
    counts = results[names[0]]["counts"]
    figures: dict[str, Any] = {name: value for part in names for name, value in results[part].items() if name != "counts"} | counts
    made = [_headlines(run, figures, counts, job.options)]
    for name in names:
        made += json.loads(job.run.output(f"{TABLES}/{name}.json").read_text(encoding="utf-8"))["sections"]
    mark = mark_of(Pack.open(pack_of(run).output(PACK)).attributes["files"])
    for training in trainings(run):
        made += epochs_page(job, training, mark)
    if (plotted := job.run.output("plots")).is_dir():
        files = sorted(f"{path.parent.name}/{path.name}" for path in plotted.iterdir())
        made.append(sections.text("Plots as files", ", ".join(files)))
    write_json(job.run.output("report.json"), {"sections": made}, "report")
    return figures


def trainings(run: Run) -> list[Run]:
    """The trainings whose models made the scores of a run of predict or merge, each once; less those that are no longer there."""
    found: dict[str, Run] = {}
    for folder in run.inputs.values():
        if not (folder / "step.json").is_file():
            continue
        one = Run.open(folder)
        if one.step == "train":
            found[one.name] = one
        elif one.step in ("predict", "merge"):
            found |= {other.name: other for other in trainings(one)}
    return list(found.values())


def _headlines(run: Run, figures: Mapping[str, Any], counts: Mapping[str, int], options: EvaluateOptions) -> sections.Section:
    items = []
    for name, words in (("auc", "AUC"), ("auc_unweighted", "AUC, unweighted"), ("ece", "calibration error")):
        if name in figures:
            low, high = figures[f"{name}_low"], figures[f"{name}_high"]
            method = f"{low:.4f} to {high:.4f}, 95 %" if low is not None and high is not None else "no interval"
            items.append(sections.figure(words, figures[name], method=method))
    notes = {"compared": "events compared", "unlabelled": "of no class", "unscored": "without a score"}
    items += [sections.figure(word, counts[name], note="left out" if name != "compared" else "") for name, word in notes.items()]
    items.append(sections.figure("of negative weight", counts["negative_weights"], note="with their sign"))
    note = f"Scores of {run.name}, each by models that never saw the event."
    if open_scores(run).objective == "fvt" and not options.unblind:
        note += " Four-tag data of the signal region are blinded: they are in no figure and no plot, and nothing tells how many they are."
    return sections.figures("Scores", items, note)
