#!/usr/bin/python3
"""What a task or a process asks of devices, against real hubs: models in 16 bits, and several tasks over one connection.

    test_tasks.py BUILD
"""

import asyncio
import glob
import hashlib
import json
import os
import struct
import subprocess
import sys
import tempfile
import unittest

try:
    import numpy
except ImportError:
    print("skipped: no numpy; install python3-numpy")
    sys.exit(77)

BUILD = sys.argv[1]
sys.path.insert(0, os.path.join(BUILD, "bindings", "python"))

import millrace  # noqa: E402 pylint: disable=wrong-import-position
from scene import HERE, Scene  # noqa: E402 pylint: disable=wrong-import-position
from federation import Task  # noqa: E402 pylint: disable=wrong-import-position
import sums  # noqa: E402 pylint: disable=wrong-import-position

WAIT_S = 120  # for a machine that is busy with something else
SCALE = 128.0


# --- the oracle: docs/wire-format.md, section 12 ----------------------------------------------------


def rounded(values, number_type):
    """The 16 bits of each, to nearest and ties to even; a finite value beyond the largest number is that one."""
    if number_type == "float16":
        return numpy.clip(values, -65504, 65504).astype("<f2").view("<u2")
    bits = values.view("<u4").astype("u8")
    size = bits & 0x7fffffff
    return (bits >> 16 & 0x8000 | numpy.minimum((size + 0x7fff + (size >> 16 & 1)) >> 16, 0x7f7f)).astype("<u2")


def widened(numbers, number_type):
    return numbers.view("<f2").astype("<f4") if number_type == "float16" else (numbers.astype("<u4") << 16).view("<f4")


def next_model(parent, lanes, devices):
    """Of FedAvg without rotation, where each device's weight is 1."""
    return parent + lanes[:len(parent)].astype("<f4") * numpy.float32(1 / (SCALE * devices))


# --- files -------------------------------------------------------------------------------------------


def read_file(path):
    """(header, bytes of the data region)."""
    with open(path, "rb") as f:
        return json.loads(f.read(struct.unpack("<Q", f.read(8))[0])), f.read()


def sha256(path):
    with open(path, "rb") as f:
        return hashlib.sha256(f.read()).hexdigest()


class PlainScene(Scene):
    """Whole steps stay whole: nothing is lost by rounding to the round's levels."""

    def round_options(self):
        return {**super().round_options(), "rotation_log2": 0, "scale": SCALE, "weight_max": 1}

    def published(self, number, hub=0, *words):
        shown = self.operator(hub, "round", "show", str(number), "--wait", *words)
        if shown["state"] != "published":
            raise AssertionError(f"round {number}: {shown}")
        return shown


class SixteenBits(unittest.TestCase):
    """A task whose operators have written a type into the model, and two devices that train in 16 bits: one in Python, one a
    program behind the C device. Rounds, sums and models are those of float32; what each is given, what counts of what it makes,
    and what an application gets are as the oracle says."""

    STEPS = {0: 5, 1: -3}  # of each device, of 1/128

    def play(self, asked, trained):
        """`asked`: by the task, of applications. `trained`: of each device."""
        folder = self.enterContext(tempfile.TemporaryDirectory(prefix="millrace-types-"))
        random = numpy.random.default_rng(7)
        first = {"weight": random.normal(0, 1, (3, 8)).astype("<f4"), "more": numpy.array([7e4, -7e4, 1e-7, 0, 65519], "<f4")}
        scene = PlainScene(BUILD, f"{folder}/federation", 2, 2, first, installed_as=asked)
        with scene:
            self.scene, self.dumps, self.trained = scene, f"{folder}/dumps", trained
            os.mkdir(self.dumps)
            values = numpy.concatenate([value.reshape(-1) for value in first.values()])
            with millrace.Client(self.config(0), dump_dir=self.dumps) as client:
                values = self.round(client, values, {})
            # The same in the type of the function's own numbers.
            with millrace.Client(self.config(0, "float32"), dump_dir=self.dumps, dtype="float16") as client:
                values = self.round(client, values, {0: "float16"})
                self.install(client, values, asked, f"{folder}/model.safetensors")

    def config(self, number, number_type=None):
        path = self.scene.device(number)
        with open(path, encoding="utf-8") as f:
            device = json.load(f)
        with open(path, "w", encoding="utf-8") as f:
            json.dump({**device, "number_type": number_type or self.trained[number]}, f)
        return path

    def program(self):
        """The device in C, for one round."""
        data = f"{self.scene.work}/steps"
        with open(data, "w", encoding="ascii") as f:
            f.write(str(self.STEPS[1]))
        self.seen_by_program = f"{data}.model"
        device = subprocess.Popen(
            [f"{BUILD}/edge-client/millrace-edge", "run", "--config", self.config(1), "--data", data, "--trainer",
             f"{HERE}/train_copy.py", "--dump-dir", self.dumps, "--rounds", "1"],
            stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
        self.addCleanup(device.kill)
        return device

    def round(self, client, parent, own):
        """One round from that model; the next one. `own`: types that a device's function has asked for itself."""
        given, file = [], []

        def train(weights, task):
            given.extend(value.astype("<f4").reshape(-1) for value in weights.values())
            file.append((task.number_type, read_file(task.model_file)))
            step = self.STEPS[0] / 128
            return {name: value.astype("<f4") + numpy.float32(step) for name, value in weights.items()}, 1, {"loss": 1.0}

        number, program = self.scene.open_round(), self.program()
        (outcome,) = client.run(train, 1, patience=WAIT_S)
        said, _ = program.communicate(timeout=WAIT_S)
        self.assertEqual((outcome.result, outcome.end.result, program.returncode), ("committed", "published", 0), said)

        # What they were given.
        kind = own.get(0, self.trained[0])
        expected = widened(rounded(parent, kind), kind)
        numpy.testing.assert_array_equal(numpy.concatenate(given).view("<u4"), expected.view("<u4"))
        (told, (_, data)), = file
        self.assertEqual(told, "float32" if own else self.trained[0])
        self.assertEqual(data, parent.tobytes() if own else rounded(parent, told).tobytes())
        header, data = read_file(self.seen_by_program)
        self.assertEqual({t["dtype"] for name, t in header.items() if name != "__metadata__"},
                         {{"float16": "F16", "bfloat16": "BF16"}[self.trained[1]]})
        self.assertEqual(data, rounded(parent, self.trained[1]).tobytes())

        # What counts of what they made: the change, and no rounding of the model. It is added to the float32 model, whose own
        # last bits it may lose.
        lanes = self.opened(number, len(parent))
        expected = sum(self.STEPS.values())
        self.assertLessEqual(numpy.abs(lanes - expected).max(), 1)
        self.assertGreater((lanes == expected).mean(), 0.8)

        # The next model, the same bytes on both hubs, with the task's wish still in it.
        model = next_model(parent, lanes, len(self.STEPS))
        shown = self.scene.published(number)
        for hub in range(2):
            path = f"{self.scene.work}/hub-{hub}/tasks/default/models/{shown['model_hash']}.safetensors"
            header, data = read_file(path)
            self.assertEqual((sha256(path), data), (shown["model_hash"], model.tobytes()))
            self.assertEqual(header["__metadata__"]["millrace.installed_as"], self.scene.parts["installed_as"])
        return model

    def opened(self, number, dimension):
        """The sum, which is the sum of what the devices wrote down before they masked it."""
        check = sums.compare(f"{self.scene.work}/hub-0", "default", self.dumps, number)
        self.assertEqual((check.detail, len(check.included)), ("", 2))
        q = [sums.read_dump(path, number, os.path.basename(path).partition("-")[0], 0)[0]
             for path in glob.glob(f"{self.dumps}/*-r{number}-a0.bin")]
        return sum(numpy.array(one[:dimension], "i4") for one in q)

    def install(self, client, model, asked, path):
        file = millrace.ModelFile(path)
        self.assertTrue(file.update(client, wait=WAIT_S))
        self.assertEqual(file.opened, (asked, sha256(path)))
        self.assertEqual(read_file(path)[1], rounded(model, asked).tobytes())
        self.assertGreaterEqual(file.last_pull.kept_ms, file.last_pull.heard_ms)
        self.assertGreater(file.last_pull.fetched_bytes, 0)

    def test_float16(self):
        self.play("float16", {0: "float16", 1: "bfloat16"})

    def test_bfloat16(self):
        self.play("bfloat16", {0: "bfloat16", 1: "float16"})


class TwoTasks(PlainScene):
    """Each hub leads one."""

    def __init__(self, build, work, devices, quorum):
        super().__init__(build, work, devices, quorum)
        self.tasks = (Task("default", (0, 1)), Task("other", (1, 0), f"{work}/other.safetensors"))
        millrace.save({"bias": numpy.ones(100)}, self.tasks[1].model)

    def config(self, task, number):
        return self.device_json(f"{task.name}-{number}", self.pki, 0, number, task)


class SharedConnections(unittest.TestCase):
    """Two devices in one process, each with two tasks."""

    def connections(self):
        """Of this process, to each hub: as the kernel has them."""
        mine = set()
        for path in glob.glob("/proc/self/fd/*"):
            try:
                mine.add(os.readlink(path))
            except FileNotFoundError:
                pass
        with open("/proc/net/tcp", encoding="ascii") as f:
            rows = [line.split() for line in f][1:]
        return [sum(row[2].endswith(f":{port:04X}") and row[3] == "01" and f"socket:[{row[9]}]" in mine for row in rows)
                for port in self.scene.ports]

    def clients(self, connections):
        for number in range(2):
            for task, sibling in (self.scene.tasks, self.scene.tasks[::-1]):
                siblings = [f"{self.scene.work}/device-{sibling.name}-{number}"]
                os.makedirs(siblings[0], exist_ok=True)
                yield millrace.AsyncClient(self.scene.config(task, number), siblings=siblings, connections=connections)

    @staticmethod
    def nudge(weights, _task):
        for values in weights.values():
            values += 1 / 128
        return weights, 1, {"loss": 1.0}

    async def play(self, connections):
        """A round of each task, in all four clients at once. What connections there are then, and when all are closed."""
        clients = list(self.clients(connections))
        del connections # the clients hold them
        ended = await asyncio.gather(*(client.run(self.nudge, 1, patience=WAIT_S) for client in clients))
        self.assertEqual({(outcome.result, outcome.end.result) for (outcome,) in ended}, {("committed", "published")})
        there = self.connections()
        for client in clients:
            client.close()
        return there, self.connections()

    def test_one_for_all_tasks(self):
        with tempfile.TemporaryDirectory(prefix="millrace-shared-") as folder, TwoTasks(BUILD, f"{folder}/f", 2, 2) as self.scene:
            for connections, each in ((millrace.Connections(), 1), (None, 2)):
                rounds = [(task, self.scene.operator(task.hubs[0], "round", "open", "--task", task.name)["round"])
                          for task in self.scene.tasks]
                self.assertEqual(asyncio.run(self.play(connections)), ([2 * each, 2 * each], [0, 0]))
                for task, number in rounds:
                    self.scene.published(number, task.hubs[0], "--task", task.name)


if __name__ == "__main__":
    unittest.main(argv=sys.argv[:1], verbosity=2, warnings="ignore")
