"""A probe writes down what a login node tells: a site file that can be loaded, without a word that was made up."""

from __future__ import annotations

import getpass
import tempfile
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from labwright.launch.probe import Partition, Probed, gpus_of, minutes_of, partitions_of, pool_of, probe
from labwright.launch.probe_file import text
from labwright.launch.site import Site, load_site, unknowns
from labwright.runs import gpus
from labwright.testing.nvml import Device, FakeNvml
from labwright.testing.schedulers import Answer, Twins

SINFO = """\
cpuonly*|up|3-00:00:00|152|256000+|(null)|741
accelerated|up|2-00:00:00|152|512000|gpu:4|167
accelerated|up|2-00:00:00|152|1024000|gpu:full:4(S:0-1)|2
large|down|infinite|152|4096000|(null)|8
"""
CONFIG = """\
Configuration data as of 2026-11-21T04:23:55
AcctGatherEnergyType    = acct_gather_energy/xcc
BurstBufferType         =
MaxArraySize            = 1001
PreemptMode             = REQUEUE
PreemptType             = preempt/partition_prio
"""
RESERVATION = (
    "ReservationName=aihero-gpu StartTime=2026-11-21T08:00:00 EndTime=2026-11-23T20:00:00 Duration=2-12:00:00 Nodes=n[1-4] "
    "PartitionName=accelerated Flags=SPEC_NODES Users=(null) Accounts=hk-ai State=INACTIVE\n"
)


@pytest.fixture
def twins(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Twins:
    """A machine whose tools are twins only."""
    made = Twins(tmp_path / "bin")
    for tool in ("bash", "cat", "sleep", "flock"):
        for folder in ("/usr/bin", "/bin"):
            if Path(folder, tool).exists() and not (made.folder / tool).exists():
                (made.folder / tool).symlink_to(Path(folder, tool))
    monkeypatch.setenv("PATH", str(made.folder))
    for name in ("SCRATCH", "WORK", "MODULESHOME", "LMOD_CMD", "MODULEPATH"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("HOME", str(tmp_path / "home"))
    return made


def slurm(twins: Twins, *, sinfo: str = SINFO, accounts: str = "hk-bio|normal,high\nhk-ai|normal\n", default: str = "hk-bio") -> Twins:
    twins.answers("sinfo", sinfo)
    # The first call asks for associations, the second for the user.
    twins.answers("sacctmgr", accounts, f"{getpass.getuser()}|{default}\n")
    twins.answers("scontrol", CONFIG, RESERVATION)
    return twins


def written(folder: Path, found: Probed) -> Site:
    path = folder / "probed.yaml"
    path.write_text(text(found))
    return load_site(str(path))


def test_a_slurm_cluster_as_its_tools_tell_of_it(twins: Twins, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    slurm(twins)
    twins.answers("apptainer", "")
    (tmp_path / "scratch").mkdir()
    monkeypatch.setenv("SCRATCH", str(tmp_path / "scratch"))
    monkeypatch.setenv("MODULEPATH", "/opt/modules")
    found = probe()
    site = written(tmp_path, found)
    assert site.kind == "slurm"
    assert (site.queues["cpu"].partition, site.queues["gpu"].partition) == ("cpuonly", "accelerated")
    assert {queue.account for queue in site.queues.values()} == {"hk-bio"}
    assert site.queues["gpu"].resources.gpus == 1
    assert site.scratch == "$SCRATCH"
    assert unknowns(site) == []
    told = text(found)
    for line in (
        "#   accelerated: 169 nodes of 152 CPUs, 1073.7 GB, 4 GPUs; up to 2880 min",
        "#   large, not up: 8 nodes of 152 CPUs, 4294.9 GB; no time limit",
        "# Accounts: hk-bio, hk-ai; by default hk-bio",
        "#   aihero-gpu: partition accelerated, from 2026-11-21T08:00:00, to 2026-11-23T20:00:00, accounts hk-ai",
        "# Joules are counted (xcc), by node: `exclusive: true` in a queue makes them a job's own.",
        "# Jobs may be pre-empted (PreemptMode=REQUEUE); they go on where they were saved.",
        "# An array may have up to 1000 tasks (MaxArraySize).",
        '# container: {kind: apptainer, image: "docker://NAME@sha256:…", gpu: true}    here: apptainer',
        '# setup: ["module load …"]    there is a module system',
    ):
        assert line in told.splitlines()


def test_where_only_a_person_can_choose_it_says_unknown(twins: Twins, tmp_path: Path) -> None:
    slurm(twins, sinfo="a100|up|60|8|9000|gpu:4|1\nh100|up|60|8|9000|gpu:4|1\n", default="")
    found = probe()
    assert unknowns(written(tmp_path, found)) == [
        "queues.cpu.partition",
        "queues.cpu.account",
        "queues.gpu.partition",
        "queues.gpu.account",
    ]
    assert "    partition: unknown  # one of a100, h100\n" in text(found)
    assert "    account: unknown  # one of hk-bio, hk-ai\n" in text(found)


def test_nothing_is_asked_for_that_no_node_has(twins: Twins, tmp_path: Path) -> None:
    slurm(twins, sinfo="only*|up|30:00|2|8000|gpu:1|1\n")
    site = written(tmp_path, probe())
    asked = site.queues["cpu"].resources
    assert (asked.cpus, asked.minutes) == (2, 30)
    assert asked.memory_gb is not None
    assert asked.memory_gb * 1e9 <= 8000 * 2**20


def test_tools_that_give_no_answer_are_named(twins: Twins, tmp_path: Path) -> None:
    twins.answers("sinfo", SINFO)
    twins.answers("sacctmgr", Answer(complains="sacctmgr: error: Connection refused", code=1))
    twins.answers("scontrol", Answer("", "slurm_load_ctl_conf error: Unable to contact slurm controller", 1))
    found = probe()
    assert [line.partition(":")[0] for line in found.silent] == ["sacctmgr", "sacctmgr", "scontrol", "scontrol"]
    assert "# No answer from sacctmgr: sacctmgr: error: Connection refused" in text(found)
    site = written(tmp_path, found)
    assert site.queues["gpu"].partition == "accelerated"
    assert site.queues["gpu"].account == ""
    assert "joules" not in text(found)


def test_an_htcondor_pool_as_its_machines_advertise_themselves(twins: Twins, tmp_path: Path) -> None:
    twins.answers(
        "condor_status",
        "e1\t128\t515000\t0\ttrue\ttrue\tchtc.wisc.edu\n"
        "g1\t64\t256000\t4\ttrue\tundefined\tchtc.wisc.edu\n"
        "g1\t64\t256000\t4\ttrue\tundefined\tchtc.wisc.edu\n",
    )
    twins.answers("condor_config_val", "submit.wisc.edu\n")
    found = probe()
    assert found.pool is not None
    assert (found.pool.machines, found.pool.with_gpu, found.pool.with_docker, found.pool.with_apptainer) == (2, 1, 2, 1)
    site = written(tmp_path, found)
    assert (site.kind, site.shared_files, site.container.kind) == ("htcondor", False, "docker")
    assert unknowns(site) == ["container.image"]
    assert twins.calls("condor_status") == [
        ["-af:t", "Machine", "TotalCpus", "TotalMemory", "TotalGpus", "HasDocker", "HasSingularity", "FileSystemDomain"]
    ]


def test_a_pool_that_shares_files_needs_no_container() -> None:
    pool = pool_of("a\t8\t8000\t0\tundefined\tundefined\tlab\n", "lab")
    made = text(Probed("htcondor", "a", pool=pool))
    assert "shared_files: true" in made
    assert "container:" not in made
    assert "gpu:" not in made


def test_a_machine_without_a_scheduler(twins: Twins, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(gpus, "load", lambda: (FakeNvml(Device("GPU-a")), ""))
    (tmp_path / "home" / "nobackup").mkdir(parents=True)
    found = probe()
    site = written(tmp_path, found)
    assert (site.kind, site.scratch, unknowns(site)) == ("local", "$HOME/nobackup", [])
    assert "# GPUs here: Fake GPU-a." in text(found)


def test_without_partitions_the_partition_is_unknown(twins: Twins, tmp_path: Path) -> None:
    slurm(twins, sinfo="")
    assert unknowns(written(tmp_path, probe())) == ["queues.cpu.partition"]


@pytest.mark.parametrize(
    ("limit", "minutes"),
    [("infinite", None), ("30:00", 30), ("1:30:00", 90), ("2-00:00:00", 2880), ("1-12", 2160), ("45", 45), ("n/a", None), ("", None)],
)
def test_time_limits(limit: str, minutes: int | None) -> None:
    assert minutes_of(limit) == minutes


@pytest.mark.parametrize(
    ("gres", "count"),
    [("(null)", 0), ("gpu:4", 4), ("gpu:a100:4(S:0-1)", 4), ("gpu:a100:2,gpu:h100:3", 5), ("shard:8,gpu:1", 1), ("craynetwork:4", 0)],
)
def test_gpus_of_a_node(gres: str, count: int) -> None:
    assert gpus_of(gres) == count


@given(st.text())
def test_no_text_of_sinfo_breaks_the_probe(said: str) -> None:
    assert all(isinstance(one, Partition) for one in partitions_of(said))


@given(
    st.lists(st.from_regex(r"[A-Za-z0-9_.+-]{1,12}\*?", fullmatch=True) | st.sampled_from(["null", "true", "1e3", "007", "~"]), max_size=4),
    st.sampled_from(["gpu:2", "(null)"]),
)
def test_a_partition_of_any_name_makes_a_file_that_can_be_read(names: list[str], gres: str) -> None:
    found = Probed("slurm", "login", partitions_of("".join(f"{name}|up|60|4|8000|{gres}|2\n" for name in names)))
    with tempfile.TemporaryDirectory() as folder:
        site = written(Path(folder), found)
    assert {queue.partition for queue in site.queues.values()} - {"unknown"} <= {name.removesuffix("*") for name in names}
