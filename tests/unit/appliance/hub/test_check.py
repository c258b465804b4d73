#!/usr/bin/env python3
"""What one refuses all refuse, in the same words: `millrace config check`, `millrace-hub --check`
and the start, over a table of broken configurations.

  test_check.py MILLRACE MILLRACE-HUB
"""
import os
import re
import shutil
import struct
import subprocess
import sys
import tempfile
import unittest

MILLRACE, HUB = (os.path.abspath(path) for path in sys.argv[1:3])
# What is done to hub-0.yaml: (old text, new text), or a function of the folder; and what is said.
BROKEN = [
    (("quorum:", "quorom:"), "did you mean 'quorum'?"),
    (("hubs: [0, 1]", "hubs: [0, 7]"), "7 is not in the list of hubs"),
    (("name: default", "name: Default"), "must be 1 to 32 of a-z"),
    (("hub-0.sign.key", "hub-1.sign.key"), "is not the public half"),
    (("hub-0.key", "hub-1.key"), "hub-0.pem"),
    (("ca_file: pki/ca.pem", "ca_file: pki/hub-0.sign.pub"), "hub-0.sign.pub"),
    (("pki/ca.pem", "pki/none.pem"), "cannot read"),
    (("control:", "sandbox:\n  user: nobody-of-this-name\ncontrol:"), "there is no user"),
    (lambda folder: os.chmod(f"{folder}/pki/hub-0.key", 0o644), "chmod 600"),
    (lambda folder: put(f"{folder}/model.safetensors", b"no model"), "task default: "),
    (lambda folder: put(f"{folder}/pki/hub-0.pem", b"no certificate\n"), "hub-0.pem"),
    (lambda folder: current(folder, b"0" * 64), "task default: "),
    (lambda folder: current(folder, b"nothing"), "does not hold a model's hash"),
]


def put(path, data):
    with open(path, "wb") as f:
        f.write(data)


def current(folder, text):
    os.makedirs(f"{folder}/data-0/tasks/default/models")
    put(f"{folder}/data-0/tasks/default/current", text)


def run(*command):
    done = subprocess.run(command, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                          stderr=subprocess.PIPE, text=True, timeout=60, check=False)
    said = []
    for line in done.stderr.splitlines():
        logged = re.search(r' error hub\.not_started code=2 why="(.*)"$', line)
        if logged:
            said.append(re.sub(r"\\(.)", r"\1", logged.group(1)))
        elif line.startswith(("millrace: ", "millrace-hub: ")):
            said.append(line.partition(": ")[2])
    return done.returncode, said


class Check(unittest.TestCase):
    def setUp(self):
        self.folder = tempfile.mkdtemp(prefix="millrace-check-")
        header = b'{"w":{"dtype":"F32","shape":[4],"data_offsets":[0,16]}}'
        put(f"{self.folder}/model.safetensors", struct.pack("<Q", len(header)) + header + bytes(16))
        code, said = run(MILLRACE, "config", "init", "--dir", f"{self.folder}", "--model",
                         f"{self.folder}/model.safetensors", "--hubs", "2", "--devices", "4",
                         "--force")
        self.assertEqual((code, said), (0, []))
        self.file = f"{self.folder}/hub-0.yaml"

    def tearDown(self):
        shutil.rmtree(self.folder)

    def test_good(self):
        self.assertEqual(run(MILLRACE, "config", "check", self.file), (0, []))
        self.assertEqual(run(HUB, "--config", self.file, "--check"), (0, []))

    def test_broken(self):
        with open(self.file, encoding="utf-8") as f:
            good = f.read()
        for change, says in BROKEN:
            self.tearDown()
            self.setUp()
            with self.subTest(says=says, change=change):
                if callable(change):
                    change(self.folder)
                else:
                    with open(self.file, encoding="utf-8") as f:
                        good = f.read()
                    self.assertIn(change[0], good)
                    put(self.file, good.replace(*change).encode())
                answers = [run(MILLRACE, "config", "check", self.file),
                           run(HUB, "--config", self.file, "--check"), run(HUB, "--config", self.file)]
                for code, said in answers:
                    self.assertNotEqual(code, 0)
                    self.assertEqual(len(said), 1, said)
                    self.assertIn(says, said[0])
                    self.assertEqual(said, answers[0][1])


if __name__ == "__main__":
    unittest.main(argv=sys.argv[:1])
