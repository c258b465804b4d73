#!/usr/bin/env python3
"""Runs clang-tidy-14 over the sources of a build dir: clang_tidy.py BUILD

Only what the build compiles natively is read, tests left out (they are checked by the compiler, the
sanitizers and the house rules). A file whose preprocessor input has not changed since it last passed
is not read again: build/clang-tidy/ holds a stamp for each.
"""

import concurrent.futures
import hashlib
import json
import os
import re
import shlex
import subprocess
import sys

TIDY = "clang-tidy-14"
ROOT = os.path.abspath(os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "..", ".."))
# GCC's own options that clang does not know; what they ask for does not change the analysis.
EXTRA = ["--extra-arg=-Wno-unknown-warning-option", "--extra-arg=-Wno-ignored-optimization-argument"]


def sources(build):
    """(file, compile command) of each native source of the tree, tests left out."""
    with open(os.path.join(build, "compile_commands.json"), encoding="utf-8") as f:
        commands = json.load(f)
    found = {}
    for entry in commands:
        path = os.path.relpath(os.path.join(entry["directory"], entry["file"]), ROOT)
        if path.endswith(".c") and not path.startswith(("tests/", "..", "build")):
            found.setdefault(path, entry)
    return sorted(found.items())


def fingerprint(entry):
    """Hash of everything the analysis sees: preprocessed text, options, checks, tool version."""
    words = [w for w in shlex.split(entry["command"]) if w != "ccache"]
    words = [w for i, w in enumerate(words)
             if w not in ("-c", "-MD", "-MQ", "-MF", "-o") and words[i - 1] not in ("-MQ", "-MF", "-o")]
    text = subprocess.run(words + ["-E"], cwd=entry["directory"], stdout=subprocess.PIPE,
                          stderr=subprocess.DEVNULL, check=False).stdout
    with open(os.path.join(ROOT, ".clang-tidy"), "rb") as f:
        checks = f.read()
    version = subprocess.run([TIDY, "--version"], stdout=subprocess.PIPE, check=True).stdout
    return hashlib.sha256(b"\0".join([text, checks, version, repr(words).encode()])).hexdigest()


def check(build, path, entry):
    """The complaints about one file, or None."""
    stamps = os.path.join(build, "clang-tidy")
    stamp = os.path.join(stamps, re.sub(r"\W", "_", path))
    key = fingerprint(entry)
    if os.path.exists(stamp):
        with open(stamp, encoding="ascii") as f:
            if f.read() == key:
                return None
    done = subprocess.run([TIDY, "--quiet", "-p", build, *EXTRA, os.path.join(ROOT, path)],
                          stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, check=False)
    if done.returncode != 0 or "warning:" in done.stdout:
        return done.stdout or done.stderr
    os.makedirs(stamps, exist_ok=True)
    with open(stamp, "w", encoding="ascii") as f:
        f.write(key)
    return None


def main(build):
    work = sources(build)
    bad = 0
    with concurrent.futures.ThreadPoolExecutor(os.cpu_count()) as pool:
        for complaint in pool.map(lambda job: check(build, *job), work):
            if complaint:
                bad += 1
                print(complaint)
    print(f"clang-tidy: {len(work)} files, {bad} with complaints")
    return 1 if bad or not work else 0


if __name__ == "__main__":
    sys.exit(main(os.path.abspath(sys.argv[1])))
