#!/usr/bin/env bash
# Start a real Slurm of two virtual nodes on this machine, with accounting, and print the line that makes a shell use it:
#
#     eval "$(tests/slurm/start.sh)"    # now sbatch, squeue, sacct and the rest talk to it
#     tests/slurm/stop.sh               # ends it and removes every file of it
#
# Needs Debian's packages slurm-wlm, slurmdbd, munge and mariadb-server, and root. Nothing lies outside one temporary folder and
# all ports are free ones, so that several clusters may run side by side and one that was installed is not touched.
#
# Each node claims 152 processors, 4 GPUs and 500 GB, as those of HoreKa have, so that the sites which come with Labwright work as
# they are. Partitions: main, and low, which main pre-empts (requeue); accelerated and cpuonly (whole nodes) are named as HoreKa's are.
set -euo pipefail

export PATH="$PATH:/usr/sbin:/sbin"
folder=$(mktemp -d "${TMPDIR:-/tmp}/labwright-slurm-XXXXXX")
chmod 755 "$folder"
here=$(cd "$(dirname "$0")" && pwd)
trap 'SLURM_CONF="$folder/slurm.conf" "$here/stop.sh" >&2' ERR

user=$(id -un) host=$(hostname -s) gpus=4
socket=$folder/mysql/socket
mkdir -m 700 "$folder/munge"
mkdir "$folder/log" "$folder/state" "$folder/mysql"

wait_for() {
  for _ in $(seq 150); do
    timeout 5 "$@" >/dev/null 2>&1 && return
    sleep 0.2
  done
  echo "$0: did not come true within 30 s: $*; what the daemons wrote:" >&2
  tail -n 5 "$folder"/log/* >&2
  return 1
}

# All ports at once, each held until the last is known: else the same one could come twice.
ports=$(python3 - 4 <<'PYTHON'
import socket, sys
held = [socket.create_server(("127.0.0.1", 0)) for _ in range(int(sys.argv[1]))]
print(*(one.getsockname()[1] for one in held))
PYTHON
)
read -r controller accounting first second <<<"$ports"

# Who sends is proved by a key that only this cluster has.
(umask 077 && head -c 1024 /dev/urandom >"$folder/munge/key")
# --force: munged mistrusts a folder below one that all may write to, as /tmp is.
munged --force --num-threads=2 --socket="$folder/munge.socket" --key-file="$folder/munge/key" --pid-file="$folder/munged.pid" \
  --seed-file="$folder/munge/seed" --log-file="$folder/log/munged.log" 2>"$folder/log/munged.start"

# The database listens on a socket file only and knows the user by that user's process: neither port nor password.
mariadb-install-db --no-defaults --user="$user" --datadir="$folder/mysql" --auth-root-authentication-method=socket \
  --auth-root-socket-user="$user" --skip-test-db >"$folder/log/mariadb-install.log" 2>&1
setsid mariadbd --no-defaults --user="$user" --datadir="$folder/mysql" --socket="$socket" --pid-file="$folder/mariadbd.pid" \
  --skip-networking --innodb-buffer-pool-size=64M --innodb-lock-wait-timeout=900 --innodb-flush-log-at-trx-commit=0 \
  >"$folder/log/mariadb.log" 2>&1 </dev/null &
wait_for mariadb-admin --no-defaults --socket="$socket" ping
mariadb --no-defaults --socket="$socket" -e 'create database slurm_acct_db'

cat >"$folder/slurmdbd.conf" <<CONF
AuthType=auth/munge
AuthInfo=socket=$folder/munge.socket
DbdHost=localhost
DbdPort=$accounting
SlurmUser=$user
LogFile=$folder/log/slurmdbd.log
PidFile=$folder/slurmdbd.pid
StorageType=accounting_storage/mysql
StorageHost=localhost
StorageUser=$user
StorageLoc=slurm_acct_db
CONF
chmod 600 "$folder/slurmdbd.conf"

# cred_expire is also how long a requeued job waits before it may start again (120 s by default).
cat >"$folder/slurm.conf" <<CONF
ClusterName=twonodes
SlurmctldHost=$host(127.0.0.1)
SlurmctldPort=$controller
SlurmUser=$user
SlurmdUser=$user
AuthType=auth/munge
AuthInfo=socket=$folder/munge.socket,cred_expire=5
StateSaveLocation=$folder/state
SlurmdSpoolDir=$folder/spool.%n
SlurmctldPidFile=$folder/slurmctld.pid
SlurmdPidFile=$folder/slurmd.%n.pid
SlurmctldLogFile=$folder/log/slurmctld.log
SlurmdLogFile=$folder/log/slurmd.%n.log
MpiDefault=none
ProctrackType=proctrack/linuxproc
TaskPlugin=task/none
JobAcctGatherType=jobacct_gather/linux
JobAcctGatherFrequency=task=1
AcctGatherEnergyType=acct_gather_energy/none
SelectType=select/cons_tres
SelectTypeParameters=CR_Core_Memory
SchedulerType=sched/backfill
SchedulerParameters=batch_sched_delay=0,sched_interval=1,sched_min_interval=100000,bf_interval=1,bf_min_age_reserve=0
SlurmdParameters=config_overrides
SlurmdTimeout=60
ReturnToService=2
KillWait=2
MinJobAge=300
AccountingStorageType=accounting_storage/slurmdbd
AccountingStorageHost=localhost
AccountingStoragePort=$accounting
# The accounting client takes the path of the munge socket from here.
AccountingStoragePass=$folder/munge.socket
AccountingStorageTRES=gres/gpu
AccountingStorageEnforce=associations
GresTypes=gpu
PreemptType=preempt/partition_prio
PreemptMode=REQUEUE
PreemptExemptTime=00:00:00
NodeName=n1 NodeHostname=$host NodeAddr=127.0.0.1 Port=$first CPUs=152 RealMemory=500000 Gres=gpu:$gpus State=UNKNOWN
NodeName=n2 NodeHostname=$host NodeAddr=127.0.0.1 Port=$second CPUs=152 RealMemory=500000 Gres=gpu:$gpus State=UNKNOWN
PartitionName=DEFAULT Nodes=n1,n2 MaxTime=3-00:00:00 DefaultTime=10 DefMemPerCPU=500 State=UP
PartitionName=main Default=YES PriorityTier=10 PreemptMode=OFF
PartitionName=low PriorityTier=1 PreemptMode=REQUEUE
PartitionName=accelerated PriorityTier=10 PreemptMode=OFF
PartitionName=cpuonly PriorityTier=10 PreemptMode=OFF OverSubscribe=EXCLUSIVE
CONF

# CUDA_VISIBLE_DEVICES is set for device files only; these are further doors to /dev/null.
for number in $(seq 0 $((gpus - 1))); do mknod "$folder/gpu$number" c 1 3; done
echo "NodeName=n[1-2] Name=gpu File=$folder/gpu[0-$((gpus - 1))]" >"$folder/gres.conf"

export SLURM_CONF="$folder/slurm.conf"
MYSQL_UNIX_PORT="$socket" slurmdbd
wait_for sacctmgr -n list cluster
sacctmgr -i add cluster twonodes >/dev/null
sacctmgr -i add account lab >/dev/null
sacctmgr -i add user "$user" account=lab defaultaccount=lab adminlevel=admin >/dev/null
slurmctld
wait_for scontrol ping
for node in n1 n2; do
  mkdir "$folder/spool.$node"
  slurmd -N "$node"
done
wait_for sh -c '[ "$(sinfo --noheader --Node --partition=main --states=idle | wc -l)" = 2 ]'
echo "export SLURM_CONF=$folder/slurm.conf"
