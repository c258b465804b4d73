#!/usr/bin/python3
"""How much of the rooms that must not fail the native tests reach, branch by branch: coverage.py BUILD

`./run coverage` builds with gcov's counters, runs the tests, and calls this. Lines with MR_ASSERT do
not count: their other branch is a bug of ours that no test can take. Exit code 1 if a room is below
the given share.
"""

import argparse
import json
import os
import subprocess
import sys

ROOT = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
ROOMS = ("wire", "appliance/storage", "appliance/aggregate", "appliance/upload", "appliance/round", "appliance/privacy")
LEAST = 90.0


def measure(build):
    words = ["gcovr", "--root", ROOT, "--object-directory", build, "--json-summary", "-",
             "--exclude-lines-by-pattern", r".*\bMR_ASSERT\(.*", "--exclude-unreachable-branches",
             "--gcov-ignore-parse-errors", "-j", str(os.cpu_count())]
    for room in ROOMS:
        words += ["--filter", os.path.join(ROOT, room) + "/"]
    done = subprocess.run([*words, build], cwd=ROOT, stdout=subprocess.PIPE,
                          stderr=subprocess.DEVNULL, text=True, check=True)
    return json.loads(done.stdout)["files"]


def share(files):
    total = sum(f["branch_total"] for f in files)
    return 100.0 * sum(f["branch_covered"] for f in files) / total if total else 100.0


def main(words):
    parser = argparse.ArgumentParser(prog="./run coverage")
    parser.add_argument("build", help=argparse.SUPPRESS)
    parser.add_argument("--least", type=float, default=LEAST, metavar="PERCENT",
                        help="of branches that every room must reach (default: %(default)s)")
    parser.add_argument("--json", metavar="FILE", help="write the figures there too")
    options = parser.parse_args(words)
    files = measure(options.build)
    report, low = {}, []
    for room in ROOMS:
        inside = [f for f in files if f["filename"].startswith(room + "/")]
        if not inside:
            continue
        for f in sorted(inside, key=lambda f: share([f])):
            print(f"  {share([f]):6.1f} %  {f['branch_covered']:4}/{f['branch_total']:<4} {f['filename']}")
        report[room] = round(share(inside), 2)
        print(f"{share(inside):8.1f} %  of {sum(f['branch_total'] for f in inside)} branches in {room}/")
        if share(inside) < options.least:
            low.append(room)
    if options.json:
        with open(options.json, "w", encoding="utf-8") as f:
            json.dump({"branches": report, "files": files}, f, indent=1)
    if low:
        print(f"coverage: below {options.least} %: {', '.join(low)}")
    return 1 if low or not report else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
