#!/usr/bin/env python3
"""Nobody else may read what hubs, devices and the operator's command write: files of mode 0600 and
folders of mode 0700, whatever the umask of whoever started them. What everybody is to have is named
here, and may be read by all.

usage: test_modes.py MILLRACE HUB EDGE
"""

import json
import os
import signal
import stat
import struct
import subprocess
import sys
import tempfile
import time

HERE = os.path.dirname(os.path.abspath(__file__))
sys.path.insert(0, os.path.join(HERE, "..", "..", "..", "demo"))
from federation import free_base_port  # noqa: E402 pylint: disable=wrong-import-position

MILLRACE, HUB, EDGE = sys.argv[1:]
TRAINER = os.path.join(HERE, "..", "rounding", "train_signs.py")
DIMENSION = 64
DEVICES = 3
WAIT_S = 120
PUBLIC = (".pem", ".pub", ".yaml", ".json") # certificates, public keys, configuration


class Federation:
    def __init__(self, work, umask):
        self.work = work
        self.umask = umask
        self.processes = []
        header = json.dumps({"w": {"dtype": "F32", "shape": [DIMENSION],
                                   "data_offsets": [0, 4 * DIMENSION]}}).encode()
        with open(f"{work}/initial.safetensors", "wb") as f:
            f.write(struct.pack("<Q", len(header)) + header + bytes(4 * DIMENSION))
        self.run("config", "init", "--dir", f"{work}/fed", "--model", f"{work}/initial.safetensors",
                 "--hubs", "2", "--devices", str(DEVICES), "--base-port", str(free_base_port(2)))
        self.run("pki", "revoke", "operator", "--dir", f"{work}/fed/pki")

    def run(self, *words, check=True):
        done = subprocess.run([MILLRACE, *words], capture_output=True, text=True, check=False,
                              umask=self.umask)
        if check and done.returncode != 0:
            raise SystemExit(f"millrace {' '.join(words)}: {done.stdout}{done.stderr}")
        return done

    def start(self, *command):
        with open(f"{self.work}/log", "ab") as log:
            self.processes.append(subprocess.Popen(command, stdout=log, stderr=log,
                                                   stdin=subprocess.DEVNULL, umask=self.umask))

    def play_round(self):
        for hub in range(2):
            self.start(HUB, "--config", f"{self.work}/fed/hub-{hub}.yaml")
        operator = ["--config", f"{self.work}/fed/operator.json"]
        limit = time.monotonic() + WAIT_S
        while self.run("status", *operator, check=False).returncode != 0:
            if time.monotonic() > limit:
                raise SystemExit("the hubs do not answer")
            time.sleep(0.1)
        os.mkdir(f"{self.work}/dumps")
        for name in sorted(os.listdir(f"{self.work}/fed")):
            if name.startswith("device-"):
                self.start(EDGE, "run", "--config", f"{self.work}/fed/{name}", "--trainer", TRAINER,
                           "--dump-dir", f"{self.work}/dumps")
        self.run("round", "open", "--wait", *operator)

    def stop(self):
        for process in self.processes:
            process.send_signal(signal.SIGTERM)
        for process in self.processes:
            try:
                process.wait(60)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()


def wrong_modes(top):
    """What others may read or write under a folder and should not, and how much was looked at."""
    wrong, seen = [], 0
    for folder, folders, files in os.walk(top):
        for name in folders + files:
            path = os.path.join(folder, name)
            mode = stat.S_IMODE(os.lstat(path).st_mode)
            public = name.endswith(PUBLIC) and not name.endswith(".key") and "data" not in path[len(top):]
            seen += 1
            if mode & (0o022 if public else 0o077):
                wrong.append(f"{mode:04o} {path}")
    return wrong, seen


def main():
    failures = 0
    for umask in (0, 0o022):
        with tempfile.TemporaryDirectory(prefix="millrace-modes-") as work:
            federation = Federation(work, umask)
            try:
                federation.play_round()
                wrong, seen = [], 0
                for part in ("fed", "dumps"):
                    more, count = wrong_modes(f"{work}/{part}")
                    wrong += more
                    seen += count
                good = not wrong and seen > 40
                print(f"{'ok  ' if good else 'FAIL'} umask {umask:03o}: {seen} files and folders")
                print("\n".join(wrong), end="\n" if wrong else "")
                failures += not good
            finally:
                federation.stop()
    return 1 if failures else 0


if __name__ == "__main__":
    sys.exit(main())
