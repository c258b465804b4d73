#!/usr/bin/python3
"""Re-quantised steps (docs/wire-format.md, section 12), and the hashes of tests/unit/appliance/model/test_requantise.c.

usage: requantise_oracle.py [--check FILE]

Writes the lines to stdout; with --check, compares them with a file instead. Exit 0 if they agree, 1 if not.
"""

import math
import struct
import sys

from conventions import be32, f32, sha256
from optimiser_vectors import values, write_or_check
from release_oracle import hadamard

D, LANES, ROUNDS = 257, 320, 6
LEVELS = {8: 127 / 4, 4: 7 / 2.5}  # that stand for one root mean square, times it
SMALLEST_NORMAL = 2.0**-126


def norm(lanes):
    """Section 4's order of the sum of squares: sixteen partial sums, then a tree."""
    parts = [0.0] * 16
    for i, x in enumerate(lanes):
        parts[i % 16] += x * x
    while len(parts) > 1:
        half = len(parts) // 2
        parts = [parts[p] + parts[p + half] for p in range(half)]
    return math.sqrt(parts[0])


def flipped(lanes, signs):
    return [-x if signs[i // 8] >> i % 8 & 1 else x for i, x in enumerate(lanes)]


def transformed(lanes, block):
    columns = len(lanes) // block
    out = list(lanes)
    for b in range(columns):
        out[b::columns] = hadamard(out[b::columns])
    return out


def requantise(bits, residual, step, block, signs, count=LANES):
    """(next residual, Δ, levels, step that is taken); `count` is L."""
    t = [f32(s + r) for s, r in zip(step, residual)]
    lanes = t + [0.0] * (count - len(t))
    if signs:
        lanes = transformed(flipped(lanes, signs), block)
    usual = f32(norm(lanes) / (math.sqrt(len(lanes)) * LEVELS[bits]))
    delta = max(usual, f32(max(map(abs, lanes)) / 32767))
    if delta < SMALLEST_NORMAL:
        return t, 0.0, [0] * len(lanes), [0.0] * len(t)
    levels = [round(f32(y / delta)) for y in lanes] # a half goes to the even neighbour
    taken = [f32(n * delta) for n in levels]
    if signs:
        taken = flipped(transformed(taken, block), signs)
    return [f32(a - b) for a, b in zip(t, taken)], delta, levels, taken[:len(t)]


def state_file(bits, residual, delta, levels):
    head = b"MRRQ" + bytes([1, bits, 0, 0]) + be32(len(residual)) + be32(len(levels)) + struct.pack(">f", delta)
    return (head.ljust(64, b"\0") + struct.pack(f"<{len(residual)}f", *residual)
            + struct.pack(f"<{len(levels)}h", *levels))


def lines():
    signs = bytes((151 * i + 7) % 256 for i in range(LANES // 8))
    for bits, block in ((8, 64), (4, 64), (4, 1)):
        residual, steps, numbers = [0.0] * D, [], values(D * ROUNDS)
        for turn in range(ROUNDS):
            residual, delta, levels, step = requantise(bits, residual, numbers[turn * D:(turn + 1) * D], block,
                                                       signs if block > 1 else None)
            steps += step
        yield f'"{sha256(struct.pack(f"<{len(steps)}f", *steps)).hex()}",'
        yield f'"{sha256(state_file(bits, residual, delta, levels)).hex()}",'


if __name__ == "__main__":
    sys.exit(write_or_check(lines()))
