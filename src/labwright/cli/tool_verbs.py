"""Verbs about machines and shells, and those that no person types: the last part of ``labwright.cli.verbs``."""

from __future__ import annotations

from labwright.cli.grammar import ENVIRONMENT, INNER, JSON, QUIET, Argument, Verb

TOOLS: tuple[Verb, ...] = (
    Verb(
        "doctor",
        ENVIRONMENT,
        "look at this machine: devices, driver, disk, memory, meters; a line each with what to do",
        (JSON,),
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
            JSON,
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
            JSON,
            QUIET,
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
