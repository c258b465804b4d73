#!/usr/bin/env python3
"""What a device is given: odd files, a disk that fails, numbers and names that JSON cannot hold, an odd parent.

  test_device_cases.py BUILD [FAILING_READ]
"""

import os
import signal
import sys

from stage import Case, main

FAILING_READ = os.path.abspath(sys.argv.pop(2)) if len(sys.argv) > 2 else None
DIVERGES = "0.1,0.2,0.3,0.4,0\n3e38,1e30,2,3,0\n1,2,3,4,1\n"
TRAINER = """#!/usr/bin/python3
import json, struct, sys
with open(sys.argv[1], "rb") as f: model = f.read()
head = 8 + struct.unpack("<Q", model[:8])[0]
with open(sys.argv[2], "wb") as f: f.write(model[:head] + bytes(len(model) - head))
with open(sys.argv[3], "w") as f: json.dump({"examples": 10, "loss": LOSS}, f)
"""
NAME = os.fsdecode(b"caf\xe9") # in Latin-1: no UTF-8


class Files(Case):
    def test_lines_that_end_in_lf_cr(self):
        self.start_hubs()
        data = self.file("odd.csv", "".join(f"{i}.0,{i + 1}.0,{i + 2}.0,{i + 3}.0,{i % 3}\n\r" for i in range(60)))
        self.assertEqual(self.play(data)[0]["examples"], 60)

    def refused(self, data, *words, **options):
        """Before anything is asked of a hub: none runs."""
        device = self.device(0, data, **options)
        code, lines, err = self.heard(device)
        self.assertNotEqual(code, 0)
        self.assertEqual(lines, [])
        for word in words:
            self.assertIn(word, err)

    def test_a_disk_that_fails_in_the_middle(self):
        if not FAILING_READ:
            self.skipTest("a sanitizer wants to be the first library that is loaded")
        data = self.file("disk.csv", "".join(f"{i % 3}.0,{i % 3 + 1}.0,{i % 3 + 2}.0,{i},{i % 3}\n" for i in range(65536)))
        self.refused(data, "disk.csv", "line ", "Input/output error",
                     env={**os.environ, "LD_PRELOAD": FAILING_READ, "FAILING_READ": data})

    def test_a_folder(self):
        self.refused(self.work, self.work, "is a folder")


class Lines(Case):
    """Every line is one whole object: Case.heard reads each."""

    def trainer(self, loss, name="trainer", more=""):
        self.file(name, TRAINER.replace("LOSS", loss).replace("\n", f"\n{more}\n", 1), 0o700)
        return os.path.join(self.work, name)

    def test_a_loss_that_is_no_number(self):
        device = self.diverging()
        code, lines, _ = self.heard(device)
        self.assertNotEqual(code, 0)
        self.assertEqual(lines[0]["result"], "bad-delta")
        self.assertIsNone(lines[0]["loss"])

    def diverging(self):
        self.start_hubs()
        device = self.device(0, self.file("diverges.csv", DIVERGES))
        code, text = self.operator("round", "open", "--deadline-ms", "60000")
        self.assertEqual(code, 0, text)
        return device

    def test_a_loss_that_is_too_large(self):
        self.start_hubs()
        device = self.device(0, self.good, "--trainer", self.trainer("1e300"))
        code, text = self.operator("round", "open", "--deadline-ms", "60000")
        self.assertEqual(code, 0, text)
        code, lines, _ = self.heard(device)
        self.assertNotEqual(code, 0)
        self.assertNotIn(lines[0]["result"], ("committed", ""))

    def test_names_that_are_no_text(self):
        """The built-in trainer reads such a file; a task file in UTF-8 cannot name it."""
        self.start_hubs()
        data = self.file(f"{NAME}.csv", self.read("good.csv"))
        self.play(data)
        code, text = self.operator("round", "open", "--deadline-ms", "60000")
        self.assertEqual(code, 0, text)
        failing = self.trainer("0.5", NAME, "import sys; sys.exit(3)")
        for device, words in ((self.device(0, data, "--trainer", self.trainer("0.5")), "is not in UTF-8"),
                              (self.device(1, self.good, "--trainer", failing), "caf\\xe9 ended with exit code 3")):
            code, lines, _ = self.heard(device)
            self.assertNotEqual(code, 0)
            self.assertEqual(lines[0]["result"], "trainer-failed")
            self.assertIn(words, lines[0]["text"])

    def test_a_parent_that_ignores_its_children(self):
        self.start_hubs()
        self.play(self.good, "--trainer", self.trainer("0.5"),
                  preexec_fn=lambda: signal.signal(signal.SIGCHLD, signal.SIG_IGN))


if __name__ == "__main__":
    main()
