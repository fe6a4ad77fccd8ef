#!/bin/sh
# Installs what is missing of a list of Debian packages (tests/judges.txt), and asks nothing.
# As root with apt-get: installs. Otherwise: says what is missing and goes on; tests that need it are skipped.
# usage: install_judges.sh [LIST]
set -eu
list=${1:-$(dirname "$0")/judges.txt}

missing=
for package in $(sed 's/#.*//' "$list"); do
  state=$(dpkg-query -W -f='${db:Status-Status}' "$package" 2>/dev/null) || state=
  [ "$state" = installed ] || missing="$missing $package"
done
# A Python that Debian brought keeps its headers in a package of their own.
if ! "${PYTHON:-python3}" -c 'import sysconfig as s, pathlib as p; p.Path(s.get_path("include"), "Python.h").stat()' \
  2>/dev/null; then
  missing="$missing python3-dev"
fi
[ -n "$missing" ] || exit 0

if ! command -v apt-get >/dev/null; then
  echo "Not found as Debian packages:$missing. Tests that need what they hold are skipped unless it is there."
  exit 0
fi
if [ "$(id -u)" -ne 0 ]; then
  echo "Some tests will be skipped; to run them too: sudo apt-get install --no-install-recommends$missing"
  exit 0
fi

echo "Installing the Debian packages that the tests need:$missing"
# RUNLEVEL=1: the pcscd that comes along is not started by its installation; the tests start their own.
export DEBIAN_FRONTEND=noninteractive RUNLEVEL=1
# shellcheck disable=SC2086
if apt-get -q update >/dev/null && apt-get install -q -y --no-install-recommends $missing >/dev/null; then
  exit 0
fi
echo "apt-get could not install them (its words are above); tests that need them are skipped." >&2
[ -z "${CI:-}" ]
