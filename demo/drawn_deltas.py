#!/usr/bin/python3
"""Deltas of known shapes, and a trainer that makes them: called as docs/edge-client.md says, with
--data FILE, which holds the device's number.

A round's number says which shape its deltas have. All devices' have the same norm and a cosine of
0.2 between any two; whoever knows round and device can draw them again.
"""

import json
import struct
import sys

import numpy as np

NORM = 0.5
COSINE = 0.2
# What round 1, 2, … has: the shape of the deltas, and whether the devices' examples differ much.
ROUNDS = (("even", True), ("even", True), ("heavy tails", True), ("sparse", True), ("layered", True), ("even", False),
          ("even", False))
EXAMPLES = (10, 100, 300, 1000) # of the devices, where they differ
LAYERS = ((0.02, 1), (0.07, 0.3), (0.0705, 10), (0.7, 0.01), (0.8, 0.1), (0.95, 0.003), (1, 1))


def examples_of(device, number):
    return EXAMPLES[device % len(EXAMPLES)] if ROUNDS[number - 1][1] else 100


def shaped(shape, dimension, chance):
    values = chance.standard_normal(dimension)
    if shape == "heavy tails": # Student's t with three degrees of freedom
        values /= np.sqrt((chance.standard_normal((3, dimension)) ** 2).mean(axis=0))
    elif shape == "sparse": # one of a hundred
        values *= chance.random(dimension) < 0.01
        values[0] = 1
    elif shape == "layered": # magnitudes a thousand apart
        begin = 0
        for until, magnitude in LAYERS:
            values[begin:int(until * dimension)] *= magnitude
            begin = int(until * dimension)
    return values / np.linalg.norm(values)


def delta_of(dimension, number, device):
    """float32: what that device sends in that round."""
    shape = ROUNDS[number - 1][0]
    common = shaped(shape, dimension, np.random.default_rng([dimension, number]))
    own = shaped(shape, dimension, np.random.default_rng([dimension, number, 1 + device]))
    values = COSINE ** 0.5 * common + (1 - COSINE) ** 0.5 * own
    return (NORM / np.linalg.norm(values) * values).astype("<f4")


def main():
    model, delta, report, task = sys.argv[1:]
    with open(model, "rb") as f:
        header = json.loads(f.read(struct.unpack("<Q", f.read(8))[0]))
    with open(task, encoding="utf-8") as f:
        task = json.load(f)
    with open(task["data"], encoding="ascii") as f:
        device = int(f.read())
    header.pop("__metadata__", None)
    text = json.dumps(header).encode()
    with open(delta, "wb") as f:
        f.write(struct.pack("<Q", len(text)) + text)
        f.write(delta_of(task["dimension"], task["round"], device).tobytes())
    with open(report, "w", encoding="ascii") as f:
        json.dump({"examples": examples_of(device, task["round"]), "loss": 0.5}, f)


if __name__ == "__main__":
    main()
