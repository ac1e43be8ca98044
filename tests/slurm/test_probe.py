"""A site that is probed on a real cluster can be read, and names what the cluster has."""

from __future__ import annotations

from pathlib import Path

import pytest

from labwright.launch.probe import probe
from labwright.launch.probe_file import text
from labwright.launch.site import load_site, unknowns
from tests.slurm.cluster import Cluster

pytestmark = pytest.mark.slurm


def test_a_probe_of_the_cluster(slurm: Cluster, tmp_path: Path) -> None:
    found = probe()
    assert found.silent == ()
    assert {"main", "low", "accelerated", "cpuonly"} <= {one.name for one in found.partitions}
    main = next(one for one in found.partitions if one.name == "main")
    assert (main.minutes, main.is_default, main.is_up) == (3 * 24 * 60, True, True)
    assert main.gpus > 0
    assert found.default_account == "lab"
    assert found.settings["PreemptMode"] == "REQUEUE"
    path = tmp_path / "probed.yaml"
    path.write_text(text(found))
    site = load_site(str(path))
    assert unknowns(site) == []
    assert (site.queues["gpu"].partition, site.queues["gpu"].account) == ("main", "lab")
    assert "# Slurm counts no joules here." in text(found)
