#!/usr/bin/env bash
# clang-tidy over every .cpp, `jobs` at a time. What was clean and is unchanged (with all headers) is not run again.
# Usage: scripts/tidy.sh JOBS      needs compile_commands.json in build/fanout and build/unit
set -euo pipefail
cd "$(dirname "$0")/.."
jobs=$1
cache=build/tidy
mkdir -p "$cache"
common=$( (cat .clang-tidy; scripts/sources.sh | grep '\.h$' | xargs -r cat; cat proto/openagents/sync/v1/*.proto) |
  sha256sum)
include=$(pg_config --includedir-server)
export common include cache

tidy_one() {
  local file=$1 key out
  key="$cache/$( (echo "$common $file"; cat "$file") | sha256sum | cut -c1-32)"
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

scripts/sources.sh | grep '\.cpp$' | xargs -r -P "$jobs" -I{} bash -c 'tidy_one {}'
echo "clang-tidy of $(scripts/sources.sh | grep -c '\.cpp$') files"
