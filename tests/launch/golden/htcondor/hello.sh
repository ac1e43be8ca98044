#!/usr/bin/env bash
# hello: submission 20261121-101500-3f2a to pool; HTCondor calls it with a run's name and what to do of it
set -u
# Signals go on to the payload, which saves what it has and leaves with 75.
stop= child= caught=
hand_on() { stop="$stop $1" caught=1; [ -z "$child" ] || kill -USR1 "$child" 2>/dev/null; }
trap 'hand_on TERM' TERM
trap 'hand_on USR1' USR1
trap 'hand_on INT' INT
export USER="${USER:-$(id -un)}" HOME=${HOME:-~}
name=$1
shift
cd "$_CONDOR_SCRATCH_DIR" || exit 70
echo $$ >pid
home=$PWD/$name
run=$home
rm -rf "$home/jobs"
export HOME="$_CONDOR_SCRATCH_DIR"
mkdir -p "$_CONDOR_SCRATCH_DIR/labwright/cache" "$_CONDOR_SCRATCH_DIR/labwright/tmp"
export XDG_CACHE_HOME="$_CONDOR_SCRATCH_DIR/labwright/cache"
export TMPDIR="$_CONDOR_SCRATCH_DIR/labwright/tmp"
# The payload; a signal that came before it began is enough to leave it.
code=75
if [ -z "$stop" ]; then
  python3 -m labwright hello "$run" "$@" &
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
if [ "$code" -eq 75 ] && [ -e cancelled ]; then code=130; fi
exit "$code"
