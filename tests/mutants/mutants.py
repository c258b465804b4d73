#!/usr/bin/python3
"""Plants the defects of table/*.toml one at a time in a copy of the tree and shows which test notices.

Fields of a mutant:
  name       as told on the command line
  says       what is wrong with the product then
  file       that is changed
  old, new   the exact text that is replaced, which occurs once in the file, and what takes its place
  killed_by  names of tests, of which one must fail (`meson test --list`)

The copy and its build stay in out/mutants, so that a defect costs the files it touches, not a build.
"""

import argparse
import difflib
import functools
import glob
import heapq
import json
import os
import re
import subprocess
import sys
import time
import tomllib

HERE = os.path.dirname(os.path.abspath(__file__))
ROOT = os.path.dirname(os.path.dirname(HERE))
OUT = os.path.join(ROOT, "out", "mutants")
COPY, BUILD, LOG = (os.path.join(OUT, name) for name in ("tree", "build", "log.txt"))
# Warnings are let pass: a defect that the compiler happens to notice shows nothing of the tests.
SETUP = ["-Dwerror=false", "-Doptimization=1", "-Ddebug=false", "-Djemalloc=disabled", "-Ddpdk=disabled"]
FIELDS = {"name": str, "says": str, "file": str, "old": str, "new": str, "killed_by": list}

sys.path.insert(0, os.path.join(ROOT, "tests", "policy", "tidy"))
from tree import C_ROOMS, Tree  # noqa: E402 pylint: disable=wrong-import-position


class Broken(Exception):
    """The table or the build is at fault, not the suite."""


def read_table():
    mutants = []
    for path in sorted(glob.glob(os.path.join(HERE, "table", "*.toml"))):
        with open(path, "rb") as f:
            mutants += tomllib.load(f)["mutant"]
    return mutants


def read(path):
    try:
        with open(path, "rb") as f:
            return f.read()
    except FileNotFoundError:
        return None


def write(path, data):
    os.makedirs(os.path.dirname(path), exist_ok=True)
    with open(path, "wb") as f:
        f.write(data)


def problems(mutant):
    """What keeps this row from being planted."""
    name = mutant.get("name", "?")
    wrong = [f"{name}: {field} is missing or no {kind.__name__}" for field, kind in FIELDS.items()
             if not isinstance(mutant.get(field), kind)]
    wrong += [f"{name}: unknown field {field}" for field in mutant if field not in FIELDS]
    if wrong:
        return wrong
    text = read(os.path.join(ROOT, mutant["file"]))
    if text is None:
        return [f"{name}: there is no file {mutant['file']}\n{where_to(mutant)}"]
    count = text.decode().count(mutant["old"])
    if count != 1:
        wrong.append(f"{name}: its text occurs {count} times in {mutant['file']}, not once: bring the row up to date"
                     + ("" if count else "\n" + where_to(mutant)))
    if mutant["old"] == mutant["new"] or not mutant["killed_by"]:
        wrong.append(f"{name}: it changes nothing or names no test")
    return wrong


def squeezed(lines):
    return " ".join(" ".join(lines).split())


@functools.lru_cache(maxsize=None)
def product():
    """(file, lines, the words of each line) of the product's C."""
    texts = [(name, read(os.path.join(ROOT, name)).decode().splitlines())
             for name in Tree(ROOT).with_end(".c", ".h", under=C_ROOMS)]
    return [(name, lines, [frozenset(re.findall(r"\w+", line)) for line in lines]) for name, lines in texts]


def where_to(mutant, tried=40):
    """A best guess of where a row's text went: the lines of the product's C that are most like it."""
    wanted = mutant["old"].strip("\n").splitlines()
    words = frozenset(re.findall(r"\w+", mutant["old"]))
    windows = []
    for name, lines, found in product():
        for first in range(len(lines)):
            for count in (len(wanted), len(wanted) + 1): # a brace may have come
                shared = len(words & frozenset().union(*found[first:first + count]))
                windows.append((-shared, count, name, first, lines[first:first + count]))
    windows = heapq.nsmallest(tried, windows)
    likeness = [(difflib.SequenceMatcher(None, squeezed(lines), squeezed(wanted), False).ratio(), name, first, lines)
                for _, _, name, first, lines in windows]
    best, name, first, lines = max(likeness)
    return "\n".join([f"    most like it ({best:.0%}): {name}:{first + 1}", *(f"    | {line}" for line in lines)])


def unknown_tests(table, build):
    """Names of tests that a build directory, where there is one, does not have."""
    path = os.path.join(build, "meson-info", "intro-tests.json")
    if not build or not os.path.exists(path):
        return []
    known = {test["name"] for test in json.loads(read(path))}
    return [f"{mutant['name']}: there is no test {test}" for mutant in table
            for test in mutant["killed_by"] if test not in known]


def check_table(table, build):
    wrong = [line for mutant in table for line in problems(mutant)]
    names = [mutant.get("name") for mutant in table]
    wrong += unknown_tests(table, build) if not wrong else []
    wrong += [f"{name}: the name is there twice" for name in sorted(set(names)) if names.count(name) > 1]
    if wrong:
        raise Broken("\n".join(wrong))


def refresh_copy():
    """Only files that differ are written, or ninja would build everything anew."""
    files = {name for name in Tree(ROOT).files if not name.startswith(("build", "out/"))}
    for name in files:
        data, mode = read(os.path.join(ROOT, name)), os.stat(os.path.join(ROOT, name)).st_mode
        path = os.path.join(COPY, name)
        if data != read(path):
            write(path, data)
        if os.stat(path).st_mode != mode:
            os.chmod(path, mode)
    for folder, _, found in os.walk(COPY):
        for name in found:
            path = os.path.join(folder, name)
            if os.path.relpath(path, COPY) not in files:
                os.remove(path)


def run(command, log):
    log.write(f"\n$ {' '.join(command)}\n")
    log.flush()
    return subprocess.run(command, stdin=subprocess.DEVNULL, stdout=log, stderr=log, check=False).returncode


class Suite:
    """The copy's build and its tests."""

    def __init__(self, log):
        self.log = log
        made_up = ["meson", "setup", BUILD, COPY, *SETUP]
        known = os.path.exists(os.path.join(BUILD, "build.ninja"))
        if run(["ninja", "-C", BUILD, "build.ninja"] if known else made_up, log): # tests that are new are known, too
            raise Broken(f"the copy cannot be configured: see {LOG}")
        made = {target["id"]: target["filename"] for target in self.introspect("--targets")}
        self.programs = {test["name"]: [os.path.relpath(file, BUILD) for needed in test["depends"] for file in made[needed]]
                         for test in self.introspect("--tests")}

    @staticmethod
    def introspect(what):
        done = subprocess.run(["meson", "introspect", what, BUILD], stdout=subprocess.PIPE, text=True, check=True)
        return json.loads(done.stdout)

    def build(self, tests):
        unknown = [name for name in tests if name not in self.programs]
        if unknown:
            raise Broken(f"there is no test {', '.join(unknown)}")
        targets = sorted({target for name in tests for target in self.programs[name]})
        return run(["ninja", "-C", BUILD, *targets], self.log) == 0

    def results(self, tests):
        """Name to meson's verdict."""
        run(["meson", "test", "-C", BUILD, "--no-rebuild", *tests], self.log)
        with open(os.path.join(BUILD, "meson-logs", "testlog.json"), encoding="utf-8") as f:
            rows = [json.loads(line) for line in f]
        return {row["name"].split(" / ")[-1]: row["result"] for row in rows}


def killer(suite, mutant):
    """The first of its tests that fails, or None."""
    for test in mutant["killed_by"]:
        if not suite.build([test]):
            raise Broken(f"{mutant['name']}: it does not build: see {LOG}")
        if suite.results([test])[test] in ("FAIL", "TIMEOUT", "ERROR"):
            return test
    return None


def plant(suite, mutant):
    path = os.path.join(COPY, mutant["file"])
    sound = read(path)
    began = time.monotonic()
    try:
        write(path, sound.decode().replace(mutant["old"], mutant["new"]).encode())
        by = killer(suite, mutant)
    finally:
        write(path, sound)
    verdict = f"killed by {by} in {time.monotonic() - began:.1f} s" if by else "SURVIVED"
    print(f"{mutant['name']}: {mutant['says']}: {verdict}", flush=True)
    return by is not None


def failed(results):
    return {name: result for name, result in results.items() if result not in ("OK", "SKIP")}


def require_sound(suite, mutants):
    """A test that fails without any defect proves nothing, and one that is skipped here shows nothing here: the mutants
    that another test could kill, with those tests alone, and the others."""
    tests = sorted({test for mutant in mutants for test in mutant["killed_by"]})
    if not suite.build(tests):
        raise Broken(f"the copy does not build as it is: see {LOG}")
    results = suite.results(tests)
    bad = failed(results)
    if bad: # once more with fewer beside them: a table's whole run is too long to end with one test's bad moment
        results |= suite.results(list(bad))
        bad = failed(results)
    if bad:
        raise Broken("without any defect: " + ", ".join(f"{name} {result}" for name, result in bad.items()))
    tried, untried = [], []
    for mutant in mutants:
        run = [test for test in mutant["killed_by"] if results[test] == "OK"]
        if run:
            tried.append(mutant | {"killed_by": run})
        else:
            untried.append(mutant)
            print(f"{mutant['name']}: {mutant['says']}: not tried, {', '.join(mutant['killed_by'])} skipped", flush=True)
    return tried, untried


def part_of(text, mutants):
    """`K/N`: every Nth from the Kth, so that several machines share the table."""
    matched = re.fullmatch(r"([1-9]\d*)/([1-9]\d*)", text)
    if not matched or int(matched[1]) > int(matched[2]):
        raise Broken(f"--part {text}: K/N, with K from 1 to N")
    return mutants[int(matched[1]) - 1::int(matched[2])]


def main():
    parser = argparse.ArgumentParser(prog="./run mutants", description=__doc__.splitlines()[0])
    parser.add_argument("names", nargs="*", metavar="NAME", help="only these (tests/mutants/table lists them)")
    parser.add_argument("--check", action="store_true", help="only see that each row fits the tree; builds nothing")
    parser.add_argument("--build", default=os.path.join(ROOT, "build"), help="whose tests a row may name (./build, if it is there)")
    parser.add_argument("--part", default="1/1", metavar="K/N", help="only every Nth from the Kth")
    options = parser.parse_args()
    table = read_table()
    known = {mutant.get("name") for mutant in table}
    try:
        if set(options.names) - known:
            raise Broken(f"there is no mutant {', '.join(sorted(set(options.names) - known))}: see tests/mutants/table")
        check_table(table, options.build)
        if options.check:
            print(f"{len(table)} mutants fit the tree")
            return 0
        mutants = part_of(options.part, [m for m in table if not options.names or m["name"] in options.names])
        refresh_copy()
        with open(LOG, "w", encoding="utf-8") as log:
            suite = Suite(log)
            mutants, untried = require_sound(suite, mutants)
            killed = sum(plant(suite, mutant) for mutant in mutants)
    except Broken as why:
        print(f"mutants: {why}", file=sys.stderr)
        return 1
    print(f"{killed} killed, {len(mutants) - killed} survived, {len(untried)} not tried")
    return 0 if killed == len(mutants) else 1


if __name__ == "__main__":
    sys.exit(main())
