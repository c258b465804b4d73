"""What rounding costs an update, by real hubs and devices: what `./run demo --deltas` does.

Models of 703, 100,000 and 1,310,720 values, each a task of its own; deltas whose shape is known
(drawn_deltas.py), so that what arrives can be compared with what left. The first round of a task
knows no norms yet: it is coarse, and says so on both sides.
"""

import json
import os
import struct
import tempfile

import numpy as np

from drawn_deltas import ROUNDS, delta_of, examples_of
from federation import Failure, Federation, Task

DEVICES = 4
LOST, WARN = 0.05, 0.045 # of the update, relative: the hubs warn a little before (docs/decisions/0023-quantiser.md)
SATURATED_WARN = 0.01
NEAR = 0.25 # the hubs' estimate is a sample of it
TRAINING = {"rotation_log2": "auto", "scale": "auto", "clip_norm": 1.0, "weight_max": 1000, "trainer": {},
            "cohort_max": 64}
TRAINER = os.path.join(os.path.dirname(os.path.abspath(__file__)), "drawn_deltas.py")


class DeltasDemo:
    def __init__(self, options):
        self.work = options.work or tempfile.mkdtemp(prefix="millrace-deltas-")
        self.dumps = os.path.join(self.work, "dumps")
        os.makedirs(self.dumps, exist_ok=True)
        self.values = options.values
        self.fed = Federation(options.build, self.work, DEVICES, TRAINING)
        self.fed.upload_options = {**Federation.upload_options, "slots_per_worker": 8,
                                   "share_bytes_max": 2 * max(self.values) + 65536}
        self.fed.tasks = tuple(Task(f"values-{n}", (0, 1), self.write_model(n)) for n in self.values)
        self.failures = 0

    def write_model(self, values):
        path = os.path.join(self.work, f"initial-{values}.safetensors")
        header = json.dumps({"w": {"dtype": "F32", "shape": [values], "data_offsets": [0, 4 * values]}}).encode()
        header += b" " * (-(8 + len(header)) % 64)
        with open(path, "wb") as f:
            f.write(struct.pack("<Q", len(header)) + header + bytes(4 * values))
        return path

    def read_model(self, task, model_hash):
        path = f"{self.work}/hub-0/tasks/{task.name}/models/{model_hash}.safetensors"
        with open(path, "rb") as f:
            f.seek(8 + struct.unpack("<Q", f.read(8))[0])
            return np.frombuffer(f.read(), "<f4").astype(np.float64)

    def start_devices(self, task):
        for number in range(DEVICES):
            config = self.fed.device_json(f"{task.name}-{number}", self.fed.pki, 0, number, task)
            data = f"{self.work}/number-{number}"
            with open(data, "w", encoding="ascii") as f:
                f.write(str(number))
            self.fed.start_device(f"{task.name}-{number}", config, data, self.dumps, "--trainer", TRAINER, "--json",
                                  "--rounds", str(len(ROUNDS)))

    def told(self, task, number):
        """What each device said of that round, its end included."""
        lines = []
        for device in range(DEVICES):
            with open(f"{self.work}/device-{task.name}-{device}.log", encoding="utf-8") as f:
                said = [json.loads(line) for line in f if line.startswith("{")]
            lines.append([line for line in said if line["round"] == number])
        return lines

    def logged(self, hub, task, number):
        event = "helper.rounding" if hub else "round.rounding"
        with open(f"{self.work}/hub-{hub}.log", encoding="utf-8") as f:
            return any(f" warn {event} task={task.name} round={number} " in line for line in f)

    def play(self, task, values, number, before):
        """One round; its row, and the model after it."""
        end = self.fed.operator(0, "round", "open", "--task", task.name, "--wait")
        if end["state"] != "published":
            raise Failure(f"round {number} of {task.name} ended {end['state']}: {end.get('reason')}")
        after = self.read_model(task, end["model_hash"])
        weights = [examples_of(device, number) for device in range(DEVICES)]
        exact = sum(w * delta_of(values, number, device).astype(np.float64)
                    for device, w in enumerate(weights)) / sum(weights)
        metrics = end["metrics"]
        row = {"values": values, "round": number, "deltas": ROUNDS[number - 1][0],
               "examples": "10 to 1000" if ROUNDS[number - 1][1] else "100 each",
               "error": np.linalg.norm(after - before - exact) / np.linalg.norm(exact),
               "told": metrics["rounding_error"], "resolution": metrics["resolution"],
               "saturated": metrics["saturated"]}
        return row, after

    def judge(self, row, ends, logs):
        """Both sides say the same, and what is lost is never lost in silence."""
        lossy = row["told"] > WARN or row["saturated"] > SATURATED_WARN
        faults = []
        above = row["told"] - row["error"] # what was cut off the hubs may take for the same on all devices
        if above < -NEAR * row["error"] - 0.001 or row["saturated"] == 0 and above > NEAR * row["error"] + 0.001:
            faults.append("the hubs' estimate is off")
        if row["error"] > LOST and not lossy:
            faults.append("nobody warns")
        if logs != [lossy, lossy]:
            faults.append("the hubs' logs say otherwise")
        if ends != [lossy] * DEVICES:
            faults.append("the devices say otherwise")
        row["warned"] = "both sides" if lossy else "-"
        self.failures += len(faults) > 0
        return f"  FAIL: {', '.join(faults)}" if faults else ""

    def print_row(self, row, faults):
        print(f"{row['values']:9,d} {row['round']:5d}  {row['deltas']:<11} {row['examples']:<10} {100 * row['error']:6.2f} %"
              f" {100 * row['told']:6.2f} % {row['resolution']:10.2f} {100 * row['saturated']:7.3f} %  {row['warned']}{faults}",
              flush=True)

    def play_task(self, task, values):
        before = np.zeros(values)
        rows = []
        self.start_devices(task)
        for number in range(1, len(ROUNDS) + 1):
            row, before = self.play(task, values, number, before)
            rows.append(row)
        codes = [self.fed.clients.pop(f"{task.name}-{device}").wait() for device in range(DEVICES)]
        if codes != [0] * DEVICES:
            raise Failure(f"the devices of {task.name} ended with {codes}: see their logs in {self.work}")
        for row in rows: # when every device has heard every end
            ends = [any(line["result"] == "published" and line["warning"] for line in lines)
                    for lines in self.told(task, row["round"])]
            logs = [self.logged(hub, task, row["round"]) for hub in range(2)]
            self.print_row(row, self.judge(row, ends, logs))
        return rows

    def main(self):
        self.fed.make_identities()
        self.fed.start_hubs(DEVICES, DEVICES, None)
        print(f"{'values':>9} {'round':>5}  {'deltas':<11} {'examples':<10} {'off by':>8} {'told':>8}"
              f" {'resolution':>10} {'saturated':>9}  warned", flush=True)
        for task, values in zip(self.fed.tasks, self.values):
            self.play_task(task, values)
        codes = self.fed.stop()
        good = self.failures == 0 and codes == [0, 0]
        print(f"\n  {'ok  ' if good else 'FAIL'} what was lost to rounding was told by hubs and devices alike", flush=True)
        return good
