"""A guess."""

import json
import os
import signal

from labwright.runs.errors import Stopped
from labwright.study.step import Part


def parts(job):
    return [Part("guess"), Part("doubt")]


def work(job, part):
    if job.options.trouble == "bug":
        raise ZeroDivisionError("an accident")
    if job.options.trouble == "stop":
        os.kill(os.getpid(), signal.SIGTERM)
        assert job.stopping()
        raise Stopped("the night is over", where="guess", todo="Run again.")
    job.record("metric", phase="train", step=1, epoch=0, values={"loss": 0.5}, part=part.id)
    return {"guess_mm": job.options.guess}


def finish(job):
    with job.output("model") as path:
        path.write_text(json.dumps(job.options.guess))
    return {"guess_mm": job.options.guess, "loss": 0.5}


def export(run, to):
    to.mkdir(parents=True)
    (to / "weights.txt").write_text(run.output("model").read_text())
    return to
