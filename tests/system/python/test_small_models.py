#!/usr/bin/python3
"""The examples of small models against real hubs, on real digits: rounding that training knew of, and a student of a teacher.

    test_small_models.py BUILD
"""

import gzip
import os
import re
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
from scene import ROOT, Scene  # noqa: E402 pylint: disable=wrong-import-position

EXAMPLES = os.path.join(ROOT, "bindings", "python", "examples")
sys.path.insert(0, EXAMPLES)
import perceptron  # noqa: E402 pylint: disable=wrong-import-position

DEVICES, ROUNDS, EACH = 4, 6, 150
WAIT_S = 120
INT8_MAX = 2_000_000 # bytes


class SmallScene(Scene):
    def round_options(self):
        return {**super().round_options(), "clip_norm": 8, "weight_max": EACH, "commit_interval_ms": 20,
                "training": """'{"epochs": 5, "learning_rate": 0.2}'"""}


class SmallModels(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.folder = cls.enterClassContext(tempfile.TemporaryDirectory(prefix="millrace-small-"))
        with gzip.open(os.path.join(ROOT, "demo", "data", "digits.csv.gz"), "rt", encoding="ascii") as f:
            lines = [line for line in f if line[0].isdigit()]
        for number in range(DEVICES):
            cls.write(f"device-{number}.csv", lines[EACH * number:EACH * (number + 1)])
            cls.write(f"few-{number}.csv", lines[EACH * number:EACH * number + 20])
        cls.write("labelled.csv", lines[600:1300])
        cls.write("judge.csv", lines[1300:])
        cls.judge = perceptron.read(cls.path("judge.csv"))

    @classmethod
    def path(cls, name):
        return os.path.join(cls.folder, name)

    @classmethod
    def write(cls, name, lines):
        with open(cls.path(name), "w", encoding="ascii") as f:
            f.writelines(lines)

    def run_example(self, *words):
        return subprocess.run([sys.executable, *words], stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, text=True, check=True,
                              cwd=EXAMPLES, timeout=WAIT_S, env={**os.environ, "PYTHONPATH": f"{BUILD}/bindings/python",
                                                                 "PYTHONDONTWRITEBYTECODE": "1"}).stdout

    def train(self, name, first, data, *words):
        """A federation of its own, to its end: the path of the model. `words`: the example's, behind device and data."""
        script, *options = words
        with SmallScene(BUILD, self.path(name), DEVICES, DEVICES, first) as scene:
            devices = [subprocess.Popen(
                [sys.executable, os.path.join(EXAMPLES, script), "train", scene.device(number),
                 self.path(data.format(number)), *options, "--rounds", str(ROUNDS)], env=scene.python(), text=True,
                stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT) for number in range(DEVICES)]
            try:
                for _ in range(ROUNDS):
                    outcome = scene.operator(0, "round", "open", "--wait")
                    self.assertEqual((outcome["state"], outcome["included"]), ("published", DEVICES))
                said = [device.communicate(timeout=WAIT_S)[0] for device in devices]
            finally:
                for device in devices:
                    device.kill()
                    device.communicate()
            self.assertEqual([device.returncode for device in devices], [0] * DEVICES, said)
        return f"{self.path(name)}/hub-0/tasks/default/models/{outcome['model_hash']}.safetensors"

    def exported(self, model, bits):
        """(bytes, accuracy in float, in whole numbers) by the example's own word."""
        said = self.run_example("qat.py", "export", model, self.path("model.npz"), self.path("judge.csv"), "--bits", str(bits))
        size, real, whole = re.search(r"(\d+) bytes; accuracy ([\d.]+) in float, ([\d.]+) in whole", said).groups()
        return int(size), float(real), float(whole)

    def test_training_that_knows_of_its_rounding(self):
        first = perceptron.new(24)
        models = {"aware": self.train("aware", first, "device-{}.csv", "qat.py", "--bits", "2"),
                  "float": self.train("float", first, "device-{}.csv", "qat.py", "--float")}
        found = {(name, bits): self.exported(model, bits) for name, model in models.items() for bits in (8, 2)}
        for (name, bits), (size, real, whole) in found.items():
            print(f"trained {name}, {bits} bits: {size} bytes, {real:.4f} in float, {whole:.4f} in whole numbers")
        self.assertLess(max(size for size, _, _ in found.values()), INT8_MAX)
        self.assertGreater(found["float", 8][1], 0.85)
        self.assertLess(found["float", 8][1] - found["float", 8][2], 0.02) # at 8 bits rounding costs next to nothing
        # At 2 nearly all is lost (0.16 to 0.18 is left), and far less if training knew of it (0.68 to 0.84).
        self.assertGreater(found["aware", 2][2], found["float", 2][2] + 0.2)

    def test_a_student_of_a_teacher(self):
        self.run_example("distil.py", "teach", self.path("labelled.csv"), self.path("teacher.safetensors"))
        teacher, first = millrace.load(self.path("teacher.safetensors")), perceptron.new(16)
        runs = {"a teacher, no labels": ("device-{}.csv", ()), "20 labels a device": ("few-{}.csv", ("--labels",))}
        found = {name: perceptron.accuracy(millrace.load(self.train(
            data.partition("-")[0], first, data, "distil.py", self.path("teacher.safetensors"), *words)), *self.judge)
                 for name, (data, words) in runs.items()}
        taught = perceptron.accuracy(teacher, *self.judge)
        sizes = [sum(value.size for value in weights.values()) for weights in (teacher, first)]
        print(f"teacher of {sizes[0]} values {taught:.4f}; student of {sizes[1]}: "
              + ", ".join(f"{name} {value:.4f}" for name, value in found.items()))
        self.assertLess(sizes[1], sizes[0] / 10)
        self.assertGreater(found["a teacher, no labels"], taught - 0.05)
        self.assertGreater(found["a teacher, no labels"], found["20 labels a device"] + 0.05)


if __name__ == "__main__":
    unittest.main(argv=sys.argv[:1])
