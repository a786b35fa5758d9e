#!/usr/bin/env bash
# Lists the project's C++ sources and headers, one a line.
set -euo pipefail
cd "$(dirname "$0")/.."
find clients extension fanout test -type d \( -name build -o -name node_modules \) -prune -o \
  -type f \( -name '*.cpp' -o -name '*.h' \) ! -name '*.pb.*' -print | sort
