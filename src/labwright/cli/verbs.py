"""Every verb of the command line as plain data.

The one source of the parser, of ``labwright help``, of shell completion and of
``docs/reference/command-line.md``. Nothing is imported here but ``typing``: help and completion read this
table and must answer within a blink.
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
    """What completes it: study, place, step, option, parameter, run, recipe, finding, verb, folder, file, site, export, or
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


_STUDY = Argument("study", "study file, or several that are merged in order", "STUDY", "study", times="+")
_PLACE = Argument(
    "place", "study file, folder of a study, folder of runs, or one run; the current folder by default", "PLACE", "place", times="?"
)
_SET = Argument("--set", "set an option, such as train.epochs=5", "OPTION=VALUE", "option", times="*")
_PARAM = Argument("--param", "set a parameter of the study, such as data=/elsewhere", "NAME=VALUE", "parameter", times="*")
_RUNS = Argument("--runs", "where run folders lie, instead of what the study says", "DIR", "folder")
_RUN = Argument(
    "--run", "take this run for its step instead of the planned one (name, beginning of a name, or path)", "RUN", "run", times="*"
)
_STEP = Argument("--step", "this step and what it needs; all steps by default", "STEP", "step")
_SWEEP = Argument(
    "--sweep",
    "one run for each value, such as train.learning_rate=1e-3,3e-4; several sweeps are crossed",
    "OPTION=V1,V2",
    "option",
    times="*",
)
_ON = Argument("--on", "where: slurm, htcondor, local, or the name of a site; what the study says by default", "SITE", "site")
_DRY = Argument("--dry-run", "open the sources, write nothing, and say what each step would read and make")
_JSON = Argument("--json", "print JSON, and nothing else, on standard output")
_QUIET = Argument("--quiet", "show errors and the result only")
_RECIPE = Argument("recipe", "name of a recipe; `labwright list recipes` shows them", "RECIPE", "recipe")
_RECIPE_FLAG = Argument("--recipe", "name of a recipe", "RECIPE", "recipe")
_OPEN = Argument("--open", "open the page in a browser")

_STUDY_FLAGS = (_SET, _PARAM, _RUNS, _RUN)
_CONDUCT = (*_STUDY_FLAGS, _SWEEP, _ON, _DRY, _JSON, _QUIET)
_GPU = Argument("--gpu", "local: take these GPUs by number, instead of those that nobody uses", "N,N")
_NAMED_RUN = Argument(
    "name",
    "a run or the beginning of its name, where PLACE is not a run itself; of several the one last active",
    "RUN",
    "run",
    times="?",
)

START, WORK, LOOK, KEEP, ENVIRONMENT, INNER = "Start", "Work", "Look", "Keep", "Environment", "Inner"


def _short_form(step: str, help_line: str) -> Verb:
    return Verb(step, WORK, help_line, (_STUDY, *_CONDUCT), f"labwright {step} study.yaml", "run", step)


VERBS: tuple[Verb, ...] = (
    Verb(
        "demo",
        START,
        "run a recipe's bundled sample study and write its report",
        (
            Argument("recipe", "name of a recipe; cells by default", "RECIPE", "recipe", times="?"),
            Argument("--to", "folder for the study; ./labwright-demo-RECIPE by default", "DIR", "folder"),
            _OPEN,
            _JSON,
            _QUIET,
        ),
        "labwright demo cells",
    ),
    Verb(
        "new",
        START,
        "write a study file with every option, its default and its explanation",
        (_RECIPE, Argument("folder", "folder for the study; the current one by default", "FOLDER", "folder", times="?")),
        "labwright new cells my-study",
    ),
    Verb(
        "plan",
        WORK,
        "show the steps of a study: state, fingerprint, folder, and why",
        (
            _STUDY,
            *_STUDY_FLAGS,
            _SWEEP,
            _ON._replace(help="show also the files that `submit --on SITE` would write for what is missing"),
            _JSON,
        ),
        "labwright plan study.yaml --on slurm",
    ),
    Verb(
        "run",
        WORK,
        "do what is missing, step by step; the same command goes on where it was stopped",
        (_STUDY, _STEP, *_CONDUCT),
        "labwright run study.yaml --set train.epochs=5",
        note="predict and evaluate never start a training unasked. With --on it submits, follows, and cancels what it submitted when it "
        "is stopped.",
    ),
    Verb(
        "submit",
        WORK,
        "queue what is missing on a cluster, or on this machine, as jobs that depend on each other, and return",
        (
            _STUDY._replace(times="*"),
            _ON,
            _STEP,
            *_STUDY_FLAGS,
            _SWEEP,
            _GPU,
            Argument("--hello", "send one small job instead, wait for it, and show its host, GPU, disk and Python"),
            _DRY._replace(help="print the exact files, and write and queue nothing"),
            _JSON,
        ),
        "labwright submit study.yaml --on slurm",
        note="A sweep becomes one array, a run a row. From then on the jobs belong to the scheduler.",
    ),
    Verb(
        "cancel",
        WORK,
        "stop jobs gently: each saves first and is not queued again",
        (
            Argument("what", "studies, folders of runs, runs, or ids of jobs", "STUDY|RUN|JOB", "place", times="+"),
            _RUNS,
            _JSON,
        ),
        "labwright cancel study.yaml",
        note="What was saved is kept; submit or run goes on from there.",
    ),
    _short_form("pack", "short form of run --step pack"),
    Verb(
        "check",
        WORK,
        "run the check step and show what it found, with what to do",
        (_STUDY, *_STUDY_FLAGS, _JSON, _QUIET),
        "labwright check study.yaml",
        note="Exits with 65 where a finding is an error.",
    ),
    _short_form("train", "short form of run --step train"),
    _short_form("predict", "short form of run --step predict"),
    Verb(
        "evaluate",
        WORK,
        "short form of run --step evaluate; or score two folders without a study",
        (
            _STUDY._replace(times="*"),
            *_CONDUCT,
            _RECIPE_FLAG._replace(help="score two folders by this recipe's rules"),
            Argument("--predictions", "folder with predicted masks", "DIR", "folder"),
            Argument("--truth", "folder with true masks", "DIR", "folder"),
            Argument(
                "--size",
                "score at the original size, or with both sides resized to this many pixels",
                "PIXELS",
                choices=("original", "256"),
            ),
        ),
        "labwright evaluate --recipe cells --predictions masks --truth 01_GT/SEG",
        step="evaluate",
    ),
    Verb(
        "expand",
        LOOK,
        "print the resolved study and where each value came from",
        (_STUDY, _SET, _PARAM, _JSON),
        "labwright expand study.yaml",
    ),
    Verb(
        "status",
        LOOK,
        "state of each run: parts done, attempts, last sign of life, job; without PLACE all your jobs of every site",
        (_PLACE._replace(help="study file, folder of a study, folder of runs, or one run; all jobs by default"), _RUNS, _JSON),
        "labwright status study.yaml",
        note="The journal of a run tells its state, and a scheduler only why it waits; where neither says anything it is unknown.",
    ),
    Verb(
        "logs",
        LOOK,
        "print what a run printed",
        (
            _PLACE._replace(times=""),
            _NAMED_RUN,
            _RUNS,
            Argument("--follow", "go on as lines come, until the run ends; while its job waits, wait with it", short="-f"),
            Argument("--lines", "only the last N lines", "N", short="-n"),
            Argument("--job", "what the job script printed, instead of what the run did"),
        ),
        "labwright logs study.yaml train -f",
    ),
    Verb(
        "attach",
        LOOK,
        "open a shell, or run a command, beside a run that is at work on a cluster",
        (
            _PLACE._replace(times=""),
            _NAMED_RUN,
            _RUNS,
            Argument("--task", "of several tasks that work on the run, this one (from 0)", "N"),
            Argument("command", "what to run there, after `--`; bash by default", "-- COMMAND", "command", times="*"),
        ),
        "labwright attach study.yaml train -- nvidia-smi",
    ),
    Verb(
        "shell",
        LOOK,
        "open the container of a site, or its set-up shell, as a job script does before the payload",
        (
            Argument("site", "slurm, htcondor, local, or a site: a name or a file", "SITE", "site"),
            Argument("command", "what to run there, after `--`; a shell by default", "-- COMMAND", "command", times="*"),
        ),
        "labwright shell lpc -- python3 -m labwright doctor",
    ),
    Verb(
        "watch",
        LOOK,
        "a live page about the runs of studies, in the browser",
        (
            _PLACE._replace(help="study files, folders of runs, or runs; the current folder by default", times="*"),
            _RUNS,
            Argument("--port", "port, or range of ports of which the first free one is taken; any free port by default", "N|N-M"),
            Argument("--bind", "listen on this address instead of 127.0.0.1", "ADDRESS"),
            Argument("--allow-remote", "let --bind name an address that other machines can reach; nothing is encrypted"),
            Argument("--allow-actions", "let the page stop runs, gently, as a signal would"),
        ),
        "labwright watch study.yaml",
        note="Whoever opens the page needs the token that lies in a file of yours; runs neither need nor notice the page.",
    ),
    Verb(
        "report",
        LOOK,
        "write one self-contained HTML page about a study's runs",
        (
            Argument("place", "study files, or run folders", "PLACE", "place", times="+"),
            *_STUDY_FLAGS,
            _SWEEP._replace(help="show the rows of this sweep beside one another"),
            Argument("--to", "the file to write; report.html beside the study or the run by default", "FILE", "file"),
            _OPEN,
            _JSON,
        ),
        "labwright report study.yaml --open",
    ),
    Verb(
        "energy",
        LOOK,
        "joules of each run by stage, with method, scope and coverage; or with --slurm of each job in Slurm's accounting",
        (
            Argument("place", "study files, folders of runs, or runs", "PLACE", "place", times="*"),
            _RUNS,
            Argument("--slurm", "every job that Slurm's accounting lists, Labwright's or not, with how far its joules are to be trusted"),
            Argument(
                "--since", "with --slurm: jobs that ran from this date or time on, such as 2026-11-20T08:00; today by default", "TIME"
            ),
            Argument("--until", "with --slurm: and up to this one; a date alone means its end; now by default", "TIME"),
            Argument("--user", "with --slurm: of these users, separated by commas; by default those that sacct shows you", "USER"),
            _ON._replace(help="with --slurm: the site whose idle_watts and max_watts a node's joules must lie between; else 50 and 5000 W"),
            _JSON,
        ),
        "labwright energy study.yaml",
    ),
    Verb(
        "list",
        LOOK,
        "list recipes, steps, runs, options, finding codes, or the raw files of a study",
        (
            Argument(
                "what",
                "what to list; runs by default",
                "WHAT",
                choices=("recipes", "steps", "runs", "findings", "options", "sources"),
                times="?",
            ),
            _PLACE,
            _RECIPE_FLAG._replace(help="only of this recipe"),
            _RUNS,
            Argument("--finding", "explain one finding code", "CODE", "finding"),
            Argument("--filter", "only rows in which this regular expression occurs", "REGEX"),
            Argument("--to", "write the raw files of a study to this file, for a plan where they cannot be seen", "FILE", "file"),
            _PARAM,
            _JSON,
        ),
        "labwright list runs study.yaml",
    ),
    Verb(
        "schema",
        LOOK,
        "print the JSON Schema of a recipe's study file",
        (_RECIPE, Argument("--to", "write it to this file instead", "FILE", "file")),
        "labwright schema cells --to study.schema.json",
    ),
    Verb(
        "clean",
        KEEP,
        "list superseded runs, and remove them with --yes",
        (
            _PLACE,
            _RUNS,
            Argument("--stale", "only runs whose raw files changed, and what was made from them"),
            Argument("--yes", "remove them"),
            _JSON,
        ),
        "labwright clean study.yaml --yes",
        note="Keeps the newest complete run of each step, whatever a kept run was made from, and what is running.",
    ),
    Verb(
        "export",
        KEEP,
        "write a run's weights, or the job files of a study, for use elsewhere",
        (
            Argument("what", "`weights` and a run (folder, or name in --runs), or study files", "weights RUN|STUDY", "export", times="+"),
            Argument("--to", "of weights a folder; of a study sbatch, condor or dagman", "DIR|sbatch|condor|dagman", "to", required=True),
            Argument("--on", "the site of the jobs; the generic one of that scheduler by default", "SITE", "site"),
            Argument("--folder", "where the job files go; a new folder below runs/jobs by default", "DIR", "folder"),
            _STEP,
            *_STUDY_FLAGS,
            _SWEEP,
            _JSON,
        ),
        "labwright export study.yaml --to sbatch --on slurm",
        note="`labwright export weights runs/train-0123456789 --to model` writes safetensors and a model card.",
    ),
    Verb(
        "pull",
        KEEP,
        "fetch the runs of a study from a site by rsync, with checksums, and verify them",
        (
            Argument("site", "the site, whose `login` is the host", "SITE", "site"),
            Argument("place", "study file, folder of a study, or folder of runs, as its path is there", "STUDY", "place"),
            Argument("--to", "folder for the runs", "DIR", "folder", required=True),
            Argument("--only", "only state, journal and these: report, tables, weights, output, checkpoints", "KIND,KIND"),
            _JSON,
        ),
        "labwright pull horeka project/study.yaml --only report,tables --to runs",
    ),
    Verb(
        "doctor",
        ENVIRONMENT,
        "look at this machine: devices, driver, disk, memory, meters; a line each with what to do",
        (_JSON,),
        "labwright doctor",
    ),
    Verb(
        "site",
        ENVIRONMENT,
        "list the sites, show one as it is understood, or write one from what a login node tells",
        (
            Argument("action", "what to do", "ACTION", choices=("list", "show", "probe")),
            Argument("name", "the site to show: a name or a file", "SITE", "site", times="?"),
            Argument("--to", "probe: the file to write, such as sites/here.yaml; standard output by default", "FILE", "file"),
            _JSON,
        ),
        "labwright site show generic-slurm",
        note="What nobody could know is marked as unknown, never guessed.",
    ),
    Verb(
        "complete",
        ENVIRONMENT,
        "add or remove completion in a shell",
        (
            Argument(
                "action",
                "install or uninstall the block in the shell's start file, or print the script",
                "ACTION",
                choices=("install", "uninstall", "script"),
            ),
            Argument("shell", "the shell in use by default", "SHELL", choices=("bash", "zsh", "fish"), times="?"),
        ),
        "labwright complete install",
    ),
    Verb(
        "help",
        ENVIRONMENT,
        "explain a verb, or print all verbs, recipes, steps and options",
        (
            Argument("verb", "the verb to explain", "VERB", "verb", times="?"),
            Argument("--all", "every verb, recipe, step and option with type, default, unit and explanation"),
            Argument("--filter", "of these, only lines in which this regular expression occurs", "REGEX"),
        ),
        "labwright help --all --filter learning_rate",
    ),
    Verb(
        "step",
        INNER,
        "work on a run folder; what job scripts call",
        (
            Argument("run", "run folder with a step.json", "RUN_FOLDER", "folder"),
            Argument("--share", "work on share I of N of the parts (I from 0), and leave finishing to another call", "I/N"),
            Argument("--finish", "finish the run whose parts were done by other calls"),
            _JSON,
            _QUIET,
        ),
        "labwright step runs/train-0123456789",
    ),
    Verb(
        "bring",
        INNER,
        "copy what tells of a run (journal, findings, tables, report), not its bulk; what job scripts call",
        (
            Argument("run", "run folder with a step.json", "RUN_FOLDER", "folder"),
            Argument("to", "where the copy shall lie", "FOLDER", "folder"),
            Argument("--kept-at", "where the whole run is kept, in words; host and folder by default", "TEXT"),
        ),
        "labwright bring /scratch/runs/train-0123456789 runs/train-0123456789",
    ),
    Verb(
        "hello",
        INNER,
        "print as JSON which machine this is: host, CPUs, GPUs, disks, Python, job; what `submit --hello` sends",
        (Argument("folder", "write it to hello.json in this folder as well", "FOLDER", "folder", times="?"),),
        "labwright hello",
    ),
    Verb(
        "queue",
        INNER,
        "start the jobs of a submission on this machine as they become due; what `submit --on local` leaves at work",
        (Argument("folder", "the submission's folder", "SUBMISSION_FOLDER", "folder"),),
        "labwright queue runs/jobs/20261121-101500-3f2a",
    ),
)
BY_NAME = {verb.name: verb for verb in VERBS}
