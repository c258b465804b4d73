#!/usr/bin/env python3
"""An update arrives as it left, in real processes with `config init`'s defaults.

usage: test_update.py BUILD

Four devices send the same delta of norm 0.5 to two hubs, for a model of 1,310,720 values. The first
round cannot know the norms: what it lost is told on both sides. The second knows them, also after
the hubs have started anew.
"""

import array
import json
import os
import signal
import struct
import subprocess
import sys
import tempfile
import time

HERE = os.path.dirname(os.path.abspath(__file__))
sys.path.insert(0, os.path.join(HERE, "..", "..", "..", "demo"))
sys.path.insert(0, HERE)
from federation import free_base_port  # noqa: E402 pylint: disable=wrong-import-position
import train_signs  # noqa: E402 pylint: disable=wrong-import-position

DIMENSION = 1310720
DEVICES = 4
WAIT_S = 240


class Scene:
    def __init__(self, build, work):
        self.build = build
        self.work = work
        self.processes = []
        self.failures = 0
        self.exact = array.array("f", train_signs.delta_bytes(DIMENSION))
        model = f"{work}/initial.safetensors"
        header = json.dumps({"w": {"dtype": "F32", "shape": [DIMENSION],
                                   "data_offsets": [0, 4 * DIMENSION]}}).encode()
        with open(model, "wb") as f:
            f.write(struct.pack("<Q", len(header)) + header + bytes(4 * DIMENSION))
        self.millrace("config", "init", "--dir", f"{work}/fed", "--model", model, "--hubs", "2",
                      "--devices", str(DEVICES), "--base-port", str(free_base_port(2)))

    def millrace(self, *words):
        done = subprocess.run([f"{self.build}/appliance/cli/millrace", *words],
                              capture_output=True, text=True, check=False)
        if done.returncode != 0:
            raise SystemExit(f"millrace {' '.join(words)}: {done.stdout}{done.stderr}{self.logs()}")
        return done.stdout

    def logs(self):
        """The ends of all logs, for whoever reads a failure."""
        ends = [f"\n--- {name}\n{self.read(name)[-1500:]}" for name in sorted(os.listdir(self.work))
                if os.path.isfile(f"{self.work}/{name}") and not name.endswith(".safetensors")]
        return "".join(ends)

    def operator(self, *words):
        return json.loads(self.millrace(*words, "--config", f"{self.work}/fed/operator.json",
                                        "--json"))

    def start(self, log, *command):
        with open(f"{self.work}/{log}", "a", encoding="utf-8") as out, \
                open(f"{self.work}/{log}.err", "a", encoding="utf-8") as err:
            self.processes.append(subprocess.Popen(command, stdout=out, stderr=err,
                                                   stdin=subprocess.DEVNULL))

    def start_hubs(self):
        for hub in range(2):
            self.start(f"hub-{hub}", f"{self.build}/appliance/millrace-hub", "--config",
                       f"{self.work}/fed/hub-{hub}.yaml")
        limit = time.monotonic() + WAIT_S
        command = [f"{self.build}/appliance/cli/millrace", "status", "--config",
                   f"{self.work}/fed/operator.json", "--json"]
        while subprocess.run(command, capture_output=True, check=False).returncode != 0:
            if time.monotonic() > limit:
                raise SystemExit("the hubs do not answer")
            time.sleep(0.1)

    def start_devices(self):
        folder = f"{self.work}/fed"
        for name in sorted(os.listdir(folder)):
            if name.startswith("device-") and name.endswith(".json"):
                os.makedirs(f"{folder}/data-{name[:-5]}", exist_ok=True)
                self.start(name[:-5], f"{self.build}/edge-client/millrace-edge", "run", "--config",
                           f"{folder}/{name}", "--trainer", f"{HERE}/train_signs.py", "--json")

    def stop(self, count=None):
        """The first `count` processes, which are the hubs; or all."""
        ending, self.processes = self.processes[:count], self.processes[count or len(self.processes):]
        for process in ending:
            process.send_signal(signal.SIGTERM)
        for process in ending:
            try:
                process.wait(60)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()

    def read(self, log):
        with open(f"{self.work}/{log}", encoding="utf-8") as f:
            return f.read()

    def values(self, model_hash):
        path = f"{self.work}/fed/data-0/tasks/default/models/{model_hash}.safetensors"
        with open(path, "rb") as f:
            size = struct.unpack("<Q", f.read(8))[0]
            f.seek(8 + size)
            return array.array("f", f.read())

    def lost(self, before, after):
        """The relative error of an update against what every device sent."""
        wrong = sum((b - a - x) ** 2 for a, b, x in zip(before, after, self.exact))
        return wrong ** 0.5 / train_signs.NORM

    def check(self, what, good, detail=""):
        print(f"{'ok  ' if good else 'FAIL'} {what}{'' if good else ': ' + str(detail)}", flush=True)
        self.failures += not good

    def ends(self, number):
        """How each device heard that the round ended, in the end."""
        limit = time.monotonic() + WAIT_S
        while len(self.device_lines(number, "published")) < DEVICES and time.monotonic() < limit:
            time.sleep(0.05)
        return self.device_lines(number, "published")

    def device_lines(self, number, result="committed"):
        """What each device said of a round: its JSON object."""
        lines = []
        for name in sorted(os.listdir(self.work)):
            if name.startswith("device-") and not name.endswith(".err"):
                lines += [json.loads(x) for x in self.read(name).splitlines()]
        return [line for line in lines if line["round"] == number and line["result"] == result]


def near(got, want, by):
    return abs(got - want) <= by


def play(scene, before, number, error, by):
    """One round; returns the model's values after it."""
    opened = scene.operator("round", "open", "--wait")
    after = scene.values(opened["model_hash"])
    lost = scene.lost(before, after)
    scene.check(f"round {number}: an update off by {100 * lost:.2f} %", near(lost, error, by), error)
    told = opened["metrics"]["rounding_error"]
    scene.check(f"round {number}: the hubs say {100 * told:.2f} %", near(told, lost, 0.05 * lost + 0.0005))
    lines = scene.device_lines(number)
    warned = [line["warning"] != "" for line in lines]
    scene.check(f"round {number}: {sum(warned)} of {DEVICES} devices warn",
                warned == [error > 0.05] * DEVICES, lines)
    ends = [line["warning"] for line in scene.ends(number)]
    scene.check(f"round {number}: each device hears what the update lost",
                len(ends) == DEVICES and all(f"about {100 * told:.3g} %" in end if error > 0.05 else end == ""
                                             for end in ends), ends)
    own = [line["rounding_error"] for line in lines]
    scene.check(f"round {number}: each device lost {100 * own[0]:.2f} % of its own",
                all(near(x, 2 * error, 0.1 * error) for x in own), own)
    for hub in range(2):
        level = "warn" if error > 0.05 else "info"
        event = "helper.rounding" if hub else "round.rounding"
        scene.check(f"round {number}: hub {hub} logs it ({level})",
                    any(f" {level} {event} " in line and f" round={number} " in line
                        for line in scene.read(f"hub-{hub}.err").splitlines()))
    return after


def main():
    with tempfile.TemporaryDirectory(prefix="millrace-update-") as work:
        scene = Scene(sys.argv[1], work)
        try:
            scene.start_hubs()
            scene.start_devices()
            values = array.array("f", bytes(4 * DIMENSION))
            values = play(scene, values, 1, 0.1269, 0.002)
            # A lane beyond five deviations, which every fourth round has, is cut off on all devices alike.
            values = play(scene, values, 2, 0.00676, 0.001)
            scene.stop(2)
            hubs_down, scene.processes = scene.processes, []
            scene.start_hubs()
            scene.processes += hubs_down
            play(scene, values, 3, 0.00676, 0.001)
            shown = scene.operator("round", "show", "3")
            scene.check("the step outlives a restart", near(shown["scale"], 700226, 1), shown["scale"])
            scene.check("round show counts the norms", shown["metrics"]["norms"][4] == DEVICES,
                        shown["metrics"])
            metrics = scene.millrace("metrics", "--config", f"{work}/fed/operator.json")
            scene.check("a gauge has it", 'millrace_update_rounding_error{task="default"} 0.00' in metrics)
            helper = scene.read("hub-1.err")
            scene.check("the helper would have taken the same steps", "helper.rule" not in helper, helper)
        finally:
            scene.stop()
    return 1 if scene.failures else 0


if __name__ == "__main__":
    sys.exit(main())
