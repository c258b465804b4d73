#!/usr/bin/env python3
"""A round with audit_hours between real hubs, whose lead is killed in the middle of it: every device hears that
all hubs prove that they counted it, each hub's part can be exported and recomputed by itself, and
nothing that is changed in a part passes.

usage: test_audits.py MILLRACE HUB EDGE
"""

import glob
import json
import os
import re
import signal
import subprocess
import sys
import tempfile
import time

HERE = os.path.dirname(os.path.abspath(__file__))
sys.path.insert(0, HERE)
from test_modes import DEVICES, EDGE, HUB, MILLRACE, TRAINER, WAIT_S, Federation  # noqa: E402 pylint: disable=wrong-import-position


class Scene(Federation):
    def __init__(self, work):
        super().__init__(work, 0o077)
        self.failures = 0
        for hub in range(2):
            path = f"{work}/fed/hub-{hub}.yaml"
            with open(path, encoding="utf-8") as f:
                text = f.read()
            with open(path, "w", encoding="utf-8") as f:
                f.write(text.replace("    round:\n", "    round:\n      audit_hours: 24\n"))

    def check(self, what, good, detail=""):
        print(f"{'ok  ' if good else 'FAIL'} {what}{'' if good else f': {detail}'}", flush=True)
        self.failures += not good

    def wait_for(self, what, condition):
        limit = time.monotonic() + WAIT_S
        while not condition():
            if time.monotonic() > limit:
                raise SystemExit(f"not within {WAIT_S} s: {what}\n{self.said()[-4000:]}")
            time.sleep(0.05)

    def said(self):
        with open(f"{self.work}/log", encoding="utf-8") as f:
            return f.read()

    def operator(self, *words):
        return self.run(*words, "--config", f"{self.work}/fed/operator.json", "--json", check=False)

    def committed(self):
        shown = self.operator("round", "show", "1")
        return json.loads(shown.stdout).get("committed", 0) if shown.returncode == 0 else 0

    def start_device(self, number):
        self.start(EDGE, "run", "--config", f"{self.work}/fed/device-{number:03d}.json", "--trainer", TRAINER)

    def play(self):
        for hub in range(2):
            self.start(HUB, "--config", f"{self.work}/fed/hub-{hub}.yaml")
        self.wait_for("the hubs answer", lambda: self.operator("status").returncode == 0)
        for number in range(DEVICES - 1):
            self.start_device(number)
        self.operator("round", "open", "--deadline-ms", "120000", "--quorum", str(DEVICES))
        self.wait_for("all but one are committed", lambda: self.committed() == DEVICES - 1)
        self.processes[0].send_signal(signal.SIGKILL)
        self.processes[0].wait()
        self.start(HUB, "--config", f"{self.work}/fed/hub-0.yaml")
        self.processes[0] = self.processes.pop()
        self.wait_for("the lead is back", lambda: self.operator("status").returncode == 0)
        self.start_device(DEVICES - 1)
        shown = self.operator("round", "show", "1", "--wait")
        if shown.returncode != 0:
            raise SystemExit(f"the round is not published: {shown.stdout}{shown.stderr}")
        proved = "all 2 hubs prove that they counted this device"
        self.wait_for("every device has its proofs", lambda: self.said().count(proved) == DEVICES)
        self.look_at_disk()
        self.check("no device warns of a proof", not re.search("gives no proof|does not prove", self.said()))

    def look_at_disk(self):
        """The gauge is what lies there, and no more than `config check` said of a round."""
        lies = sum(os.stat(path).st_size for path in glob.glob(f"{self.work}/fed/data-0/tasks/default/audit/*"))
        line = f'millrace_audit_kept_bytes{{task="default"}} {lies}\n'
        self.wait_for("the gauge is what is kept", lambda: line in self.run(
            "metrics", "--config", f"{self.work}/fed/operator.json", check=False).stdout)
        done = self.run("config", "check", f"{self.work}/fed/hub-0.yaml", "--json", check=False)
        planned = json.loads(done.stdout)["audits"]["default"]["round_bytes"]
        self.check("a round keeps no more than was planned", DEVICES * 64 < lies <= planned + 2 * 4096, (lies, planned))

    def transcripts(self):
        return sorted(glob.glob(f"{self.work}/fed/data-*/tasks/default/transcript/*.log"))

    def export(self, hub, path, number="1"):
        return subprocess.run([MILLRACE, "audit", "export", f"{self.work}/fed/hub-{hub}.yaml", "--round", number,
                               "--out", path], capture_output=True, text=True, check=False)

    def recompute(self, *files):
        done = subprocess.run([MILLRACE, "audit", "recompute", "--json", "--keys", f"{self.work}/fed/device-000.json", *files],
                              capture_output=True, text=True, check=False)
        return done.returncode, json.loads(done.stdout)


def look(scene):
    for hub in range(2):
        part = f"{scene.work}/part-{hub}"
        done = scene.export(hub, part)
        scene.check(f"hub {hub}'s part is exported", done.returncode == 0 and "every device's update" in done.stdout,
                    done.stdout + done.stderr)
        scene.check("for its owner alone", os.stat(part).st_mode & 0o777 == 0o600)
        code, said = scene.recompute(part, *scene.transcripts())
        scene.check("and is right by itself", code == 0 and said["parts"] == 1, said)
        scene.check("a file that is there is not written over", scene.export(hub, part).returncode == 1)
        with open(part, "r+b") as f:
            f.seek(-33, os.SEEK_END)
            byte = f.read(1)
            f.seek(-33, os.SEEK_END)
            f.write(bytes([byte[0] ^ 1]))
        code, said = scene.recompute(part, *scene.transcripts())
        scene.check("a changed one is not, and its hub is named", code == 5 and said["hub"] == hub, said)
    done = scene.export(0, f"{scene.work}/part", "2")
    scene.check("of another round nothing is kept", done.returncode == 1 and "nothing is kept of round 2" in done.stderr,
                done.stderr)
    parts = glob.glob(f"{scene.work}/fed/data-0/tasks/default/audit/1-*.kept")
    scene.check("the lead took up what its earlier process had kept", len(parts) == 2, parts)


def main():
    with tempfile.TemporaryDirectory(prefix="millrace-audits-") as work:
        scene = Scene(work)
        try:
            scene.play()
        finally:
            scene.stop()
        look(scene)
    return 1 if scene.failures else 0


if __name__ == "__main__":
    sys.exit(main())
