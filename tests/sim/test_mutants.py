#!/usr/bin/python3
"""The simulator can find bugs: each planted defect is caught within a number of seeds, and the same seeds
find nothing in the code as it is."""

import subprocess
import sys

SEEDS = 300


def simulate(program, *words):
    return subprocess.run([program, *words], capture_output=True, text=True, check=False)


def main():
    program = sys.argv[1]
    listed = simulate(program, "--mutants").stdout.splitlines()
    mutants = [line.split("\t") for line in listed]
    assert len(mutants) >= 8, listed
    missed, deepest = [], 0
    for name, sentence in mutants:
        found = simulate(program, "--seeds", str(SEEDS), "--mutant", name)
        failures = [line for line in found.stdout.splitlines() if " FAILED " in line]
        if found.returncode != 1 or len(failures) != 1:
            missed.append(name)
            print(f"{name}: {sentence}: NOT FOUND within {SEEDS} seeds")
            continue
        seed = int(failures[0].split()[1])
        deepest = max(deepest, seed)
        print(f"{name}: {sentence}: found at seed {seed}: {failures[0].split(': ', 1)[1]}")
    sound = simulate(program, "--seeds", str(deepest + 1))
    print(sound.stdout)
    if sound.returncode != 0:
        print("the code as it is fails in the same seeds: the defects may have been found by chance")
    return 1 if missed or sound.returncode else 0


if __name__ == "__main__":
    sys.exit(main())
