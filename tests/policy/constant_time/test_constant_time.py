#!/usr/bin/env python3
"""Runs ct under valgrind for each case and level: test_constant_time.py CT

Valgrind has no AVX-512: that level's kernels are not seen here, which is said. The leaky cases must be
reported, or the others' silence would mean nothing.
"""

import os
import shutil
import subprocess
import sys

REPORTED = 99
LEVELS = {"x86_64": ("scalar", "avx2"), "aarch64": ("scalar", "neon")}
CASES = ("expand", "sharing", "fold", "derive")
LEAKS = ("leaky-compare", "leaky-table")


def run(program, *arguments):
    done = subprocess.run(["valgrind", "--quiet", f"--error-exitcode={REPORTED}", program, *arguments],
                          stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, check=False)
    return done.returncode, done.stdout


def main(program):
    if not shutil.which("valgrind"):
        print("skipped: valgrind is not installed (tests/install.sh test)")
        return 77
    bad = 0
    for leak in LEAKS:
        code, said = run(program, leak)
        if code != REPORTED:
            print(f"{leak}: not reported, exit code {code}\n{said}")
            bad += 1
    jobs = [("compare",)] + [(case, level) for level in LEVELS.get(os.uname().machine, ("scalar",))
                             for case in CASES]
    seen = 0
    for job in jobs:
        code, said = run(program, *job)
        if code == 77:
            print(f"{' '.join(job)}: valgrind's processor lacks it")
            continue
        seen += 1
        if code != 0:
            print(f"{' '.join(job)}: exit code {code}\n{said}")
            bad += 1
    print(f"{seen} cases without a branch or an address that depends on a secret; "
          f"AVX-512 is not executed by valgrind; {len(LEAKS)} planted leaks; {bad} complaints")
    return 1 if bad or seen < 1 + len(CASES) else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1]))
