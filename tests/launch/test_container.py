"""The command that starts a payload in a container: its exact words, what they become in a shell, and what is refused."""

from __future__ import annotations

import itertools
import os
import subprocess
from pathlib import Path

import pytest
from pydantic import ValidationError

from labwright.launch.container import Container, argv, environment, folders, form_of, prelude, shell_words
from labwright.runs.errors import CommandError, StudyError

DIGEST = f"docker://lab/tools@sha256:{'0' * 64}"
PAYLOAD = ["python3", "-m", "labwright", "step", "/data/runs/train-0123456789"]


def test_the_command_of_apptainer() -> None:
    container = Container(
        kind="apptainer", image=DIGEST, binds=(".:/srv", "/cvmfs", "$DATA:/data:ro"), gpu=True, workdir="/srv", cache="/scratch/$USER"
    )
    assert argv(container, PAYLOAD, scratch="", binds=[Path("/group/runs")]) == [
        *("$apptainer", "exec", "--home", "/scratch/$USER/home"),
        *("--bind", "$PWD:/srv", "--bind", "/cvmfs", "--bind", "$DATA:/data:ro", "--bind", "/scratch/$USER", "--bind", "/group/runs"),
        *("--pwd", "/srv", "--nv", "--env", "TMPDIR=/scratch/$USER/tmp", "--env", "XDG_CACHE_HOME=/scratch/$USER/home/.cache"),
        *(DIGEST, *PAYLOAD),
    ]


def test_the_command_of_docker() -> None:
    container = Container(kind="docker", image=DIGEST, binds=("/cvmfs", "$DATA:/data:ro"), gpu=True, workdir="/srv", cache="/scratch/$USER")
    words = argv(container, PAYLOAD, scratch="", binds=[Path("/group/runs")], env=["TOKEN_FILE"])
    handed_on = [word for flag, word in itertools.pairwise(words) if flag == "--env"]
    assert handed_on[-3:] == ["HOME=/scratch/$USER/home", "TMPDIR=/scratch/$USER/tmp", "XDG_CACHE_HOME=/scratch/$USER/home/.cache"]
    assert {"CUDA_VISIBLE_DEVICES", "RANK", "WORLD_SIZE", "MASTER_ADDR", "TOKEN_FILE"} <= set(handed_on)
    assert [word for word in words if word != "--env" and word not in handed_on] == [
        *("docker", "run", "--rm", "--user", "$me", "--network", "host", "--ipc", "host", "--pid", "host"),
        *("--cap-drop", "ALL", "--security-opt", "no-new-privileges"),
        *("--mount", "type=bind,source=/cvmfs,target=/cvmfs", "--mount", "type=bind,source=$DATA,target=/data,readonly"),
        *("--mount", "type=bind,source=/scratch/$USER,target=/scratch/$USER", "--mount", "type=bind,source=/group/runs,target=/group/runs"),
        *("--workdir", "/srv", "--gpus", "all", "--entrypoint", "", DIGEST.removeprefix("docker://"), *PAYLOAD),
    ]
    assert "--tty" in argv(container, PAYLOAD, scratch="", interactive=True)


def test_without_a_container_the_command_stays_as_it_is() -> None:
    assert argv(Container(), PAYLOAD, scratch="/scratch") == PAYLOAD
    assert environment(Container(), "") == {}
    assert folders(Container(), "") == []
    assert environment(Container(), "$TMPDIR") == {"XDG_CACHE_HOME": "$TMPDIR/labwright/cache", "TMPDIR": "$TMPDIR/labwright/tmp"}


def test_caches_leave_the_home_under_both_names() -> None:
    variables = environment(Container(kind="apptainer", image="tools.sif"), "/scratch")
    assert variables == {
        "APPTAINER_CACHEDIR": "/scratch/labwright/layers",
        "APPTAINER_TMPDIR": "/scratch/labwright/tmp",
        "SINGULARITY_CACHEDIR": "/scratch/labwright/layers",
        "SINGULARITY_TMPDIR": "/scratch/labwright/tmp",
    }
    with pytest.raises(StudyError, match=r"no folder for its caches.*scratch: /scratch/\$USER"):
        argv(Container(kind="apptainer", image="tools.sif"), PAYLOAD, scratch="")


def in_a_shell(tmp_path: Path, *programs: str, container: Container) -> tuple[int, list[str], dict[str, str]]:
    """Run the rendered lines with stand-ins for the programs; their words, and the environment they see."""
    tools = tmp_path / "tools"
    tools.mkdir()
    for name in programs:
        (tools / name).write_text('#!/bin/bash\nprintf "%s\\0" "$0" "$@" > "$SAID"\nenv -0 > "$SAID.env"\n')
        (tools / name).chmod(0o755)
    for name in ("bash", "env", "id", "mkdir"):
        (tools / name).symlink_to(subprocess.check_output(["which", name], text=True).strip())
    said = tmp_path / "said"
    lines = prelude(container, "$SCRATCH")
    lines += [shell_words(container, ["echo", "$HOME `id`"], "$SCRATCH", binds=[tmp_path / "two words"])]
    given = {"PATH": str(tools), "SAID": str(said), "SCRATCH": str(tmp_path / "scratch"), "PYTHONPATH": "/module", "RANK": "3"}
    done = subprocess.run(["bash", "-euc", "\n".join(lines)], env=given, capture_output=True, text=True, check=False)
    if not said.exists():
        return done.returncode, [done.stderr], {}
    seen = dict(line.partition("=")[::2] for line in (tmp_path / "said.env").read_text().split("\0") if line)
    return done.returncode, said.read_text().split("\0")[:-1], seen


@pytest.mark.parametrize("programs", [("apptainer", "singularity"), ("singularity",)])
def test_the_shell_runs_what_is_installed_with_the_words_meant(tmp_path: Path, programs: tuple[str, ...]) -> None:
    container = Container(kind="apptainer", image="$SCRATCH/tools.sif", binds=("$SCRATCH:/data:ro",))
    code, words, variables = in_a_shell(tmp_path, *programs, container=container)
    scratch = f"{tmp_path}/scratch"
    assert code == 0
    assert words == [
        *(f"{tmp_path}/tools/{programs[0]}", "exec", "--home", f"{scratch}/labwright/home", "--bind", f"{scratch}:/data:ro"),
        *("--bind", f"{scratch}/labwright", "--bind", f"{tmp_path}/two words"),
        *("--env", f"TMPDIR={scratch}/labwright/tmp", "--env", f"XDG_CACHE_HOME={scratch}/labwright/home/.cache"),
        *(f"{scratch}/tools.sif", "echo", "$HOME `id`"),
    ]
    assert all(Path(variables[name]).is_dir() for name in ("APPTAINER_CACHEDIR", "APPTAINER_TMPDIR", "SINGULARITY_CACHEDIR"))
    # What a scheduler says gets in, what a module says to the Python of the host does not.
    assert variables["RANK"] == "3"
    assert "PYTHONPATH" not in variables


def test_files_belong_to_who_started_docker(tmp_path: Path) -> None:
    code, words, _ = in_a_shell(tmp_path, "docker", container=Container(kind="docker", image=DIGEST))
    assert code == 0
    assert words[words.index("--user") + 1] == f"{os.getuid()}:{os.getgid()}"
    assert words[words.index("--entrypoint") :] == ["--entrypoint", "", DIGEST.removeprefix("docker://"), "echo", "$HOME `id`"]


def test_a_machine_without_apptainer_says_so(tmp_path: Path) -> None:
    code, (said,), _ = in_a_shell(tmp_path, container=Container(kind="apptainer", image="tools.sif"))
    assert code == 78
    assert "neither apptainer nor singularity is on PATH" in said


def test_forms_of_images() -> None:
    assert form_of(DIGEST) == "digest"
    assert form_of("lab/tools@sha256:" + "f" * 64) == "digest"
    assert form_of("sha256:" + "f" * 64) == "id"
    assert form_of("docker://lab/tools:1.2") == form_of("ghcr.io/lab/tools") == form_of("localhost:5000/tools:1") == "tag"
    assert form_of("images/tools.sif") == form_of("/old/tools.img") == "file"
    assert form_of("/cvmfs/unpacked.cern.ch/registry.hub.docker.com/lab/tools:ml") == form_of("$TOOLS") == form_of("./tools") == "folder"
    assert form_of("library://lab/tools") == form_of("lab/tools@sha256:12") == form_of("two words") == "other"


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"image": "tools.sif"}, "kind is none"),
        ({"kind": "apptainer"}, "needs an image"),
        ({"kind": "docker", "image": "tools.sif"}, "kind docker cannot run the image 'tools.sif'"),
        ({"kind": "docker", "image": "/cvmfs/tools"}, "cannot run"),
        ({"kind": "apptainer", "image": "sha256:" + "0" * 64}, "cannot run"),
        ({"kind": "apptainer", "image": "library://lab/tools"}, "cannot run"),
        ({"kind": "apptainer", "image": f"docker://lab/tools:1@sha256:{'0' * 64}"}, "leave out the tag"),
        ({"binds": ["data:/data"]}, "is not SOURCE"),
        ({"binds": ["/data:relative"]}, "is not SOURCE"),
        ({"binds": ["/data:/data:shared"]}, "is not SOURCE"),
        ({"binds": ["/a,/b"]}, "is not SOURCE"),
    ],
)
def test_what_cannot_be_meant_is_refused(options: dict[str, object], words: str) -> None:
    with pytest.raises(ValidationError, match=words):
        Container.model_validate(options)


@pytest.mark.parametrize("name", ["a:b", "a,b", "$a", 'a"b', "a\nb"])
def test_a_folder_that_would_be_read_as_something_else_is_refused(name: str) -> None:
    with pytest.raises(CommandError, match="cannot be shown in a container"):
        argv(Container(kind="apptainer", image="tools.sif"), PAYLOAD, scratch="/scratch", binds=[Path("/data") / name])


def test_the_site_says_where_a_folder_is_seen_before_the_launcher_does() -> None:
    container = Container(kind="apptainer", image="tools.sif", binds=("/fast/runs:/group/runs",))
    words = argv(container, PAYLOAD, scratch="/scratch", binds=[Path("/group/runs"), Path("/group/runs")])
    assert [word for flag, word in itertools.pairwise(words) if flag == "--bind"] == [
        "/fast/runs:/group/runs",
        "/scratch/labwright",
    ]


def test_what_a_site_sets_on_purpose_gets_in() -> None:
    container = Container(kind="apptainer", image="tools.sif")
    assert "unset LD_PRELOAD PYTHONHOME PYTHONPATH" in prelude(container, "/scratch")
    assert "unset LD_PRELOAD PYTHONHOME" in prelude(container, "/scratch", kept={"PYTHONPATH": "/srv/lib"})
