#!/usr/bin/python3
"""The hashes of tests/unit/wire/test_optimiser.c, from the oracle's own optimisers.

usage: optimiser_vectors.py [--check FILE]

Writes the lines to stdout; with --check, compares them with a file instead. Exit 0 if they agree, 1 if not.
"""

import math
import struct
import sys

import millrace_oracle as oracle
import optimiser_oracle

D, ROUNDS = 257, 6


def bits(value):
    return struct.unpack(">I", struct.pack(">f", value))[0]


def values(count):
    """The test's generator."""
    seed, out = 1, []
    for _ in range(count):
        seed = (seed * 1664525 + 1013904223) % 2**32
        mantissa = (seed >> 8) - 2**23
        seed = (seed * 1664525 + 1013904223) % 2**32
        exponent = -24 - (seed >> 24) % 12 * (10 if (seed >> 16) % 8 == 0 else 1)
        out.append(oracle.f32(math.ldexp(oracle.f32(mantissa), exponent)))
    return out


def lines():
    for kind in range(4):
        rate = 0.7 if kind < 2 else 0.01
        terms = {"optimiser": kind, "learning_rate_bits": bits(rate), "beta1_bits": bits(0.9 if kind else 0),
                 "beta2_bits": bits(0.99 if kind > 1 else 0), "tau_bits": bits(1e-3 if kind > 1 else 0)}
        state = optimiser_oracle.optimiser_state(kind, terms["tau_bits"], D)
        numbers, steps = values(D * ROUNDS), []
        for turn in range(ROUNDS):
            state, step = optimiser_oracle.optimiser_step(terms, state, numbers[turn * D:(turn + 1) * D])
            steps += step
        yield f'"{oracle.sha256(struct.pack(f"<{len(steps)}f", *steps)).hex()}",'
        yield f'"{oracle.sha256(optimiser_oracle.optimiser_state_file(kind, state)).hex() if kind else ""}",'


def write_or_check(lines):
    """As the usage says, whatever the lines are. The exit code."""
    text = "\n".join(lines) + "\n"
    if len(sys.argv) == 3 and sys.argv[1] == "--check":
        with open(sys.argv[2], encoding="ascii") as f:
            return 0 if f.read() == text else 1
    sys.stdout.write(text)
    return 0


if __name__ == "__main__":
    sys.exit(write_or_check(lines()))
