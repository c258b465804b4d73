#!/usr/bin/python3
"""A trainer that keeps a copy of the model file that it was given, as DATA.model, and moves every value by the steps of 1/128
that DATA names. Called as docs/edge-client.md says."""

import json
import shutil
import struct
import sys

import numpy


def main(model, delta, report, task_file):
    with open(task_file, encoding="utf-8") as f:
        task = json.load(f)
    with open(task["data"], encoding="ascii") as f:
        steps = int(f.read())
    shutil.copyfile(model, f"{task['data']}.model")
    with open(model, "rb") as f:
        header = json.loads(f.read(struct.unpack("<Q", f.read(8))[0]))
    header.pop("__metadata__", None)
    at = 0
    for tensor in header.values(): # of 16 bits; the delta is of 32
        begin, end = tensor["data_offsets"]
        tensor.update(dtype="F32", data_offsets=[at, at + 2 * (end - begin)])
        at += 2 * (end - begin)
    text = json.dumps(header).encode()
    with open(delta, "wb") as f:
        f.write(struct.pack("<Q", len(text)) + text + numpy.full(at // 4, steps / 128, "<f4").tobytes())
    with open(report, "w", encoding="utf-8") as f:
        json.dump({"examples": 1, "loss": 1.0}, f)


if __name__ == "__main__":
    main(*sys.argv[1:])
