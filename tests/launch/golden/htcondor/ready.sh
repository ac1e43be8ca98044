#!/usr/bin/env bash
# DAGMan asks before it queues a job: 0 queue it, 1 it was cancelled, 3 its runs are complete.
cd "$(dirname "$0")" || exit 0
if [ -e cancelled ] || [ -e "cancelled.$1" ]; then exit 1; fi
[ -s "$1.tasks" ] || exit 0
while read -r run rest; do
  [ -e '/lab/mara/colony runs'/"$run"/done.json ] || exit 0
done <"$1.tasks"
exit 3
