"""The container around a payload: its options, and the exact words that start it.

The words are for a shell of the machine that works: ``$NAME`` in an option (``$SCRATCH``, ``$USER``) is filled in there, and
nothing else is. What is chosen, and why:

- The environment is handed on (no ``--cleanenv``): rank, devices and deadline are variables that a scheduler sets when the job
  starts. Only what leads the Python inside astray, or is preloaded into it, is taken out before.
- The home inside is a folder on scratch: packages and settings of one's own home cannot get in, and caches cannot fill its quota.
- Processes are seen from outside as they are (``--pid host``): a run's journal names its process and its host. Ranks that are
  containers of their own meet through the network and the shared memory of the host.
- Docker gets the user's own number: files of a run belong to who started it.
"""

from __future__ import annotations

import re
import shlex
from collections.abc import Collection, Iterable, Sequence
from pathlib import Path
from typing import Literal, NamedTuple

from pydantic import field_validator, model_validator

from labwright.launch.texts import Line
from labwright.launch.words import expanding
from labwright.runs.errors import CommandError, StudyError
from labwright.study.options import Options, option

Form = Literal["digest", "tag", "id", "file", "folder", "other"]

HANDED_ON = (
    "CUDA_VISIBLE_DEVICES",
    "LABWRIGHT_STOP_AFTER_S",
    "LOCAL_RANK",
    "LOCAL_WORLD_SIZE",
    "MASTER_ADDR",
    "MASTER_PORT",
    "RANK",
    "SLURM_JOB_ID",
    "SLURM_LOCALID",
    "USER",
    "WORLD_SIZE",
)
"""Variables that Docker is told to take along where they are set; Apptainer takes all along by itself."""
TAKEN_OUT = ("LD_PRELOAD", "PYTHONHOME", "PYTHONPATH")
"""Variables of the host that break or bend a Python of another file system."""

_NO_PROGRAM = "labwright: neither apptainer nor singularity is on PATH; a setup line of the site may load it"
_DIGEST = re.compile(r"(docker://)?[^@\s]+@sha256:[0-9a-f]{64}")
_BIND = re.compile(r"""([/$.][^:,"\n]*)(?::([/$][^:,"\n]*)(?::(ro|rw))?)?""")


class Bind(NamedTuple):
    """A folder of the host and where it is seen inside."""

    source: str
    target: str
    mode: str = ""
    """``ro``, ``rw``, or nothing, which is ``rw``."""

    def __str__(self) -> str:
        words = [self.source]
        if self.mode or self.target != self.source:
            words += [self.target, self.mode]
        return ":".join(word for word in words if word)


class Container(Options):
    """The container in which the payload runs."""

    kind: Literal["none", "apptainer", "docker"] = option("none", effect=False)
    """`apptainer` (or `singularity` where only that is installed), `docker`, or `none`."""
    image: Line = option("", effect=False)
    """`docker://NAME@sha256:…`, or `docker://NAME:TAG`, which is resolved to a digest at submit; for Apptainer also a `.sif` or `.img`
    file or an unpacked folder; for Docker also `sha256:…`, the id of an image of this machine."""
    binds: tuple[Line, ...] = option((), effect=False)
    """Folders to show inside: `SOURCE`, `SOURCE:TARGET` or `SOURCE:TARGET:ro`. Runs and raw data are added by themselves."""
    gpu: bool = option(False, effect=False)
    """Hand the GPUs on (`--nv`, `--gpus all`)."""
    workdir: Line = option("", effect=False)
    """The folder inside in which the payload starts."""
    python: Line = option("python3", min_length=1, effect=False)
    """The interpreter with Labwright in it, inside."""
    cache: Line = option("", effect=False)
    """Folder for image layers, temporary files and the home inside. Unset: `labwright` under the site's `scratch`."""

    @field_validator("binds")
    @classmethod
    def _three_words(cls, binds: tuple[str, ...]) -> tuple[str, ...]:
        for bind in binds:
            if not _BIND.fullmatch(bind):
                raise ValueError(f"{bind!r} is not SOURCE[:TARGET[:ro]] with folders that begin with / or $NAME (or . for SOURCE)")
        return binds

    @model_validator(mode="after")
    def _fitting_image(self) -> Container:
        form = form_of(self.image)
        fitting = {"none": (), "apptainer": ("digest", "tag", "file", "folder"), "docker": ("digest", "tag", "id")}[self.kind]
        if self.kind == "none" and self.image:
            raise ValueError("an image is named, but kind is none: nothing would run in it; write kind: apptainer or kind: docker")
        if self.kind != "none" and not self.image:
            raise ValueError(f"kind {self.kind} needs an image")
        if self.kind != "none" and form not in fitting:
            raise ValueError(f"kind {self.kind} cannot run the image {self.image!r}")
        if form == "digest" and ":" in self.image.removeprefix("docker://").partition("@")[0].rpartition("/")[2]:
            raise ValueError(f"{self.image!r} has a tag and a digest; leave out the tag")
        return self


def form_of(image: str) -> Form:
    """What kind of name an image has: a digest, a tag, the id of a local image, a file, a folder, or none that is known."""
    if _DIGEST.fullmatch(image):
        return "digest"
    if re.fullmatch(r"sha256:[0-9a-f]{64}", image):
        return "id"
    if image.endswith((".sif", ".img")):
        return "file"
    if image.startswith(("/", "./", "../", "$")):
        return "folder"
    name = image.removeprefix("docker://")
    return "tag" if re.fullmatch(r"[\w.\-:/\[\]]+", name) and "://" not in name else "other"


def argv(
    container: Container,
    command: Sequence[str],
    *,
    scratch: str,
    binds: Iterable[Path | str] = (),
    env: Iterable[str] = (),
    interactive: bool = False,
) -> list[str]:
    """The command, started in the container: words for :func:`expanding`, after the lines of :func:`prelude`.

    Args:
        command: the payload; as it is where ``kind`` is ``none``.
        scratch: the site's scratch folder.
        binds: what else the payload needs; a ``Path`` is meant literally, a text is one of ``container.binds``.
        env: names of further exported variables that have to get in.
        interactive: somebody types.

    Raises:
        StudyError: there is no folder for caches.
        CommandError: a folder has a name that cannot be bound.
    """
    if container.kind == "none":
        return list(command)
    root = cache_root(container, scratch)
    shown = _binds(container, root, binds)
    inner = {"TMPDIR": f"{root}/tmp", "XDG_CACHE_HOME": f"{root}/home/.cache"}
    if container.kind == "apptainer":
        words = ["$apptainer", "exec", "--home", f"{root}/home"]
        words += [word for bind in shown for word in ("--bind", str(bind))]
        words += ["--pwd", container.workdir] if container.workdir else []
        words += ["--nv"] if container.gpu else []
        words += [word for name, value in inner.items() for word in ("--env", f"{name}={value}")]
        return [*words, container.image, *command]
    words = ["docker", "run", "--rm", "--user", "$me", "--network", "host", "--ipc", "host", "--pid", "host"]
    words += ["--cap-drop", "ALL", "--security-opt", "no-new-privileges"]
    words += ["--interactive", "--tty"] if interactive else []
    words += [word for bind in shown for word in ("--mount", _mount(bind))]
    words += ["--workdir", container.workdir] if container.workdir else []
    words += ["--gpus", "all"] if container.gpu else []
    words += [word for name in sorted({*HANDED_ON, *env}) for word in ("--env", name)]
    words += [word for name, value in {"HOME": f"{root}/home", **inner}.items() for word in ("--env", f"{name}={value}")]
    # The image's own entry point would take the command for its arguments.
    return [*words, "--entrypoint", "", container.image.removeprefix("docker://"), *command]


def shell_words(
    container: Container,
    command: Sequence[str],
    scratch: str,
    *,
    binds: Iterable[Path | str] = (),
    env: Iterable[str] = (),
    interactive: bool = False,
) -> str:
    """:func:`argv` as one line of a shell script; the words of ``command`` are taken literally."""
    words = argv(container, (), scratch=scratch, binds=binds, env=env, interactive=interactive)
    return " ".join([*map(expanding, words), *map(shlex.quote, command)])


def environment(container: Container, scratch: str) -> dict[str, str]:
    """Variables to export before, so that caches and temporary files stay off the home; values are for :func:`expanding`.

    Without a container and without scratch there are none.
    """
    if container.kind == "none":
        # TMPDIR comes last: the scratch folder may be named by it.
        return {"XDG_CACHE_HOME": f"{scratch}/labwright/cache", "TMPDIR": f"{scratch}/labwright/tmp"} if scratch else {}
    if container.kind == "docker":
        return {}
    root = cache_root(container, scratch)
    folders = {"CACHEDIR": f"{root}/layers", "TMPDIR": f"{root}/tmp"}
    return {f"{owner}_{name}": folder for owner in ("APPTAINER", "SINGULARITY") for name, folder in folders.items()}


def folders(container: Container, scratch: str) -> list[str]:
    """Folders that have to be there before the payload starts."""
    if container.kind == "none":
        return [f"{scratch}/labwright/{name}" for name in ("cache", "tmp")] if scratch else []
    root = cache_root(container, scratch)
    return [f"{root}/{name}" for name in ("layers", "tmp", "home/.cache")]


def prelude(container: Container, scratch: str, kept: Collection[str] = ()) -> list[str]:
    """Lines of a shell script before the words of :func:`argv`: folders, variables, and the program that is installed.

    ``kept`` are names of variables that were set on purpose.
    """
    made = [f"mkdir -p {' '.join(map(expanding, folders(container, scratch)))}"] if folders(container, scratch) else []
    made += [f"export {name}={expanding(value)}" for name, value in environment(container, scratch).items()]
    if container.kind == "apptainer":
        taken_out = [name for name in TAKEN_OUT if name not in kept]
        made += [f"unset {' '.join(taken_out)}", "apptainer=$(command -v apptainer || command -v singularity) || {"]
        made += [f"  echo {shlex.quote(_NO_PROGRAM)} >&2", "  exit 78", "}"]
    elif container.kind == "docker":
        made += ['me="$(id -u):$(id -g)"']
    return made


def cache_root(container: Container, scratch: str) -> str:
    """The folder for layers, temporary files and the home inside.

    Raises:
        StudyError: neither the container nor the site names one.
    """
    if not container.cache and not scratch:
        raise StudyError(
            "the container has no folder for its caches",
            where="container.cache",
            todo="Name a folder off your home in the site's file: `scratch: /scratch/$USER`, or `container: {cache: …}`.",
        )
    return container.cache or f"{scratch}/labwright"


def _binds(container: Container, root: str, needed: Iterable[Path | str]) -> list[Bind]:
    """The site's binds, the folder of caches, and what else is needed; of several with one target the first."""
    binds = [_bind(text) for text in (*container.binds, root)]
    for folder in needed:
        if isinstance(folder, Path) and re.search(r'[$:,"\n]', str(folder)):
            raise CommandError('a folder with one of $ : , " in its name cannot be shown in a container', where=str(folder))
        binds.append(_bind(str(folder)))
    targets = [bind.target for bind in binds]
    return [bind for index, bind in enumerate(binds) if bind.target not in targets[:index]]


def _bind(text: str) -> Bind:
    match = _BIND.fullmatch(text)
    if not match:
        raise StudyError(
            f"{text!r} is no folder that can be shown in a container", todo="It has to begin with / or $NAME, without : , and quotes."
        )
    source = re.sub(r"^\.(?=/|$)", "$PWD", match[1])
    return Bind(source, match[2] or source, match[3] or "")


def _mount(bind: Bind) -> str:
    return f"type=bind,source={bind.source},target={bind.target}" + (",readonly" if bind.mode == "ro" else "")
