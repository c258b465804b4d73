#!/usr/bin/env python3
"""Runs the benches of perf/benches.py and puts what they measured together; `./run bench` calls it.

What a program prints is in out/bench/NAME.log.

  bench.py run --build DIR [--quick] [--json FILE] [NAME...]
  bench.py compare A.json B.json

Exit codes: 0 done; 1 a bench failed, or (compare) something got slower; 2 wrong usage.
"""

import argparse
import json
import os
import subprocess
import sys
import tempfile
import time

HERE = os.path.dirname(os.path.abspath(__file__))
sys.path.insert(0, HERE)

import document
import machine
import plots
from benches import BENCHES

SKIPPED = 77  # a program's exit code: the machine lacks what it needs
OUT = os.path.join("out", "bench")


def command_of(bench, build):
    """The program's command line; None where the build lacks it."""
    if bench.program.endswith(".py"):
        path = os.path.join(HERE, os.path.relpath(bench.program, "perf"))
        return [sys.executable, path, "--build", build] if os.path.exists(path) else None
    path = os.path.join(build, bench.program)
    return [path] if os.path.exists(path) else None


def run_one(bench, build, quick):
    """('done', summary) or ('skipped' | 'failed', reason)."""
    command = command_of(bench, build)
    if command is None:
        return "skipped", f"{bench.program} is not in {build}: {bench.needs}"
    with tempfile.TemporaryDirectory() as scratch:
        path = os.path.join(scratch, "figures.json")
        command += ["--json", path] + (["--quick"] if quick else [])
        began = time.monotonic()
        os.makedirs(OUT, exist_ok=True)
        with open(os.path.join(OUT, bench.name + ".log"), "w", encoding="utf-8") as log:
            done = subprocess.run(command, stdout=log, stderr=subprocess.PIPE, text=True,
                                  check=False)
        reason = " ".join(done.stderr.split())[-400:]
        if done.returncode == SKIPPED:
            return "skipped", reason or "it gave no reason"
        if done.returncode != 0:
            return "failed", f"exit code {done.returncode}: {reason}"
        try:
            with open(path, encoding="utf-8") as f:
                summary = document.summarise(json.load(f), quick)
        except (OSError, ValueError, document.BadDocument) as error:
            return "failed", str(error)
    summary["seconds"] = round(time.monotonic() - began, 1)
    return "done", summary


def number(x):
    return f"{x:.4g}" if abs(x) < 1e5 else f"{x:,.0f}"


def print_table(result):
    print(f"\n{'figure':<40} {'median':>10} {'spread':>9} {'unit':<10} {'target':>7}")
    for bench in result["benches"]:
        for f in bench["figures"]:
            target = number(f["target"]) if "target" in f else ""
            print(f"{f['name']:<40} {number(f['median']):>10} {number(f['spread']):>9} "
                  f"{f['unit']:<10} {target:>7} {document.verdict(f)}")
    for kind in ("skipped", "failed"):
        for entry in result[kind]:
            print(f"{kind}: {entry['bench']}: {entry['reason']}")


def chosen(names):
    known = {bench.name for bench in BENCHES}
    for name in names:
        if name not in known:
            sys.exit(f"bench: no bench '{name}'; there are: {', '.join(sorted(known))}")
    return [b for b in BENCHES if not names or b.name in names]


def run(options):
    found = machine.describe()
    cores = found["cores"]
    print(f"{found['cpu']}, {cores} cores, {found['caches']}; load {found['load_at_start']:.2f}",
          flush=True)
    if found["load_at_start"] > 0.5 * cores:
        print("bench: the machine is busy: ratios hold better than rates, and neither well",
              file=sys.stderr)
    groups = {"done": [], "skipped": [], "failed": []}
    for bench in chosen(options.names):
        print(f"--- {bench.name}", flush=True)
        kind, what = run_one(bench, options.build, options.quick)
        groups[kind].append(what if kind == "done" else {"bench": bench.name, "reason": what})
    result = document.merge(found, options.quick, groups["done"], groups["skipped"],
                            groups["failed"])
    path = options.json or os.path.join(OUT, "bench.json")
    os.makedirs(os.path.dirname(os.path.abspath(path)), exist_ok=True)
    with open(path, "w", encoding="utf-8") as f:
        json.dump(result, f, indent=1)
        f.write("\n")
    drawn = plots.draw(result, OUT)
    print_table(result)
    print(f"written: {path}" + (f"; pictures in {OUT}/: {', '.join(drawn)}" if drawn else ""))
    return 1 if groups["failed"] else 0


def load(path):
    try:
        with open(path, encoding="utf-8") as f:
            return json.load(f)
    except (OSError, ValueError) as error:
        sys.exit(f"bench: cannot read {path}: {error}")


def compare(options):
    before, after = load(options.before), load(options.after)
    try:
        changes = document.compare(before, after)
    except document.BadDocument as error:
        sys.exit(f"bench: {error}")
    for key in ("cpu", "kernel", "compiler"):
        if before["machine"][key] != after["machine"][key]:
            print(f"note: {key} differs: {before['machine'][key]} / {after['machine'][key]}")
    if before["quick"] or after["quick"]:
        print("note: a quick run has few samples: its noise is underestimated")
    a, b = document.figures_of(before), document.figures_of(after)
    for name, kind, change in changes:
        if change is None:
            print(f"{kind:<7} {name}")
        else:
            print(f"{kind:<7} {name}: {number(a[name]['median'])} -> {number(b[name]['median'])} "
                  f"{a[name]['unit']} ({change:+.1%})")
    judged = sum(f["better"] != "neither" and n in b for n, f in a.items())
    moved = [kind for _, kind, change in changes if change is not None]
    print(f"{judged} figures compared: {moved.count('slower')} slower, {moved.count('faster')} "
          f"faster. Changed means: medians differ by more than {document.SIGMAS} times both spreads "
          f"together and by more than {document.FLOOR:.0%}.")
    return 1 if "slower" in moved else 0


def main():
    parser = argparse.ArgumentParser(prog="./run bench")
    commands = parser.add_subparsers(required=True)
    one = commands.add_parser("run")
    one.add_argument("--build", required=True, help="a release build")
    one.add_argument("--quick", action="store_true", help="fewer samples, smaller sizes")
    one.add_argument("--json", help="write the document there instead of out/bench/bench.json")
    one.add_argument("names", nargs="*", metavar="NAME")
    one.set_defaults(call=run)
    two = commands.add_parser("compare")
    two.add_argument("before", metavar="A.json")
    two.add_argument("after", metavar="B.json")
    two.set_defaults(call=compare)
    options = parser.parse_args()
    return options.call(options)


if __name__ == "__main__":
    sys.exit(main())
