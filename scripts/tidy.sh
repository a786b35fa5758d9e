#!/usr/bin/env bash
# clang-tidy over every .cpp, `jobs` at a time. What was clean and is unchanged, with the headers it includes, is not run again.
# Usage: scripts/tidy.sh JOBS      needs compile_commands.json in build/fanout and build/unit
set -euo pipefail
cd "$(dirname "$0")/.."
jobs=$1
cache=build/tidy
mkdir -p "$cache"
include=$(pg_config --includedir-server)
export include cache

tidy_one() {
  local key="$cache/$1" file=$2 out
  [ -e "$key" ] && return 0
  if [[ $file == test/unit/* ]]; then
    out=$(timeout 600 clang-tidy --quiet --warnings-as-errors='*' -p build/unit "$file" 2>&1) ||
      { printf '%s\n' "$out"; return 1; }
  elif [[ $file == extension/* ]]; then
    out=$(timeout 600 clang-tidy --quiet --warnings-as-errors='*' "$file" -- -std=c++20 -Iextension/src \
      -isystem "$include" -I/usr/include/postgresql 2>&1) || { printf '%s\n' "$out"; return 1; }
  else
    out=$(timeout 600 clang-tidy --quiet --warnings-as-errors='*' -p build/fanout "$file" 2>&1) ||
      { printf '%s\n' "$out"; return 1; }
  fi
  touch "$key"
}
export -f tidy_one

keys=$(scripts/sources.sh | node scripts/tidy_keys.mjs)
xargs -r -P "$jobs" -L 1 bash -c 'tidy_one "$0" "$1"' <<<"$keys"
echo "clang-tidy of $(scripts/sources.sh | grep -c '\.cpp$') files"
