#!/usr/bin/env bash
# Tests the scripts of this folder in a temporary Slurm of one node: as root, without systemd, in a separate network and
# process namespace. Every federation must end with the encoder that 'fedsim run' makes with the same number of clients.
# Stops at the first failure and then keeps its folder. With arguments, runs them as a command in that Slurm instead.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/../.."

fail() {
  echo "tryslurm: $*" >&2
  exit 3
}

((EUID == 0)) || fail 'needs root, to install Slurm and to run its daemons: make build, then sudo make tryslurm'

install_missing() {
  local tool missing=()
  local -A package=(
    [slurmctld]=slurm-wlm [slurmd]=slurm-wlm [sbatch]=slurm-wlm [munged]=munge [mpirun]=openmpi-bin
    [ssh]=openssh-client [ip]=iproute2)
  for tool in "${!package[@]}"; do
    command -v "$tool" >/dev/null || missing+=("${package[$tool]}")
  done
  ((${#missing[@]} == 0)) && return
  export DEBIAN_FRONTEND=noninteractive
  apt-get update --quiet --quiet
  apt-get install --yes --quiet --quiet --no-install-recommends "${missing[@]}" >/dev/null
}

# Separate mounts, processes, host name and network, which disappear when the script ends.
if [[ ! -v TRYSLURM_INSIDE ]]; then
  install_missing
  # Nothing here reads standard input, but a command may.
  (($# > 0)) || exec </dev/null
  exec unshare --mount --mount-proc --pid --net --uts --fork --kill-child \
    env TRYSLURM_INSIDE=1 bash deploy/slurm/try-slurm.sh "$@"
fi

for program in fedserver fedclient fedsim; do
  [[ -x .build/release/$program ]] || fail "there is no .build/release/$program: make build comes first"
done
PATH=$PWD/.build/release:$PATH
readonly scripts=$PWD/deploy/slurm plan=$PWD/deploy/plans/cluster.yaml data=shapes:800 clients=4
place=$(mktemp --directory --tmpdir strata-tryslurm.XXXXXX)
readonly place node=strata-try address=192.0.2.1
readonly SLURM_CONF=$place/slurm.conf
# mpirun rejects root, and needs a network; this one has only the loopback device.
readonly OMPI_ALLOW_RUN_AS_ROOT=1 OMPI_ALLOW_RUN_AS_ROOT_CONFIRM=1 OMPI_MCA_oob_tcp_if_include=lo
export PATH SLURM_CONF OMPI_ALLOW_RUN_AS_ROOT OMPI_ALLOW_RUN_AS_ROOT_CONFIRM OMPI_MCA_oob_tcp_if_include

check() { # WORDS COMMAND...
  local words=$1
  shift
  if ! "$@"; then
    printf 'FAILED  %s\n        %s\n        see %s\n' "$words" "$*" "$place" >&2
    tail --lines=15 "$place"/*.log "$place"/jobs/*.log >&2 2>/dev/null || true
    exit 1
  fi
  echo "ok      $words"
}

says() { grep --quiet -- "$1" "$2"; }
is_same() { [[ -n $1 && $1 == "$2" ]]; }
# A command that hangs has failed.
limited() { timeout 300 "$@"; }

# Uses an address reserved for documentation, so that nothing leaves the machine. Slurm finds no addresses at all if
# there are only those of 127.0.0.0/8.
make_network() {
  ip link set lo up
  ip address add "$address/32" dev lo
  hostname "$node"
  printf '127.0.0.1 localhost\n%s %s\n' "$address" "$node" >"$place/hosts"
  mount --bind "$place/hosts" /etc/hosts
}

start_munge() {
  # Munge requires its socket in a place that all users can reach.
  chmod 755 "$place"
  mkdir --mode=700 "$place/munge"
  mkdir --mode=755 "$place/run"
  (umask 077 && head --bytes=1024 /dev/urandom >"$place/munge/key")
  munged --key-file="$place/munge/key" --socket="$place/run/munge.socket" --pid-file="$place/run/munged.pid" \
    --log-file="$place/munge/munged.log" --seed-file="$place/munge/seed"
}

# The node claims eight processors, whatever it has: enough for four clients and the other tests.
configure() {
  mkdir "$place/state" "$place/spool" "$place/jobs"
  cat >"$SLURM_CONF" <<END
ClusterName=strata-try
SlurmctldHost=$node($address)
SlurmUser=root
AuthType=auth/munge
AuthInfo=socket=$place/run/munge.socket
StateSaveLocation=$place/state
SlurmdSpoolDir=$place/spool
SlurmctldPidFile=$place/run/slurmctld.pid
SlurmdPidFile=$place/run/slurmd.pid
SlurmctldLogFile=$place/slurmctld.log
SlurmdLogFile=$place/slurmd.log
ProctrackType=proctrack/linuxproc
TaskPlugin=task/none
SelectType=select/cons_tres
SelectTypeParameters=CR_CPU
SlurmdParameters=config_overrides
MpiDefault=none
NodeName=$node NodeAddr=$address CPUs=8 State=UNKNOWN
PartitionName=all Nodes=ALL Default=YES MaxTime=30 State=UP
END
}

# Jobs can be submitted as soon as the controller answers; they wait for the node.
answers() {
  local turn
  for ((turn = 0; turn < 100; turn++)); do
    scontrol ping 2>/dev/null | grep --quiet UP && return
    sleep 0.1
  done
  return 1
}

# KIND: prints the encoder of a simulation with the same number of clients.
simulated() {
  local out=$place/simulated-${1//:/-}
  [[ -d $out ]] ||
    fedsim run "$plan" --clients "$clients" --data "$data" --partition "$1" --out "$out" >"$out.log" 2>&1
  sed -n 's/.*"encoderDigest" *: *"\([0-9a-f]*\)".*/\1/p' "$out/summary.json"
}

# Checks that each image is on one client, by the number of images in each part of a round; the encoder shows that they
# are the right ones.
images() {
  grep --no-filename 'stage 1 round 1: trained on' "$@" | sed 's/.*trained on \([0-9]*\) images.*/\1/' |
    awk '{ sum += $1 } END { print sum + 0 " in " NR " shares" }'
}

# WORDS DATABASE ENCODER KIND LOG...: checks the results of a federation.
check_federation() {
  local words=$1 database=$2 encoder=$3 kind=$4
  shift 4
  check "$words: the shares are all images" is_same "$(images "$@")" "${data#*:} in $clients shares"
  check "$words: all rounds are committed, of all clients" is_same \
    "$(grep --count --extended-regexp 'round [0-9]+ is committed: 4 clients' "$database")" 6
  check "$words: the encoder is that of fedsim --partition $kind" is_same "$encoder" "encoder $(simulated "$kind")"
}

# LAUNCHER KIND VARIABLE: runs a job with a server and clients, which read their index from the variable.
try_job() {
  local launcher=$1 kind=$2 variable=$3 job folder
  job=$(cd "$place/jobs" && STRATA_LAUNCHER=$launcher limited sbatch --parsable --wait --ntasks="$clients" \
    "$scripts/federation.sbatch" "$plan" "$data" "$kind") || check "a job with $launcher" false
  folder=$place/jobs/strata-$job
  check "a job with $launcher: its clients know their places by $variable" says \
    "client-3: share 3/4, $kind, by $variable" "$folder.log"
  check_federation "a job with $launcher, $kind" "$folder/server.log" "$(cat "$folder/encoder")" "$kind" "$folder.log"
}

# Runs a server outside Slurm, under the node's name, and an array of clients.
try_array() {
  local folder=$place/jobs/array name server
  mkdir "$folder"
  cd "$folder"
  fedserver certificate authority --tls tls >/dev/null
  fedserver certificate server "$node" --tls tls >/dev/null
  for name in client-{0..3}; do fedserver certificate client "$name" --tls tls --out "clients/$name" >/dev/null; done
  limited fedserver run "$plan" --listen 0.0.0.0:7400 --database strata.sqlite --tls tls >encoder 2>server.log &
  server=$!
  check 'an array: its jobs end well' limited sbatch --wait --array=1-7:2 "$scripts/clients.sbatch" \
    "$node:7400" "$folder/clients" "$data"
  check 'an array: the server ends well' wait "$server"
  check 'an array: its clients have their shares' says 'client-3: share 3/4, even, from SLURM_ARRAY_TASK_ID' \
    strata-client-*_7.log
  check_federation 'an array' server.log "$(cat encoder)" even strata-client-*.log
  cd "$OLDPWD"
}

# Runs without Slurm, as in docs/schedulers.md.
try_mpirun() {
  local folder=$place/jobs/mpirun server
  mkdir "$folder"
  cd "$folder"
  limited fedserver run "$plan" --database strata.sqlite >encoder 2>server.log &
  server=$!
  check 'mpirun: the clients end well' limited mpirun --oversubscribe -n "$clients" \
    fedclient run --server 127.0.0.1:7400 --data "$data" --partition auto --state states --threads 1 2>clients.log
  check 'mpirun: the server ends well' wait "$server"
  check_federation mpirun server.log "$(cat encoder)" even clients.log
  cd "$OLDPWD"
}

# A process started by the batch script is not a task of the job, although SLURM_PROCID is 0.
try_without_srun() {
  local code=0
  cd "$place/jobs"
  limited sbatch --wait --ntasks="$clients" --output=lone.log --wrap \
    "fedclient run --server 127.0.0.1:7400 --data $data --partition auto" >/dev/null || code=$?
  check 'a client without srun is rejected' is_same "$code" 64
  check 'it says why' says 'SLURM_STEP_ID is not set' lone.log
  cd "$OLDPWD"
}

# The job ends when the server does, and no client keeps waiting.
try_bad_plan() {
  local code=0
  cd "$place/jobs"
  limited sbatch --wait --ntasks="$clients" --output=bad.log "$scripts/federation.sbatch" /nowhere.yaml "$data" \
    >/dev/null || code=$?
  check 'a job whose plan is missing ends with the code of the server' is_same "$code" 2
  check 'its log says why' says '/nowhere.yaml' bad.log
  cd "$OLDPWD"
}

make_network
start_munge
configure
slurmctld
slurmd
check 'a Slurm of one node answers' answers
if (($# > 0)); then
  code=0
  "$@" || code=$?
  rm -rf "$place"
  exit "$code"
fi
try_without_srun
try_bad_plan
try_job srun even SLURM_STEP_ID
SLURM_MPI_TYPE=pmi2 try_job srun sorted:2 PMI_RANK
try_job mpirun dirichlet:0.5 OMPI_COMM_WORLD_RANK
try_array
try_mpirun
rm -rf "$place"
echo 'tryslurm: all is well'
