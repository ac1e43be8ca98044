"""Findings about the numbers."""

import json

from labwright.data.findings import Code, catalogue
from labwright.study.step import Part

CATALOGUE = catalogue(
    Code("TOY001", "error", "number too small", "A length cannot be less than nothing.", "Measure again."),
    Code("TOY002", "note", "round number", "It may have been rounded.", "Nothing."),
)


def parts(job):
    return [Part("check")]


def work(job, part):
    for index, number in enumerate(json.loads(job.inputs["pack"].output("numbers.json").read_text())):
        if number < job.options.smallest:
            job.finding("TOY001", f"number {index}", f"{number} is too small")
        if number == round(number):
            job.finding("TOY002", f"number {index}", f"{number} is round", "note")
    return {}


def finish(job):
    return {"errors": sum(one["severity"] == "error" for one in job.run.findings())}
