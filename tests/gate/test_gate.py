#!/usr/bin/env python3
"""The gate itself: test_gate.py BUILD

A kernel that does a sixteenth more is found by its name, at each level; what another compiler or
another library made is not judged; and a count that nobody accepted is a failure.
"""

import contextlib
import copy
import importlib.util
import io
import json
import os
import subprocess
import sys
import tempfile

HERE = os.path.dirname(os.path.abspath(__file__))
GATE = os.path.join(HERE, "gate.py")


def load_gate():
    spec = importlib.util.spec_from_file_location("gate", GATE)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def run(build, figures, *arguments):
    done = subprocess.run([sys.executable, GATE, "--build", build, "--figures", figures, *arguments],
                          stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, check=False)
    return done.returncode, done.stdout


def planted_slow_down(build, figures):
    """Counted here and now, so that it is seen with any compiler."""
    code, said = run(build, figures, "--accept")
    if code == 77:
        return said
    assert code == 0, said
    code, said = run(build, figures)
    assert code == 0, f"nothing changed, and the gate says\n{said}"
    code, said = run(build, figures, "--slower", "fold_w24")
    failed = [line.split()[1] for line in said.splitlines() if line.startswith("FAIL")]
    assert code == 1 and failed == ["scalar.fold_w24", "avx2.fold_w24"], said
    assert "./run bench gate --accept" in said, said
    return None


def judging(gate, figures):
    with open(figures, encoding="utf-8") as f:
        known = json.load(f)
    tools, groups = known["toolchain"], known["groups"]
    assert gate.compare(known, tools, groups) == 0
    assert gate.compare(known, {**tools, "optimization": "0"}, {}) == 77
    changed = copy.deepcopy(groups)
    changed["control"]["instructions"]["round"] = int(
        groups["control"]["instructions"]["round"] * 1.031)
    assert gate.compare(known, tools, changed) == 1
    changed["control"]["with"] = {**changed["control"]["with"], "compiler": "another"}
    assert gate.compare(known, tools, changed) == 0
    assert gate.compare(known, tools, {"control": changed["control"]}) == 77
    for name, other in (("new", known), ("gone", {"toolchain": tools, "groups": groups})):
        changed = copy.deepcopy(groups)
        if name == "new":
            changed["upload"]["instructions"]["new"] = 1
        else:
            del changed["upload"]["instructions"]["receive"]
        assert gate.compare(other, tools, changed) == 1, name
    changed = copy.deepcopy(groups)
    changed["upload"]["instructions"]["receive"] //= 2
    assert gate.compare(known, tools, changed) == 0


def main(build):
    with tempfile.TemporaryDirectory() as scratch:
        figures = os.path.join(scratch, "figures.json")
        skipped = planted_slow_down(build, figures)
        if skipped:
            print(skipped, end="")
            return 77
        with contextlib.redirect_stdout(io.StringIO()):
            judging(load_gate(), figures)
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1]))
