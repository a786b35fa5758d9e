#!/usr/bin/env bash
# Every static check, each with one line of outcome; goes on after a failure and fails at the end.
# Usage: make lint   (or, after a build: VERSION=X scripts/lint.sh [check ...])
set -uo pipefail
cd "$(dirname "$0")/.."
: "${VERSION:?run it by: make lint}"
jobs=${JOBS:-$(nproc)}
mapfile -t sources < <(scripts/sources.sh)
bin=node_modules/.bin

format() {
  clang-format --dry-run -Werror "${sources[@]}"
}

tidy() {
  scripts/tidy.sh "$jobs"
}

cppcheck_() {
  cppcheck --quiet --std=c++20 --library=googletest --language=c++ --inline-suppr --error-exitcode=1 -j "$jobs" \
    --enable=warning,performance,portability --suppressions-list=.cppcheck-suppressions \
    -Iextension/src -Ifanout/src -Iclients/terminal/src clients extension fanout
}

types() {
  "$bin/tsc" --noEmit && "$bin/tsc" -p clients/typescript && "$bin/tsc" -p test/browser && "$bin/tsc" -p clients/console &&
    "$bin/tsc" -p clients/console/tsconfig.worker.json
}

shell() {
  local script
  for script in scripts/*.sh .ci/run; do bash -n "$script" || return 1; done
}

proto() {
  "$bin/buf" lint proto
}

breaking() {
  # Against the proto files of the last commit on main; before the first one there is nothing to break.
  if ! git ls-tree -r --name-only main -- proto 2>/dev/null | grep -q '\.proto$'; then
    echo "no committed proto to compare with"
    return 0
  fi
  local old
  old=$(mktemp -d)
  git archive main proto | tar -x -C "$old"
  "$bin/buf" breaking proto --against "$old/proto"
  local status=$?
  rm -rf "$old"
  return $status
}

versions() {
  node scripts/check_versions.mjs "$VERSION"
}

links() {
  node scripts/check_links.mjs
}

docs() {
  node scripts/check_docs.mjs
}

failed=()
for check in "${@:-format versions links docs proto breaking shell types cppcheck_ tidy}"; do
  for name in $check; do
    start=$SECONDS
    if output=$("$name" 2>&1); then
      printf 'lint: %-10s ok    %3d s  %s\n' "${name%_}" $((SECONDS - start)) "$(tail -n 1 <<<"$output")"
    else
      printf 'lint: %-10s FAILED\n%s\n' "${name%_}" "$output"
      failed+=("${name%_}")
    fi
  done
done
if [ ${#failed[@]} -gt 0 ]; then
  echo "lint: failed: ${failed[*]}"
  exit 1
fi
echo "lint: all clean"
