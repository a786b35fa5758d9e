#!/usr/bin/env bash
# Makes dist/oa_sync-VERSION.zip of HEAD, in the form that PGXN takes.
set -euo pipefail
cd "$(dirname "$0")/.."
: "${VERSION:?run it by: make dist}"
name="oa_sync-$VERSION"
git rev-parse -q --verify HEAD >/dev/null || { echo "dist: nothing is committed yet" >&2; exit 1; }
[ -z "$(git status --porcelain)" ] || echo "dist: uncommitted changes are not in the archive" >&2
mkdir -p dist
git archive --format=zip --prefix="$name/" --output="dist/$name.zip" HEAD
echo "dist/$name.zip"
