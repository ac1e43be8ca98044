"""The process tree is found whole, and its CPU time holds what ended children used."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager

import psutil

from labwright.runs import processes

WITH_CHILD = """
import subprocess, sys, threading
child = []
def start():
    child.append(subprocess.Popen([sys.executable, "-c", "import sys; sys.stdin.read()"], stdin=sys.stdin))
    print(child[0].pid, flush=True)
    child[0].wait()
thread = threading.Thread(target=start)  # a child of a thread belongs to the tree too
thread.start()
thread.join()
"""
BURN = "import time\nwhile time.process_time() < 0.3: pass"


@contextmanager
def family() -> Iterator[tuple[int, int]]:
    """A child and its child, until the block is left."""
    with subprocess.Popen([sys.executable, "-c", WITH_CHILD], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as child:
        assert child.stdout is not None
        yield child.pid, int(child.stdout.readline())
        assert child.stdin is not None
        child.stdin.close()


def test_the_tree_holds_children_and_grandchildren_as_psutil_finds_them() -> None:
    with family() as (child, grandchild):
        found = processes.tree()
        assert found[0] == os.getpid()
        assert {child, grandchild} <= set(found)
        assert set(found) == {os.getpid(), *(one.pid for one in psutil.Process().children(recursive=True))}
        assert {use.pid for use in processes.uses(found)} == set(found)
    assert child not in processes.tree()


def test_cpu_time_of_an_ended_child_stays_counted() -> None:
    cpu = processes.CpuTime()
    before = cpu.seconds()
    subprocess.run([sys.executable, "-c", BURN], check=True)
    assert cpu.seconds() - before >= 0.28


def test_cpu_time_never_goes_back() -> None:
    cpu = processes.CpuTime()
    with family():
        living = cpu.seconds()
    assert cpu.seconds() >= living
