#!/usr/bin/env python3
"""Transcripts of real hubs: after rounds whose sets were drawn, and that were published, given up and cut off by a kill,
`millrace audit verify` and an independent reader find every file whole and all of them in agreement; the
command does not once a byte is changed, or one hub's folder is an older copy.

usage: test_transcripts.py MILLRACE HUB EDGE
"""

import glob
import json
import os
import shutil
import signal
import subprocess
import sys
import tempfile

HERE = os.path.dirname(os.path.abspath(__file__))
ORACLE = os.path.join(HERE, "..", "..", "oracle", "transcript_oracle.py")
sys.path.insert(0, HERE)
from test_modes import DEVICES, HUB, MILLRACE, Federation  # noqa: E402 pylint: disable=wrong-import-position

KINDS_OF_A_ROUND = {"announced", "listed", "drawn", "admitted", "set", "committed", "opened", "model"}


class Scene(Federation):
    def __init__(self, work):
        super().__init__(work, 0o077)
        self.failures = 0
        for hub in range(2):
            self.set_rounds(f"{work}/fed/hub-{hub}.yaml")

    @staticmethod
    def set_rounds(path):
        """Two places for three devices."""
        with open(path, encoding="utf-8") as f:
            text = f.read()
        places = f"cohort_min: 2\n      cohort_max: 2\n      admitted_max: {DEVICES}\n      draw_ms: 3000\n"
        changed = text.replace(f"cohort_min: {DEVICES}\n", places).replace(f"quorum: {DEVICES}\n", "quorum: 2\n")
        assert changed.count("quorum: 2\n") == 1 and places in changed, text
        with open(path, "w", encoding="utf-8") as f:
            f.write(changed)

    def check(self, what, good, detail=""):
        print(f"{'ok  ' if good else 'FAIL'} {what}{'' if good else f': {detail}'}", flush=True)
        self.failures += not good

    def files(self, copy="fed"):
        return sorted(glob.glob(f"{self.work}/{copy}/data-[01]/tasks/default/transcript/*.log"))

    def audit(self, files, *more):
        done = subprocess.run([MILLRACE, "audit", "verify", "--keys", f"{self.work}/fed/hub-1.yaml", *more, *files],
                              capture_output=True, text=True, check=False)
        return done.returncode, done.stdout + done.stderr

    def read_independently(self, files):
        done = subprocess.run([sys.executable, ORACLE, f"{self.work}/fed/device-{0:03d}.json", *files],
                              capture_output=True, text=True, check=False)
        return json.loads(done.stdout) if done.returncode == 0 else done.stderr

    def snapshot(self):
        """As of a disk, at one moment."""
        for process in self.processes:
            process.send_signal(signal.SIGSTOP)
        shutil.copytree(f"{self.work}/fed", f"{self.work}/older", ignore=shutil.ignore_patterns("*.tmp"))
        for process in self.processes:
            process.send_signal(signal.SIGCONT)

    def restart(self, hub):
        self.processes[hub].send_signal(signal.SIGKILL)
        self.processes[hub].wait()
        self.start(HUB, "--config", f"{self.work}/fed/hub-{hub}.yaml")
        self.processes[hub] = self.processes.pop()

    def open_round(self, *more):
        return self.run("round", "open", "--wait", "--config", f"{self.work}/fed/operator.json", *more, check=False)


def play(scene):
    scene.play_round()
    scene.snapshot()
    scene.restart(1)
    scene.open_round("--deadline-ms", "20000")
    scene.restart(0)
    limit = 100
    while scene.open_round("--deadline-ms", "20000").returncode not in (0, 6) and limit > 0:
        limit -= 1
    code = scene.open_round("--deadline-ms", "1").returncode
    scene.check("a round that nobody can reach is void", code == 6, code)


def look(scene):
    files = scene.files()
    code, said = scene.audit(files, "--json")
    scene.check("all files agree", code == 0 and json.loads(said)["good"], said)
    scene.check("rounds are counted", json.loads(said)["rounds"] >= 3 and json.loads(said)["hubs"] == 2, said)
    counts = scene.read_independently(files)
    scene.check("an independent reader agrees", isinstance(counts, dict), counts)
    if isinstance(counts, dict):
        scene.check("as many records", sum(sum(c.values()) for c in counts.values()) == json.loads(said)["records"],
                    counts)
        scene.check("all kinds are there", all(KINDS_OF_A_ROUND | {"void"} <= set(c) for c in counts.values()), counts)
    mixed = [f for f in files if "/data-0/" in f] + [f for f in scene.files("older") if "/data-1/" in f]
    code, said = scene.audit(mixed)
    scene.check("an older copy is named", code == 5 and "signed by hub 1" in said and "older copy" in said, said)
    with open(files[0], "r+b") as f:
        f.seek(400)
        byte = f.read(1)
        f.seek(400)
        f.write(bytes([byte[0] ^ 1]))
    code, said = scene.audit(files)
    scene.check("a changed byte is found", code == 5, said)


def main():
    with tempfile.TemporaryDirectory(prefix="millrace-transcripts-") as work:
        scene = Scene(work)
        try:
            play(scene)
        finally:
            scene.stop()
        look(scene)
    return 1 if scene.failures else 0


if __name__ == "__main__":
    sys.exit(main())
