#!/usr/bin/python3
"""An external trainer, as small as one can be: adds `step` to every parameter.

Called as PROGRAM model.safetensors delta.safetensors report.json task.json (docs/edge-client.md).
The task's data file says which part to play, so that the tests can see bad trainers, too.
"""

import json
import os
import struct
import sys
import time


def read(path):
    with open(path, "rb") as f:
        size = struct.unpack("<Q", f.read(8))[0]
        header = json.loads(f.read(size))
        return header, f.read()


def write(path, tensors):
    header, data = {}, b""
    for name, shape, values in tensors:
        packed = struct.pack(f"<{len(values)}f", *values)
        header[name] = {"dtype": "F32", "shape": shape,
                        "data_offsets": [len(data), len(data) + len(packed)]}
        data += packed
    text = json.dumps(header).encode()
    with open(path, "wb") as f:
        f.write(struct.pack("<Q", len(text)) + text + data)


def look_around(path, folder):
    """Writes down how this process was started."""
    with open("/proc/self/status", encoding="utf-8") as f:
        status = dict(line.rstrip("\n").split(":\t", 1) for line in f if ":\t" in line)
    names = {}
    for fd in os.listdir("/proc/self/fd"):
        try:
            names[fd] = os.readlink(f"/proc/self/fd/{fd}")
        except OSError: # the one that listed them
            pass
    with open(path, "w", encoding="utf-8") as f:
        json.dump({"blocked": int(status["SigBlk"], 16), "ignored": int(status["SigIgn"], 16), "fds": sorted(map(int, names)),
                   "input": names["0"], "same": names["1"] == names["2"], "folder": os.stat(folder).st_mode & 0o777}, f)


def leave_a_daemon(path):
    """Starts a process that leaves this one's group and session and outlives it, if it may."""
    child = os.fork()
    if child == 0:
        os.setsid()
        if os.fork() == 0:
            with open(path + ".new", "w", encoding="ascii") as f:
                f.write(str(os.getpid()))
            os.rename(path + ".new", path)
            time.sleep(600)
        os._exit(0)
    os.waitpid(child, 0)
    while not os.path.exists(path):
        time.sleep(0.005)


def write_pids(path):
    """The watcher's, this process's and the daemon's."""
    leave_a_daemon(path + ".daemon")
    with open(path + ".daemon", encoding="ascii") as f:
        daemon = f.read()
    with open(path + ".new", "w", encoding="ascii") as f:
        f.write(f"{os.getppid()} {os.getpid()} {daemon}\n")
    os.rename(path + ".new", path)


def main():
    model, delta, report, task_path = sys.argv[1:]
    with open(task_path, encoding="utf-8") as f:
        task = json.load(f)
    with open(task["data"], encoding="utf-8") as f:
        part = f.read().strip()
    header, data = read(model)
    header.pop("__metadata__", None)
    kind, width = {"float32": ("F32", 4), "float16": ("F16", 2), "bfloat16": ("BF16", 2)}[task["number_type"]]
    assert all(t["dtype"] == kind for t in header.values())
    assert sum(len(data[slice(*t["data_offsets"])]) for t in header.values()) == width * task["dimension"]
    if part == "host":
        look_around(task["data"] + ".seen", os.path.dirname(task_path))
    if part in ("family", "leaves"):
        write_pids(task["data"] + ".pids")
    if part == "family":
        time.sleep(600)
    if part == "slow":
        time.sleep(60)
    if part == "dies":
        sys.exit(3)
    tensors = []
    for number, name in enumerate(reversed(list(header))):
        count = (header[name]["data_offsets"][1] - header[name]["data_offsets"][0]) // width
        value = float("nan") if part == "nan" else task["training"]["epochs"] / 100
        tensors.append((name + "x" if part == "misnamed" and number == 0 else name,
                        header[name]["shape"], [value] * count))
    if part == "short":
        tensors.pop()
    if part != "no-delta":
        write(delta, tensors)
    if part == "rubbish":
        with open(delta, "wb") as f:
            f.write(b"\xff" * 100)
    if part == "pipe":
        os.mkfifo(report)
    elif part != "no-report":
        examples = 0 if part == "empty" else 6
        with open(report, "w", encoding="utf-8") as f:
            json.dump({"examples": examples, "loss": 1e300 if part == "big-loss" else 0.25}, f)


main()
