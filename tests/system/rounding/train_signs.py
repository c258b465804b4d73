#!/usr/bin/python3
"""A trainer whose delta is the same on every device: values of one size and fixed signs, of norm 0.5
in all, from 100 examples. Called as docs/edge-client.md says."""

import json
import random
import struct
import sys

NORM = 0.5


def delta_bytes(dimension):
    """Little-endian float32; `dimension` is a multiple of 8."""
    size = NORM / dimension ** 0.5
    eights = [struct.pack("<8f", *(size if byte >> bit & 1 else -size for bit in range(8)))
              for byte in range(256)]
    return b"".join(eights[byte] for byte in random.Random(1).randbytes(dimension // 8))


def main():
    model, delta, report, _ = sys.argv[1:]
    with open(model, "rb") as f:
        size = struct.unpack("<Q", f.read(8))[0]
        header = json.loads(f.read(size))
    header.pop("__metadata__", None)
    (name, tensor), = header.items()
    data = delta_bytes(tensor["data_offsets"][1] // 4)
    text = json.dumps({name: tensor}).encode()
    with open(delta, "wb") as f:
        f.write(struct.pack("<Q", len(text)) + text + data)
    with open(report, "w", encoding="utf-8") as f:
        json.dump({"examples": 100, "loss": 0.5}, f)


if __name__ == "__main__":
    main()
