#!/usr/bin/env python3
"""SIGHUP to a real hub: what may change does, what needs a restart is refused by name, and a broken
file changes nothing.

  test_reload.py MILLRACE MILLRACE-HUB
"""
import os
import shutil
import signal
import struct
import subprocess
import sys
import tempfile
import time
import unittest

MILLRACE, HUB = (os.path.abspath(path) for path in sys.argv[1:3])
LONG_S = 60


class Reload(unittest.TestCase):
    def setUp(self):
        self.folder = tempfile.mkdtemp(prefix="millrace-reload-")
        header = b'{"w":{"dtype":"F32","shape":[4],"data_offsets":[0,16]}}'
        with open(f"{self.folder}/model.safetensors", "wb") as f:
            f.write(struct.pack("<Q", len(header)) + header + bytes(16))
        subprocess.run([MILLRACE, "config", "init", "--dir", self.folder, "--model",
                        f"{self.folder}/model.safetensors", "--hubs", "2", "--devices", "4",
                        "--force"], check=True, stdout=subprocess.DEVNULL)
        self.file, self.log = f"{self.folder}/hub-1.yaml", f"{self.folder}/hub-1.log"
        with open(self.file, encoding="utf-8") as f:
            self.good = f.read().replace("port: 8444", "port: 0", 1)
        self.write(self.good)
        ready, told = os.pipe()
        with open(self.log, "wb") as log:
            self.hub = subprocess.Popen([HUB, "--config", self.file, "--ready-fd", str(told)],
                                        pass_fds=[told], stdin=subprocess.DEVNULL, stdout=log,
                                        stderr=log)
        os.close(told)
        with os.fdopen(ready, "rb") as f:
            self.assertTrue(f.readline().startswith(b"READY"), self.logged())

    def tearDown(self):
        self.hub.send_signal(signal.SIGTERM)
        code = self.hub.wait(LONG_S)
        shutil.rmtree(self.folder)
        self.assertEqual(code, 0)

    def write(self, text):
        with open(self.file, "w", encoding="utf-8") as f:
            f.write(text)

    def logged(self):
        with open(self.log, encoding="utf-8") as f:
            return [line.split(" ", 2)[2].strip() for line in f if " config." in line]

    def reload(self, text, lines):
        """Writes the file, sends SIGHUP and waits for so many more lines; these."""
        before = len(self.logged())
        self.write(text)
        self.hub.send_signal(signal.SIGHUP)
        limit = time.monotonic() + LONG_S
        while len(self.logged()) < before + lines:
            self.assertLess(time.monotonic(), limit, self.logged())
            self.assertIsNone(self.hub.poll())
            time.sleep(0.02)
        return self.logged()[before:]

    def test_reload(self):
        self.assertEqual(self.reload(self.good, 1), ["config.reloaded key=none"])
        changed = "log_level: debug\n" + self.good.replace("quorum: 4", "quorum: 5\n      cohort_max: 9")
        self.assertEqual(self.reload(changed, 3), [
            "config.reloaded key=log_level before=info after=debug",
            "config.reloaded key=tasks.default.round.cohort_max before=258 after=9",
            "config.reloaded key=tasks.default.round.quorum before=4 after=5"])

        restart = changed.replace("quorum: 5", "quorum: 6").replace("slots_per_worker: 6",
                                                                    "slots_per_worker: 7")
        self.assertEqual(self.reload(restart, 1), [
            'config.refused key=upload.slots_per_worker why="needs a restart"'])
        # All or nothing: the quorum is still 5.
        self.assertEqual(self.reload(changed, 1), ["config.reloaded key=none"])

        broken = self.reload(changed.replace("quorum:", "quorom:"), 1)[0]
        self.assertTrue(broken.startswith("config.refused why="), broken)
        self.assertIn("did you mean 'quorum'?", broken)

        task = ("tasks:\n  - name: speech\n    hubs: [0, 1]\n    initial_model_file: "
                "model.safetensors\n")
        self.assertEqual(self.reload(changed.replace("tasks:\n", task), 1),
                         ['config.refused key=tasks.speech why="needs a restart"'])
        self.assertEqual(self.reload(changed, 1), ["config.reloaded key=none"])


if __name__ == "__main__":
    unittest.main(argv=sys.argv[:1])
