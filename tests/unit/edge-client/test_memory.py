#!/usr/bin/env python3
"""A device's peak memory in one real round stays under four times the model plus 9 MiB.

usage: test_memory.py BUILD. Two hubs and single devices as processes; a model of a million floats and
one of a few thousand, both transports, both ends of the ring's width.
"""

import os
import re
import subprocess
import sys
import tempfile

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "..", "..", "demo"))
from federation import Federation  # noqa: E402

TRAINING = {"rotation_log2": "auto", "scale": "auto", "clip_norm": 3.0, "weight_max": 100,
            "trainer": {"epochs": 1, "batch": 16, "learning_rate": 0.05}}
LAYERS = ["64,1000,920,10", "64,64,10"]


class Hubs(Federation):
    """Rounds that stay open, with room for a large share."""

    ring_bits = 16

    def hub_yaml(self, *arguments):
        text = super().hub_yaml(*arguments)
        for name, value in (("share_bytes_max", 8 << 20), ("slots_per_worker", 4),
                            ("ring_bits", self.ring_bits), ("deadline_ms", 60000)):
            text = re.sub(rf"\b{name}: \d+", f"{name}: {value}", text)
        return text


def measure(build, work, layers, ring_bits):
    os.mkdir(work)
    fed = Hubs(build, work, 3, TRAINING)
    fed.ring_bits = ring_bits
    fed.make_identities()
    model, data = f"{work}/initial.safetensors", f"{work}/data.csv"
    fed.run(fed.program("demo", "digits-tool"), "init", "--layers", layers, "--seed", "1",
            "--out", model)
    with open(data, "w", encoding="ascii") as f:
        for i in range(40):
            f.write(",".join(str((i * 7 + j) % 17) for j in range(64)) + f",{i % 10}\n")
    limit = 4 * os.path.getsize(model) + (9 << 20)
    good = True
    fed.start_hubs(3, 2, model)
    try:
        fed.operator(0, "round", "open")
        for number, transport in enumerate(("udp", "http2")):
            config = fed.device_json(f"{number:03d}", fed.pki, number, number)
            done = subprocess.run(
                [fed.program("tests", "unit", "edge-client", "peak_rss"),
                 fed.program("edge-client", "millrace-edge"), "run", "--config", config, "--data",
                 data, "--rounds", "1", "--patience-ms", "20000", "--end-wait-ms", "0", "--transport",
                 transport],
                capture_output=True, text=True, timeout=90)
            peak = int(re.search(r"peak_rss_kib (\d+)", done.stderr).group(1)) * 1024
            fits = done.returncode == 0 and "committed" in done.stdout and peak < limit
            print(f"{layers}, w={ring_bits}, {transport}: peak {peak >> 10} KiB of"
                  f" {limit >> 10} KiB{'' if fits else ': TOO MUCH, or failed'}")
            if not fits:
                print(done.stdout, done.stderr)
            good = good and fits
    finally:
        fed.stop()
    return good


def main():
    good = True
    with tempfile.TemporaryDirectory(prefix="millrace-memory-") as folder:
        for layers in LAYERS:
            for ring_bits in (16, 32):
                work = os.path.join(folder, f"{layers.count(',')}-{ring_bits}")
                good = measure(sys.argv[1], work, layers, ring_bits) and good
    return 0 if good else 1


sys.exit(main())
