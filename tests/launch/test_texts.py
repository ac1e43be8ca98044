"""What a site says stays one line of a script, under the name that it was given, or is refused with a sentence."""

from __future__ import annotations

import json
import re
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from labwright.launch.job import Job, Task
from labwright.launch.launcher import render
from labwright.launch.site import Queue, Site, load_site
from labwright.launch.texts import OURS
from labwright.runs.errors import StudyError
from labwright.study.resources import Resources

HERE = Path(__file__).resolve().parent
PLACE = Path("/srv/mara/runs/jobs/20261121-101500-3f2a")


@pytest.mark.parametrize(
    ("key", "value", "told"),
    [
        ("queues", {"cpu": {"partition": "a\n#SBATCH --uid=0"}}, r"queues.cpu.partition: has the control character '\n'"),
        ("queues", {"cpu": {"account": "a\u2028b"}}, "queues.cpu.account: has the control character"),
        ("queues", {"gpu": {"constraint": "true \\"}}, "queues.gpu.constraint: ends with a backslash"),
        ("queues", {"gpu": {"attributes": {"licenses": "x\ry"}}}, r"queues.gpu.attributes.licenses: has the control character '\r'"),
        ("queues", {"gpu": {"attributes": {"a b": "x"}}}, "queues.gpu.attributes.a b: is no name of an option"),
        ("queues", {"gpu": {"attributes": {"a=b\nc": ""}}}, "is no name of an option"),
        ("env", {"MY-VARIABLE": "1"}, "env.MY-VARIABLE: is no name of a variable; write letters, digits and _"),
        ("env", {"1ST": "1"}, "env.1ST: is no name of a variable"),
        ("env", {"stop": "1"}, "env.stop: is a name that job scripts use themselves"),
        ("env", {"A;id": "1"}, "env.A;id: is no name of a variable"),
        ("env", {"GRÖSSE": "1"}, "is no name of a variable"),
        ("env", {"A": "1\n2"}, r"env.A: has the control character '\n'"),
        ("scratch", "/scratch\n", "scratch: has the control character"),
        (
            "container",
            {"kind": "docker", "image": "sha256:" + "0" * 64, "workdir": "/a\nb"},
            "container.workdir: has the control character",
        ),
        ("data_root", {"plates": "/there"}, "data_root.plates: is no folder that can be named here"),
        ("data_root", {"/plates": "/there\n"}, "data_root./plates: has the control character"),
    ],
)
def test_what_would_break_a_script_is_refused_by_its_line(tmp_path: Path, key: str, value: object, told: str) -> None:
    path = tmp_path / "odd.yaml"
    path.write_text(f"kind: slurm\n{key}: {json.dumps(value)}\n")
    with pytest.raises(StudyError) as caught:
        load_site(str(path))
    assert told in str(caught.value)
    assert caught.value.where == f"{path}:2"


def test_numbers_and_truths_are_texts_where_texts_are_wanted(tmp_path: Path) -> None:
    path = tmp_path / "plain.yaml"
    path.write_text("kind: htcondor\nenv: {A: 007}\nqueues: {cpu: {account: 12, attributes: {+LongJob: true}}}\n")
    site = load_site(str(path))
    assert site.env == {"A": "007"}
    assert (site.queues["cpu"].account, site.queues["cpu"].attributes) == ("12", {"+LongJob": "true"})


texts = st.text(st.characters(exclude_categories=("Cc", "Cs", "Zl", "Zp")), min_size=1, max_size=12).filter(
    lambda text: not text.endswith("\\") and text != "unknown"
)


@given(value=texts, kind=st.sampled_from(["slurm", "htcondor"]))
def test_every_other_value_is_one_line(value: str, kind: str) -> None:
    def lines(text: str) -> list[int]:
        queue = Queue(partition=text, account=text, constraint=text, attributes={"licenses": text})
        site = Site(kind=kind, name="odd", python="/opt/python", env={"A": text}, scratch=f"/scratch/{text}")
        job = Job("pack", "pack", (Task(PLACE.parents[1] / "pack-0a1b2c3d4e"),), Resources(), queue)
        return [len(made.splitlines()) for made in render(kind, job, site, PLACE).values()]

    assert lines(value) == lines("plain")


def test_every_variable_of_the_golden_scripts_is_reserved() -> None:
    scripts = [*(HERE / "golden").rglob("*.sh"), *(HERE / "golden").rglob("*.sbatch")]
    set_here = {name for path in scripts for name in re.findall(r"^\s*([a-z_]+)=", path.read_text(encoding="utf-8"), re.MULTILINE)}
    assert {"run", "code", "stop"} <= set_here
    assert set_here - {"apptainer"} <= OURS
