"""The words of HTCondor's tools, for the twin pool: ``python -m labwright.testing.condor_tools POOL TOOL WORDS…``."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from labwright.testing.schedulers_condor import RUNNING, SLOT, Pool


def main(words: Sequence[str]) -> int:
    """One of the tools: the pool's folder, its name without ``condor_``, its words."""
    pool, tool, rest = Pool(Path(words[0])), words[1], list(words[2:])
    out = sys.stdout
    if tool in ("submit", "submit_dag"):
        path = Path(rest[-1]).absolute()
        try:
            cluster = pool.submit(path) if tool == "submit" else pool.submit_dag(path)
        except (OSError, ValueError) as error:
            sys.stderr.write(f"\nERROR: {error}\n")
            return 1
        count = len(pool.chosen([str(cluster)])) or 1
        out.write(f"Submitting job(s){'.' * count}\n{count} job(s) submitted to cluster {cluster}.\n")
    elif tool in ("q", "history"):
        out.write(_listed(pool, tool, rest))
    elif tool in ("rm", "hold", "release"):
        if not pool.ask(rest, tool):
            sys.stderr.write(f"Couldn't find/{tool} all jobs matching {' '.join(rest)}\n")
            return 1
        out.write(f"All jobs matching {' '.join(rest)} have been marked\n")
    else:
        id = next(word for word in rest if word[0].isdigit())
        folder = pool.chosen([id])[id]["folder"]
        if tool == "tail":
            out.write((Path(folder) / "_condor_stdout").read_text(encoding="utf-8"))
        else:
            # As ssh does it: a shell reads the words again.
            return subprocess.run(["sh", "-c", " ".join(rest[rest.index(id) + 1 :])], cwd=folder, check=False).returncode
    return 0


def _listed(pool: Pool, tool: str, words: Sequence[str]) -> str:
    """As JSON, the only form that is asked for of a new version."""
    wanted = words[words.index("-attributes") + 1].split(",")
    rows = []
    for id, row in pool.chosen([word for word in words if word[0].isdigit()], over=tool == "history").items():
        cluster, _, proc = id.partition(".")
        known: dict[str, Any] = {"ClusterId": int(cluster), "ProcId": int(proc), "JobStatus": row["status"]}
        known["LabwrightJob"] = row["ad"].get("+labwrightjob", "").strip('"')
        known |= {"HoldReason": row["reason"]} if row["reason"] else {}
        known |= {"RemoteHost": SLOT} if row["status"] == RUNNING else {}
        known |= {"ExitCode": row["exit_code"], "ExitBySignal": False} if row.get("exit_code") is not None else {}
        rows.append({name: value for name, value in known.items() if name in wanted})
    # With nothing to tell, older versions print nothing, and not an empty list.
    return json.dumps(rows, indent=2) + "\n" if rows else ""


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
