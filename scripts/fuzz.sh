#!/usr/bin/env bash
# Runs every fuzzer of fanout/test/fuzz for so many seconds, from its seeds and from what earlier runs found.
# Usage: scripts/fuzz.sh [SECONDS]   (after the build: make check-fuzz)
# Fails when one breaks a promise, leaks or crashes; its input is then left in build/fuzz and repeats it:
#   build/fanout-asan/test/fuzz/NAME_fuzz build/fuzz/NAME-crash-…
set -uo pipefail
cd "$(dirname "$0")/.."
seconds=${1:-10}
export ASAN_OPTIONS=detect_leaks=1 UBSAN_OPTIONS=print_stacktrace=1:halt_on_error=1
total=0
failed=()
count=0
for seeds in fanout/test/fuzz/corpus/*/; do
  name=$(basename "$seeds")
  found=build/fuzz/corpus-$name
  log=build/fuzz/$name.log
  mkdir -p "$found"
  count=$((count + 1))
  if timeout $((seconds + 120)) "build/fanout-asan/test/fuzz/${name}_fuzz" -max_total_time="$seconds" -max_len=4096 -timeout=60 \
      -artifact_prefix="build/fuzz/$name-" "$found" "$seeds" >"$log" 2>&1; then
    runs=$(sed -n 's/^Done \([0-9]*\) runs.*/\1/p' "$log")
    total=$((total + ${runs:-0}))
    echo "fuzz: $name ok, ${runs:-0} runs"
  else
    echo "fuzz: $name FAILED"
    grep -E 'broken promise|ERROR|SUMMARY|runtime error|Test unit written' "$log" | head -n 10
    failed+=("$name")
  fi
done
if [ "$count" -eq 0 ]; then
  echo "fuzz: no fuzzers"
  exit 1
fi
echo "fuzz: $count fuzzers, $total runs, ${#failed[@]} failed"
[ ${#failed[@]} -eq 0 ]
