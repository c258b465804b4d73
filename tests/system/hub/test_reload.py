#!/usr/bin/env python3
"""SIGHUP to a real hub: what may change does, what needs a restart is refused by name, and a broken
file changes nothing.

  test_reload.py MILLRACE MILLRACE-HUB
"""
import json
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
TASK = ("tasks:\n  - name: speech\n    hubs: [0, 1]\n    initial_model_file: "
        "model.safetensors\n")


class Hub(unittest.TestCase):
    """One hub of two, with the task "default"."""
    INDEX = 1

    def setUp(self):
        self.folder = tempfile.mkdtemp(prefix="millrace-reload-")
        header = b'{"w":{"dtype":"F32","shape":[4],"data_offsets":[0,16]}}'
        with open(f"{self.folder}/model.safetensors", "wb") as f:
            f.write(struct.pack("<Q", len(header)) + header + bytes(16))
        subprocess.run([MILLRACE, "config", "init", "--dir", self.folder, "--model",
                        f"{self.folder}/model.safetensors", "--hubs", "2", "--devices", "4",
                        "--force"], check=True, stdout=subprocess.DEVNULL)
        self.file = f"{self.folder}/hub-{self.INDEX}.yaml"
        self.log = f"{self.folder}/hub-{self.INDEX}.log"
        with open(self.file, encoding="utf-8") as f:
            self.good = f.read().replace(f"port: {8443 + self.INDEX}", "port: 0", 1)
        self.write(self.good)
        ready, told = os.pipe()
        with open(self.log, "wb") as log:
            self.hub = subprocess.Popen([HUB, "--config", self.file, "--ready-fd", str(told)],
                                        pass_fds=[told], stdin=subprocess.DEVNULL, stdout=log,
                                        stderr=log)
        os.close(told)
        with os.fdopen(ready, "rb") as f:
            line = f.readline()
        self.assertTrue(line.startswith(b"READY"), line)
        self.port = int(line.split(b"=")[1])

    def tearDown(self):
        self.hub.send_signal(signal.SIGTERM)
        code = self.hub.wait(LONG_S)
        shutil.rmtree(self.folder)
        self.assertEqual(code, 0)

    def write(self, text):
        with open(self.file, "w", encoding="utf-8") as f:
            f.write(text)

    def logged(self, what=" config."):
        with open(self.log, encoding="utf-8") as f:
            return [line.split(" ", 2)[2].strip() for line in f if what in line]

    def await_logged(self, what):
        limit = time.monotonic() + LONG_S
        while not self.logged(what):
            self.assertLess(time.monotonic(), limit, what)
            time.sleep(0.02)

    def ask(self, command, pki, ca="ca.pem"):
        """The operator's command, with the certificate of that folder."""
        ca = f"{self.folder}/{ca}" if ca.startswith("old-") else f"{pki}/{ca}"
        return subprocess.run([MILLRACE, *command.split(), "--hub", f"127.0.0.1:{self.port}",
                               "--hub-index", str(self.INDEX), "--ca", ca, "--cert", f"{pki}/operator.pem",
                               "--key", f"{pki}/operator.key", "--json"], check=False, text=True,
                              stdout=subprocess.PIPE, stderr=subprocess.PIPE)

    def tasks(self):
        answer = self.ask("task list", f"{self.folder}/pki")
        self.assertEqual(answer.returncode, 0, answer.stdout)
        return [task["task"] for task in json.loads(answer.stdout)["tasks"]]

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


class Helper(Hub):
    def test_reload(self):
        self.assertEqual(self.reload(self.good, 1), ["config.reloaded key=none"])
        changed = "log_level: debug\n" + self.good.replace("quorum: 4", "quorum: 5\n      cohort_max: 9")
        changed = changed.replace("    round:\n", "    accept:\n      clip_norm: 0.5..2\n    round:\n")
        self.assertEqual(self.reload(changed, 4), [
            "config.reloaded key=log_level before=info after=debug",
            "config.reloaded key=tasks.default.round.cohort_max before=64 after=9",
            "config.reloaded key=tasks.default.round.quorum before=4 after=5",
            "config.reloaded key=tasks.default.accept.clip_norm before=any after=0.5..2"])

        restart = changed.replace("quorum: 5", "quorum: 6").replace("slots_per_worker: 6",
                                                                    "slots_per_worker: 7")
        self.assertEqual(self.reload(restart, 1), [
            'config.refused key=upload.slots_per_worker why="needs a restart"'])
        # All or nothing: the quorum is still 5.
        self.assertEqual(self.reload(changed, 1), ["config.reloaded key=none"])

        broken = self.reload(changed.replace("quorum:", "quorom:"), 1)[0]
        self.assertTrue(broken.startswith("config.refused why="), broken)
        self.assertIn("did you mean 'quorum'?", broken)

    def test_tasks_come_and_go(self):
        with_task = self.good.replace("tasks:\n", TASK)
        self.assertEqual(self.reload(with_task, 1),
                         ['config.reloaded key=tasks.speech before="" after=there'])
        self.assertEqual(self.tasks(), ["speech", "default"])
        self.assertEqual(self.reload(self.good, 1),
                         ['config.reloaded key=tasks.speech before=there after=""'])
        self.assertEqual(self.tasks(), ["default"])
        self.await_logged("task.ended task=speech")
        self.assertEqual(self.reload(with_task, 1),
                         ['config.reloaded key=tasks.speech before="" after=there'])
        self.assertEqual(self.tasks(), ["speech", "default"])
        self.assertEqual(self.logged(" task."), [
            "task.added task=speech role=helper", "task.removed task=speech",
            "task.ended task=speech", "task.added task=speech role=helper"])

    def test_what_has_no_place(self):
        """This hub led nothing when it started; and a hub that is new in the address book."""
        led = TASK.replace("[0, 1]", "[1, 0]")
        self.assertEqual(self.reload(self.good.replace("tasks:\n", led), 1), [
            'config.refused key=tasks.speech why="needs a restart: this hub led nothing when it '
            'started, so that it has no upload plane"'])
        entry = ("hubs:\n  - index: 7\n    name: seven\n    host: 127.0.0.1\n    port: 7\n"
                 "    public_key_file: pki/hub-7.sign.pub\n")
        with open(f"{self.folder}/pki/hub-7.sign.pub", "w", encoding="ascii") as f:
            f.write("7" * 64 + "\n")
        book = self.reload(self.good.replace("\nhubs:\n", "\n" + entry), 1)
        self.assertEqual(book, ['config.refused key=hubs.7 why="needs a restart"'])
        self.assertEqual(self.tasks(), ["default"])

    def test_a_task_that_cannot_be_opened(self):
        """One of two new ones: neither is there then, and the quorum is the old one."""
        second = TASK.replace("speech", "broken").replace("tasks:\n", "")
        os.mkdir(f"{self.folder}/data-1/tasks/broken", mode=0o700)
        with open(f"{self.folder}/data-1/tasks/broken/rounds", "wb"):
            pass # where a folder is needed
        both = self.good.replace("tasks:\n", TASK + second).replace("quorum: 4", "quorum: 5")
        refused = self.reload(both, 1)[0]
        self.assertTrue(refused.startswith("config.refused why="), refused)
        self.assertIn("task broken", refused)
        self.assertEqual(self.tasks(), ["default"])
        self.await_logged("task.ended task=speech")
        self.assertEqual(self.reload(self.good, 1), ["config.reloaded key=none"])

    def test_certificates(self):
        """Of another CA, under the same names: who has one of the old CA is out, the new one in."""
        other = f"{self.folder}/other"
        subprocess.run([MILLRACE, "pki", "init", "--dir", other, "--hubs", "2", "--devices", "4",
                        "--operators", "1", "--host", "127.0.0.1"], check=True,
                       stdout=subprocess.DEVNULL)
        for name in ("ca.pem", "hub-1.pem", "hub-1.key"):
            os.replace(f"{self.folder}/pki/{name}", f"{self.folder}/old-{name}")
            shutil.copy2(f"{other}/{name}", f"{self.folder}/pki/{name}")
        self.assertEqual(self.ask("status", f"{self.folder}/pki", "old-ca.pem").returncode, 0)
        self.assertEqual(self.reload(self.good, 1), ["config.reloaded key=none"])
        self.assertEqual(len(self.logged(" certificate.loaded")), 1)
        self.assertEqual(self.ask("status", other).returncode, 0)
        self.assertEqual(self.ask("status", f"{self.folder}/pki", "old-ca.pem").returncode, 4)

        # A key that is not the certificate's: all stays.
        shutil.copy2(f"{other}/hub-0.key", f"{self.folder}/pki/hub-1.key")
        refused = self.reload(self.good, 1)[0]
        self.assertIn("private_key_file", refused)
        self.assertEqual(self.ask("status", other).returncode, 0)

        # Under other names.
        named = self.good.replace("pki/hub-1.key", "other/hub-1.key")
        self.assertIn("config.reloaded key=identity.private_key_file", self.reload(named, 1)[0])
        self.assertEqual(self.ask("status", other).returncode, 0)

    def test_a_file_out_of_reach(self):
        """Confined, a hub reads no folder that it was not started with."""
        with open(self.log, encoding="utf-8") as f:
            if "sandbox.part part=files in_force=yes" not in f.read():
                self.skipTest("no rules on files here")
        elsewhere = tempfile.mkdtemp(prefix="millrace-reload-")
        try:
            shutil.copy2(f"{self.folder}/model.safetensors", f"{elsewhere}/model.safetensors")
            task = TASK.replace("model.safetensors", f"{elsewhere}/model.safetensors")
            refused = self.reload(self.good.replace("tasks:\n", task), 1)[0]
            self.assertTrue(refused.startswith("config.refused why="), refused)
            self.assertIn(elsewhere, refused)
        finally:
            shutil.rmtree(elsewhere)


class Lead(Hub):
    INDEX = 0

    def test_tasks_that_it_leads(self):
        """The plane has room for one more; where one goes, another may come."""
        second = TASK.replace("speech", "second").replace("tasks:\n", "")
        one = self.good.replace("tasks:\n", TASK)
        self.assertEqual(self.reload(self.good.replace("tasks:\n", TASK + second), 2), [
            f'config.refused key=tasks.{name} why="needs a restart: the upload plane is planned for '
            'fewer tasks that this hub leads"' for name in ("speech", "second")])
        self.assertEqual(self.tasks(), ["default"])
        self.assertEqual(self.reload(one, 1),
                         ['config.reloaded key=tasks.speech before="" after=there'])
        self.assertEqual(self.reload(one.replace("name: speech", "name: second"), 2), [
            'config.reloaded key=tasks.second before="" after=there',
            'config.reloaded key=tasks.speech before=there after=""'])
        self.assertEqual(self.tasks(), ["second", "default"])
        self.assertEqual(self.logged(" task.added"), ["task.added task=speech role=lead",
                                                      "task.added task=second role=lead"])


if __name__ == "__main__":
    unittest.main(argv=sys.argv[:1])
