"""Files → one list of numbers."""

import hashlib
import json
import os

from labwright.runs.errors import MissingError
from labwright.study.step import Part, RawFile


def sources(options):
    if not options.path.is_dir():
        raise MissingError("there is no such folder", where=str(options.path), todo="Set pack.path.")
    return [RawFile(path, path.name, path.stat().st_size) for path in sorted(options.path.glob("*.txt"))]


def preview(options, inputs):
    return [f"a list of {len(sources(options))} numbers"]


def parts(job):
    return [Part("numbers")]


def work(job, part):
    numbers = []
    for file in sources(job.options):
        numbers.append(float(file.path.read_text()))
        job.source(file.name, file.path, hashlib.sha256(file.path.read_bytes()).hexdigest())
    with job.output("numbers.json") as path:
        path.write_text(json.dumps(numbers))
    os.write(1, f"read {len(numbers)} numbers\n".encode())  # as a native library would
    return {"items": len(numbers)}


def finish(job):
    return job.results()["numbers"]
