#!/usr/bin/env bash
# Installs the missing system libraries that the build needs, and checks for Swift.
# Prints nothing if nothing is missing. Exits with 3 if it cannot help.
set -euo pipefail

# docs/operating.md uses sqlite3 for a backup, which a test runs.
# A slash separates alternatives: the second package is accepted if it is installed.
readonly packages=(
  libopenblas-dev libsqlite3-dev zlib1g-dev libdeflate-dev libssl-dev libjpeg-dev libturbojpeg0-dev
  libpng-dev sqlite3 pkg-config/pkgconf)
readonly swift_major=6 swift_minor=1

fail() {
  echo "setup: $*" >&2
  exit 3
}

is_installed() {
  local status
  status=$(dpkg-query --show --showformat='${db:Status-Abbrev}' "$1" 2>/dev/null) || return 1
  # The second letter is the state; a removed package is still listed, as "rc".
  [[ ${status:1:1} == i ]]
}

install_missing() {
  local missing=() package
  for package in "${packages[@]}"; do
    is_installed "${package%/*}" || is_installed "${package#*/}" || missing+=("${package%/*}")
  done
  ((${#missing[@]})) || return 0

  local privileged=()
  if ((EUID != 0)); then
    command -v sudo >/dev/null ||
      fail "${missing[*]} missing; only root can install them, and there is no sudo"
    privileged=(sudo)
  fi
  echo "setup: installing ${missing[*]}"
  # sudo resets the environment, so the variable is set after it.
  local get=("${privileged[@]}" env DEBIAN_FRONTEND=noninteractive apt-get -qq)
  "${get[@]}" update >/dev/null || fail "apt-get update failed; ${missing[*]} missing"
  "${get[@]}" install --yes --no-install-recommends -o Dpkg::Use-Pty=0 "${missing[@]}" >/dev/null ||
    fail "apt-get could not install ${missing[*]}"
}

check_swift() {
  local wanted="Swift $swift_major.$swift_minor or newer is needed (https://www.swift.org/install)"
  command -v swift >/dev/null || fail "there is no swift on the PATH; $wanted"
  local said
  said=$(swift --version 2>/dev/null) || fail "swift --version failed; $wanted"
  [[ $said =~ Swift\ version\ ([0-9]+)\.([0-9]+) ]] || fail "swift tells no version; $wanted"
  local major=${BASH_REMATCH[1]} minor=${BASH_REMATCH[2]}
  ((major > swift_major || (major == swift_major && minor >= swift_minor))) ||
    fail "swift is $major.$minor; $wanted"
}

command -v dpkg-query >/dev/null && command -v apt-get >/dev/null ||
  fail "not a Debian system: install the equivalents of ${packages[*]%/*} by hand"
install_missing
check_swift
