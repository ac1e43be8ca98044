#!/usr/bin/env bash
# End the cluster that SLURM_CONF names (see start.sh) with all its jobs, and remove its folder.
set -uo pipefail

folder=$(dirname "${SLURM_CONF:?names no cluster: eval the line that start.sh printed}")
case $folder in
  */labwright-slurm-*) ;;
  *) echo "$0: $folder was not made by start.sh; left alone" >&2; exit 1 ;;
esac

running() {
  for file in "$folder"/*.pid; do
    [ -f "$file" ] && kill -0 "$(cat "$file")" 2>/dev/null && return
  done
  return 1
}

timeout 5 scancel --user="$(id -un)" 2>/dev/null
for _ in $(seq 25); do
  [ -z "$(timeout 5 squeue --noheader 2>/dev/null)" ] && break
  sleep 0.2
done
for name in 'slurmd.*' slurmctld slurmdbd mariadbd munged; do
  for file in "$folder"/$name.pid; do
    [ -f "$file" ] && kill "$(cat "$file")" 2>/dev/null
  done
done
for _ in $(seq 50); do
  running || break
  sleep 0.2
done
rm -rf "$folder"
