"""Twins of HTCondor's tools, and a pool without daemons in which their jobs really run.

The tools (``condor_submit``, ``condor_submit_dag``, ``condor_q``, ``condor_history``, ``condor_rm``, ``condor_hold``, ``condor_release``,
``condor_tail``, ``condor_ssh_to_job``) keep a table of jobs in the pool's folder. :meth:`Pool.work` then does what schedd, shadow,
starter and DAGMan would: each job runs in a folder of its own, files go in and out by the rules of the manual, self-checkpoints are
kept, and every step is written to the event logs. Containers are not started: their jobs run beside the others.
"""

from __future__ import annotations

import fcntl
import json
import os
import shlex
import signal
import stat
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from labwright.testing import condor_events as events
from labwright.testing import condor_language as language
from labwright.testing.condor_starter import Ended, Starter

TOOLS = ("submit", "submit_dag", "q", "history", "rm", "hold", "release", "tail", "ssh_to_job")
IDLE, RUNNING, REMOVED, COMPLETED, HELD = 1, 2, 3, 4, 5
SLOT = "slot1@twin-1"
FIRST_CLUSTER = 4999
Evaluate = Callable[[str, Mapping[str, Any]], Any]
"""The value of a ClassAd expression among the attributes of a job."""
Mishap = Callable[[str, Path], str]
"""Called while a job runs, with its id and its folder; what it returns happens then: ``evict``, ``suspend``, ``disconnect`` or nothing."""
_Row = dict[str, Any]


class Pool:
    """A submit machine and one machine that works; jobs run one after another."""

    def __init__(self, folder: Path, evaluate: Evaluate | None = None) -> None:
        """``evaluate``: for :meth:`work`; HTCondor's own library has it."""
        self.folder = folder
        self._evaluate = evaluate
        for name in ("bin", "spool", "execute"):
            (folder / name).mkdir(parents=True, exist_ok=True)
        for tool in TOOLS:
            path = folder / "bin" / f"condor_{tool}"
            if not path.exists():
                words = [sys.executable, "-m", "labwright.testing.condor_tools", str(folder), tool]
                path.write_text(f'#!/bin/sh\nexec {shlex.join(words)} "$@"\n', encoding="utf-8")
                path.chmod(path.stat().st_mode | stat.S_IXUSR)

    # ---- What the tools do ----

    def submit(self, path: Path, notes: str = "", logs: Sequence[str] = ()) -> int:
        """Queue the jobs of a description; returns their cluster."""
        commands, rows = language.description(path)
        with self.table() as table:
            table["last"] = cluster = int(table["last"]) + 1
            for proc, row in enumerate(rows):
                ad = language.expanded(commands, row, cluster, proc)
                if "/" in ad["output"] and not Path(ad["output"]).parent.is_dir():
                    raise ValueError(f'Cannot open "{ad["output"]}"')
                made = {"ad": ad, "status": IDLE, "logs": [ad["log"], *logs], "completions": 0, "starts": 0, "reason": "", "asked": ""}
                table["jobs"][f"{cluster}.{proc}"] = made
        for proc in range(len(rows)):
            self.say(f"{cluster}.{proc}", events.submitted(notes))
        return cluster

    def submit_dag(self, path: Path) -> int:
        """Queue DAGMan for a DAG; returns its cluster."""
        nodes = {node.name: {"state": "waiting", "cluster": 0} for node in language.dag(path)}
        Path(f"{path}.condor.sub").write_text("# by the twin of condor_submit_dag\n", encoding="utf-8")
        with self.table() as table:
            table["last"] = cluster = int(table["last"]) + 1
            table["dags"][str(cluster)] = {"path": str(path), "nodes": nodes, "status": RUNNING}
        events.write([Path(f"{path}.dagman.log")], cluster, 0, events.submitted())
        events.write([Path(f"{path}.dagman.log")], cluster, 0, events.executing(SLOT, str(path.parent)))
        return cluster

    def chosen(self, words: Sequence[str], *, over: bool = False) -> dict[str, _Row]:
        """The jobs of ids and clusters, or all; those in the queue, or those that left it."""
        with self.table() as table:
            return {
                id: row
                for id, row in table["jobs"].items()
                if (row["status"] in (REMOVED, COMPLETED)) == over
                and (not words or any(id == word or id.partition(".")[0] == word for word in words))
            }

    def ask(self, words: Sequence[str], verb: str) -> int:
        """Remove, hold or release jobs; how many were found."""
        found = self.chosen(words)
        for id, row in found.items():
            if row["status"] == RUNNING:
                self.change(id, asked=verb)
            else:
                self._obey(id, verb)
        with self.table() as table:
            dags = [(cluster, dag) for cluster, dag in table["dags"].items() if cluster in words and dag["status"] == RUNNING]
        if verb == "rm":
            for cluster, dag in dags:
                self._end_dag(cluster, dag, events.aborted("via condor_rm (by user twin)"))
                self.ask([str(node["cluster"]) for node in dag["nodes"].values() if node["cluster"]], "rm")
        return len(found) + len(dags)

    # ---- What the daemons do ----

    def work(self, mishap: Mishap = lambda id, folder: "") -> None:
        """Run what is idle, and what DAGMan queues then, until nothing is left to do."""
        while self._order() or self._start_next(mishap):
            pass

    def say(self, id: str, event: tuple[int, str]) -> None:
        """Write an event to a job's logs."""
        cluster, _, proc = id.partition(".")
        with self.table() as table:
            logs = [Path(log) for log in table["jobs"][id]["logs"]]
        events.write(logs, int(cluster), int(proc), event)

    def change(self, id: str, **values: Any) -> None:
        """Set values of a job's row."""
        with self.table() as table:
            table["jobs"][id].update(values)

    @contextmanager
    def table(self) -> Iterator[dict[str, Any]]:
        """The table of jobs, for one process at a time; what is changed in the block is kept."""
        path = self.folder / "table.json"
        with (self.folder / "lock").open("w") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX)
            empty = {"last": FIRST_CLUSTER, "jobs": {}, "dags": {}}
            table = json.loads(path.read_text(encoding="utf-8")) if path.exists() else empty
            yield table
            path.write_text(json.dumps(table, indent=1), encoding="utf-8")

    def _start_next(self, mishap: Mishap) -> bool:
        idle = {id: row for id, row in self.chosen(()).items() if row["status"] == IDLE}
        if not idle:
            return False
        # Who had its turn goes behind, so that one that waits for another does not wait for ever.
        id = min(idle, key=lambda one: (idle[one]["starts"], *map(int, one.split("."))))
        with self.table() as table:
            row = table["jobs"][id]
            row["starts"] += 1
            starts, ad = row["starts"], row["ad"]
        starter = Starter(ad, self.folder / "execute" / f"{id}-{starts}", self.folder / "spool" / id)
        if missing := starter.bring_in():
            self._hold(id, f"Transfer input files failure: {missing}", 13, 2)
            return True
        if starter.travels:
            self.say(id, events.transfer("Started", "input"))
            self.say(id, events.transfer("Finished", "input"))
        self.change(id, status=RUNNING, asked="", folder=str(starter.folder))
        self.say(id, events.executing(SLOT, str(starter.folder)))
        self._after(id, starter, self._watch(id, starter, mishap))
        return True

    def _watch(self, id: str, starter: Starter, mishap: Mishap) -> Ended | str:
        """Wait for a job; how it ended, or what ended it."""
        while True:
            process = starter.start(SLOT)
            while process.poll() is None:
                with self.table() as table:
                    asked = table["jobs"][id]["asked"]
                word = asked or mishap(id, starter.folder)
                if word in ("suspend", "disconnect"):
                    self._interrupt(id, word, process)
                elif word:
                    starter.kill(process, signal.SIGKILL)
                    return word
                time.sleep(0.02)
            ended = starter.ended(process)
            # A job may have had its mishap in its very last moment, or by its own hand.
            if word := mishap(id, starter.folder):
                return word
            if not starter.is_checkpoint(ended):
                return ended
            starter.keep_checkpoint()

    def _interrupt(self, id: str, word: str, process: subprocess.Popen[bytes]) -> None:
        if word == "suspend":
            os.killpg(process.pid, signal.SIGSTOP)
            self.say(id, events.suspended())
            os.killpg(process.pid, signal.SIGCONT)
            self.say(id, events.unsuspended())
        else:
            self.say(id, events.disconnected("Socket between submit and execute hosts closed unexpectedly", SLOT))
            self.say(id, events.reconnected(SLOT))

    def _after(self, id: str, starter: Starter, ended: Ended | str) -> None:
        if isinstance(ended, str):
            starter.forget()
            self.change(id, status=IDLE)
            if ended == "evict":
                self.say(id, events.evicted())
            else:
                self._obey(id, ended)
            return
        if missing := starter.bring_home():
            self._hold(id, f"Transfer output files failure: {missing}", 12, 2)
            return
        starter.forget()
        with self.table() as table:
            row = table["jobs"][id]
            row["completions"] += 1
            by_signal = ended.code is None
            facts = {"ExitBySignal": by_signal, "NumJobCompletions": row["completions"]}
            facts |= {"ExitSignal": ended.signal} if by_signal else {"ExitCode": ended.code}
            row.update(exit_code=ended.code, exit_signal=ended.signal)
            ad = row["ad"]
        if self._is_true(ad.get("on_exit_hold", "False"), facts):
            reason = self._value(ad["on_exit_hold_reason"], facts)
            self._hold(id, str(reason), 3, int(self._value(ad.get("on_exit_hold_subcode", "0"), facts)))
        elif self._is_true(ad.get("on_exit_remove", "True"), facts):
            self.change(id, status=COMPLETED)
            self.say(id, events.terminated(ended.code, ended.signal))
        else:
            self.change(id, status=IDLE)
            self.say(id, events.requeued(ended.code, ended.signal))

    def _hold(self, id: str, reason: str, code: int, subcode: int) -> None:
        self.change(id, status=HELD, reason=reason)
        self.say(id, events.held(reason, code, subcode))

    def _obey(self, id: str, verb: str) -> None:
        if verb == "hold":
            self._hold(id, "via condor_hold (by user twin)", 1, 0)
        elif verb == "release":
            with self.table() as table:
                was_held = table["jobs"][id]["status"] == HELD
            if was_held:
                self.change(id, status=IDLE, reason="")
                self.say(id, events.released("via condor_release (by user twin)"))
        else:
            self.change(id, status=REMOVED)
            self.say(id, events.aborted("via condor_rm (by user twin)"))

    def _is_true(self, expression: str, facts: Mapping[str, Any]) -> bool:
        return self._value(expression, facts) is True

    def _value(self, expression: str, facts: Mapping[str, Any]) -> Any:
        if self._evaluate is None:
            raise RuntimeError("this pool was made without a way to evaluate expressions")
        return self._evaluate(expression, facts)

    # ---- What DAGMan does ----

    def _order(self) -> bool:
        """Let each DAG go on by what became of its nodes; whether anything was done."""
        with self.table() as table:
            living = {cluster: dag for cluster, dag in table["dags"].items() if dag["status"] == RUNNING}
        changed = [self._go_on(cluster, dag) for cluster, dag in living.items()]
        return any(changed)

    def _go_on(self, cluster: str, dag: dict[str, Any]) -> bool:
        path, states, changed = Path(dag["path"]), dag["nodes"], False
        for node in language.dag(path):
            state = states[node.name]
            if state["state"] == "queued":
                state["state"] = now = self._outcome(state["cluster"])
                changed |= now != "queued"
            elif state["state"] == "waiting" and all(states[parent]["state"] == "done" for parent in node.parents):
                state["state"] = self._queue_node(node, path, state)
                changed = True
        with self.table() as table:
            table["dags"][cluster]["nodes"] = states
        if any(state["state"] == "queued" for state in states.values()) or changed:
            return changed
        failed = any(state["state"] != "done" for state in states.values())
        self._end_dag(cluster, dag, events.terminated(1 if failed else 0))
        return True

    def _queue_node(self, node: language.Node, path: Path, state: dict[str, Any]) -> str:
        nodes_log = Path(f"{path}.nodes.log")
        if node.pre:
            code = subprocess.run(node.pre, cwd=path.parent, check=False).returncode
            if code == node.skip:
                events.write([nodes_log], 0, 0, events.skipped(node.name))
                return "done"
            if code:
                return "failed"
        state["cluster"] = self.submit(node.description, f"DAG Node: {node.name}", [str(nodes_log)])
        return "queued"

    def _outcome(self, cluster: int) -> str:
        over, living = self.chosen([str(cluster)], over=True), self.chosen([str(cluster)])
        if any(row["status"] == REMOVED or row.get("exit_code") != 0 for row in over.values()):
            # DAGMan removes the rest of a cluster of which one job has failed.
            self.ask([str(cluster)], "rm")
            return "failed"
        return "queued" if living else "done"

    def _end_dag(self, cluster: str, dag: Mapping[str, Any], event: tuple[int, str]) -> None:
        with self.table() as table:
            table["dags"][cluster]["status"] = REMOVED if event[0] == 9 else COMPLETED
        events.write([Path(f"{dag['path']}.dagman.log")], int(cluster), 0, event)
