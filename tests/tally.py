#!/usr/bin/env python3
"""Counts what the passes did: `N passed, N failed, N skipped`.

    tally.py [--brief | --turns] DIR PASS...

A pass has left DIR/PASS.json (meson's testlog.json: one JSON object a test program) and
DIR/PASS.notes (result TAB name TAB text: checks that are no test program). A test program that is
made of cmocka cases counts as its cases, any other as one. Meson's word on a program goes above its
cases: one that died after its last good case has failed.

With --turns the passes are turns of the same tests: each test counts once, as failed if it failed in
any turn, and the whole output of each failure is put into DIR/failures/.

Exit code 1 if anything failed or nothing ran.
"""

import json
import os
import re
import sys
from collections import namedtuple

Result = namedtuple("Result", "outcome name text")  # outcome: PASS, FAIL, SKIP
WORST = ("FAIL", "PASS", "SKIP")  # of several turns of a test, the first of these that occurred

MESON = {"OK": "PASS", "EXPECTEDFAIL": "PASS", "SKIP": "SKIP"}  # any other word is a failure
CASE = re.compile(r"^\[ *(OK|FAILED|SKIPPED) *\] (\w+)$", re.MULTILINE)
CASES = {"OK": "PASS", "FAILED": "FAIL", "SKIPPED": "SKIP"}
LOG_LINES = 60
CAUSE = re.compile(r"^(ERROR: |\[ *ERROR *\]|==\d+==ERROR: |.*: runtime error: )")


def last_words(text, case=None):
    """What was said last, before the case was skipped if one is named: the reason of a skip."""
    if case is not None:
        text = re.split(rf"\[ *SKIPPED *\] {case}\b", text, maxsplit=1)[0]
    lines = [line.strip() for line in text.splitlines() if line.strip()]
    lines = [line for line in lines if not line.startswith("[")]
    return lines[-1] if lines else "no reason printed"


def failure_log(output):
    """The end of the log, and above it the first complaints, which a long report can push out."""
    lines = output.strip().splitlines()
    tail = lines[-LOG_LINES:]
    causes = [line for line in lines[:-LOG_LINES] if CAUSE.match(line)][:8]
    return "\n".join(causes + ["[...]"] * bool(causes) + tail)


def cases_of(test, output):
    """The cmocka cases of one program as {name: outcome}; empty for any other kind of program."""
    found = {}
    for word, name in CASE.findall(output):
        if found.get(name) != "FAIL":
            found[name] = CASES[word]
    return found


def output_of(test):
    return (test.get("stdout") or "") + "\n" + (test.get("stderr") or "")


def results_of(test):
    """The results of one line of testlog.json."""
    output = output_of(test)
    outcome = MESON.get(test["result"], "FAIL")
    cases = cases_of(test, output)
    results = [Result(kind, f"{test['name']}: {case}", last_words(output, case))
               for case, kind in cases.items() if kind != "FAIL"]
    if outcome == "FAIL":
        log = failure_log(output)
        failed = [case for case, kind in cases.items() if kind == "FAIL"] or [test["result"]]
        results += [Result("FAIL", f"{test['name']}: {case}", log if i == 0 else "")
                    for i, case in enumerate(failed)]
    elif not cases or outcome == "SKIP":
        results = [Result(outcome, test["name"], last_words(output))]
    return results


def read_tests(folder, name):
    """The lines of a pass's testlog.json."""
    path = os.path.join(folder, name + ".json")
    if not os.path.exists(path):
        return []
    with open(path, encoding="utf-8") as f:
        return [json.loads(line) for line in f]


def read_pass(folder, name):
    results = [r for test in read_tests(folder, name) for r in results_of(test)]
    path = os.path.join(folder, name + ".notes")
    if os.path.exists(path):
        with open(path, encoding="utf-8") as f:
            results += [Result(*line.rstrip("\n").split("\t", 2)) for line in f if line.strip()]
    return results


def count(results):
    passed, failed, skipped = (sum(r.outcome == o for r in results)
                               for o in ("PASS", "FAIL", "SKIP"))
    return f"{passed} passed, {failed} failed, {skipped} skipped"


def keep_failures(folder, turn):
    """The whole output of each program that failed, in a file of its own; {program: file}."""
    kept = {}
    for test in read_tests(folder, turn):
        if MESON.get(test["result"], "FAIL") == "FAIL":
            os.makedirs(os.path.join(folder, "failures"), exist_ok=True)
            program = test["name"].split(" / ")[-1].strip()
            path = os.path.join(folder, "failures",
                                re.sub(r"[^\w.-]", "_", program) + f".{turn}.log")
            with open(path, "w", encoding="utf-8") as f:
                f.write(output_of(test))
            kept[test["name"]] = path
    return kept


def main_turns(folder, turns):
    outcomes, failures, skips = {}, {}, {}
    for turn in turns:
        logs = keep_failures(folder, turn)
        for r in read_pass(folder, turn):
            outcomes.setdefault(r.name, set()).add(r.outcome)
            if r.outcome == "FAIL":
                where = logs.get(r.name.rsplit(": ", 1)[0], r.text)
                failures.setdefault(r.name, []).append(where)
            elif r.outcome == "SKIP":
                skips[r.name] = r.text
    for name in failures: # "x: FAIL" in one turn is "x" in the others
        outcomes.pop(name.rsplit(": ", 1)[0], None)
    all_in_all = {name: next(o for o in WORST if o in seen) for name, seen in outcomes.items()}
    for name, text in skips.items():
        if all_in_all[name] == "SKIP":
            print(f"skipped {name}: {text}")
    for name, where in failures.items():
        print(f"FAILED {name}: in {len(where)} of {len(turns)} turns")
        for path in where:
            print(f"    {path}")
    results = [Result(outcome, name, "") for name, outcome in all_in_all.items()]
    print(count(results))
    return 1 if not results or failures else 0


def main(words):
    if words[:1] == ["--turns"]:
        return main_turns(words[1], words[2:])
    brief = words[:1] == ["--brief"]
    folder, *passes = words[1:] if brief else words
    by_pass = {name: read_pass(folder, name) for name in dict.fromkeys(passes)}
    everything = [r for results in by_pass.values() for r in results]
    if brief:
        print("   " + count(everything))
        return 0
    for outcome, title in (("SKIP", "skipped"), ("FAIL", "FAILED")):
        for name, results in by_pass.items():
            for r in results:
                if r.outcome == outcome:
                    text = r.text.replace("\n", "\n    ")
                    print(f"{title} {name}/{r.name}: {text}")
    print(count(everything))
    return 1 if not everything or any(r.outcome == "FAIL" for r in everything) else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
