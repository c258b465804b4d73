#!/usr/bin/env python3
"""Two hubs train a task that is marked: test_marked_rounds.py --build BUILD [--bits 4|8]

After every round, whichever hub was killed in it: both hubs have the same sum and the same model; the
model is, byte for byte, what tests/oracle makes of the model before, the sum and both key parts; the mark
is found with both parts and with nothing less; a device that only takes models has it. With --bits the steps
are FedAdam's, re-quantised: the mark comes after them, and nothing of it waits in the residual.
"""

import argparse
import json
import os
import random
import struct
import subprocess
import sys
import tempfile

import numpy as np

HERE = os.path.dirname(os.path.abspath(__file__))
sys.path[:0] = [os.path.join(HERE, "..", "tasks"), os.path.join(HERE, "..", "..", "oracle")]
from scene import SCALE, Devices, Failure, Scene, Task, play_out  # noqa: E402 pylint: disable=wrong-import-position
import requantise_oracle as rounding  # noqa: E402 pylint: disable=wrong-import-position
import watermark_oracle as oracle  # noqa: E402 pylint: disable=wrong-import-position
from optimiser_vectors import bits as bits_of  # noqa: E402 pylint: disable=wrong-import-position
from optimiser_oracle import optimiser_state, optimiser_step  # noqa: E402 pylint: disable=wrong-import-position

SIDE, FROZEN = 64, 32
TRAINED = SIDE * SIDE + SIDE
TASK = Task("marked", [0, 1], FROZEN * FROZEN + TRAINED, 16, range(0, 4)) # devices see the whole model
CONSUMER = 9
STRENGTH = 20
WEIGHT_MAX = 100 # scene.py's
LANES = -(-TRAINED // 64) * 64
ADAM = {"rate": 0.015625, "beta1": 0.75, "beta2": 0.875, "tau": 0.125} # whole in binary floats


def write_model(path):
    """A matrix that rounds train, one that they leave, and a vector, which has no mark."""
    rng = random.Random(5)
    shapes = {"base": [FROZEN, FROZEN], "layer": [SIDE, SIDE], "bias": [SIDE]}
    header, values = {"__metadata__": {"millrace.frozen": "base"}}, []
    for name, shape in shapes.items():
        count = int(np.prod(shape))
        header[name] = {"dtype": "F32", "shape": shape,
                        "data_offsets": [4 * len(values), 4 * (len(values) + count)]}
        values += [rng.gauss(0, 0.35) for _ in range(count)]
    text = json.dumps(header, separators=(",", ":")).encode()
    text += b" " * (-(8 + len(text)) % 64)
    with open(path, "wb") as f:
        f.write(struct.pack("<Q", len(text)) + text + struct.pack(f"<{len(values)}f", *values))


def read(path):
    with open(path, "rb") as f:
        return f.read()


class MarkedScene(Scene):
    def __init__(self, build, work, bits=0):
        super().__init__(build, work)
        self.bits = bits
        self.parts = [random.Random(i).randbytes(32) for i in (1, 2, 3)] # the third is nobody's
        for i, part in enumerate(self.parts):
            with open(os.open(self.part(i), os.O_WRONLY | os.O_CREAT, 0o600), "w", encoding="ascii") as f:
                f.write(part.hex() + "\n")

    def part(self, index):
        return f"{self.work}/part-{index}.key"

    def add_task(self, task):
        self.tasks[task.name] = task
        write_model(f"{self.work}/{task.name}.safetensors")

    def write_hub(self, index):
        self.writing = index
        super().write_hub(index)

    def task_yaml(self, task):
        hashes = ",".join(oracle.part_hash(part).hex() for part in self.parts[:2])
        steps = f"""      server_optimiser: fedadam
      server_learning_rate: {ADAM["rate"]}
      server_beta1: {ADAM["beta1"]}
      server_beta2: {ADAM["beta2"]}
      server_tau: {ADAM["tau"]}
      requantise: {self.bits}
""" if self.bits else ""
        return super().task_yaml(task) + steps + f"""    watermark:
      key_file: {self.part(self.writing)}
      part_hashes: {hashes}
      strength: {STRENGTH}
"""

    def model_file(self, hub, name):
        return f"{self.work}/hub-{hub}/tasks/{TASK.name}/models/{name}.safetensors"


class Steps:
    """From sum to step, as section 12 of docs/wire-format.md has it, from round to round."""

    def __init__(self, bits):
        self.bits = bits
        self.state = optimiser_state(2, bits_of(ADAM["tau"]), TRAINED)
        self.residual = [0.0] * TRAINED

    def step(self, total):
        weight = int.from_bytes(total[2 * LANES + 4:2 * LANES + 8], "little")
        factor = np.float32(float(WEIGHT_MAX) / (SCALE * weight))
        update = np.frombuffer(total, "<i2", TRAINED).astype(np.float32) * factor
        if not self.bits:
            return update
        terms = {"optimiser": 2, "learning_rate_bits": bits_of(ADAM["rate"]), "tau_bits": bits_of(ADAM["tau"]),
                 "beta1_bits": bits_of(ADAM["beta1"]), "beta2_bits": bits_of(ADAM["beta2"])}
        self.state, step = optimiser_step(terms, self.state, update.tolist())
        self.residual, _, _, taken = rounding.requantise(self.bits, self.residual, step, 1, None, LANES)
        return np.array(taken, np.float32)

    def next(self, parent, total, head):
        """The next model before it is marked; `head` is its header, which names the state."""
        data = 4 * (FROZEN * FROZEN + TRAINED) # the frozen matrix stands first
        values = np.frombuffer(parent, "<f4", TRAINED, len(parent) - 4 * TRAINED) + self.step(total)
        return head + parent[len(parent) - data:len(parent) - 4 * TRAINED] + values.astype("<f4").tobytes()


class Play:
    def __init__(self, scene):
        self.scene = scene
        self.devices = None
        self.current = None
        self.steps = Steps(scene.bits)

    def verify(self, file, *parts):
        said = self.scene.run("watermark", "verify", file, *map(self.scene.part, parts), "--json")
        return json.loads(said)

    def install(self, number, name):
        """A device that only takes models."""
        scene = self.scene
        for hub in TASK.hubs:
            manifest = f"{scene.work}/hub-{hub}/tasks/{TASK.name}/releases/{number}.0.manifest"
            scene.wait_for(f"release {number} at hub {hub}", os.path.exists, manifest)
        file = f"{scene.work}/app.safetensors"
        pulled = self.edge("pull", "--config", scene.device_json(TASK, CONSUMER), "--into", file)
        self.edge("install", "--into", file)
        if read(file) != read(scene.model_file(0, name)):
            raise Failure("the device has another model than the hubs")
        return pulled["text"]

    def edge(self, *words):
        done = subprocess.run([os.path.join(self.scene.build, "edge-client", "millrace-edge"), *words, "--json"],
                              stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, check=False)
        if done.returncode != 0:
            raise Failure(f"millrace-edge {' '.join(words)}: {done.returncode}: {done.stdout} {done.stderr}")
        return json.loads(done.stdout.splitlines()[-1])

    def check(self, number, end):
        scene, name = self.scene, end["model_hash"]
        model, total = read(scene.model_file(0, name)), read(scene.sum_file(0, TASK, number))
        scene.wait_for("the helper's record", os.path.exists, scene.sum_file(1, TASK, number))
        if model != read(scene.model_file(1, name)) or total != read(scene.sum_file(1, TASK, number)):
            raise Failure(f"round {number}: the hubs' sums or models differ")
        plain = self.steps.next(self.current, total, model[:len(model) - 4 * TASK.dimension])
        if oracle.keep(plain, scene.parts[:2], STRENGTH) != model:
            raise Failure(f"round {number}: the model is not the marked step")
        self.current = model
        file = scene.model_file(0, name)
        found, others = self.verify(file, 1, 0), [self.verify(file, 0, 2), self.verify(file, 2, 1)]
        if not found["marked"] or not 0.8 * STRENGTH <= found["sigma"] < STRENGTH + 0.05:
            raise Failure(f"round {number}: the mark is not as announced: {found}")
        if any(other["marked"] for other in others):
            raise Failure(f"round {number}: one part finds the mark: {others}")
        before = oracle.score(plain, scene.parts[:2])[0]
        print(f"round {number}: {before:.2f} sigma after the step, {found['sigma']:.2f} published; with one part "
              f"{others[0]['sigma']:.2f} and {others[1]['sigma']:.2f}; device: {self.install(number, name)}", flush=True)

    def round(self, kill=None):
        scene = self.scene
        number = scene.open_round(TASK)
        self.devices.ask("round")
        told = self.devices.answer()
        if told["committed"] != len(TASK.devices):
            raise Failure(f"round {number}: {told}")
        if kill is not None:
            scene.kill_hub(kill)
            scene.start_hub(kill)
        end = scene.wait_for(f"the end of round {number}", scene.ended, TASK, number)
        if end["state"] != "published":
            raise Failure(f"round {number}: {end}")
        self.check(number, end)

    def main(self):
        scene = self.scene
        scene.start(TASK)
        self.current = read(f"{scene.work}/{TASK.name}.safetensors")
        self.devices = Devices(scene, TASK)
        for kill in (None, 1, 0, None):
            self.round(kill)

    def stop(self):
        if self.devices:
            self.devices.stop()
        return self.scene.stop()


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--build", required=True)
    parser.add_argument("--bits", type=int, choices=(4, 8), default=0, help="of FedAdam's steps")
    asked = parser.parse_args()
    work = tempfile.mkdtemp(prefix="millrace-watermark-")
    return play_out(Play(MarkedScene(asked.build, work, asked.bits)), TASK)


if __name__ == "__main__":
    sys.exit(main())
