#!/bin/sh
# The checkers, one after the other; `./run lint` calls it. --quick leaves clang-tidy out.
# --notes FILE also appends "PASS|FAIL|SKIP <tab> check <tab> text" for tests/tally.py.
set -eu
cd "$(dirname "$0")/.."
notes=/dev/null quick=
while [ $# -gt 0 ]; do
    case $1 in
        --quick) quick=1 ;;
        --notes)
            notes=$2
            shift
            ;;
        *)
            echo "usage: ./run lint [--quick]" >&2
            exit 2
            ;;
    esac
    shift
done

# The files as git knows them, new ones that are not ignored included.
files() {
    git -c safe.directory="$PWD" ls-files -co --exclude-standard -- "$@" | while read -r file; do
        [ ! -f "$file" ] || echo "$file"
    done
}

check_format() {
    files '*.c' '*.h' | xargs clang-format-14 --dry-run -Werror
}

check_clang_tidy() {
    /usr/bin/python3 tests/policy/tidy/clang_tidy.py build
}

check_shellcheck() {
    # shellcheck disable=SC2046 # file names here have no spaces
    shellcheck -x run .ci/run $(files '*.sh')
}

check_house_rules() {
    /usr/bin/python3 tests/policy/tidy/tidy.py
}

failed=0
check() {
    began=$(date +%s)
    if "check_$1"; then
        result=PASS
    else
        result=FAIL failed=$((failed + 1))
    fi
    printf '%s\t%s\t%s\n' "$result" "$1" 'see above' >>"$notes"
    echo "lint: $result $1, $(($(date +%s) - began)) s"
}

check format
check shellcheck
check house_rules
[ -n "$quick" ] || check clang_tidy
[ "$failed" = 0 ]
