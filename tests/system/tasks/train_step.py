#!/usr/bin/env python3
"""A trainer that moves every value by the number in its data file, and notes the model that it was given, by the round,
in DATA.seen.

usage: train_step.py MODEL DELTA REPORT TASK
"""

import json
import struct
import sys


def main():
    model, delta, report, task_file = sys.argv[1:]
    with open(task_file, encoding="utf-8") as f:
        task = json.load(f)
    with open(model, "rb") as f:
        length = struct.unpack("<Q", f.read(8))[0]
        header, data = f.read(length), f.read()
    with open(task["data"], encoding="utf-8") as f:
        step = float(f.read())
    values = struct.unpack(f"<{len(data) // 4}f", data)
    with open(delta, "wb") as f:
        f.write(struct.pack("<Q", length) + header + struct.pack(f"<{len(values)}f", *[step] * len(values)))
    with open(report, "w", encoding="utf-8") as f:
        json.dump({"examples": 1, "loss": 1.0}, f)
    with open(f"{task['data']}.seen", "a", encoding="utf-8") as f:
        f.write(json.dumps({"round": task["round"], "low": min(values), "high": max(values)}) + "\n")


if __name__ == "__main__":
    main()
