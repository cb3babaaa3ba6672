#!/usr/bin/env bash
# Writes a manual page and completions for bash, zsh and fish for each command: make-man.sh FOLDER-OF-COMMANDS OUT
# OUT/man/*.1, OUT/completions/* The folder must also hold argument-parser's generate-manual. DATE=2026-11-24 sets the
# pages' date; the default is today.
set -euo pipefail
here=$(dirname "${BASH_SOURCE[0]}")
readonly here bin=$1 out=$2
readonly commands=(fedclient fedserver fedsim)

mkdir -p "$out/man" "$out/completions"
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT

page() { # COMMAND
  local others=("${commands[@]/$1/}")
  "$bin/$1" --experimental-dump-help | awk -f "$here/man/values.awk" >"$work/$1.json"
  # generate-manual runs the command itself; this script answers with the JSON above.
  printf '#!/bin/sh\nexec cat "%s"\n' "$work/$1.json" >"$work/$1"
  chmod 755 "$work/$1"
  "$bin/generate-manual" "$work/$1" --date "${DATE:-$(date +%F)}" --output-directory "$work" 2>"$work/notes"
  awk -v others="${others[*]}" -f "$here/man/page.awk" "$work/$1.1" >"$out/man/$1.1"
}

for command in "${commands[@]}"; do
  page "$command"
  "$bin/$command" --generate-completion-script bash >"$out/completions/$command.bash"
  "$bin/$command" --generate-completion-script zsh >"$out/completions/_$command"
  "$bin/$command" --generate-completion-script fish >"$out/completions/$command.fish"
done
