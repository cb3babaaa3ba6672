#!/usr/bin/env bash
# Tests the packages of `make deb` in a separate Debian made by debootstrap: installs them, runs a federation with the
# command lines of the units, upgrades during the run, removes and purges. Stops at the first failure. TRYDEB_ROOT is
# the folder of that Debian; the default is .build/trydeb.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."

fail() {
  echo "trydeb: $*" >&2
  exit 3
}

((EUID == 0)) || fail 'needs root, to make a Debian of its own: make deb, then sudo make trydeb'
command -v debootstrap >/dev/null || fail 'there is no debootstrap; apt-get install debootstrap'
# Separate mounts and processes, which disappear when the script ends.
if [[ ! -v TRYDEB_INSIDE ]]; then
  exec unshare --mount --pid --fork --kill-child env TRYDEB_INSIDE=1 bash deploy/try-deb.sh
fi

readonly packages=.build/packages
readonly place=${TRYDEB_ROOT:-.build/trydeb}
readonly base=$place/base root=$place/root
readonly names=(strata-server strata-client strata-sim)

check() { # WORDS COMMAND...
  local words=$1
  shift
  if ! "$@"; then
    printf 'FAILED  %s\n        %s\n' "$words" "$*" >&2
    tail --lines=8 "$root"/tmp/*.log >&2 2>/dev/null || true
    exit 1
  fi
  echo "ok      $words"
}

reject() { ! "$@"; }

readonly enter=(
  chroot "$root" env -i PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin HOME=/root
  LC_ALL=C.UTF-8 DEBIAN_FRONTEND=noninteractive)
inside() { "${enter[@]}" "$@"; }

# A command that hangs has failed. Without --foreground, a signal would be sent twice, and the second could arrive when
# the program no longer handles it.
readonly limited=(timeout --foreground 300 "${enter[@]}")

# Keeps changed settings files in an upgrade, a decision of the administrator.
get() {
  inside apt-get --yes --quiet --quiet --no-install-recommends -o Dpkg::Use-Pty=0 \
    -o Dpkg::Options::=--force-confold "$@" >"$root/tmp/apt.log" 2>&1
}

# Prints the newest package with a name.
package() {
  local found
  found=$(find "$packages" -name "$1_*.deb" -printf '%T@ %p\n' 2>/dev/null | sort --numeric --reverse)
  [[ -n $found ]] || fail 'there are no packages: make deb comes first'
  found=${found%%$'\n'*}
  echo "${found#* }"
}

make_root() {
  local suite
  # The packages fit the Debian release that they were built on.
  # shellcheck source=/dev/null
  suite=$(. /etc/os-release && echo "$VERSION_CODENAME")
  if [[ ! -f $base/.whole ]]; then
    rm -rf "$base"
    mkdir -p "$base"
    echo "        making a Debian ($suite) in $base"
    debootstrap --variant=minbase --include=systemd "$suite" "$base" >"$place/debootstrap.log" 2>&1 ||
      fail "debootstrap failed: $place/debootstrap.log"
    touch "$base/.whole"
  fi
  rm -rf "$root"
  cp --archive "$base" "$root"
  mount -t proc proc "$root/proc"
  mount --bind /dev "$root/dev"
}

# Copies the packages, and the same with a higher version and other settings, to /debs/old and /debs/new.
bring_packages() {
  local name unpacked=$place/unpacked file version
  mkdir -p "$root/debs/old" "$root/debs/new"
  for name in "${names[@]}"; do
    cp "$(package "$name")" "$root/debs/old/$name.deb"
    rm -rf "$unpacked"
    dpkg-deb --raw-extract "$root/debs/old/$name.deb" "$unpacked"
    version=$(sed -n 's/^Version: //p' "$unpacked/DEBIAN/control")
    sed -i "s/^Version: .*/Version: $version.1/" "$unpacked/DEBIAN/control"
    for file in "$unpacked"/etc/default/*; do
      [[ ! -f $file ]] || echo '# A comment of the higher version.' >>"$file"
    done
    dpkg-deb -Zgzip -z1 --root-owner-group --build "$unpacked" "$root/debs/new/$name.deb" >/dev/null
  done
  rm -rf "$unpacked"
}

# Lists all files except the records of dpkg, apt, ldconfig and debconf.
files() {
  (cd "$root" && find etc usr var/lib \
    -path var/lib/dpkg -prune -o -path var/lib/apt -prune -o -path etc/ld.so.cache -prune -o \
    -path 'etc/*-' -prune -o -print | sort)
}

# shellcheck disable=SC2016 # dpkg-query expands it.
status() { inside dpkg-query --show --showformat='${db:Status-Abbrev}' "$1" 2>/dev/null || true; }
is() { [[ $(status "$1") == "$2"* ]]; }
has() { [[ -e $root/$1 || -L $root/$1 ]]; }
says() { grep --quiet -- "$1" "$2"; }

# shellcheck disable=SC2016
version() { inside dpkg-query --show --showformat='${Version}' "$1"; }
is_at() { [[ $(version strata-server) == "$1" ]]; }

needs_no_toolchain() {
  local said
  said=$(inside ldd "/usr/bin/$1") && ! grep -E 'not found|swift|Foundation|dispatch' <<<"$said"
}

# The output counts, too: systemd-analyze only warns of an unknown setting.
verifies() {
  local said
  if ! said=$(inside systemd-analyze verify --man=no "$1.service" 2>&1) || [[ -n $said ]]; then
    echo "$said" >&2
    return 1
  fi
}

# Checks that every file that a package's documents link to exists.
links_lead() {
  local folder=$root/usr/share/doc/$1 file link
  for file in "$folder"/README.md "$folder"/docs/*.md; do
    while read -r link; do
      [[ -f $(dirname "$file")/$link ]] || {
        echo "$file: $link" >&2
        return 1
      }
    done < <(grep --only-matching --perl-regexp '\]\((?!http)\K[^)#]+' "$file")
  done
}

helps() { inside "$1" --help | grep --quiet "^USAGE: $1"; }

# SERVICE STATE: runs the unit's command line in the background, with its settings and folder; output goes to a log.
start() {
  local line
  line=$(sed -n 's/^ExecStart=//p' "$root/usr/lib/systemd/system/$1.service")
  # Not called through a function: the signal that stops it would stop the shell around the function.
  "${limited[@]}" FEDCLIENT_NAME=device-1 STATE_DIRECTORY="/var/lib/$2" sh -c "set -a; . /etc/default/$1; exec $line" \
    >"$root/tmp/$1.log" 2>&1 &
}

start_second_client() {
  "${limited[@]}" fedclient run --server "$address" --name device-2 --data shapes:48 --state /root/device-2 \
    --threads 1 --patience 60s >"$root/tmp/device-2.log" 2>&1 &
}

waits_for() { # LOG TEXT
  local turn
  for ((turn = 0; turn < 600; turn++)); do
    ! says "$2" "$root/tmp/$1.log" 2>/dev/null || return 0
    sleep 0.1
  done
  return 1
}

# Starts the server and the clients, and keeps their ids in jobs.
start_all() {
  jobs=()
  # Removed here and not by the programs that write them, or an earlier server's address would be read.
  rm -f "$root"/tmp/{fedserver,fedclient,device-2}.log
  start fedserver strata-server
  jobs+=($!)
  check 'the server listens' waits_for fedserver 'listening on'
  address=$(sed -n 's/.*listening on //p' "$root/tmp/fedserver.log" | head --lines=1)
  sed -i "s/^FEDCLIENT_SERVER=.*/FEDCLIENT_SERVER=$address/" "$root/etc/default/fedclient"
  start fedclient strata-client
  jobs+=($!)
  start_second_client
  jobs+=($!)
}

end_well() {
  local job
  for job in "${jobs[@]}"; do wait "$job" || return 1; done
}

state() {
  (cd "$root/var/lib/private" && find strata-server strata-client -type f -print0 | sort -z | xargs -0 sha256sum)
}
is_same() { [[ -n $1 && $1 == "$2" ]]; }

# Does what systemd does for StateDirectory= with DynamicUser=.
make_state_folders() {
  local name
  for name in strata-server strata-client; do
    mkdir -p "$root/var/lib/private/$name"
    ln -s "private/$name" "$root/var/lib/$name"
  done
}

configure() {
  mkdir -p "$root/etc/strata"
  cat >"$root/etc/strata/plan.yaml" <<EOF
name: tiny
encoder: {family: vit, image: 16, patch: 4, width: 24, depth: 2, heads: 3}
heads: {hidden: 32, output: 16}
method: {roundsPerStage: 100}
local: {epochs: 1, batch: 16}
round: {cohort: 2, quorum: 2}
EOF
  sed -i -e 's/^FEDSERVER_LISTEN=.*/FEDSERVER_LISTEN=127.0.0.1:0/' -e 's/^FEDSERVER_OPTIONS=.*/FEDSERVER_OPTIONS="--threads 1"/' \
    "$root/etc/default/fedserver"
  sed -i -e 's/^FEDCLIENT_DATA=.*/FEDCLIENT_DATA=shapes:32/' -e 's/^FEDCLIENT_OPTIONS=.*/FEDCLIENT_OPTIONS="--threads 1"/' \
    "$root/etc/default/fedclient"
}


try_installing() {
  local name
  check 'the packages are installed, with what they depend on' \
    get install /debs/old/strata-server.deb /debs/old/strata-client.deb /debs/old/strata-sim.deb
  check 'the server says how to start it' says 'enabled but not started: write' "$root/tmp/apt.log"
  check 'the client says how to start it' says 'enabled but not started: fill in' "$root/tmp/apt.log"
  for name in fedserver fedclient fedsim; do
    check "$name needs no library of Swift's, and misses none" needs_no_toolchain "$name"
    check "$name --help" helps "$name"
    check "$name has a manual page" has "usr/share/man/man1/$name.1.gz"
    check "$name has completions for bash" has "usr/share/bash-completion/completions/$name"
    check "$name has completions for zsh" has "usr/share/zsh/vendor-completions/_$name"
    check "$name has completions for fish" has "usr/share/fish/vendor_completions.d/$name.fish"
  done
  for name in "${names[@]}"; do
    check "the documents of $name are there, and their links lead somewhere" links_lead "$name"
  done
  for name in fedserver fedclient; do
    check "$name.service is enabled" has "etc/systemd/system/multi-user.target.wants/$name.service"
    check "systemd-analyze finds nothing wrong with $name.service" verifies "$name"
  done
  check 'the server has no plan after the installation' reject has etc/strata/plan.yaml
  check 'dpkg finds every file as it was packed' inside dpkg --verify "${names[@]}"
}

try_upgrading() {
  local settings before old
  start_all
  check 'three rounds are committed' waits_for fedserver 'stage 1 round 3 is committed'
  kill "${jobs[@]}"
  check 'server and clients stop cleanly' end_well
  check 'the job is not over' reject says '^encoder' "$root/tmp/fedserver.log"

  before=$(state) settings=$(cat "$root"/etc/default/fed{client,server}) old=$(version strata-server)
  check 'the packages are upgraded' \
    get install /debs/new/strata-server.deb /debs/new/strata-client.deb /debs/new/strata-sim.deb
  check "the version was $old and is $old.1" is_at "$old.1"
  check 'the state is what it was' is_same "$before" "$(state)"
  check 'the changed settings are what they were' is_same "$settings" "$(cat "$root"/etc/default/fed{client,server})"
  check 'the settings of the higher version are next to them' has etc/default/fedserver.dpkg-dist

  start_all
  check 'server and clients end well' end_well
  check 'the job is done' says '^encoder [0-9a-f]\{64\}$' "$root/tmp/fedserver.log"
  check 'the job continued: round 1 was not trained again' \
    reject says 'stage 1 round 1 is committed' "$root/tmp/fedserver.log"
  check 'the last round is committed' says 'stage 2 round 100 is committed' "$root/tmp/fedserver.log"
}

try_removing() {
  local before name
  before=$(state)
  check 'the packages are removed' get remove "${names[@]}"
  for name in "${names[@]}"; do check "$name is removed" reject is "$name" ii; done
  for name in fedserver fedclient fedsim; do check "$name is gone" reject has "usr/bin/$name"; done
  check 'the state is what it was' is_same "$before" "$(state)"
  check 'the settings are kept' has etc/default/fedserver
  check 'the plan is kept' has etc/strata/plan.yaml
}

try_purging() {
  local name
  # The third package left nothing to purge.
  check 'the packages are purged' get purge strata-server strata-client
  for name in "${names[@]}"; do check "$name is not known any more" reject is "$name" rc; done
  check 'what they depended on is purged' get autoremove --purge
  files >"$place/after"
  # Prints the files that were added and removed.
  check "$(wc -l <"$place/before") files and folders under /etc, /usr and /var/lib, as before" \
    diff "$place/before" "$place/after"
  check 'nothing there has strata, fedserver, fedclient or fedsim in its name' nothing_named
}

nothing_named() {
  ! (cd "$root" && find etc usr var -path var/lib/dpkg -prune -o -path var/lib/apt -prune -o -print |
    grep -E 'strata|fedserver|fedclient|fedsim')
}

# Runs as if systemd were running, with a systemctl that records its arguments.
try_with_systemd() {
  mkdir -p "$root/run/systemd/system"
  cat >"$root/tmp/systemctl" <<'EOF'
#!/bin/sh
echo "$@" >>/tmp/systemctl.log
EOF
  chmod 755 "$root/tmp/systemctl"
  mount --bind "$root/tmp/systemctl" "$root/usr/bin/systemctl"
  local log=$root/tmp/systemctl.log
  : >"$log"
  check 'installed where systemd runs' get install /debs/old/strata-server.deb
  check 'systemd reads the unit' says daemon-reload "$log"
  check 'the service is not started' reject says 'start' "$log"
  check 'upgraded where systemd runs' get install /debs/new/strata-server.deb
  check 'a service that runs is restarted' says 'try-restart fedserver.service' "$log"
  check 'it is not stopped before' reject says 'stop fedserver' "$log"
  check 'purged where systemd runs' get purge strata-server
  check 'the service is stopped' says 'stop fedserver.service' "$log"
  check 'nothing of it is left' nothing_named
}

make_root
bring_packages
check 'the lists of packages are fetched' get update
files >"$place/before"
try_installing
make_state_folders
configure
try_upgrading
try_removing
try_purging
try_with_systemd
echo 'trydeb: all is well'
