"""Exit codes, and errors that are sentences: what happened, where, and what to do.

Whatever a user can cause is one of these classes; the command line prints the sentence and leaves
with the class's code. Anything else is our fault (70) and is the only thing shown with a traceback.
"""

from __future__ import annotations

from enum import IntEnum
from typing import ClassVar


class Exit(IntEnum):
    """Exit codes of every Labwright process."""

    DONE = 0
    COMMAND = 64  # wrong command
    DATA = 65  # the data have findings of severity error
    MISSING = 66  # missing input
    FAULT = 70  # our fault
    AGAIN = 75  # stopped early: run me again
    STUDY = 78  # wrong study


class LabwrightError(Exception):
    """An error with a sentence for the user.

    Args:
        what: what happened, a sentence without a full stop.
        where: file, option path or item.
        todo: what to do about it, a sentence.
    """

    code: ClassVar[Exit] = Exit.FAULT

    def __init__(self, what: str, *, where: str = "", todo: str = "") -> None:
        super().__init__(what)
        self.what, self.where, self.todo = what, where, todo

    def __str__(self) -> str:
        text = f"{self.where}: {self.what}" if self.where else self.what
        return f"{text}. {self.todo}" if self.todo else text

    def __reduce__(self) -> tuple[object, ...]:
        # Keyword-only arguments would be lost between a pool's processes.
        return _rebuild, (type(self), self.what, self.where, self.todo)


def _rebuild(kind: type[LabwrightError], what: str, where: str, todo: str) -> LabwrightError:
    return kind(what, where=where, todo=todo)


class CommandError(LabwrightError):
    """The command line is wrong."""

    code = Exit.COMMAND


class DataError(LabwrightError):
    """The data have findings of severity error, or cannot be read as what they should be."""

    code = Exit.DATA


class MissingError(LabwrightError):
    """Something that the step needs is not there."""

    code = Exit.MISSING


class DeniedError(MissingError):
    """The user may not write, or not read, at a place; ``todo`` names the option of runs, which the command line replaces by the verb's."""


class FaultError(LabwrightError):
    """Our fault, or the machine's (a full disk, a lost device)."""

    code = Exit.FAULT


class Stopped(LabwrightError):
    """Stopped early on a signal or a deadline; the same call goes on."""

    code = Exit.AGAIN


class StudyError(LabwrightError):
    """The study file, its parameters or its overrides are wrong."""

    code = Exit.STUDY
