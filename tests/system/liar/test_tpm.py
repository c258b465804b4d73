#!/usr/bin/python3
"""A helper whose data_dir is bound to the counter of a TPM (swtpm), and is put back from a snapshot that brings the file
identity along, with a lead that shows nothing.

usage: test_tpm.py MILLRACE MILLRACE-HUB
"""

import json
import os
import shutil
import signal
import subprocess
import sys
import termios
import tty
import unittest

SWTPM = shutil.which("swtpm")
if not SWTPM:
    print("skipped: swtpm is not installed")
    sys.exit(77)

import test_lying_lead
import test_older
import test_second_sets
from test_second_sets import SET

class Tpm:
    """A character device as the kernel's: a pseudo terminal with swtpm behind it. Its memory is in a folder, and the device stays
    the same while it is off."""

    def __init__(self, folder):
        self.folder = folder
        os.mkdir(folder)
        self.master, self.slave = os.openpty()
        tty.setraw(self.master)
        tty.setraw(self.slave)
        self.device = os.ttyname(self.slave)
        self.process = None

    def start(self):
        self.stop()
        self.process = subprocess.Popen(
            [SWTPM, "chardev", "--tpm2", "--tpmstate", f"dir={self.folder}", "--fd", str(self.master),
             "--flags", "not-need-init,startup-clear"],
            pass_fds=[self.master], stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)

    def stop(self):
        if self.process:
            self.process.terminate()
            self.process.wait(60)
            self.process = None
        termios.tcflush(self.slave, termios.TCIOFLUSH)

    def close(self):
        self.stop()
        os.close(self.master)
        os.close(self.slave)


class Bound(test_older.PutBack):
    def setUp(self):
        super().setUp()
        self.tpm = Tpm(f"{self.work.name}/tpm")
        self.down()
        self.bind(count_s=3600)

    def stop(self):
        super().stop()
        self.tpm.close()

    def bind(self, count_s):
        self.stage.identity = f"  tpm: device:{self.tpm.device}\n  tpm_count_s: {count_s}\n"
        self.up()

    def up(self):
        if self.stage.identity:
            self.tpm.start()
        super().up()

    def restart(self):
        self.down()
        self.up()

    def counted(self):
        with open(f"{self.data}/identity", encoding="ascii") as f:
            text = f.read()
        return int(text.partition('"tpm":"')[2][:16], 16)

    def behind(self):
        self.expect_older()
        self.assertIn("the TPM has counted on since", self.shown()["older"])

    def test_a_snapshot_that_is_put_back(self):
        """No file tells it, and the lead does not."""
        self.down()
        self.snapshot()
        self.up()
        self.first.frozen(SET)
        self.down()
        self.back()
        self.behind()
        self.restart()
        self.behind()
        recovered = self.recover()
        self.expect_recovered(recovered)

    def test_killed_and_put_back(self):
        """Neither stopped nor started since the copy: a promise was counted."""
        self.down()
        self.bind(count_s=0)
        self.snapshot()
        self.first.frozen(SET)
        self.first.lead.close()
        self.stage.process.kill()
        self.stage.process.wait()
        self.back()
        self.behind()

    def test_ordinary_life(self):
        """Stops, kills and starts; a count that was begun and not made."""
        first = self.counted()
        self.restart()
        self.assertEqual(self.counted(), first + 2)
        self.first.lead.close()
        self.stage.process.kill()
        self.stage.process.wait()
        self.ahead(1) # killed after the file, before the TPM
        self.up()
        self.first.opened(SET)
        self.publish(self.first, SET)
        self.assertNotIn("older", self.shown())

    def test_another_tpm(self):
        self.down()
        self.ahead(2)
        self.up()
        self.expect_older()
        self.assertIn("the TPM has not counted so far", self.shown()["older"])

    def test_a_folder_that_knows_nothing_of_it(self):
        """As a copy from before the TPM was used."""
        self.down()
        text = self.read()
        self.write(text.partition(',"tpm"')[0] + "}")
        self.up()
        self.expect_older()
        self.assertIn("the folder knows nothing of it", self.shown()["older"])

    def test_what_the_doctor_says(self):
        self.down()
        self.tpm.start()
        said = self.doctor()
        self.assertEqual(said["level"], "ok", said)
        self.assertIn(f"its counter stands at {self.counted()}", said["detail"])
        self.up()

    def doctor(self):
        done = subprocess.run([test_second_sets.PROGRAMS[0], "doctor", "--json", f"{self.work.name}/hub.yaml"],
                              stdout=subprocess.PIPE, check=False)
        return next(row for row in json.loads(done.stdout)["checks"] if row["name"] == "tpm")

    def test_no_tpm(self):
        """The hub does not start without: else it would not know of a snapshot."""
        self.down()
        there, self.stage.identity = self.stage.identity, f"  tpm: device:{self.work.name}/none\n"
        with self.assertRaisesRegex(RuntimeError, "identity.tpm: it cannot be reached"):
            self.up()
        said = self.doctor()
        self.assertEqual(said["level"], "missing", said)
        self.stage.identity = there
        self.up()
        self.assertNotIn("older", self.shown())

    # --- in place, so that the files stay those that they name -----------------------------------

    def snapshot(self):
        """As of a disk: at one moment. What is being written beside a file has no name in a copy yet."""
        runs = self.stage.process is not None and self.stage.process.poll() is None
        if runs:
            self.stage.process.send_signal(signal.SIGSTOP)
        shutil.copytree(self.data, self.copy, ignore=shutil.ignore_patterns("*.tmp"))
        if runs:
            self.stage.process.send_signal(signal.SIGCONT)

    def back(self):
        """Every file's bytes are those of the snapshot; what came since is gone."""
        for root, _, names in os.walk(self.data):
            for name in names:
                path = os.path.join(root, name)
                before = os.path.join(self.copy, os.path.relpath(path, self.data))
                if name == "identity": # its bytes, but for the file that they name
                    continue
                if os.path.exists(before):
                    shutil.copyfile(before, path)
                else:
                    os.unlink(path)
        with open(f"{self.copy}/identity", encoding="ascii") as f:
            was = f.read().partition('"tpm":"')[2][:16]
        text = self.read()
        at = text.index('"tpm":"') + 7
        self.write(text[:at] + was + text[at + 16:])
        self.up()

    def read(self):
        with open(f"{self.data}/identity", encoding="ascii") as f:
            return f.read()

    def write(self, text):
        with open(f"{self.data}/identity", "r+", encoding="ascii") as f:
            f.write(text)
            f.truncate()

    def ahead(self, by):
        text = self.read()
        at = text.index('"tpm":"') + 7
        self.write(text[:at] + f"{int(text[at:at + 16], 16) + by:016x}" + text[at + 16:])


if __name__ == "__main__":
    test_second_sets.PROGRAMS = test_lying_lead.PROGRAMS = sys.argv[1:3]
    unittest.main(argv=sys.argv[:1] + sys.argv[3:], verbosity=1)
