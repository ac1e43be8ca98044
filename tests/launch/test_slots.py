"""A GPU belongs to one job at a time, whoever started it; what a scheduler gave is narrowed at most; a busy GPU is named with its user."""

from __future__ import annotations

import getpass
import os
import signal
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from labwright.launch import slots
from labwright.launch.slots import Slot, supply, take_cpu, take_gpus, visible_to
from labwright.runs import gpus
from labwright.runs.errors import CommandError, MissingError
from labwright.testing.nvml import Device, FakeNvml

Machine = Callable[..., FakeNvml]


@pytest.fixture
def machine(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Machine:
    """A machine with GPUs, each with a device file; some are used by processes."""
    monkeypatch.setattr(slots, "DEVICE", str(tmp_path / "nvidia"))
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / "state"))

    def made(count: int, **users: int) -> FakeNvml:
        nvml = FakeNvml(*(Device(f"GPU-{index}", pids=(users[f"gpu{index}"],) if f"gpu{index}" in users else ()) for index in range(count)))
        monkeypatch.setattr(gpus, "load", lambda: (nvml, ""))
        for index in range(count):
            (tmp_path / f"nvidia{index}").touch()
        return nvml

    return made


def taken(count: int, by_hand: tuple[int, ...] = (), **environment: str) -> tuple[str, ...] | str:
    """The GPUs that a job gets, or why it gets none; they stay taken."""
    slot = take_gpus(supply(by_hand, environment), count)
    return slot.gpus if isinstance(slot, Slot) else slot


def test_gpus_that_nobody_uses_are_taken_once(machine: Machine) -> None:
    machine(3)
    assert taken(2) == ("GPU-0", "GPU-1")
    assert taken(2) == "GPU 0 is taken by another job; GPU 1 is taken by another job"
    assert taken(1) == ("GPU-2",), "what was not enough for two is free for one"


def test_a_gpu_that_somebody_uses_is_left_alone(machine: Machine) -> None:
    machine(2, gpu0=os.getpid())
    assert taken(1) == ("GPU-1",)
    assert taken(1) == f"GPU 0 is used by process {os.getpid()} of {getpass.getuser()}; GPU 1 is taken by another job"


def test_a_user_that_cannot_be_seen_is_still_a_user(machine: Machine) -> None:
    machine(1, gpu0=2**22 + 1)
    assert taken(1) == f"GPU 0 is used by process {2**22 + 1} of somebody who cannot be seen from here"


def test_gpus_named_by_hand(machine: Machine) -> None:
    machine(4, gpu3=os.getpid())
    assert taken(1, (1, 2)) == ("GPU-1",)
    with pytest.raises(CommandError, match=r"no GPU 7 to take.*GPU 0, GPU 1, GPU 2 and GPU 3"):
        supply((7,), {})
    with pytest.raises(MissingError, match=f"GPU 3 is used by process {os.getpid()} of {getpass.getuser()}"):
        slots.refuse_busy(supply((2, 3), {}))
    slots.refuse_busy(supply((1, 2), {}))


def test_what_a_scheduler_gave_is_all_there_is(machine: Machine) -> None:
    machine(4)
    found = supply((), {"CUDA_VISIBLE_DEVICES": "3,1", "SLURM_JOB_ID": "7"})
    assert [device.word for device in found.devices] == ["3", "1"]
    one = take_gpus(found, 1)
    assert isinstance(one, Slot)
    assert visible_to(one, found) == {"CUDA_VISIBLE_DEVICES": "3"}
    one.let_go()
    both = take_gpus(found, 2)
    assert isinstance(both, Slot)
    assert visible_to(both, found) == {}, "what was given stays as it was written"
    assert visible_to(Slot(()), found) == {}
    with pytest.raises(CommandError, match="no GPU 0 to take"):
        supply((0,), {"CUDA_VISIBLE_DEVICES": "3,1"})


@pytest.mark.parametrize("granted", ["", "NoDevFiles", "9"])
def test_a_scheduler_that_gave_no_gpu_is_believed(machine: Machine, granted: str) -> None:
    machine(2)
    assert supply((), {"CUDA_VISIBLE_DEVICES": granted}).devices == ()


@pytest.mark.parametrize("sign", slots.SCHEDULERS)
def test_in_a_job_without_a_word_of_gpus_they_are_taken_by_hand_only(machine: Machine, sign: str) -> None:
    machine(2)
    assert "gave this job no GPU" in taken(1, (), **{sign: "1"})
    assert taken(1, (1,), **{sign: "1"}) == ("GPU-1",)


def test_a_slice_of_a_gpu_is_what_was_given(machine: Machine) -> None:
    machine(1)
    assert taken(1, (), CUDA_VISIBLE_DEVICES="MIG-5c") == ("MIG-5c",)
    assert taken(1, (), CUDA_VISIBLE_DEVICES="MIG-5c") == "GPU MIG-5c is taken by another job"


def test_without_nvml_gpus_are_taken_by_hand_only(machine: Machine, monkeypatch: pytest.MonkeyPatch) -> None:
    machine(2)
    monkeypatch.setattr(gpus, "load", lambda: (None, "the package nvidia-ml-py is not installed"))
    assert taken(1) == "the package nvidia-ml-py is not installed"
    assert taken(1, (1,)) == ("1",)
    with pytest.raises(CommandError, match="no GPU 5"):
        supply((5,), {})


def test_jobs_are_shown_their_own_gpus_only(machine: Machine) -> None:
    machine(2)
    found = supply((), {})
    assert visible_to(Slot((), ("GPU-1",)), found) == {"CUDA_VISIBLE_DEVICES": "GPU-1"}
    assert visible_to(Slot(()), found) == {"CUDA_VISIBLE_DEVICES": ""}
    machine(0)
    assert visible_to(Slot(()), supply((), {})) == {}


def test_a_slot_is_held_by_the_script_and_not_by_the_queue(machine: Machine) -> None:
    machine(1)
    found = supply((), {})
    slot = take_gpus(found, 1)
    assert isinstance(slot, Slot)
    words = [sys.executable, "-c", "import sys; sys.stdin.read()"]
    with subprocess.Popen(words, stdin=subprocess.PIPE, pass_fds=slot.descriptors) as script:
        slot.let_go()
        assert take_gpus(found, 1) == "GPU 0 is taken by another job"
        script.send_signal(signal.SIGKILL)
    assert taken(1) == ("GPU-0",)


def test_slots_without_a_gpu_are_counted_for_all_queues_of_a_user(
    machine: Machine, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    first, second = take_cpu(2), take_cpu(2)
    assert isinstance(first, Slot)
    assert isinstance(second, Slot)
    assert take_cpu(2) == "all 2 slots of this machine are taken"
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / "other user"))
    assert isinstance(take_cpu(1), Slot)
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / "state"))
    first.let_go()
    assert isinstance(take_cpu(2), Slot)
