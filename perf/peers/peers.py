#!/usr/bin/env python3
"""Millrace beside its peers: the same work, one machine, one run.

The work: a round of 100 devices with 1,000,000 8-bit values each. Millrace does it as it is used
(two hub processes, mutual TLS, UDP: perf/rounds.py), over connections kept from the round before, and,
in turns with that, with fresh ones. Each peer does it inside one process, without any network, TLS or
storage, which is to its advantage:

  Flower's SecAgg+      perf/peers/flower_peer.py, its own workflow and client code, unchanged
  libprio-rs Prio3SumVec  perf/peers/prio3/
  plain sum             numpy adds the vectors: no privacy at all

Python packages go into out/peers-venv, Rust's output into out/peers-prio3. A peer that cannot be
had is left out and the context says why; without any secure peer the bench is skipped.

usage: peers.py [--quick] [--json FILE] [--build DIR]
"""

import argparse
import json
import os
import shutil
import subprocess
import sys
import tempfile

HERE = os.path.dirname(os.path.abspath(__file__))
ROOT = os.path.join(HERE, "..", "..")
sys.path.insert(0, os.path.join(HERE, ".."))

import rounds  # noqa: E402
from federation import Failure  # noqa: E402
from figures import Figures, Skip, run  # noqa: E402
from hub_cpu import user_shares  # noqa: E402

DEVICES = 100
VALUES = 1000000
SAMPLES = 7
QUICK_SAMPLES = 2
TARGETS = {"flower": 10, "flower_full": 330, "prio3": 1800}  # times less hub CPU than the secure peer
FLOWER_CPU, FLOWER_BYTES = 0.2, 0.27  # of Flower's SecAgg+: all hub CPU, and what a device sends
NEIGHBOURS = 11
DROPOUT_DEVICES, DROPPED = 40, 2  # 5%; what a device costs at that neighbourhood is the same

KINDS = {"kept": "millrace", "held": "millrace_fresh"}  # of perf/rounds.py, and how it is called here
AGGREGATING = ("workers", "compute")  # opening, folding, expanding: roles of perf/hub_cpu.py

VENV = os.path.join(ROOT, "out", "peers-venv")
PRIO3_OUT = os.path.join(ROOT, "out", "peers-prio3")


class Missing(Exception):
    """A peer cannot be had here; the text says why."""


def tool(command, what, **options):
    try:
        done = subprocess.run(command, capture_output=True, text=True, check=False, **options)
    except OSError as error:
        raise Missing(f"{what}: {error.strerror}") from None
    if done.returncode != 0:
        raise Missing(f"{what}: {' '.join(done.stderr.split())[-200:]}")


# --- getting the peers -------------------------------------------------------------------------


def python_of_venv():
    """The interpreter of an environment that holds exactly what requirements.txt says."""
    wanted = os.path.join(HERE, "requirements.txt")
    stamp = os.path.join(VENV, "requirements.txt")
    python = os.path.join(VENV, "bin", "python")
    with open(wanted, encoding="utf-8") as f:
        text = f.read()
    if os.path.exists(stamp):
        with open(stamp, encoding="utf-8") as f:
            if f.read() == text:
                return python
    shutil.rmtree(VENV, ignore_errors=True)
    tool([sys.executable, "-m", "venv", VENV], "python3-venv")
    tool([python, "-m", "pip", "install", "--quiet", "--no-deps", "-r", wanted], "pip")
    shutil.copy(wanted, stamp)
    return python


def prio3_program():
    if shutil.which("cargo") is None:
        raise Missing("cargo is missing (Rust 1.89 or newer)")
    environment = dict(os.environ, CARGO_TARGET_DIR=PRIO3_OUT, RUSTFLAGS="-C target-cpu=native")
    tool(["cargo", "build", "--release", "--quiet"], "cargo build",
         cwd=os.path.join(HERE, "prio3"), env=environment)
    return os.path.join(PRIO3_OUT, "release", "prio3-peer")


# --- running them ------------------------------------------------------------------------------


def lines_of(command):
    """The program's lines of JSON. If it fails, so does the bench: a result was wrong, or it broke."""
    numbers = [str(x) for x in command]
    done = subprocess.run(numbers, capture_output=True, text=True, check=False,
                          env=dict(os.environ, OMP_NUM_THREADS="1", OPENBLAS_NUM_THREADS="1"))
    if done.returncode != 0:
        raise Failure(f"{' '.join(numbers)}: {done.stderr[-400:]}")
    return [json.loads(line) for line in done.stdout.splitlines()]


def flower_rows(samples):
    python = python_of_venv()
    script = os.path.join(HERE, "flower_peer.py")
    runs = {"flower": ["workflow", VALUES, DEVICES, NEIGHBOURS, 0],
            "flower_dropouts": ["workflow", VALUES, DROPOUT_DEVICES, NEIGHBOURS, DROPPED],
            "flower_full": ["full", VALUES, DEVICES],
            "floor": ["floor", VALUES, DEVICES]}
    return {name: [(x["server_ms"], x["device_ms"], x["upload_bytes"])
                   for x in lines_of([python, script, *arguments, samples])]
            for name, arguments in runs.items()}


def prio3_rows(samples):
    lines = lines_of([prio3_program(), VALUES, samples])
    if not lines[-1].get("checked"):
        raise Failure("prio3-peer did not check its sums")
    names = {"field128": "prio3", "field64": "prio3_field64"}
    return {name: [(x["servers_ms"], x["device_ms"], x["upload_bytes"])
                   for x in lines[:-1] if x["instance"] == instance]
            for instance, name in names.items()}


def millrace_rows(build, samples):
    """By the kind of round: a list of (rows of samples, what is said of each)."""
    work = tempfile.mkdtemp(prefix="millrace-peers-")
    federation = rounds.Rounds(build, work, DEVICES, VALUES)
    series = {kind: [] for kind in KINDS}
    try:
        federation.start()
        federation.round("held")  # not counted: first touch
        for _ in range(samples):
            for kind, played in series.items():
                played.append(federation.round(kind))
    finally:
        federation.stop()
    shutil.rmtree(work)
    return {KINDS[kind]: parts_of(played) for kind, played in series.items()}


def parts_of(played):
    """For each round (user ms of both hubs, user and system ms of a device, bytes received), and of
    the hubs' ms (system, user without TLS and control); all a device."""
    shares = user_shares([cost for cost, *_ in played])
    rows, parts = [], []
    for cost, _, load, counters in played:
        user, system = rounds.of_devices(cost, shares)
        device_s = load["user_s"] + load["system_s"] - load["trainer_s"]
        rows.append((1e3 * sum(user.values()) / DEVICES, 1e3 * device_s / DEVICES,
                     rounds.received_bytes(counters) / DEVICES))
        aggregating_s = sum(s for (_, role), s in user.items() if role in AGGREGATING)
        parts.append((1e3 * sum(system.values()) / DEVICES, 1e3 * aggregating_s / DEVICES))
    return rows, parts


GAUSS_SIGMA, GAUSS_SAMPLES, GAUSS_TARGET = 1000, 20000, 20


def note_noise(build, samples, figures):
    """libprio-rs's discrete Gaussian beside wire/gauss.h, in turns; both check their variance."""
    theirs = os.path.join(os.path.dirname(prio3_program()), "prio3-gauss")
    for _ in range(samples):
        peer = lines_of([theirs, GAUSS_SIGMA, GAUSS_SAMPLES, 1])[0]["ns"]
        with tempfile.NamedTemporaryFile(suffix=".json") as document:
            subprocess.run([os.path.join(build, "perf", "noise_bench"), "--quick", "--json", document.name],
                           stdout=subprocess.DEVNULL, check=True)
            own = min(min(f["samples"]) for f in json.load(document)["figures"]
                      if f["name"] == f"noise.sigma_{GAUSS_SIGMA}")
        figures.sample("peers.prio3_gauss.ns", "ns", peer, "neither", None, "a sample at sigma 1,000")
        figures.sample("peers.prio3_gauss_ratio", "ratio", peer / own, "higher", GAUSS_TARGET,
                       "libprio-rs's time for a sample of the discrete Gaussian / ours")


# --- the figures -------------------------------------------------------------------------------

HUB_OF = {"millrace": "user time of both hubs, with TLS and control, connections kept",
          "millrace_fresh": "the same, a handshake a device and hub", "prio3": "both aggregators",
          "prio3_field64": "both aggregators", "flower": "the server, nothing dropped",
          "flower_dropouts": "the server, 5% dropped out", "flower_full": "the server",
          "floor": "the adding alone"}


def note_row(figures, name, samples):
    for hub_ms, device_ms, upload_bytes in samples:
        figures.sample(f"peers.{name}.hub_ms", "ms", hub_ms, "neither", None, HUB_OF[name])
        if name != "floor":  # its devices only send
            figures.sample(f"peers.{name}.device_ms", "ms", device_ms)
        figures.sample(f"peers.{name}.upload_bytes", "bytes", upload_bytes)


def note_ratios(figures, rows, aggregation_ms):
    for name, samples in rows.items():
        if name in ("millrace", "millrace_fresh", "floor"):
            continue
        for peer, own, aggregating in zip(samples, rows["millrace"], aggregation_ms):
            figures.sample(f"peers.{name}_hub_ratio", "ratio", peer[0] / own[0], "higher",
                           TARGETS.get(name), "the peer's server CPU a device / that of both hubs, user time")
            figures.sample(f"peers.{name}_aggregation_ratio", "ratio", peer[0] / aggregating,
                           "higher", None, "the same, the hubs' TLS and control left out")


def note_beside_flower(figures, rows, kernel_ms):
    """All of the hubs' time, the kernel's for sockets and files included, of which Flower's server has none here."""
    for peer, own, kernel in zip(rows["flower"], rows["millrace"], kernel_ms):
        figures.sample("peers.of_flower.hub_cpu", "ratio", (own[0] + kernel) / peer[0], "lower", FLOWER_CPU,
                       "CPU of both hubs, user and system time / Flower's server, SecAgg+ with 11 neighbours")
        figures.sample("peers.of_flower.upload_bytes", "ratio", own[2] / peer[2], "lower", FLOWER_BYTES,
                       "what a device sends / likewise")


def measure(build, samples, figures):
    rows = {}
    for peer, get in (("flower", flower_rows), ("prio3", prio3_rows)):
        try:
            rows.update(get(samples))
        except Missing as reason:
            figures.context(**{f"without_{peer}": str(reason)})
            print(f"peers: without {peer}: {reason}", file=sys.stderr)
    if not rows:
        raise Skip("no peer can be had: " + "; ".join(
            str(v) for k, v in figures.document["context"].items() if k.startswith("without_")))
    own = millrace_rows(build, samples)
    rows.update({name: rows_of for name, (rows_of, _) in own.items()})
    parts = own["millrace"][1]
    order = [name for name in HUB_OF if name in rows]
    for name in order:
        note_row(figures, name, rows[name])
    for kernel_ms, aggregation_ms in parts:
        figures.sample("peers.millrace.hub_kernel_ms", "ms", kernel_ms, "neither", None,
                       "system time of both hubs: sockets and files; no peer has any")
        figures.sample("peers.millrace.aggregation_ms", "ms", aggregation_ms, "neither", None,
                       "user time of both hubs without TLS and control")
    note_ratios(figures, {name: rows[name] for name in order}, [ms for _, ms in parts])
    if "flower" in rows:
        note_beside_flower(figures, rows, [ms for ms, _ in parts])
    if "prio3" in rows:
        note_noise(build, samples, figures)
    figures.checked()


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n", 1)[0])
    parser.add_argument("--quick", action="store_true", help="fewer samples")
    parser.add_argument("--json", help="write the figures there")
    parser.add_argument("--build", default=os.path.join(ROOT, "build-release"),
                        help="a release build")
    options = parser.parse_args()
    figures = Figures("peers")
    figures.context(devices=DEVICES, values=VALUES, value_bits=8, flower_neighbours=NEIGHBOURS,
                    dropout_devices=DROPOUT_DEVICES, dropped=DROPPED)
    try:
        measure(options.build, QUICK_SAMPLES if options.quick else SAMPLES, figures)
    except Failure as failure:
        print(f"peers: {failure}", file=sys.stderr)
        return 1
    figures.write(options.json)
    return 0


if __name__ == "__main__":
    sys.exit(run(main))
