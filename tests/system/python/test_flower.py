#!/usr/bin/python3
"""Flower's own ClientApps against real hubs, with the flwr of PyPI, beside Flower's own FedAvg.

    MILLRACE_FLOWER=DIR test_flower.py BUILD

The packages are some 300 MB with all that flwr needs: so it is done only where MILLRACE_FLOWER names a folder for them, and
ends with 77 elsewhere and where they cannot be had. Debian's python3-torch is used where it is installed."""

import json
import os
import re
import subprocess
import sys
import tempfile
import unittest

BUILD = sys.argv[1]
sys.path.insert(0, os.path.join(BUILD, "bindings", "python"))
import pypi  # noqa: E402 pylint: disable=wrong-import-position
from scene import ROOT, Scene  # noqa: E402 pylint: disable=wrong-import-position

REQUIREMENTS = os.path.join(ROOT, "perf", "peers", "requirements.txt")
NUMPY = "numpy==1.26.4"  # the newest with which Debian 12's PyTorch works
APPS = os.path.join(ROOT, "tests", "system", "python", "flower")
PARTITIONS, ROUNDS = 4, 4
POINTS = 0.005  # of accuracy
WAIT_S = 240  # for a machine that is busy with something else


def environment():
    with open(REQUIREMENTS, encoding="utf-8") as f:
        wanted = [NUMPY if line.startswith("numpy==") else line for line in f.read().splitlines() if not line.startswith("#")]
    return pypi.interpreter("MILLRACE_FLOWER", wanted, "--no-deps", system_site_packages=True)


class Patient(Scene):
    deadline_ms = 1000 * WAIT_S

    def round_options(self):
        named = self.training.get("metrics")
        return {**super().round_options(), **({"metrics": f"'{named}'"} if named else {})}


class Quickstarts(unittest.TestCase):
    def run_script(self, name, *words):
        done = subprocess.run([PYTHON, os.path.join(APPS, name), *map(str, words)], env=self.environment, timeout=WAIT_S,
                              stdin=subprocess.DEVNULL, capture_output=True, text=True, check=False)
        self.assertEqual(done.returncode, 0, done.stderr[-3000:])
        return done.stdout

    def begin(self, app, config, run_config, rounds, **options):
        """Hubs, and a device for each partition: the scene, and the processes."""
        folder = self.enterContext(tempfile.TemporaryDirectory(prefix="millrace-flower-"))
        scene = Patient(BUILD, f"{folder}/federation", PARTITIONS, PARTITIONS)
        scene.training = {**scene.training, "weight_max": 1000, "trainer": config, **options}
        self.environment = {**scene.python(), "PYTHONNOUSERSITE": "1"}
        scene.model = lambda path: self.run_script("plain.py", app, "--first", path)
        self.enterContext(scene)
        devices = [subprocess.Popen(
            [PYTHON, os.path.join(APPS, "device.py"), app, scene.device(i), str(i), str(PARTITIONS), str(rounds),
             json.dumps(run_config)], env=self.environment, text=True, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
            stderr=subprocess.PIPE) for i in range(PARTITIONS)]
        self.addCleanup(lambda: [device.kill() for device in devices])
        return scene, devices

    def play(self, app, clip_norm, config, run_config):
        scene, devices = self.begin(app, config, run_config, ROUNDS, clip_norm=clip_norm)
        for _ in range(ROUNDS):
            number = scene.open_round()
            shown = scene.operator(0, "round", "show", str(number), "--wait")
            self.assertEqual(shown["state"], "published", shown)
        for device in devices:
            out, err = device.communicate(timeout=WAIT_S)
            self.assertEqual((device.returncode, out.count("committed, then published")), (0, ROUNDS), out + err[-3000:])
        reached = f"{scene.work}/hub-0/tasks/default/models/{shown['model_hash']}.safetensors"
        found = json.loads(self.run_script("plain.py", app, PARTITIONS, ROUNDS, json.dumps(config), json.dumps(run_config),
                                           reached))
        print(f"{app}: {', '.join(f'{name} {value:.4f}' for name, value in found.items())}")
        self.assertGreater(found["plain"], found["first"] + 0.3) # something was learnt
        self.assertAlmostEqual(found["millrace"], found["plain"], delta=POINTS)

    def test_an_evaluation(self):
        """The app's own evaluate measures the model: zeros, which call everything the first class."""
        scene, devices = self.begin("numpy_app", {"lr": 0.5}, {"local-epochs": 1}, 1, metrics="accuracy 0..1")
        number = scene.open_round("--evaluate")
        shown = scene.operator(0, "round", "show", str(number), "--wait")
        for device in devices:
            out, err = device.communicate(timeout=WAIT_S)
            self.assertEqual((device.returncode, out.count("published")), (0, 1), out + err[-3000:])
        self.assertEqual((shown["state"], shown["kind"]), ("published", "evaluation"), shown)
        self.assertAlmostEqual(shown["metrics"]["named"]["accuracy"]["mean"], 0.1, delta=0.05)

    def test_numpy(self):
        self.play("numpy_app", 3.0, {"lr": 0.5}, {"local-epochs": 10})

    def test_client_fn(self):
        self.play("client_fn_app", 3.0, {"lr": 0.5}, {"local-epochs": 10})

    def test_pytorch(self):
        if subprocess.run([PYTHON, "-c", "import torch"], env={**os.environ, "PYTHONNOUSERSITE": "1"},
                          capture_output=True, check=False).returncode:
            self.skipTest("no PyTorch here: python3-torch")
        self.play("pytorch_app", 10.0, {"lr": 0.02}, {"local-epochs": 3, "batch-size": 32})


NAMES = """
import flwr.serverapp.strategy as s, inspect, json
parameters = set()
strategies = [name for name in s.__all__ if name not in ("Result", "Strategy")]
for name in strategies:
    parameters |= set(inspect.signature(getattr(s, name).__init__).parameters)
print(json.dumps([strategies, list(inspect.signature(s.Strategy.start).parameters), list(parameters)]))
"""
# Parameters that set up no rule of a round: who, with what, and what is only written down.
OF_NO_RULE = {"self", "args", "kwargs", "strategy", "grid", "initial_arrays", "accountant"}
# Parameters of strategies that have no place here.
OF_STRATEGIES_LEFT_OUT = {"beta", "clip_norm_lr", "clipped_count_stddev", "client_learning_rate", "initial_clipping_norm",
                          "num_malicious_nodes", "num_nodes_to_select", "q", "selection_rule", "target_clipped_quantile",
                          "train_loss_key"}


class Table(unittest.TestCase):
    """docs/migrating.md names every strategy of Flower's, and every number of them; and none that Flower has not."""

    def test_names(self):
        strategies, starts, parameters = json.loads(subprocess.run([PYTHON, "-c", NAMES], capture_output=True, text=True,
                                                                   check=True).stdout)
        with open(os.path.join(ROOT, "docs", "migrating.md"), encoding="utf-8") as f:
            text = f.read().split("| Flower | here |")[1].split("\n\n")[0]
        named = {name for row in text.splitlines() if row.startswith("| ") for name in re.findall(r"`(\w+)`", row.split("|")[1])}
        have = {*strategies, *starts, *parameters} - OF_NO_RULE
        self.assertEqual(have - named - OF_STRATEGIES_LEFT_OUT, set())
        self.assertEqual(named - have, set())


if __name__ == "__main__":
    try:
        PYTHON = environment()
    except pypi.Missing as reason:
        print(f"skipped: {reason}")
        sys.exit(77)
    unittest.main(argv=sys.argv[:1], verbosity=2, warnings="ignore")
