#!/usr/bin/env bash
# train: submitted as 20261121-101500-3f2a to generic-server; by hand: bash train.sh
ranks() {
  local rank pids=() one told= code=0
  export WORLD_SIZE=2 LOCAL_WORLD_SIZE=2 MASTER_ADDR=127.0.0.1
  MASTER_PORT=$(/opt/host/bin/python -c 'import socket; free = socket.create_server(("127.0.0.1", 0)); print(free.getsockname()[1])'); export MASTER_PORT
  trap 'told=yes; kill -USR1 "${pids[@]}" 2>/dev/null' TERM USR1 INT
  for ((rank = 0; rank < WORLD_SIZE; rank++)); do
    RANK=$rank LOCAL_RANK=$rank "$@" &
    pids+=("$!"); [ -z "$told" ] || kill -USR1 "$!"
  done
  for rank in "${!pids[@]}"; do
    while :; do
      told=
      wait "${pids[rank]}"; one=$?
      [ -n "$told" ] || break
    done
    ((one > code)) && code=$one
  done
  return "$code"
}
set -u
# Signals go on to the payload, which saves what it has and leaves with 75.
stop= child= caught=
hand_on() { stop="$stop $1" caught=1; [ -z "$child" ] || kill -USR1 "$child" 2>/dev/null; }
trap 'hand_on TERM' TERM
trap 'hand_on USR1' USR1
trap 'hand_on INT' INT
home=/srv/mara/colony/runs/train-1f6a0c92d3
run=$home
export LABWRIGHT_STOP_AFTER_S=3420
# The payload; a signal that came before it began is enough to leave it.
code=75
if [ -z "$stop" ]; then
  ranks /opt/labwright/bin/python -m labwright step "$run" &
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
