#!/usr/bin/python3
"""Somebody with a certificate of the same CA between a device and its helper: a TLS terminator in the helper's name.
He sees sealed bytes, and has no receipt to give for them but the helper's own.

usage: test_terminator.py MILLRACE MILLRACE-HUB MILLRACE-EDGE
"""

import json
import os
import subprocess
import sys
import unittest

import test_lying_helper
from stage import TASK

import millrace_oracle as oracle

EDGE = []
# What a device is asked to train with: every value a little more.
TRAINER = """#!/usr/bin/python3
import json, struct, sys
model, delta, report, task = sys.argv[1:]
count = json.load(open(task))["dimension"]
header = json.dumps({"w": {"dtype": "F32", "shape": [count], "data_offsets": [0, 4 * count]}}).encode()
open(delta, "wb").write(struct.pack("<Q", len(header)) + header + struct.pack("<f", 0.05) * count)
json.dump({"examples": 6, "loss": 0.25}, open(report, "w"))
"""


class Helper(test_lying_helper.Helper):
    """The honest helper, and in front of it whoever `between` is: he has the request before it, and answers for it."""

    def __init__(self, stage):
        super().__init__(stage)
        self.between = lambda body, answer: answer(body)
        self.seen = []

    def answer(self, path, body):
        if not path.endswith("/seed"):
            return super().answer(path, body)
        self.seen.append(body)
        return 200, self.between(body, self.take)

    def take(self, body, guess=None):
        """The helper's answer, as if the device had sent that; with the right mask, and the proof of a guessed seed."""
        client = self.device
        covered = oracle.scope(TASK, self.hash, client, 1, int.from_bytes(body[32:36], "big"))
        seed = oracle.seed_request_open(body, covered, self.seal)
        parts = oracle.receipt_parts(self.layout, body, seed, covered)
        mac = oracle.receipt_mac(oracle.receipt_key(self.stage.keys[1], self.hash), covered, parts[0])
        if guess:
            parts = parts[0], oracle.receipt_parts(self.layout, body, guess, covered)[1]
        self.seed = seed
        return oracle.receipt_answer(1, parts, mac)

    def of_my_own(self, body):
        """A request in the device's name, with a seed that the one between knows."""
        attempt = int.from_bytes(body[32:36], "big")
        covered = oracle.scope(TASK, self.hash, self.device, 1, attempt)
        return oracle.seed_request(self.hash, attempt, covered, bytes([66]) * 32, oracle.x25519_public(self.seal), bytes([67]) * 32)


class Terminator(test_lying_helper.Scene, unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        honest, test_lying_helper.Helper = test_lying_helper.Helper, Helper
        try:
            super().setUpClass()
        finally:
            test_lying_helper.Helper = honest

    def play(self, number):
        """Runs the device's program for the open round: the line it prints."""
        stage, folder = self.stage, f"{self.work.name}/device-{number}"
        self.helper.device = stage.devices[number]
        os.makedirs(folder)
        hubs = [{"index": i, "name": f"hub-{i}", "host": "127.0.0.1", "port": stage.ports[i],
                 "public_key": stage.publics[i].hex()} for i in range(2)]
        stem = f"{stage.pki}/device-{number:03d}"
        with open(f"{folder}/device.json", "w", encoding="utf-8") as f:
            json.dump({"task": TASK.decode(), "hubs": hubs, "data_dir": folder, "transport": "http2",
                       "device": {"ca": f"{stage.pki}/ca.pem", "certificate": f"{stem}.pem", "key": f"{stem}.key"}}, f)
        with open(f"{folder}/train.py", "w", encoding="ascii") as f:
            f.write(TRAINER)
        os.chmod(f"{folder}/train.py", 0o700)
        done = subprocess.run([*EDGE, "run", "--config", f"{folder}/device.json", "--trainer", f"{folder}/train.py",
                               "--rounds", "1", "--json", "--end-wait-ms", "0"],
                              capture_output=True, text=True, timeout=90, check=False)
        return json.loads(done.stdout or "{}"), done.stderr

    def test_between_a_device_and_its_helper(self):
        self.open_round()
        self.current()
        helper = self.helper
        lies = {0: lambda body, answer: answer(body, guess=self.stage.keys[1]), # he has keys, but not the seed
                1: lambda body, answer: answer(helper.of_my_own(body)), # the helper's own receipt, of another seed
                2: lambda body, answer: answer(body)[:6] + bytes(16) + answer(body)[22:]}
        for number, lie in lies.items():
            helper.between = lie
            line, said = self.play(number)
            self.assertEqual((line.get("result"), line.get("code")), ("refused", "bad_answer"), (line, said))
        self.assertEqual(self.outcome_admitted(), 0, "a device asked the lead for an upload without a receipt")
        # He that passes all on has seen nothing: no seed, and nothing that any key of his opens.
        helper.between = lambda body, answer: answer(body)
        helper.seen.clear()
        line, said = self.play(3)
        self.assertEqual(line.get("result"), "committed", (line, said))
        body, = helper.seen
        self.assertEqual(len(body), 116)
        self.assertNotIn(helper.seed, body)
        covered = oracle.scope(TASK, helper.hash, helper.device, 1, int.from_bytes(body[32:36], "big"))
        for key in self.stage.keys:
            with self.assertRaises(oracle.Refused):
                oracle.seed_request_open(body, covered, key)

    def outcome_admitted(self):
        return self.stage.ask("operator", "GET", f"/v1/tasks/default/admin/rounds/{self.number}").json()["admitted"]


if __name__ == "__main__":
    test_lying_helper.PROGRAMS, EDGE = sys.argv[1:3], sys.argv[3:4]
    unittest.main(argv=sys.argv[:1] + sys.argv[4:], verbosity=1)
