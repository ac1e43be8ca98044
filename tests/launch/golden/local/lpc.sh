#!/usr/bin/env bash
# train: submitted as 20261121-101500-3f2a to lpc; by hand: bash train.sh
set -u
# Signals go on to the payload, which saves what it has and leaves with 75.
stop= child= caught=
hand_on() { stop="$stop $1" caught=1; [ -z "$child" ] || kill -USR1 "$child" 2>/dev/null; }
trap 'hand_on TERM' TERM
trap 'hand_on USR1' USR1
trap 'hand_on INT' INT
home=/srv/mara/colony/runs/train-1f6a0c92d3
run=$home
export X509_USER_PROXY="/tmp/x509up_u$UID"
mkdir -p "$HOME/nobackup/.apptainer/layers" "$HOME/nobackup/.apptainer/tmp" "$HOME/nobackup/.apptainer/home/.cache"
export APPTAINER_CACHEDIR="$HOME/nobackup/.apptainer/layers"
export APPTAINER_TMPDIR="$HOME/nobackup/.apptainer/tmp"
export SINGULARITY_CACHEDIR="$HOME/nobackup/.apptainer/layers"
export SINGULARITY_TMPDIR="$HOME/nobackup/.apptainer/tmp"
unset LD_PRELOAD PYTHONHOME PYTHONPATH
apptainer=$(command -v apptainer || command -v singularity) || {
  echo 'labwright: neither apptainer nor singularity is on PATH; a setup line of the site may load it' >&2
  exit 78
}
# The payload; a signal that came before it began is enough to leave it.
code=75
if [ -z "$stop" ]; then
  "$apptainer" exec --home "$HOME/nobackup/.apptainer/home" --bind "$PWD:/srv" --bind /cvmfs --bind "$HOME/nobackup" --bind "$HOME/nobackup/.apptainer" --bind /srv/mara/colony/runs --bind /uscms_data/hh4b --nv --env "TMPDIR=$HOME/nobackup/.apptainer/tmp" --env "XDG_CACHE_HOME=$HOME/nobackup/.apptainer/home/.cache" /cvmfs/unpacked.cern.ch/registry.hub.docker.com/chuyuanliu/heptools:ml /opt/labwright/bin/python3 -m labwright step "$run" &
  child=$!
  [ -z "$stop" ] || kill -USR1 "$child"
  code=127
  while :; do
    caught=
    wait "$child"; now=$?
    [ "$now" -eq 127 ] || code=$now
    [ "$now" -gt 128 ] && [ -n "$caught" ] || break
  done
  case $code in 130|138|143) [ -z "$stop" ] || code=75 ;; esac
fi
child=
exit "$code"
