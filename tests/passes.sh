#!/bin/sh
# Every pass of the tests, one after the other; `./run test` calls it.
#
# A pass is one build with its options, and the tests that make sense in it. Each leaves a log in
# out/passes/ that tests/tally.py counts; the last line of all is `N passed, N failed, N skipped`.
#
# With --stress N there is one pass: the native tests N times, twice as many at a time as there are
# cores, while something else keeps every core busy. It leaves its logs in out/stress/.
set -eu
cd "$(dirname "$0")/.."
out=out/passes
all='native asan tsan aarch64 plain lint'
passes=
stress=
suites=
usage() {
    echo "usage: ./run test [--quick] [--pass $(echo "$all" | tr ' ' '|')]..." >&2
    echo "       ./run test --stress N [--suite NAME]..." >&2
    exit 2
}
while [ $# -gt 0 ]; do
    case $1 in
        --quick) passes="$passes native" ;;
        --pass)
            case " $all " in
                *" ${2:-?} "*) passes="$passes $2" ;;
                *) usage ;;
            esac
            shift
            ;;
        --stress)
            case ${2:-} in
                '' | 0* | *[!0-9]*) usage ;;
            esac
            stress=$2
            shift
            ;;
        --suite)
            [ -n "${2:-}" ] || usage
            suites="$suites $2"
            shift
            ;;
        *) usage ;;
    esac
    shift
done
if [ -n "$stress" ]; then
    [ -z "$passes" ] || usage
    out=out/stress
else
    [ -z "$suites" ] || usage
    passes=${passes:-$all}
fi

rm -rf "$out"
mkdir -p "$out"

# note PASS RESULT NAME TEXT: a result that no meson test stands for.
note() {
    printf '%s\t%s\t%s\n' "$2" "$3" "$4" >>"$out/$1.notes"
}

# Some 250 programs are linked in a build. GNU ld takes more than a second for each, mold next to none.
# The native build and the cross build are linked as what ships is.
quick_ld=mold

more= # options of meson test

# meson_pass PASS DIR "SUITES" "MESON OPTIONS": builds DIR, runs the suites (all if none is named).
# The words are split on purpose: suites and options hold no spaces.
meson_pass() {
    pass=$1 dir=$2 suites=$3 options=$4
    log=$out/$pass.build.log
    if [ ! -f "$dir/build.ninja" ]; then
        rm -rf "$dir"
        # shellcheck disable=SC2086
        if ! meson setup "$dir" $options >"$log" 2>&1; then
            tail -n 30 "$log" >&2
            note "$pass" FAIL "configure $dir" "meson setup failed, see $log"
            return 0
        fi
    fi
    if ! ninja -C "$dir" >>"$log" 2>&1; then
        tail -n 60 "$log" >&2
        note "$pass" FAIL "build $dir" "ninja failed, see $log"
        return 0
    fi
    selected=
    for suite in $suites; do
        selected="$selected --suite $suite"
    done
    rm -f "$dir/meson-logs/testlog.json"
    # The exit code is not asked: tally.py reads what each test did.
    # shellcheck disable=SC2086
    $around meson test -C "$dir" --no-rebuild --timeout-multiplier "$patience" $selected $more \
        >"$out/$pass.test.log" 2>&1 || true
    if [ -f "$dir/meson-logs/testlog.json" ]; then
        cp "$dir/meson-logs/testlog.json" "$out/$pass.json"
    else
        note "$pass" FAIL "meson test" "no test ran, see $out/$pass.test.log"
    fi
}

pass_native() {
    tests/install.sh build test dpdk net
    meson_pass native build '' -Dtests=true
}

pass_asan() {
    tests/install.sh build test dpdk
    patience=4
    CC_LD=$quick_ld ASAN_OPTIONS=abort_on_error=1:detect_stack_use_after_return=1 \
        UBSAN_OPTIONS=halt_on_error=1:print_stacktrace=1 \
        meson_pass asan build-asan '' '-Db_sanitize=address,undefined -Db_lundef=false -Djemalloc=disabled'
}

# The parts where more than one thread touches a thing. GCC 12's runtime wants the old address
# layout: with many bits of randomness it stops at once, so they are taken away where that is allowed.
pass_tsan() {
    tests/install.sh build test
    patience=6
    around="setarch $(uname -m) -R"
    $around true 2>/dev/null || around=
    CC_LD=$quick_ld TSAN_OPTIONS=halt_on_error=1:second_deadlock_stack=1 \
        meson_pass tsan build-tsan 'http plane runtime round hub threads' \
        '-Db_sanitize=thread -Db_lundef=false -Djemalloc=disabled'
}

pass_aarch64() {
    if [ "$(uname -m)" = aarch64 ]; then
        note aarch64 SKIP 'cross build' 'this machine is AArch64 itself: the native pass is that pass'
        return 0
    fi
    if [ ! -f config/cross/aarch64.ini ]; then
        note aarch64 SKIP 'cross build' 'config/cross/aarch64.ini is not there'
        return 0
    fi
    tests/install.sh build test cross
    patience=10
    meson_pass aarch64 build-aarch64 'kernels wire edge build' \
        '--cross-file config/cross/aarch64.ini -Dappliance=disabled'
}

# As on a machine without the optional packages: all of it is built, and what links or asks for them
# is tested. The rest is the same objects as in the native pass.
pass_plain() {
    tests/install.sh build test
    CC_LD=$quick_ld meson_pass plain build-plain 'plane hub http edge build' '-Ddpdk=disabled -Dipsec_mb=disabled -Djemalloc=disabled -Dtpm=disabled'
}

pass_lint() {
    tests/install.sh build test lint
    if [ ! -f build/build.ninja ] && ! meson setup build >"$out/lint.build.log" 2>&1; then
        note lint FAIL 'configure build' "meson setup failed, see $out/lint.build.log"
        return 0
    fi
    ninja -C build >"$out/lint.build.log" 2>&1 || true # a broken build is the native pass's failure
    tests/lint.sh --notes "$out/lint.notes" >"$out/lint.log" 2>&1 || cat "$out/lint.log"
}

# --- under stress ------------------------------------------------------------------------------

busy=
# One loop a core, at the tests' own priority. Each ends by itself where this script is gone.
start_busy() {
    for _ in $(seq "$(nproc)"); do
        (
            while kill -0 $$ 2>/dev/null; do
                i=0
                while [ "$i" -lt 100000 ]; do i=$((i + 1)); done
            done
        ) >/dev/null 2>&1 </dev/null &
        busy="$busy $!"
    done
}

stop_busy() {
    # shellcheck disable=SC2086 # a list of process ids
    [ -z "$busy" ] || kill $busy 2>/dev/null || true
    busy=
}

if [ -n "$stress" ]; then
    tests/install.sh build test dpdk net
    trap stop_busy EXIT
    trap 'exit 130' INT TERM HUP
    ninja -C build >/dev/null 2>&1 || true # not beside the loops; a failure is met again below
    start_busy
    more="--num-processes $((2 * $(nproc)))"
    more_later="$more --no-suite sim" # its time is virtual: a busy machine changes nothing but its end
    turns=
    for turn in $(seq "$stress"); do
        around='' patience=4
        began=$(date +%s)
        echo "== native, turn $turn of $stress"
        meson_pass "turn-$turn" build "$suites" -Dtests=true </dev/null
        [ -n "$suites" ] || more="$more_later"
        turns="$turns turn-$turn"
        /usr/bin/python3 tests/tally.py --brief "$out" "turn-$turn"
        echo "   $(($(date +%s) - began)) s"
    done
    stop_busy
    # shellcheck disable=SC2086
    exec /usr/bin/python3 tests/tally.py --turns "$out" $turns
fi

for pass in $passes; do
    around='' patience=1
    began=$(date +%s)
    echo "== $pass"
    if ! "pass_$pass" </dev/null; then
        note "$pass" FAIL "prepare $pass" 'the pass could not be run'
    fi
    /usr/bin/python3 tests/tally.py --brief "$out" "$pass"
    echo "   $(($(date +%s) - began)) s"
done
# shellcheck disable=SC2086
exec /usr/bin/python3 tests/tally.py "$out" $passes
