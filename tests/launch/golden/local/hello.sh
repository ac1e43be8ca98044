#!/usr/bin/env bash
# hello: submitted as 20261121-101500-3f2a to generic-server; by hand: bash hello.sh
set -u
# Signals go on to the payload, which saves what it has and leaves with 75.
stop= child= caught=
hand_on() { stop="$stop $1" caught=1; [ -z "$child" ] || kill -USR1 "$child" 2>/dev/null; }
trap 'hand_on TERM' TERM
trap 'hand_on USR1' USR1
trap 'hand_on INT' INT
home=/srv/mara/colony/runs/hello-20261121
run=$home
# The payload; a signal that came before it began is enough to leave it.
code=75
if [ -z "$stop" ]; then
  /opt/labwright/bin/python -m labwright hello "$run" &
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
