"""Ranks: several processes that train together on one run, by DDP; rank 0 leads and the others follow.

A launcher (``torchrun``, ``srun``) starts the same command once for each and says by the environment who is who. The leader alone
claims, records, saves and finishes; the followers do the parts that it names, and all leave with one exit code. They talk through
torch's key-value store at MASTER_ADDR:MASTER_PORT, which the leader or torchrun holds open. Keys: ``attempt``, ``part/<n>``
(what the leader says), ``told`` (why all stop), ``word`` (what the first that left left with), ``beat/<rank>``, ``left``.
"""

from __future__ import annotations

import json
import os
import re
import threading
import time
from collections.abc import Callable, Iterator, Mapping, MutableMapping
from contextlib import contextmanager, suppress
from datetime import timedelta
from typing import Any, NamedTuple

from labwright.runs.errors import CommandError, DataError, Exit, FaultError, LabwrightError, MissingError, Stopped, StudyError
from labwright.study.step import Part

JOIN_S = 300.0
"""So long the processes wait for each other at the start; a scheduler starts them together."""
BEAT_S = 2.0
LOST_AFTER_S = 60.0
"""A process that gave no beat for so long is taken for lost. Most deaths are noticed at once, by a closed connection."""
LEAVE_S = 20.0
"""Who is still at work so long after another one left hangs in an exchange with it, and is ended."""
LINGER_S = 5.0
"""The leader holds the store open so long for the followers to hear its last word."""
_LOOK_S = 0.1
_KINDS = {kind.code: kind for kind in (CommandError, DataError, MissingError, StudyError, Stopped)}


class Place(NamedTuple):
    """Which of how many processes this is."""

    rank: int = 0
    world: int = 1


def place(environment: MutableMapping[str, str]) -> Place:
    """This process's place, by the variables of ``torchrun``; ``LABWRIGHT_RANKS=slurm`` says that those of ``srun`` are meant.

    Slurm's are then written to ``environment`` as torchrun's, before any library looks there.

    Raises:
        CommandError: a variable is missing or makes no sense.
    """
    kind = environment.get("LABWRIGHT_RANKS", "")
    if kind not in ("", "slurm"):
        raise CommandError(f"{kind!r} starts no ranks that are known here", where="LABWRIGHT_RANKS", todo="Set it to slurm, or not at all.")
    if kind == "slurm":
        translated = {"RANK": "SLURM_PROCID", "LOCAL_RANK": "SLURM_LOCALID", "WORLD_SIZE": "SLURM_NTASKS"}
        environment.update({ours: str(_number(environment, theirs)) for ours, theirs in translated.items()})
        environment["LOCAL_WORLD_SIZE"] = str(_tasks_here(environment))
    if "WORLD_SIZE" not in environment or _number(environment, "WORLD_SIZE") == 1:
        return Place()
    rank, world, local = (_number(environment, name) for name in ("RANK", "WORLD_SIZE", "LOCAL_WORLD_SIZE"))
    _number(environment, "LOCAL_RANK"), _number(environment, "MASTER_PORT")
    if not environment.get("MASTER_ADDR"):
        raise _unset("MASTER_ADDR")
    if not 0 <= rank < world or local < 1 or world % local:
        raise CommandError(
            f"rank {rank} of {world} processes, {local} of them on this node, cannot be",
            where="WORLD_SIZE",
            todo="Start the same number of processes on each node.",
        )
    return Place(rank, world)


@contextmanager
def joined(where: Place) -> Iterator[Ranks | None]:
    """The processes that train together, for the time of the block; None for a process alone.

    Raises:
        Stopped: not all processes came.
    """
    if where.world == 1:
        yield None
        return
    ranks = Ranks(where)
    try:
        yield ranks
    except LabwrightError as error:
        ranks.leave(error)
        raise
    except BaseException as error:
        ranks.leave(FaultError(f"{type(error).__name__}: {error}"))
        raise
    else:
        ranks.leave(None)


class Ranks:
    """The processes that train together, as one of them sees them. Open with :func:`joined`."""

    def __init__(self, where: Place) -> None:
        self.rank, self.world = where
        self.last_words: Callable[[Exit, str], None] = lambda code, reason: None
        """Called before this process is ended because it hangs."""
        self._parts = 0
        self._store = _store(where)
        self._needed, self._over = True, threading.Event()
        self._thread = threading.Thread(target=self._watch, name="labwright-ranks", daemon=True)
        self._thread.start()

    # ---- The leader ----

    def announce(self, part: Part) -> None:
        """All work on ``part`` now."""
        self._store.set(f"part/{self._parts}", json.dumps(part))
        self._parts += 1

    def tell_attempt(self, number: int) -> None:
        """The number of this attempt, which all share."""
        self._store.set("attempt", str(number))

    def dismiss(self) -> None:
        """All parts are done: what becomes of the followers from here on stops nothing."""
        self._needed = False

    # ---- The followers ----

    def attempt(self) -> int | None:
        """The number of this attempt; None where the leader left without one, since the run is done."""
        answer = self._wait_for("attempt")
        return None if answer is None else int(answer)

    def next_part(self) -> Part | None:
        """The part to work on, once the leader names one; None when it has finished.

        Raises:
            LabwrightError: what the leader left with.
        """
        answer = self._wait_for(f"part/{self._parts}")
        self._parts += 1
        if answer is None:
            return None
        id, cost, after = json.loads(answer)
        return Part(id, cost, tuple(after))

    def _wait_for(self, key: str) -> str | None:
        while True:
            try:
                if self._store.check([key]):
                    return str(self._store.get(key).decode())
                word = self._word()
            except RuntimeError as error:
                raise _lost("the first one cannot be reached") from error
            if word is not None:
                if word["code"] == Exit.DONE:
                    return None
                raise _as_error(word)
            time.sleep(_LOOK_S)

    # ---- All ----

    def why(self, reason: str) -> str:
        """Why all stop at this step: ``reason`` where this process was told so, else what another one was told."""
        with suppress(RuntimeError):
            if reason:
                return str(self._store.compare_set("told", "", f"{reason} (rank {self.rank})").decode())
            until = time.monotonic() + BEAT_S
            while time.monotonic() < until:
                if self._store.check(["told"]):
                    return str(self._store.get("told").decode())
                time.sleep(_LOOK_S)
        return reason or "another process of the training was told to"

    @contextmanager
    def explained(self) -> Iterator[None]:
        """Raise what another process left with, instead of the broken exchange that this caused here."""
        try:
            yield
        except RuntimeError as error:
            if not _broken_exchange(error):
                raise
            until = time.monotonic() + BEAT_S
            word = None
            while word is None and time.monotonic() < until:
                try:
                    word = self._word()
                except RuntimeError:
                    break
                time.sleep(_LOOK_S)
            raise (_as_error(word) if word else _lost("the exchange with it broke off")) from error

    def leave(self, error: LabwrightError | None) -> None:
        """Say how this process leaves; the leader waits for the others to hear it."""
        from torch import distributed

        with suppress(RuntimeError):
            if error is not None or self.rank == 0:
                self._speak(error)
            if self.rank > 0:
                self._store.add("left", 1)
            until = time.monotonic() + LINGER_S
            while self.rank == 0 and self._store.add("left", 0) < self.world - 1 and time.monotonic() < until:
                time.sleep(_LOOK_S)
        if distributed.is_initialized():
            # Its threads must not outlive the interpreter. This may hang where others are lost, which the watch then ends.
            distributed.destroy_process_group()
        self._over.set()

    def _speak(self, error: LabwrightError | None) -> None:
        told = {"what": error.what, "where": error.where, "todo": error.todo} if error else {}
        code = error.code if error else Exit.DONE
        self._store.compare_set("word", "", json.dumps({"rank": self.rank, "code": int(code), **told}))

    def _word(self) -> dict[str, Any] | None:
        if not self._store.check(["word"]):
            return None
        word: dict[str, Any] = json.loads(self._store.get("word"))
        return word

    def _watch(self) -> None:
        """Beat, look whether the others do, and end this process where it hangs without them."""
        beats: dict[int, tuple[int, float]] = {}
        error: LabwrightError | None = None
        while error is None and not self._over.wait(BEAT_S):
            try:
                self._store.add(f"beat/{self.rank}", 1)
                word = self._word()
                if word is not None:
                    if word["code"] == Exit.DONE:
                        return
                    error = _as_error(word)
                elif (silent := self._silent(beats)) is not None:
                    error = _lost(f"rank {silent} has given no sign of life for {LOST_AFTER_S:.0f} s")
                    self._speak(error)
            except RuntimeError:
                error = _lost("the first one cannot be reached")
        if error is not None and not self._over.wait(LEAVE_S):
            with suppress(Exception):
                self.last_words(error.code, str(error))
            os._exit(error.code)

    def _silent(self, beats: dict[int, tuple[int, float]]) -> int | None:
        """The leader looks at all, a follower at the leader, so that the store is asked no more often than it must."""
        now = time.monotonic()
        for other in range(1, self.world) if self.rank == 0 else (0,):
            count = int(self._store.add(f"beat/{other}", 0))
            before, since = beats.get(other, (-1, now))
            beats[other] = (count, now if count != before else since)
            if self._needed and now - beats[other][1] > LOST_AFTER_S:
                return other
        return None


def _store(where: Place) -> Any:
    from torch.distributed.rendezvous import rendezvous

    try:
        return next(iter(rendezvous("env://", where.rank, where.world, timeout=timedelta(seconds=JOIN_S))))[0]
    except (RuntimeError, OSError) as error:
        raise Stopped(
            f"not all {where.world} processes of the training came together ({str(error).splitlines()[0]})",
            where=f"rank {where.rank} at {os.environ['MASTER_ADDR']}:{os.environ['MASTER_PORT']}",
            todo="Run the same command again; is the port free, and can the nodes reach each other?",
        ) from error


def _lost(how: str) -> Stopped:
    return Stopped(f"another process of the training was lost: {how}", todo="Run the same command again to go on.")


def _as_error(word: Mapping[str, Any]) -> LabwrightError:
    kind = _KINDS.get(word["code"], FaultError)
    return kind(word["what"], where=word["where"], todo=word["todo"])


def _broken_exchange(error: RuntimeError) -> bool:
    from torch.distributed import DistError

    text = str(error)
    # Two processes on one GPU are no broken exchange: that would fail the same way each time.
    return (isinstance(error, DistError) or "gloo" in text or "NCCL" in text) and "invalid usage" not in text.lower()


def _number(environment: Mapping[str, str], name: str) -> int:
    text = environment.get(name, "")
    if not text:
        raise _unset(name)
    if not text.isdecimal():
        raise CommandError(f"{text!r} is not a whole number", where=name, todo="It is set by torchrun, srun or the job script.")
    return int(text)


def _unset(name: str) -> CommandError:
    return CommandError(
        "it is not set", where=name, todo="Processes that train together are started by torchrun, or by srun in a job script."
    )


def _tasks_here(environment: Mapping[str, str]) -> int:
    """Slurm's count of tasks on this node, from a list such as ``2(x3),1``."""
    text = environment.get("SLURM_STEP_TASKS_PER_NODE") or environment.get("SLURM_TASKS_PER_NODE", "")
    counts = [int(count) for count, times in re.findall(r"(\d+)(?:\(x(\d+)\))?", text) for _ in range(int(times or 1))]
    node = _number(environment, "SLURM_NODEID")
    if node >= len(counts):
        raise _unset("SLURM_STEP_TASKS_PER_NODE")
    return counts[node]
