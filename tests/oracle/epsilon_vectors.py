#!/usr/bin/python3
"""Writes (or, with --check FILE, compares) what test_release_epsilon.c holds the C code against."""

import random
import struct
import sys

from release_oracle import epsilon


def lines():
    source = random.Random(53)
    for i in range(200):
        rho = source.randrange(1, 1 << source.randrange(1, 53))
        delta, = struct.unpack("<f", struct.pack("<f", 2.0 ** -source.uniform(1.1, 120 if i % 2 else 40)))
        yield f"{{UINT64_C({rho}), {delta.hex()}f, {epsilon(rho, delta).hex()}f}},\n"


def main(arguments):
    text = "".join(lines())
    if arguments[:1] == ["--check"]:
        with open(arguments[1], encoding="ascii") as f:
            return 0 if f.read() == text else 1
    sys.stdout.write(text)
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
