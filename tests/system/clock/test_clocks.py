#!/usr/bin/env python3
"""Real hubs and devices whose clocks are wrong: they take part, or wait, and say whose clock it is.

  test_clocks.py MILLRACE MILLRACE-HUB MILLRACE-EDGE DIGITS_TOOL WRONG_CLOCK
"""
import json
import os
import shutil
import signal
import subprocess
import sys
import tempfile
import time
import unittest

HERE = os.path.dirname(os.path.abspath(__file__))
sys.path.insert(0, os.path.join(HERE, "..", "..", "..", "demo"))
from federation import free_base_port  # noqa: E402 pylint: disable=wrong-import-position

MILLRACE, HUB, EDGE, DIGITS, WRONG = (os.path.abspath(path) for path in sys.argv[1:6])
LONG_S = 90
ROUND_MS = 20000 # the quorum comes much earlier
DAY_S = 86400


def environment(clock_s):
    return {**os.environ, "LD_PRELOAD": WRONG, "WRONG_CLOCK_S": str(clock_s)}


class Clocks(unittest.TestCase):
    def setUp(self):
        self.folder = tempfile.mkdtemp(prefix="millrace-clocks-")
        self.processes = []
        self.data = f"{self.folder}/data.csv"
        with open(self.data, "w", encoding="ascii") as f:
            f.writelines(f"{c * 2}.1,{c * 2 + 1}.2,{c * 2 + 2}.3,{c * 2 + 3}.4,{c}\n"
                         for c in [0, 1, 2] * 20)
        self.call(DIGITS, "init", "--layers", "4,8,3", "--seed", "1", "--out",
                  f"{self.folder}/model.safetensors")
        self.call(MILLRACE, "config", "init", "--dir", f"{self.folder}/fed", "--model",
                  f"{self.folder}/model.safetensors", "--devices", "2", "--base-port",
                  str(free_base_port(2)))

    def tearDown(self):
        for process in self.processes:
            if process.poll() is None:
                process.kill()
            process.wait()
            for stream in (process.stdout, process.stderr):
                if stream:
                    stream.close()
        shutil.rmtree(self.folder)

    @staticmethod
    def call(*words):
        subprocess.run(words, check=True, stdout=subprocess.DEVNULL)

    def spawn(self, *words, clock_s=0, **options):
        # pylint: disable-next=consider-using-with
        process = subprocess.Popen(words, stdin=subprocess.DEVNULL, text=True,
                                   env=environment(clock_s), **options)
        self.processes.append(process)
        return process

    def start_hubs(self, *clocks_s):
        for hub, clock_s in enumerate(clocks_s):
            ready, told = os.pipe()
            with open(f"{self.folder}/hub-{hub}.log", "w", encoding="utf-8") as log:
                self.spawn(HUB, "--config", f"{self.folder}/fed/hub-{hub}.yaml", "--ready-fd",
                           str(told), clock_s=clock_s, pass_fds=[told], stdout=log, stderr=log)
            os.close(told)
            with os.fdopen(ready) as f:
                self.assertTrue(f.readline().startswith("READY"), self.logged(hub, ""))

    def logged(self, hub, what):
        with open(f"{self.folder}/hub-{hub}.log", encoding="utf-8") as f:
            return [line for line in f if what in line]

    def device(self, number, clock_s, *more):
        return self.spawn(EDGE, "run", "--config", f"{self.folder}/fed/device-00{number}.json",
                          "--data", self.data, "--rounds", "1", "--json", *more, clock_s=clock_s,
                          stdout=subprocess.PIPE, stderr=subprocess.PIPE)

    def operator(self, *words):
        return subprocess.run([MILLRACE, *words, "--config", f"{self.folder}/fed/operator.json",
                               "--json"], check=False, text=True, timeout=LONG_S,
                              stdout=subprocess.PIPE, stderr=subprocess.PIPE)

    def play(self, *clocks_s):
        """A round with a device for each clock; what each says of it."""
        devices = [self.device(i, clock_s) for i, clock_s in enumerate(clocks_s)]
        opened = self.operator("round", "open", "--deadline-ms", str(ROUND_MS), "--wait")
        self.assertEqual(opened.returncode, 0, opened.stdout + opened.stderr)
        said = []
        for device in devices:
            out, err = device.communicate(timeout=LONG_S)
            self.assertEqual(device.returncode, 0, err)
            lines = [json.loads(line) for line in out.splitlines()]
            counted = [line for line in lines if line["result"] == "committed"]
            self.assertEqual(len(counted), 1, out)
            said.append((counted[0], err))
        return said

    def test_devices(self):
        """Ahead by more than the round lasts."""
        self.start_hubs(0, 0)
        (ahead, ahead_err), (right, right_err) = self.play(61, 0)
        self.assertAlmostEqual(ahead["clock_ahead_ms"], 61000, delta=3000)
        self.assertRegex(ahead_err, r"clock is 6\d\.\d s ahead of the lead's")
        self.assertAlmostEqual(right["clock_ahead_ms"], 0, delta=3000)
        self.assertNotIn("clock", right_err)

    def test_hubs(self):
        """A lead that is behind, so that its rounds end before they begin by everybody else's clock."""
        self.start_hubs(-200, 0) # the certificates of `config init` hold since five minutes ago
        for said, err in self.play(0, 0):
            self.assertAlmostEqual(said["clock_ahead_ms"], 200000, delta=3000)
            self.assertIn("ahead of the lead's", err)
        line = self.logged(0, " round.peer_clock ")[0]
        self.assertIn(" warn round.peer_clock task=default hub=1 ahead_ms=", line)
        metrics = self.operator("metrics").stdout
        found = [value for name, value in json.loads(metrics).items()
                 if name.startswith("millrace_peer_clock_ahead_seconds")]
        self.assertAlmostEqual(found[0], 200, delta=3)
        self.assertTrue(self.logged(1, " warn helper.clock "))

    def test_board_without_a_clock(self):
        """1970: no certificate holds yet. It waits and names the clock, and the code is that of waiting."""
        self.start_hubs(0, 0)
        device = self.device(0, -int(time.time()) + 1000, "--patience-ms", "1500")
        _, err = device.communicate(timeout=LONG_S)
        self.assertIn("waiting for the lead: unreachable: ", err)
        self.assertIn("clock says Thu, 01 Jan 1970", err)
        self.assertNotIn("certificate-refused", err)
        lasting = self.device(1, -2 * DAY_S)
        time.sleep(1)
        self.assertIsNone(lasting.poll())
        lasting.send_signal(signal.SIGKILL)


if __name__ == "__main__":
    unittest.main(argv=sys.argv[:1])
