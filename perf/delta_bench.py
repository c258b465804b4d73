#!/usr/bin/env python3
"""Deltas of models from real rounds, beside bsdiff, xdelta3 and zstd: delta_bench.py --build BUILD [--json FILE]

Two hubs and twenty devices train on the digits; the models and sums that the lead has on its disk afterwards are
what is measured: the demo's own model and one of 1.1 million weights. Then one weight of a hundred is changed.
"""

import argparse
import json
import math
import os
import random
import resource
import shutil
import struct
import subprocess
import sys
import tempfile

HERE = os.path.dirname(os.path.abspath(__file__))
sys.path.insert(0, os.path.join(HERE, "..", "demo"))
import demo as digits  # noqa: E402 pylint: disable=wrong-import-position
import figures  # noqa: E402 pylint: disable=wrong-import-position
from release_bench import Releases  # noqa: E402 pylint: disable=wrong-import-position
from hub_bench import cpu_name  # noqa: E402 pylint: disable=wrong-import-position

DEVICES = 21
SAMPLES = 7
LARGE = (32 << 20) // 4
LAYERS = {"digits": "64,64,10", "million": "64,1024,1024,10"}


class Rounds(digits.Demo):
    """Two rounds of the demo's federation with another model."""

    def play(self, count):
        self.fed.upload_options = {**self.fed.upload_options, "share_bytes_max": 4 << 20}
        self.prepare()
        self.fed.start_hubs(self.genuine, digits.COHORT_MIN, self.initial)
        for number in range(self.genuine):
            self.start_device(number)
        for _ in range(count):
            opened = self.fed.operator(0, "round", "open", "--deadline-ms", "600000")["round"]
            outcome = self.fed.operator(0, "round", "show", str(opened), "--wait")
            if outcome["state"] != "published":
                raise digits.Failure(f"round {opened} ended {outcome['state']}: {outcome.get('reason')}")
        last = self.fed.operator(0, "round", "show", str(count))
        self.fed.stop()
        return last["parent"], last["model_hash"]


def find_store(work):
    for folder, _, files in os.walk(work):
        if "current" in files and os.path.isdir(os.path.join(folder, "models")):
            return folder
    raise digits.Failure(f"no store below {work}")


def values(path):
    with open(path, "rb") as f:
        data = f.read()
    start = 8 + struct.unpack("<Q", data[:8])[0]
    return data, start


def entropy_bits(sum_file, lanes):
    """Of the opened integers: bits a value, times the values."""
    with open(sum_file, "rb") as f:
        data = f.read()[:2 * lanes]
    seen = {}
    for v, in struct.iter_unpack("<h", data):
        seen[v] = seen.get(v, 0) + 1
    return -sum(n * math.log2(n / lanes) for n in seen.values())


def run(*command):
    """CPU seconds of a command."""
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    subprocess.run(command, check=True, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    return after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime


def peers(base, target, work):
    """Bytes, seconds to build and to apply."""
    out, back = os.path.join(work, "peer"), os.path.join(work, "peer-back")
    commands = {
        "bsdiff": (("bsdiff", base, target, out), ("bspatch", base, back, out)),
        "xdelta3": (("xdelta3", "-9", "-f", "-e", "-s", base, target, out), ("xdelta3", "-f", "-d", "-s", base, out, back)),
        "zstd": (("zstd", "-q", "-f", "-19", "--long=27", f"--patch-from={base}", target, "-o", out),
                 ("zstd", "-q", "-f", "-d", "--long=27", f"--patch-from={base}", out, "-o", back)),
    }
    found = {}
    for name, (build, apply) in commands.items():
        if not shutil.which(name):
            raise figures.Skip(f"{name} is not installed (tests/packages.txt, bench)")
        found[name] = (run(*build), os.path.getsize(out), run(*apply))
        with open(target, "rb") as a, open(back, "rb") as b:
            if a.read() != b.read():
                raise digits.Failure(f"{name} did not come back")
    return found


def measure(into, tool, store, base, target, work, name):
    """One sample of each figure: ours, then the peers."""
    out = os.path.join(work, "delta")
    made = json.loads(subprocess.run([tool, store, base, target, out], check=True, stdout=subprocess.PIPE).stdout)
    applied = json.loads(subprocess.run([tool, "apply", base, out, str(os.path.getsize(target))], check=True,
                                        stdout=subprocess.PIPE).stdout)
    others = peers(base, target, work)
    # A model of a few pages is all head and tables: it is shown, not judged.
    judged = name.startswith("million")

    def target_of(value):
        return value if judged else None

    best = min(size for _, size, _ in others.values())
    print(name, made, applied, {k: tuple(round(x, 3) for x in v) for k, v in others.items()}, flush=True)
    into.sample(f"{name}.bytes", "bytes", made["bytes"], "lower")
    into.sample(f"{name}.best_peer_bytes", "bytes", best)
    into.sample(f"{name}.of_best_peer", "ratio", made["bytes"] / best, "lower",
                target=target_of(0.40 if made["kind"] == "sums" else 1.15))
    into.sample(f"{name}.build_s", "s", made["build_s"], "lower")
    into.sample(f"{name}.apply_s", "s", applied["apply_s"], "lower")
    into.sample(f"{name}.apply_extra_kib", "KiB", applied["apply_extra_kib"], "lower", target=target_of(16384))
    into.sample(f"{name}.build_over_bsdiff", "ratio", others["bsdiff"][0] / made["build_s"], "higher", target=target_of(50))
    into.sample(f"{name}.build_over_zstd", "ratio", others["zstd"][0] / made["build_s"], "higher", target=target_of(5))
    into.sample(f"{name}.apply_over_bsdiff", "ratio", others["bsdiff"][2] / applied["apply_s"], "higher", target=target_of(5))
    return made


def one_in_a_hundred(base, path, seed):
    """A new file in which one weight of a hundred is another one, by about a per cent."""
    data, start = values(base)
    rng = random.Random(seed)
    changed = bytearray(data)
    for i in range((len(data) - start) // 4):
        if rng.random() < 0.01:
            value, = struct.unpack_from("<f", changed, start + 4 * i)
            struct.pack_into("<f", changed, start + 4 * i, value * (1 + rng.gauss(0, 0.01)))
    with open(path, "wb") as f:
        f.write(changed)


def large_model(into, arguments, tool):
    """What applying takes beside the files' pages does not grow with the model: 32 MiB, four devices."""
    work = tempfile.mkdtemp(prefix="millrace-delta-")
    fed = Releases(arguments.build, work, 4, LARGE)
    try:
        fed.start()
        account = [fed.opened("round")[0] for _ in range(2)][-1]
    finally:
        fed.stop()
    store = find_store(work)
    base, target = (os.path.join(store, "models", f"{account[h]}.safetensors") for h in ("parent", "model_hash"))
    out = os.path.join(work, "delta")
    for _ in range(SAMPLES):
        made = json.loads(subprocess.run([tool, store, base, target, out], check=True, stdout=subprocess.PIPE).stdout)
        applied = json.loads(subprocess.run([tool, "apply", base, out, str(os.path.getsize(target))], check=True,
                                            stdout=subprocess.PIPE).stdout)
        into.sample("32mib.bytes", "bytes", made["bytes"], "lower")
        into.sample("32mib.build_s", "s", made["build_s"], "lower")
        into.sample("32mib.apply_s", "s", applied["apply_s"], "lower")
        into.sample("32mib.apply_extra_kib", "KiB", applied["apply_extra_kib"], "lower", target=16384)
    shutil.rmtree(work)


def two_rounds(arguments, work, requantise):
    """The store, and the models before and after the second of two rounds."""
    options = argparse.Namespace(build=arguments.build, data=arguments.data, devices=DEVICES, rounds=2, work=work,
                                 report=None, json=False, ring_bits=16, levels=None, requantise=requantise)
    hashes = Rounds(options).play(2)
    store = find_store(work)
    return store, *(os.path.join(store, "models", f"{h}.safetensors") for h in hashes)


def rounded_steps(into, arguments, tool, name, bits):
    """The same rounds with steps of few levels."""
    work = tempfile.mkdtemp(prefix="millrace-delta-")
    store, base, target = two_rounds(arguments, work, bits)
    out = os.path.join(work, "delta")
    for _ in range(2 if arguments.quick else SAMPLES):
        made = json.loads(subprocess.run([tool, store, base, target, out], check=True, stdout=subprocess.PIPE).stdout)
        applied = json.loads(subprocess.run([tool, "apply", base, out, str(os.path.getsize(target))], check=True,
                                            stdout=subprocess.PIPE).stdout)
        if made["kind"] != "sums":
            raise digits.Failure(f"{name}: the delta is not of levels")
        print(name, made, applied, flush=True)
        into.sample(f"{name}.bytes", "bytes", made["bytes"], "lower")
        into.sample(f"{name}.build_s", "s", made["build_s"], "lower")
        into.sample(f"{name}.apply_s", "s", applied["apply_s"], "lower")
    shutil.rmtree(work)


def main(arguments):
    into = figures.Figures("delta")
    into.context(cpu=cpu_name(), cpus=os.cpu_count())
    tool = os.path.join(arguments.build, "perf", "delta_tool")
    for name, layers in LAYERS.items():
        if arguments.quick and name != "digits":
            continue
        work = tempfile.mkdtemp(prefix="millrace-delta-")
        digits.TRAINING = {**digits.TRAINING, "layers": layers, "trainer": {**digits.TRAINING["trainer"], "epochs": 2}}
        store, base, target = two_rounds(arguments, work, None)
        lanes = (os.path.getsize(os.path.join(store, "rounds", "2.sum")) - 64) // 2
        bits = entropy_bits(os.path.join(store, "rounds", "2.sum"), lanes)
        one_in_a_hundred(target, os.path.join(work, "sparse.safetensors"), 7)
        for _ in range(2 if arguments.quick else SAMPLES):
            made = measure(into, tool, store, base, target, work, name)
            if made["kind"] != "sums":
                raise digits.Failure(f"{name}: the delta is not of the sum")
            into.sample(f"{name}.of_entropy", "ratio", 8 * made["bytes"] / bits, "lower", target=1.1)
            measure(into, tool, store, target, os.path.join(work, "sparse.safetensors"), work, f"{name}_1_percent")
        shutil.rmtree(work)
        for bits in (8, 4):
            rounded_steps(into, arguments, tool, f"{name}_{bits}_bits", bits)
    if not arguments.quick:
        large_model(into, arguments, tool)
    into.checked()
    into.write(arguments.json)


def parse():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--build", required=True)
    parser.add_argument("--data", default=os.path.join(HERE, "..", "demo", "data", "digits.csv.gz"))
    parser.add_argument("--json")
    parser.add_argument("--quick", action="store_true")
    return parser.parse_args()


if __name__ == "__main__":
    sys.exit(figures.run(lambda: main(parse())))
