"""How far the guess is from the mean."""

import json

from labwright.runs.errors import MissingError
from labwright.study.step import Part


def parts(job):
    return [Part("score")]


def work(job, part):
    numbers = json.loads(job.inputs["pack"].output("numbers.json").read_text())
    guess = json.loads(job.inputs["train"].output("model").read_text())
    return {"distance_mm": abs(sum(numbers) / len(numbers) - guess) * job.options.scale}


def finish(job):
    return job.results()["score"]


def folders(predictions, truth, size):
    if not truth.is_dir():
        raise MissingError("there is no such folder", where=str(truth))
    counts = [len(list(folder.glob("*.txt"))) for folder in (predictions, truth)]
    return {"summary": {"score": counts[0] / counts[1], "size": size}, "frames": []}
