#!/usr/bin/env python3
"""Three of ten Python devices are killed in each round, at any moment: killed_bench.py [--quick] [--json FILE] [--build DIR]

Two hubs, ten devices, a quorum of seven. Rounds of two kinds alternate: undisturbed ones, and ones in which three devices
get SIGKILL at random moments between the opening and the time that the round before took. They are started again for the
next round, which opens when all ten wait."""

import os
import random
import statistics
import subprocess
import sys
import tempfile
import threading
import time

HERE = os.path.dirname(os.path.abspath(__file__))
ROOT = os.path.dirname(HERE)
sys.path[:0] = [HERE, os.path.join(ROOT, "tests", "system", "python")]

from figures import Figures, Skip, run  # noqa: E402
import hub_bench  # noqa: E402

DEVICES, KILLED = 10, 3
ROUNDS, QUICK_ROUNDS = 20, 3
TRAIN_S = 1.0  # asleep: devices are machines of their own
RATIO_MAX = 1.2
WAIT_S = 120

DEVICE = """
import sys, time, millrace
def train(weights, task):
    time.sleep({train})
    return {{name: values + 0.01 for name, values in weights.items()}}, 10, {{"loss": 1.0}}
def tell(progress):
    if progress.phase == "waiting":
        print("waiting", flush=True)
with millrace.Client(sys.argv[1], on_progress=tell) as client:
    for outcome in client.rounds(train, end_wait=0):
        print("counted" if outcome.counted else f"not counted: {{outcome.code}}: {{outcome.text}}", flush=True)
"""


class Device:
    """A process; a thread reads what it says."""

    def __init__(self, scene, number):
        self.scene, self.number = scene, number
        self.counted, self.refused, self.silent = 0, [], 0
        self.start()

    def start(self):
        self.waits = threading.Event()
        self.process = subprocess.Popen([sys.executable, "-c", DEVICE.format(train=TRAIN_S), self.scene.device(self.number)],
                                        env=self.scene.python(), text=True, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE)
        threading.Thread(target=self.read, args=(self.process, self.waits), daemon=True).start()

    def read(self, process, waits):
        for line in process.stdout:
            if line == "waiting\n":
                waits.set()
            elif line == "counted\n":
                self.counted += 1
            elif line.startswith("not counted: ") and len(line) > len("not counted: : \n"):
                self.refused.append(line.strip())
            else:
                self.silent += 1

    def kill(self):
        self.process.kill()
        self.process.wait()


def play(scene, devices, chance, last_s):
    """A round; seconds from its opening to the published model. last_s: None, or kill within so long."""
    for device in devices:
        if device.process.poll() is not None:
            device.start()
        if not device.waits.wait(WAIT_S):
            raise RuntimeError(f"device {device.number} hangs")
        device.waits.clear()
    killers = []
    began = time.monotonic()
    number = scene.open_round()
    if last_s:
        for device in chance.sample(devices, KILLED):
            killers.append(threading.Timer(chance.uniform(0, last_s), device.kill))
            killers[-1].start()
    shown = scene.operator(0, "round", "show", str(number), "--wait")
    took = time.monotonic() - began
    for killer in killers:
        killer.join()
    if shown["state"] != "published":
        raise RuntimeError(f"round {number}: {shown['state']}")
    return took


def measure(build, rounds, figures):
    from scene import Scene
    chance, undisturbed, disturbed = random.Random(11), [], []
    with tempfile.TemporaryDirectory(prefix="millrace-killed-") as work, \
            Scene(build, f"{work}/federation", DEVICES, DEVICES - KILLED) as scene:
        devices = [Device(scene, number) for number in range(DEVICES)]
        try:
            play(scene, devices, chance, None)  # not counted: first touch
            for _ in range(rounds):
                undisturbed.append(play(scene, devices, chance, None))
                disturbed.append(play(scene, devices, chance, undisturbed[-1]))
        finally:
            for device in devices:
                device.kill()
        if any(device.silent for device in devices):
            raise RuntimeError("a device was not counted and did not say why")
        figures.context(devices=DEVICES, killed=KILLED, rounds=rounds, said_why=sum(len(d.refused) for d in devices),
                        counted=sum(d.counted for d in devices))
    for calm, torn in zip(undisturbed, disturbed):
        figures.sample("killed.undisturbed_s", "s", calm)
        figures.sample("killed.disturbed_s", "s", torn)
        figures.sample("killed.ratio", "ratio", torn / statistics.median(undisturbed), "lower", RATIO_MAX,
                       "a round in which three of ten are killed / the median of those undisturbed")
    figures.sample("killed.worst_ratio", "ratio", max(disturbed) / statistics.median(undisturbed), "neither", None, "the slowest of them")
    figures.sample("killed.worst_undisturbed_ratio", "ratio", max(undisturbed) / statistics.median(undisturbed), "neither", None,
                   "the slowest of those in which nobody is killed")
    figures.checked()


def main():
    options = hub_bench.options(__doc__).parse_args()
    build = os.path.abspath(options.build)
    package = os.path.join(build, "bindings", "python")
    if not os.path.exists(os.path.join(package, "millrace", "_core.abi3.so")):
        raise Skip(f"{build} has no package for Python")
    sys.path.insert(0, package)
    figures = Figures("killed")
    measure(build, QUICK_ROUNDS if options.quick else ROUNDS, figures)
    figures.write(options.json)
    return 0


if __name__ == "__main__":
    sys.exit(run(main))
