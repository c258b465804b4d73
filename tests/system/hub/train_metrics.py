#!/usr/bin/env python3
"""A trainer with metrics: moves every value by a step, and reports numbers that follow from the device's seed, so that
no two are the same. `seen`, written beside this device's data_dir, has what it told of each round.

usage: train_metrics.py MODEL DELTA REPORT TASK
"""

import json
import os
import random
import struct
import sys


def read(path):
    with open(path, "rb") as f:
        length = struct.unpack("<Q", f.read(8))[0]
        return json.loads(f.read(length)), f.read()


def main():
    model, delta, report, task_file = sys.argv[1:]
    with open(task_file, encoding="utf-8") as f:
        task = json.load(f)
    header, data = read(model)
    values = struct.unpack(f"<{len(data) // 4}f", data)
    chance = random.Random(task["seed"])
    told = {"examples": chance.randint(20, 40)}
    told["metrics"] = {name: chance.uniform(low, high) for name, (low, high) in task["metrics"].items()}
    if task["kind"] == "evaluated-training":
        told["metrics_before"] = {name: chance.uniform(low, high) for name, (low, high) in task["metrics"].items()}
    if task["kind"] != "evaluation":
        told["loss"] = 1.0
        text = json.dumps(header).encode()
        with open(delta, "wb") as f:
            f.write(struct.pack("<Q", len(text)) + text + struct.pack(f"<{len(values)}f", *[0.01] * len(values)))
    with open(report, "w", encoding="utf-8") as f:
        json.dump(told, f)
    folder = os.path.dirname(os.path.dirname(os.path.abspath(task_file)))
    with open(f"{folder}-seen", "a", encoding="utf-8") as f:
        f.write(json.dumps({"round": task["round"], "kind": task["kind"], "model": len(values), **told}) + "\n")


if __name__ == "__main__":
    main()
