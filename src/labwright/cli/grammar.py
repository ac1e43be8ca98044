"""What a verb of the command line is made of, and the arguments that several verbs take.

Nothing is imported here but ``typing``: help and completion read the table of verbs and must answer within a blink.
"""

from __future__ import annotations

from typing import NamedTuple


class Argument(NamedTuple):
    """A positional argument (``study``) or a flag (``--set``)."""

    name: str
    help: str
    value: str = ""
    """How help calls the value; a flag without one is a switch."""
    kind: str = ""
    """What completes it: study, place, step, option, parameter, run, recipe, finding, verb, folder, file, site, export, ready, or
    ``command``: all words after ``--``."""
    choices: tuple[str, ...] = ()
    times: str = ""
    """``?`` may be left out, ``+`` one or more, ``*`` any number (for a flag: may be repeated); else exactly one."""
    short: str = ""
    required: bool = False

    @property
    def is_flag(self) -> bool:
        return self.name.startswith("--")

    @property
    def attribute(self) -> str:
        """Its name among the parsed arguments."""
        return self.name.lstrip("-").replace("-", "_")


class Verb(NamedTuple):
    """One verb with its arguments; the module ``labwright.cli.commands.<module>`` carries it out."""

    name: str
    group: str
    help: str
    arguments: tuple[Argument, ...] = ()
    example: str = ""
    module: str = ""
    step: str = ""
    """The step that a short form of ``run`` stands for."""
    note: str = ""

    @property
    def flags(self) -> tuple[Argument, ...]:
        return tuple(argument for argument in self.arguments if argument.is_flag)

    @property
    def positionals(self) -> tuple[Argument, ...]:
        return tuple(argument for argument in self.arguments if not argument.is_flag)


STUDY = Argument("study", "study file, or several that are merged in order", "STUDY", "study", times="+")
PLACE = Argument(
    "place", "study file, folder of a study, folder of runs, or one run; the current folder by default", "PLACE", "place", times="?"
)
SET = Argument("--set", "set an option, such as train.epochs=5", "OPTION=VALUE", "option", times="*")
PARAM = Argument(
    "--param",
    "set a parameter of the study, such as data=/elsewhere; with several files FILE:NAME=VALUE sets it in one",
    "NAME=VALUE",
    "parameter",
    times="*",
)
RUNS = Argument("--runs", "where run folders lie, instead of what the study says", "DIR", "folder")
RUN = Argument(
    "--run", "take this run for its step instead of the planned one (name, beginning of a name, or path)", "RUN", "run", times="*"
)
STEP = Argument("--step", "this step and what it needs; all steps by default", "STEP", "step")
SWEEP = Argument(
    "--sweep",
    "one run for each value, such as train.learning_rate=1e-3,3e-4; several sweeps are crossed",
    "OPTION=V1,V2",
    "option",
    times="*",
)
ON = Argument("--on", "where: slurm, htcondor, local, or the name of a site; what the study says by default", "SITE", "site")
DRY = Argument("--dry-run", "open the sources, write nothing, and say what each step would read and make; 65 where that finds an error")
JSON = Argument("--json", "print JSON, and nothing else, on standard output")
QUIET = Argument("--quiet", "show errors and the result only")
RECIPE = Argument("recipe", "name of a recipe; `labwright list recipes` shows them", "RECIPE", "recipe")
RECIPE_FLAG = Argument("--recipe", "name of a recipe", "RECIPE", "recipe")
OPEN = Argument("--open", "open the page in a browser")

STUDY_FLAGS = (SET, PARAM, RUNS, RUN)
CONDUCT = (*STUDY_FLAGS, SWEEP, ON, DRY, JSON, QUIET)
GPU = Argument("--gpu", "local: take these GPUs by number, instead of those that nobody uses", "N,N")
NAMED_RUN = Argument(
    "name",
    "a run or the beginning of its name, where PLACE is not a run itself; of several the one last active",
    "RUN",
    "run",
    times="?",
)

START, WORK, LOOK, KEEP, ENVIRONMENT, INNER = "Start", "Work", "Look", "Keep", "Environment", "Inner"


def short_form(step: str, help_line: str) -> Verb:
    return Verb(step, WORK, help_line, (STUDY, *CONDUCT), f"labwright {step} study.yaml", "run", step)
