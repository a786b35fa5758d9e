#!/usr/bin/env bash
# Makes the Debian packages of the working tree: dist/*.deb. `make deb` builds the console before it.
#
#   VERSION             of the packages; the Makefile gives it
#   DEB_REVISION        what comes behind it (1)
#   DEB_MAINTAINER      who answers for the packages
#   DEB_PG_MAJORS       PostgreSQL majors to build the extension for: every one, from 15 on, whose server-dev is installed
#   DEB_DIR             where they go (dist)
#   JOBS                parallel jobs
set -euo pipefail
cd "$(dirname "$0")/.."
top=$PWD
out=${DEB_DIR:-dist}
: "${VERSION:?run it by: make deb}"
version="$VERSION-${DEB_REVISION:-1}"
maintainer=${DEB_MAINTAINER:-OA Sync contributors <oa-sync@example.org>}
[ -f build/console/index.html ] || { echo "deb: the console is not built; run: make deb" >&2; exit 1; }
git rev-parse -q --verify HEAD >/dev/null || { echo "deb: the tree has to be a git repository with a commit" >&2; exit 1; }

majors=()
for config in /usr/lib/postgresql/*/bin/pg_config; do
  [ -x "$config" ] || continue
  major=$(basename "${config%/bin/pg_config}")
  if [ "$major" -ge 15 ] && [ -f "$("$config" --pgxs)" ]; then majors+=("$major"); fi
done
[ -z "${DEB_PG_MAJORS:-}" ] || read -ra majors <<<"$DEB_PG_MAJORS"
[ ${#majors[@]} -gt 0 ] || { echo "deb: no postgresql-server-dev package is installed" >&2; exit 1; }

# What the caller's make and shell say is not meant for these builds.
unset MAKEFLAGS MFLAGS MAKELEVEL MAKEOVERRIDES PG_CONFIG DESTDIR PREFIX CCACHE_BASEDIR
SOURCE_DATE_EPOCH=$(git log -1 --format=%ct)
export SOURCE_DATE_EPOCH LC_ALL=C.UTF-8

# Always the same place: compilers' caches look at it.
work=$top/build/deb
rm -rf "$work"
trap 'rm -rf "$work"' EXIT
tree=$work/oa-sync
mkdir -p "$tree"
# Everything that git has or would take, as it is in the working tree; what was built stays out.
git ls-files -z --cached --others --exclude-standard | while IFS= read -r -d '' file; do
  [ ! -f "$file" ] || printf '%s\0' "$file"
done | tar --null --no-recursion -T - -cf - | tar -xf - -C "$tree"
mkdir -p "$tree/build"
cp -r build/console "$tree/build/console"
cp -r packaging/debian "$tree/debian"

# What depends on the version and on the majors.
cd "$tree/debian"
echo "${majors[*]}" >pg_majors
devs=$(printf 'postgresql-server-dev-%s, ' "${majors[@]}")
sed "s|@MAINTAINER@|$maintainer|; s|@SERVER_DEVS@|${devs%, }|" control.in >control
for major in "${majors[@]}"; do
  sed "s/@PG@/$major/g" control.extension.in >>control
  sed "s/@PG@/$major/g" extension.postinst.in >"postgresql-$major-oa-sync.postinst"
  sed "s/@PG@/$major/g" extension.README.Debian.in >"postgresql-$major-oa-sync.README.Debian"
  printf '%s\n' docs/extension.md docs/operations/{installation,packages,policies,retention,sizing,upgrade}.md \
    >"postgresql-$major-oa-sync.docs"
done
sed '1,2d; s/^$/./; s/^/ /' ../LICENSE >license
sed -i -e '/^@LICENSE@$/{r license' -e 'd}' copyright
cat >changelog <<CHANGES
oa-sync ($version) bookworm; urgency=medium

  * Version $VERSION. What changed is in changelog.gz beside this file.

 -- $maintainer  $(date -u -R -d "@$SOURCE_DATE_EPOCH")
CHANGES
rm -f ./*.in license
cd ..
# dpkg-deb only makes later dates the commit's; a file that was checked out before the commit would keep its own.
find . -print0 | xargs -0 touch --no-dereference --date="@$SOURCE_DATE_EPOCH"

# debhelper gives builds a home directory of their own; the cache is not in there. The tree's place makes no difference.
if command -v ccache >/dev/null; then
  CCACHE_DIR=$(ccache --get-config cache_dir)
  export CCACHE_DIR CCACHE_BASEDIR=$tree CCACHE_NOHASHDIR=1
fi
if ! DEB_BUILD_OPTIONS="parallel=${JOBS:-$(nproc)}" dpkg-buildpackage --build=binary --unsigned-changes --unsigned-source \
  >"$work/build.log" 2>&1; then
  cat "$work/build.log" >&2
  exit 1
fi
cd "$top"
mkdir -p "$out"
rm -f "$out"/oa-sync-*.deb "$out"/postgresql-*-oa-sync*.deb
mv "$work"/*.deb "$out/"
(cd "$out" && ls -- *.deb) | sed "s|^|$out/|"
