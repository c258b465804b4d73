#!/usr/bin/python3
"""Runs the fuzz targets and says what came of it; `./run fuzz` calls it.

Every target starts from its committed corpus and from what earlier runs found (out/fuzz/TARGET/corpus),
runs for the given time, and has its corpus minimised afterwards. Findings are kept in
out/fuzz/TARGET/findings; the exit code is 1 if there is one.
"""

import argparse
import concurrent.futures
import glob
import json
import os
import re
import shutil
import subprocess
import sys
import tempfile
import threading

ROOT = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
COMMITTED = os.path.join(ROOT, "tests", "fuzz", "corpus")
OUT = os.path.join(ROOT, "out", "fuzz")
INPUT_BYTES_MAX = 4096
KEPT_BYTES_MAX = 2048 # of a committed input
STATUS = re.compile(r"cov: (\d+) ft: (\d+) corp: (\d+)")


class Target:
    def __init__(self, build, name):
        self.name = name
        self.program = os.path.join(build, "tests", "fuzz", "fuzz_" + name)
        self.folder = os.path.join(OUT, name)
        self.corpus = os.path.join(self.folder, "corpus")
        self.findings = os.path.join(self.folder, "findings")
        self.committed = os.path.join(COMMITTED, name)
        for folder in (self.corpus, self.findings, self.committed):
            os.makedirs(folder, exist_ok=True)

    def call(self, log, *words):
        environment = dict(os.environ, ASAN_OPTIONS="abort_on_error=1:detect_stack_use_after_return=0",
                           UBSAN_OPTIONS="print_stacktrace=1")
        with open(os.path.join(self.folder, log), "w", encoding="utf-8") as f:
            done = subprocess.run([self.program, *words], cwd=self.folder, stdin=subprocess.DEVNULL,
                                  stdout=f, stderr=f, env=environment, check=False)
        return done.returncode

    def run(self, seconds):
        before = set(glob.glob(self.findings + "/*"))
        code = self.call("fuzz.log", f"-max_total_time={seconds}", "-print_final_stats=1", "-timeout=10",
                         f"-max_len={INPUT_BYTES_MAX}", "-reload=0", f"-artifact_prefix={self.findings}/",
                         self.corpus, self.committed)
        found = sorted(set(glob.glob(self.findings + "/*")) - before)
        result = {"target": self.name, "exit": code, "findings": found, **self.figures()}
        result["corpus_minimised"] = self.minimise() if code == 0 else None
        return result

    def figures(self):
        with open(os.path.join(self.folder, "fuzz.log"), encoding="utf-8", errors="replace") as f:
            log = f.read()
        stats = dict(re.findall(r"stat::(\w+):\s+(\d+)", log))
        status = STATUS.findall(log)
        edges, features, _ = status[-1] if status else (0, 0, 0)
        return {"executions": int(stats.get("number_of_executed_units", 0)),
                "per_second": int(stats.get("average_exec_per_sec", 0)),
                "edges": int(edges), "features": int(features)}

    def minimise(self):
        """The same coverage from fewer and smaller inputs."""
        merged = tempfile.mkdtemp(dir=self.folder, prefix="merged-")
        code = self.call("merge.log", "-merge=1", f"-max_len={INPUT_BYTES_MAX}", merged, self.corpus,
                         self.committed)
        if code != 0:
            shutil.rmtree(merged)
            return None
        shutil.rmtree(self.corpus)
        os.rename(merged, self.corpus)
        return len(os.listdir(self.corpus))

    def keep(self, most):
        """Writes the inputs that together cover most into the committed corpus, at most so many."""
        control = os.path.join(self.folder, "control")
        empty = tempfile.mkdtemp(dir=self.folder, prefix="merged-")
        if os.path.exists(control):
            os.remove(control)
        self.call("keep.log", "-merge=1", f"-merge_control_file={control}", empty, self.corpus,
                  self.committed)
        shutil.rmtree(empty)
        files, features = read_control(control)
        # What a finding or a planted defect taught stays, whatever else is chosen.
        crashers = [f for f in files if os.path.basename(f).startswith(("finding-", "kept-"))]
        small = [f for f in files if os.path.getsize(f) <= KEPT_BYTES_MAX and f not in crashers]
        chosen = crashers + choose(small, features, most)
        contents = {}
        for file in chosen:
            with open(file, "rb") as f:
                contents[file] = f.read()
        for old in glob.glob(self.committed + "/*"):
            os.remove(old)
        for number, file in enumerate(chosen):
            name = os.path.basename(file) if file in crashers else f"{number:02d}"
            with open(os.path.join(self.committed, name), "wb") as f:
                f.write(contents[file])
        return len(chosen)


def read_control(path):
    """libFuzzer's merge control file: (input files, {file: set of features})."""
    with open(path, encoding="utf-8") as f:
        lines = f.read().splitlines()
    count = int(lines[0])
    files, features = lines[2:2 + count], {}
    for line in lines[2 + count:]:
        kind, number, *values = line.split()
        if kind == "FT":
            features[files[int(number)]] = {int(value) for value in values}
    return [file for file in files if file in features], features


def choose(files, features, most):
    """Greedy cover: the input that adds most comes first; of equals the smallest."""
    chosen, covered = [], set()
    left = sorted(files, key=os.path.getsize)
    while left and len(chosen) < most:
        best = max(left, key=lambda f: len(features[f] - covered))
        if not features[best] - covered:
            break
        chosen.append(best)
        covered |= features[best]
        left.remove(best)
    return chosen


def show(result):
    print("%-13s %11s %8s %7s %9s %7s  %s" % (
        result["target"], f"{result['executions']:,}", f"{result['per_second']:,}", result["edges"],
        result["features"], result["corpus_minimised"],
        "no finding" if result["exit"] == 0 else "FINDING: " + (
            ", ".join(os.path.relpath(f, ROOT) for f in result["findings"])
            or f"exit code {result['exit']}, see out/fuzz/{result['target']}/fuzz.log")), flush=True)


def parse(words, names):
    parser = argparse.ArgumentParser(prog="./run fuzz", description="Fuzz targets: all, " + ", ".join(names))
    parser.add_argument("--build", required=True, help=argparse.SUPPRESS)
    parser.add_argument("target", nargs="?", default="all", choices=["all", *names], metavar="TARGET")
    parser.add_argument("seconds", nargs="?", type=int, default=60, metavar="SECONDS")
    parser.add_argument("--jobs", type=int, default=1, help="targets that run at the same time")
    parser.add_argument("--keep", type=int, metavar="N",
                        help="afterwards, write the N best inputs of each target to tests/fuzz/corpus")
    return parser.parse_args(words)


def main(words):
    build = words[words.index("--build") + 1]
    names = sorted(os.path.basename(p)[5:] for p in glob.glob(build + "/tests/fuzz/fuzz_*")
                   if os.access(p, os.X_OK) and os.path.isfile(p))
    options = parse(words, names)
    targets = [Target(build, name) for name in names if options.target in ("all", name)]
    print("%-13s %11s %8s %7s %9s %7s" % ("target", "executions", "exec/s", "edges", "features", "corpus"),
          flush=True)
    results, lock = [], threading.Lock()

    def work(target):
        result = target.run(options.seconds)
        if options.keep and result["exit"] == 0:
            result["kept"] = target.keep(options.keep)
        with lock:
            results.append(result)
            show(result)

    with concurrent.futures.ThreadPoolExecutor(options.jobs) as pool:
        list(pool.map(work, targets))
    with open(os.path.join(OUT, "report.json"), "w", encoding="utf-8") as f:
        json.dump({"seconds": options.seconds, "targets": results}, f, indent=1)
    bad = [r for r in results if r["exit"] != 0]
    print(f"fuzz: {len(results)} targets, {sum(r['executions'] for r in results):,} executions, "
          f"{len(bad)} with findings; out/fuzz/report.json")
    return 1 if bad else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
