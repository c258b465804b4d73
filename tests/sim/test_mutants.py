#!/usr/bin/python3
"""The simulator can find bugs: each planted defect is caught within a number of seeds, and the same seeds
find nothing in the code as it is."""

import subprocess
import sys

SEEDS = 300
RARE = {"shape-ignored": 1200}  # it takes a list that the lead can shape without breaking another rule


def simulate(program, *words):
    return subprocess.run([program, *words], capture_output=True, text=True, check=False)


def main():
    program = sys.argv[1]
    listed = simulate(program, "--mutants").stdout.splitlines()
    mutants = [line.split("\t") for line in listed]
    assert len(mutants) >= 8, listed
    missed, last = [], 0
    for name, sentence in mutants:
        seeds = RARE.get(name, SEEDS)
        found = simulate(program, "--seeds", str(seeds), "--mutant", name)
        failures = [line for line in found.stdout.splitlines() if " FAILED " in line]
        if found.returncode != 1 or len(failures) != 1:
            missed.append(name)
            print(f"{name}: {sentence}: NOT FOUND within {seeds} seeds")
            continue
        seed = int(failures[0].split()[1])
        last = max(last, seed)
        print(f"{name}: {sentence}: found at seed {seed}: {failures[0].split(': ', 1)[1]}")
    done = simulate(program, "--seeds", str(last + 1))
    print(done.stdout)
    sound = done.returncode == 0
    if not sound:
        print("the code as it is fails in the same seeds: the defects may have been found by chance")
    return 0 if sound and not missed else 1


if __name__ == "__main__":
    sys.exit(main())
