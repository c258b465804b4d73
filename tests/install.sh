#!/bin/sh
# Installs the packages of the named sections of tests/packages.txt that are not there yet.
#
#   tests/install.sh build test
#
# Touches the package manager only when something is missing, and never asks a question.
set -eu
cd "$(dirname "$0")/.."

wanted() {
    for section; do
        awk -v section="$section" '$1 == section { print $2 }' tests/packages.txt
    done
}

# The architecture counts: libssl-dev of another one is not what a native build needs.
is_installed() {
    case $1 in
        *:*) architecture=${1#*:} ;;
        *) architecture=$(dpkg --print-architecture) ;;
    esac
    dpkg-query -W -f '${Architecture} ${db:Status-Status}\n' "${1%:*}" 2>/dev/null |
        grep -qE "^($architecture|all) installed$"
}

missing() {
    for package in $(wanted "$@"); do
        is_installed "$package" || echo "$package"
    done
}

if ! command -v dpkg-query >/dev/null 2>&1; then
    echo "run: this is no Debian, nothing is installed by itself; needed:" "$(wanted "$@" | tr '\n' ' ')" >&2
    exit 0
fi

list=$(missing "$@" | tr '\n' ' ')
[ -n "$list" ] || exit 0

as_root=
if [ "$(id -u)" != 0 ]; then
    if ! command -v sudo >/dev/null 2>&1 || ! sudo -n true 2>/dev/null; then
        echo "run: missing packages, and neither root nor a sudo that asks nothing to install them with." >&2
        echo "run: as root: apt-get install $list" >&2
        exit 1
    fi
    as_root='sudo -n'
fi

log=$(mktemp)
trap 'rm -f "$log"' EXIT
echo "run: installing $list"
attempt() {
    # shellcheck disable=SC2086 # $as_root is empty or two words, $list is a list
    { case $list in
        *:arm64*) $as_root dpkg --add-architecture arm64 || return 1 ;;
      esac
      $as_root apt-get update &&
          $as_root env DEBIAN_FRONTEND=noninteractive apt-get -o DPkg::Lock::Timeout=300 install -y --no-install-recommends $list
    } </dev/null >"$log" 2>&1
}
if ! attempt; then
    tail -n 20 "$log" >&2
    echo "run: the packages above could not be installed: $list" >&2
    exit 1
fi
