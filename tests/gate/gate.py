#!/usr/bin/env python3
"""Counts the instructions of the hot paths and fails where they grew; `./run bench gate` calls it.

  gate.py --build DIR [--figures FILE] [--accept] [--slower NAME]

Counts of callgrind do not depend on how busy the machine is. They do depend on the compiler and on
the libraries: what they were taken with stands in figures.json, and where something else is
installed nothing is judged. Valgrind's processor has AVX2 and AES-NI and no AVX-512, so that the
kernels of that level are not seen here.

--accept writes what was counted into the file. --slower is for the test of the gate itself: it lets
one kernel do a sixteenth more.

Exit codes: 0 nothing grew; 1 something grew, or is in one of both only; 2 wrong usage; 77 skipped.
"""

import argparse
import glob
import json
import os
import platform
import re
import shutil
import subprocess
import sys
import tempfile

HERE = os.path.dirname(os.path.abspath(__file__))
GROWTH = 0.03  # more than that fails
# Group of figures, program, arguments.
PROGRAMS = (
    ("scalar", "gate_kernels", ("scalar",)),
    ("avx2", "gate_kernels", ("avx2",)),
    ("upload", "gate_upload", ()),
    ("control", "gate_round", ()),
)
SKIPPED = 77


class Failed(Exception):
    """What is wrong, and the remedy."""


def toolchain(build):
    """What all counts depend on; the programs themselves say more."""
    path = os.path.join(build, "meson-info", "intro-buildoptions.json")
    try:
        with open(path, encoding="utf-8") as f:
            options = {option["name"]: option["value"] for option in json.load(f)}
    except (OSError, ValueError) as error:
        raise Failed(f"{build} is no build of meson ({error}): give one with --build") from error
    valgrind = subprocess.run(["valgrind", "--version"], capture_output=True, text=True, check=True)
    return {
        "architecture": platform.machine(),
        "optimization": options["optimization"],
        "coverage": options["b_coverage"],
        "valgrind": valgrind.stdout.strip(),
    }


def count(build, program, arguments):
    """({name: instructions}, {compiler or library: version}) of one program."""
    path = os.path.join(build, "tests", "gate", program)
    with tempfile.TemporaryDirectory() as scratch:
        out = os.path.join(scratch, "counts")
        done = subprocess.run(
            ["valgrind", "--tool=callgrind", "--instr-atstart=no", f"--callgrind-out-file={out}",
             path, *arguments],
            stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, check=False,
            stdin=subprocess.DEVNULL, env={"PATH": os.environ.get("PATH", ""), "LC_ALL": "C"})
        if done.returncode != 0:
            raise Failed(f"{program} {' '.join(arguments)}: exit code {done.returncode} under "
                         f"callgrind\n{done.stdout}")
        figures = {}
        for dump in glob.glob(out + ".*"):
            with open(dump, encoding="utf-8") as f:
                text = f.read()
            name = re.search(r"^desc: Trigger: Client Request: (\w+)$", text, re.MULTILINE)
            total = re.search(r"^totals: (\d+)", text, re.MULTILINE)
            if name and total:
                figures[name[1]] = int(total[1])
        return figures, dict(re.findall(r"^gate: with (\w+) (.*)$", done.stdout, re.MULTILINE))


def count_all(build, slower):
    """{group: {"with": {...}, "instructions": {...}}}"""
    groups = {}
    for group, program, arguments in PROGRAMS:
        if slower and program == "gate_kernels":
            arguments += (slower,)
        figures, libraries = count(build, program, arguments)
        groups[group] = {"with": libraries, "instructions": figures}
    return groups


def differences(known, found):
    return ", ".join(f"{key} is {found.get(key)}, the figures were taken with {known.get(key)}"
                     for key in sorted(known.keys() | found.keys())
                     if known.get(key) != found.get(key))


def judge(group, known, found):
    """Lines to print, and how many of them are complaints."""
    lines, bad = [], 0
    for name in sorted(known.keys() | found.keys()):
        if name not in found or name not in known:
            where = "counted no more" if name not in found else "not in the file"
            lines.append(f"FAIL {group}.{name}: {where}; renew the file with --accept")
            bad += 1
            continue
        change = found[name] / known[name] - 1
        word = "ok  "
        if change > GROWTH:
            word = "FAIL"
            bad += 1
        elif change < -GROWTH:
            word = "less"
        lines.append(f"{word} {group + '.' + name:<22} {known[name]:>12,} -> {found[name]:>12,} "
                     f"({change:+.2%})")
    return lines, bad


def compare(known, found_tools, groups):
    """The exit code."""
    other = differences(known["toolchain"], found_tools)
    if other:
        print(f"skipped: {other}")
        return SKIPPED
    bad = seen = 0
    for group, found in groups.items():
        entry = known["groups"].get(group, {"with": found["with"], "instructions": {}})
        other = differences(entry["with"], found["with"])
        if other:
            print(f"skipped {group}: {other}")
            continue
        lines, complaints = judge(group, entry["instructions"], found["instructions"])
        print("\n".join(lines))
        bad += complaints
        seen += 1
    print("not seen: AVX-512, which valgrind does not execute")
    if bad:
        print(f"gate: {bad} of the counts grew by more than {GROWTH:.0%} or are new. Make them "
              "smaller; or, where that is the price of something, say of what in the commit that "
              "renews them: ./run bench gate --accept")
    return 1 if bad else 0 if seen else SKIPPED


def main():
    parser = argparse.ArgumentParser(prog="./run bench gate")
    parser.add_argument("--build", required=True, help="a build without sanitizers")
    parser.add_argument("--figures", default=os.path.join(HERE, "figures.json"))
    parser.add_argument("--accept", action="store_true", help="these counts are the right ones now")
    parser.add_argument("--slower", metavar="NAME", help="for the test of the gate itself")
    options = parser.parse_args()
    if not shutil.which("valgrind"):
        print("skipped: valgrind is not installed (tests/install.sh test)")
        return SKIPPED
    try:
        tools = toolchain(options.build)
        if options.accept:
            found = {"toolchain": tools, "groups": count_all(options.build, options.slower)}
            with open(options.figures, "w", encoding="utf-8") as f:
                json.dump(found, f, indent=1, sort_keys=True)
                f.write("\n")
            print(f"written: {options.figures}")
            return 0
        with open(options.figures, encoding="utf-8") as f:
            known = json.load(f)
        # Another architecture or optimisation: its counts would be thrown away.
        groups = {} if differences(known["toolchain"], tools) else count_all(options.build,
                                                                             options.slower)
        return compare(known, tools, groups)
    except (Failed, OSError, ValueError, KeyError) as error:
        print(f"gate: {error}", file=sys.stderr)
        return 1


if __name__ == "__main__":
    sys.exit(main())
