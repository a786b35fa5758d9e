#!/usr/bin/env bash
# Runs every fuzzer of fanout/test/fuzz for so many seconds, from its seeds and from what earlier runs found.
# Usage: scripts/fuzz.sh [SECONDS]   (after the build: make check-fuzz)
# Fails when one breaks a promise, leaks or crashes; its input is then left in build/fuzz and repeats it:
#   build/fanout-asan/test/fuzz/NAME_fuzz build/fuzz/NAME-crash-…
set -uo pipefail
cd "$(dirname "$0")/.." || exit 1
seconds=${1:-10}
export ASAN_OPTIONS=detect_leaks=1 UBSAN_OPTIONS=print_stacktrace=1:halt_on_error=1

fuzz() {
  local name=$1 found=build/fuzz/corpus-$1 log=build/fuzz/$1.log
  mkdir -p "$found"
  if timeout $((seconds + 120)) "build/fanout-asan/test/fuzz/${name}_fuzz" -max_total_time="$seconds" -max_len=4096 -timeout=60 \
      -artifact_prefix="build/fuzz/$name-" "$found" "fanout/test/fuzz/corpus/$name/" >"$log" 2>&1; then
    echo "fuzz: $name ok, $(sed -n 's/^Done \([0-9]*\) runs.*/\1/p' "$log") runs"
  else
    # One write, so that another's lines do not come in between.
    echo "fuzz: $name FAILED
$(grep -E 'broken promise|ERROR|SUMMARY|runtime error|Test unit written' "$log" | head -n 10)"
    return 1
  fi
}
export -f fuzz
export seconds

names=$(cd fanout/test/fuzz/corpus && ls -d -- */ | tr -d /)
[ -n "$names" ] || { echo "fuzz: no fuzzers"; exit 1; }
# Each has one thread.
xargs -P "$(nproc)" -I{} bash -c 'fuzz {}' <<<"$names"
failed=$?
count=$(wc -l <<<"$names")
total=0
for name in $names; do
  runs=$(sed -n 's/^Done \([0-9]*\) runs.*/\1/p' "build/fuzz/$name.log")
  total=$((total + ${runs:-0}))
done
echo "fuzz: $count fuzzers, $total runs$([ "$failed" -eq 0 ] || echo ', some FAILED')"
[ "$failed" -eq 0 ]
