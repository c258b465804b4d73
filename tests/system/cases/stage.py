"""Two hubs, devices and an operator for a case: a small input that broke something once.

A case is a unittest.TestCase over `Case`; each test has a federation of its own, of demo/federation.py.
"""

import json
import os
import signal
import subprocess
import sys
import tempfile
import unittest

HERE = os.path.dirname(os.path.abspath(__file__))
sys.path.insert(0, os.path.join(HERE, "..", "..", "..", "demo"))
from federation import Federation, start_hub # noqa: E402 pylint: disable=wrong-import-position

LONG_S = 120 # whatever takes longer hangs
DEVICES = 3
TRAINING = {"rotation_log2": "auto", "scale": "auto", "clip_norm": 1.0, "weight_max": 1000,
            "trainer": {"epochs": 5, "batch": 16, "learning_rate": 0.05}}


class Case(unittest.TestCase):
    """Two hubs that are started by start_hubs(), whose rounds take two of three devices."""

    build = None # of main()

    def setUp(self):
        folder = tempfile.TemporaryDirectory(prefix="millrace-case-")
        self.addCleanup(folder.cleanup)
        self.work = folder.name
        self.fed = Federation(self.build, self.work, DEVICES, TRAINING)
        self.addCleanup(self.fed.stop)
        self.fed.make_identities()
        self.edge = self.fed.program("edge-client", "millrace-edge")
        self.hub = self.fed.program("appliance", "millrace-hub")
        self.model = f"{self.work}/model.safetensors"
        self.fed.run(self.fed.program("demo", "digits-tool"), "init", "--layers", "4,8,3", "--seed", "7",
                     "--out", self.model)
        self.good = self.file("good.csv", "".join(
            f"{i % 3 * 2}.1,{i % 3 * 2 + 1}.2,{i % 3 * 2 + 2}.3,{i % 3 * 2 + 3}.4,{i % 3}\n" for i in range(60)))

    def file(self, name, text, mode=0o600):
        path = os.path.join(self.work, name)
        with open(path, "w", encoding="utf-8", newline="") as f:
            f.write(text)
        os.chmod(path, mode)
        return path

    def read(self, name):
        with open(os.path.join(self.work, name), encoding="utf-8") as f:
            return f.read()

    # --- hubs and operator ----------------------------------------------------------------------

    def start_hubs(self, edit=lambda text: text):
        """`edit` may change a hub's file before it starts."""
        for index in range(2):
            os.makedirs(f"{self.work}/hub-{index}")
            path = self.file(f"hub-{index}.yaml", edit(self.fed.hub_yaml(index, 2, 2, self.model)))
            self.fed.hubs.append(start_hub(self.hub, path, f"{self.work}/hub-{index}.log"))

    def said(self, *command, **options):
        """Exit code and all that a program says until its end."""
        done = subprocess.run(command, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
                              text=True, timeout=LONG_S, check=False, **options)
        return done.returncode, done.stdout

    def operator(self, *words):
        """Exit code and what the operator reads."""
        pki = self.fed.pki
        return self.said(self.fed.program("appliance", "cli", "millrace"), *words, "--hub",
                         f"127.0.0.1:{self.fed.ports[0]}", "--hub-index", "0", "--ca", f"{pki}/ca.pem", "--cert",
                         f"{pki}/operator.pem", "--key", f"{pki}/operator.key")

    # --- devices --------------------------------------------------------------------------------

    def device(self, number, data, *options, **process_options):
        """A device's program for one round; it runs."""
        config = self.fed.device_json(f"{number:03d}", self.fed.pki, 0, number)
        # pylint: disable-next=consider-using-with
        device = subprocess.Popen([self.edge, "run", "--config", config, "--data", data, "--rounds", "1", "--json", *options],
                                  stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.PIPE,
                                  **process_options)
        self.addCleanup(self.end, device)
        return device

    @staticmethod
    def end(device):
        if device.poll() is None:
            device.send_signal(signal.SIGKILL)
        device.communicate()

    def heard(self, device):
        """Exit code, its lines as objects, and what it says to people."""
        out, err = device.communicate(timeout=LONG_S)
        lines = [json.loads(line) for line in out.decode().splitlines()]
        for line in lines:
            self.assertTrue(line.get("result"), line)
        return device.returncode, lines, err.decode(errors="replace")

    def play(self, data, *options, **process_options):
        """A round: device 0 has the data and the options, device 1 sound ones. What device 0 tells."""
        devices = [self.device(0, data, *options, **process_options), self.device(1, self.good)]
        code, text = self.operator("round", "open", "--deadline-ms", "60000", "--wait")
        self.assertEqual(code, 0, text)
        self.assertEqual(self.heard(devices[1])[0], 0)
        code, lines, err = self.heard(devices[0])
        self.assertEqual((code, [line["result"] for line in lines]), (0, ["committed", "published"]), err)
        return lines


def main():
    Case.build = os.path.abspath(sys.argv.pop(1))
    unittest.main()
