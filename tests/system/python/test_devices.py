#!/usr/bin/python3
"""Python's devices against real hubs: the adapters' examples, Ctrl-C, asyncio, and devices that are killed.

    test_devices.py BUILD
"""

import asyncio
import importlib.util
import os
import random
import signal
import socket
import subprocess
import sys
import tempfile
import unittest

try:
    import numpy # noqa: F401 pylint: disable=unused-import
except ImportError:
    print("skipped: no numpy; install python3-numpy")
    sys.exit(77)

BUILD = sys.argv[1]
sys.path.insert(0, os.path.join(BUILD, "bindings", "python"))

import millrace  # noqa: E402 pylint: disable=wrong-import-position
from scene import ROOT, Scene, rows  # noqa: E402 pylint: disable=wrong-import-position

EXAMPLES = os.path.join(ROOT, "bindings", "python", "examples")
DEVICES = 6
WAIT_S = 120  # for a machine that is busy with something else


def has(module):
    return importlib.util.find_spec(module) is not None


class WithHubs(unittest.TestCase):
    devices, quorum = 2, 2

    @classmethod
    def setUpClass(cls):
        cls.folder = cls.enterClassContext(tempfile.TemporaryDirectory(prefix="millrace-python-"))
        cls.scene = cls.enterClassContext(Scene(BUILD, f"{cls.folder}/federation", cls.devices, cls.quorum))
        for number in range(cls.devices):
            x, y = rows(number)
            with open(cls.data(number), "w", encoding="ascii") as f:
                f.writelines(",".join(f"{v:.4f}" for v in row) + f",{label}\n" for row, label in zip(x, y))

    @classmethod
    def data(cls, number):
        return f"{cls.folder}/data-{number}.csv"

    def start(self, *command):
        process = subprocess.Popen([sys.executable, *command], env=self.scene.python(), text=True,
                                   stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.PIPE)
        self.addCleanup(self.reap, process)
        return process

    @staticmethod
    def reap(process):
        if process.poll() is None:
            process.kill()
        process.communicate()

    def device(self, number, *words):
        return self.start("-m", "millrace", "--config", self.scene.device(number), "--data", self.data(number),
                          "--rounds", "1", "--patience", "60", *words)


class Examples(WithHubs):
    """Each beside the package's own numpy trainer, in one round."""

    def play(self, name):
        path = os.path.join(EXAMPLES, name)
        with open(path, encoding="utf-8") as f:
            self.assertLessEqual(len(f.readlines()), 40)
        self.scene.open_round()
        both = [self.start(path, self.scene.device(0), self.data(0)), self.device(1)]
        said = [process.communicate(timeout=WAIT_S) for process in both]
        self.assertEqual([process.returncode for process in both], [0, 0], said)
        self.assertRegex(said[0][0], "committed, then published")
        self.assertRegex(said[1][0], r"committed, published, loss \d.*, accuracy \d")

    @unittest.skipUnless(has("torch"), "no PyTorch here: python3-torch, or torch of PyPI")
    def test_pytorch(self):
        self.play("pytorch.py")

    @unittest.skipUnless(has("sklearn"), "no scikit-learn here: python3-sklearn")
    def test_sklearn(self):
        self.play("sklearn_linear.py")

    def test_flower(self):
        self.play("flower_client.py")

    def test_asyncio(self):
        async def both():
            async with (millrace.AsyncClient(self.scene.device(0)) as one,
                        millrace.AsyncClient(self.scene.device(1)) as other):
                return await asyncio.gather(one.run(self.nudge, 1), other.run(self.nudge, 1))
        self.scene.open_round()
        for (outcome,) in asyncio.run(both()):
            self.assertEqual((outcome.result, outcome.end.result), ("committed", "published"))

    @staticmethod
    def nudge(weights, task):
        for values in weights.values():
            values += 0.05
        return weights, 10, {"loss": 1.0}

    def test_check(self):
        device = self.start("-m", "millrace", "--config", self.scene.device(0), "--check")
        out, err = device.communicate(timeout=WAIT_S)
        self.assertEqual((device.returncode, "hubs and keys are as pinned" in out), (0, True), err)


class Silent(WithHubs):
    """A lead that takes connections and never says a word; requests may take an hour."""

    devices, quorum = 1, 0

    def setUp(self):
        self.listener = socket.create_server(("127.0.0.1", 0))
        self.addCleanup(self.listener.close)
        port, self.scene.ports[0] = self.scene.ports[0], self.listener.getsockname()[1]
        self.config = self.scene.device(0)
        self.scene.ports[0] = port

    def test_ctrl_c(self):
        for number, code in ((signal.SIGINT, 130), (signal.SIGTERM, -signal.SIGTERM)):
            device = self.start("-c", f"""
import millrace
try:
    with millrace.Client({self.config!r}, request_timeout_s=3600, on_progress=lambda p: print(p.phase, flush=True)) as client:
        client.run(None)
except KeyboardInterrupt:
    raise SystemExit(130)
""")
            self.assertEqual(device.stdout.readline(), "waiting\n")
            peer, _ = self.listener.accept() # it waits for a handshake
            device.send_signal(number)
            device.communicate(timeout=WAIT_S)
            self.assertEqual(device.returncode, code)
            peer.close()

    def test_task_that_is_cancelled(self):
        async def play():
            async with millrace.AsyncClient(self.config, request_timeout_s=3600) as client:
                waiting = asyncio.create_task(client.run(Examples.nudge))
                await asyncio.get_running_loop().run_in_executor(None, self.listener.accept)
                waiting.cancel()
                with self.assertRaises(asyncio.CancelledError):
                    await waiting
        asyncio.run(play())


class Killed(WithHubs):
    """Two of six are killed in each round, in whatever they do; the round closes with the others."""

    devices, quorum = DEVICES, DEVICES - 2

    def test_a_third_is_killed(self):
        chance = random.Random(3)
        for _ in range(2):
            number = self.scene.open_round()
            phases = dict.fromkeys(chance.sample(range(DEVICES), 2))
            for victim in phases:
                phases[victim] = chance.choice(["pulling", "training", "sharing", "uploading"])
            players = [self.victim(i, phases[i]) if i in phases else self.device(i, "--verbose") for i in range(DEVICES)]
            for victim in phases:
                self.assertEqual(players[victim].stdout.readline(), "there\n")
                players[victim].kill()
            for player in (players[i] for i in range(DEVICES) if i not in phases):
                out, err = player.communicate(timeout=WAIT_S)
                self.assertEqual(player.returncode, 0, err)
                self.assertRegex(out, f"round {number}: committed, published", err)
            shown = self.scene.operator(0, "round", "show", str(number))
            self.assertEqual(shown["state"], "published")

    def victim(self, number, phase):
        """Stands still in that phase."""
        return self.start("-c", f"""
import millrace, sys, time
from millrace._mlp import trainer
def tell(progress):
    if progress.phase == {phase!r}:
        print("there", flush=True)
        time.sleep({WAIT_S})
with millrace.Client({self.scene.device(number)!r}, on_progress=tell) as client:
    client.run(trainer({self.data(number)!r}), 1)
""")


if __name__ == "__main__":
    unittest.main(argv=sys.argv[:1], verbosity=2, warnings="ignore")
