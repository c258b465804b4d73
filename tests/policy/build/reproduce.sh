#!/bin/sh
# Builds what ships twice, from copies of the tree in folders of different names and at different times, and
# compares the installed files byte by byte. `./run reproduce` calls it.
set -eu
cd "$(dirname "$0")/../../.."
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
SOURCE_DATE_EPOCH=${SOURCE_DATE_EPOCH:-$(git -c safe.directory="$PWD" log -1 --format=%ct 2>/dev/null || echo 0)}
export SOURCE_DATE_EPOCH

# The names of what is not built: by git, or of all that lies here where this is no checkout.
sources() {
    if [ -e .git ]; then
        git -c safe.directory="$PWD" ls-files -co --exclude-standard -z
    else
        find . -path './build*' -prune -o -path ./out -prune -o -type f -print0
    fi
}

# one NAME: copy, configure, build, install into $work/NAME.out.
one() {
    mkdir -p "$work/$1"
    sources | tar --null --files-from=- -cf - --ignore-failed-read 2>/dev/null | tar -xf - -C "$work/$1"
    (
        cd "$work/$1"
        meson setup build-"$1" -Dtests=false >"$work/$1.log" 2>&1 &&
            ninja -C build-"$1" >>"$work/$1.log" 2>&1 &&
            DESTDIR="$work/$1.out" meson install -C build-"$1" >>"$work/$1.log" 2>&1
    ) || {
        tail -n 30 "$work/$1.log" >&2
        echo "reproduce: the build in $1 failed" >&2
        exit 1
    }
    (cd "$work/$1.out" && find . -type f -exec sha256sum {} + | sort -k 2) >"$work/$1.sums"
}

one first
sleep 2 # another second in every time stamp
one another-longer-name
if ! diff "$work/first.sums" "$work/another-longer-name.sums"; then
    echo "reproduce: two builds of the same sources differ, see above" >&2
    exit 1
fi
cat "$work/first.sums"
echo "reproduce: $(wc -l <"$work/first.sums") installed files, the same bytes in both builds"
