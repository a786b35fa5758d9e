#!/usr/bin/env bash
# Installs what building and testing take: Debian 12 packages and the npm packages of package-lock.json.
# Does nothing, quickly, when everything is there. `deps.sh bench` adds what only the benches compare with,
# `deps.sh deb` what making the Debian packages takes, and a clean system to try them in.
set -euo pipefail
cd "$(dirname "$0")/.."

packages=(
  # the compiler and its tools
  g++ make cmake ninja-build pkg-config git zip
  clang-format clang-tidy cppcheck clang libclang-rt-14-dev
  # the extension
  postgresql-15 postgresql-server-dev-15 libssl-dev protobuf-compiler libprotobuf-dev
  # the fan-out
  libpq-dev libwebsockets-dev libwebsockets-evlib-ev libev-dev nlohmann-json3-dev
  libspdlog-dev libfmt-dev libcli11-dev prometheus-cpp-dev zlib1g-dev
  # tests
  libgtest-dev libgmock-dev postgresql-15-pgtap libtap-parser-sourcehandler-pgtap-perl procps
  prometheus
  chromium fonts-dejavu-core
  haproxy iproute2 util-linux mount
)
# Node.js may have come from elsewhere than Debian.
command -v node >/dev/null || packages+=(nodejs)
command -v npm >/dev/null || packages+=(npm)
[ "${1:-}" != bench ] || packages+=(postgresql-15-pgq3 nginx-light libnginx-mod-nchan nats-server util-linux)
[ "${1:-}" != deb ] || packages+=(debhelper dpkg-dev libwebsockets-evlib-ev lintian debootstrap systemd-container util-linux)

missing=()
for package in "${packages[@]}"; do
  status=$(dpkg-query -W -f='${db:Status-Status}' "$package" 2>/dev/null || true)
  [ "$status" = installed ] || missing+=("$package")
done
if [ ${#missing[@]} -gt 0 ]; then
  sudo=()
  [ "$(id -u)" = 0 ] || sudo=(sudo)
  echo "deps: installing ${missing[*]}"
  "${sudo[@]}" apt-get update -q
  # In run level 1 no package starts its service: what is compared is started by the bench, for as long as it runs.
  "${sudo[@]}" env DEBIAN_FRONTEND=noninteractive RUNLEVEL=1 apt-get install -y -q --no-install-recommends "${missing[@]}"
fi

# The lock file that node_modules was made from is kept in it.
if ! cmp -s package-lock.json node_modules/.installed-lock.json; then
  echo "deps: npm ci"
  # No package here needs an install script, so none is run.
  npm ci --ignore-scripts --no-audit --no-fund --loglevel=error
  cp package-lock.json node_modules/.installed-lock.json
fi
