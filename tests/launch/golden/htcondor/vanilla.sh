#!/usr/bin/env bash
# pack: submission 20261121-101500-3f2a to lab; HTCondor calls it with a run's name and what to do of it
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
home=/lab/mara/colony/runs/$name
run=$home
export LABWRIGHT_STOP_AFTER_S=5220
mkdir -p "/scratch/$USER/labwright/cache" "/scratch/$USER/labwright/tmp"
export XDG_CACHE_HOME="/scratch/$USER/labwright/cache"
export TMPDIR="/scratch/$USER/labwright/tmp"
# The payload; a signal that came before it began is enough to leave it.
code=75
if [ -z "$stop" ]; then
  /opt/labwright/bin/python -m labwright step "$run" "$@" &
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
if [ "$code" -eq 75 ] && [ -z "$stop" ] && [ "$SECONDS" -lt 60 ]; then sleep 60; fi
exit "$code"
