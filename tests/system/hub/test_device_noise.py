#!/usr/bin/env python3
"""A task whose devices add the noise, on real hubs with real devices: what is opened has every device's noise and
no hub's, both hubs debit what the noise of the honest devices costs, and audits hold.

usage: test_device_noise.py MILLRACE HUB EDGE
"""

import os
import sys
import tempfile

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
import test_privacy  # noqa: E402 pylint: disable=wrong-import-position

DEVICES = 3
ROUNDS = 2
SETTINGS = """      cohort_max: %d
      colluders: 1
      weight_max: 1
      audit_hours: 24
      ring_bits: 16
    privacy:
      noise: device
      epsilon: 60
      delta: 1e-6
      rounds: %d
""" % (DEVICES, ROUNDS)


class DeviceNoise(test_privacy.Private):
    @staticmethod
    def set_rounds(path):
        """All three devices are in each round, and one of them may be an adversary's."""
        with open(path, encoding="utf-8") as f:
            text = f.read()
        changed = text.replace(f"cohort_min: {DEVICES}\n", f"cohort_min: {DEVICES - 1}\n")
        changed = changed.replace(f"      quorum: {DEVICES}\n", f"      quorum: {DEVICES}\n" + SETTINGS)
        assert SETTINGS in changed and changed.count(f"cohort_min: {DEVICES - 1}\n") == 1, text
        with open(path, "w", encoding="utf-8") as f:
            f.write(changed)


def play(scene):
    scene.play_round()
    scene.restart(1)
    scene.ask("status", hub=1)
    scene.check("a round is published after a restart", scene.open_round("--deadline-ms", "60000").returncode == 0)


def look_at_noise(scene):
    lanes = []
    for number in range(1, ROUNDS + 1):
        noise, record = scene.noise_of(number)
        lanes += noise
    told = record["noise"]
    ratio = sum(x * x for x in lanes) / len(lanes) / (DEVICES * told["model_sigma2"])
    scene.check("the noise of all devices is in the sums, and of nobody else", 0.85 < ratio < 1.15, ratio)
    scene.check("it is announced as theirs", told["kind"] == "device" and told["honest"] == DEVICES - 1, told)
    scene.check("both hubs say the same of it", told == scene.ask("round", "show", str(ROUNDS), hub=1)[0]["noise"],
                told)
    spent = [scene.spent(hub) for hub in range(2)]
    scene.check("both ledgers are equal", spent[0] == spent[1] and len(spent[0]) == DEVICES, spent)
    scene.check("every round is debited once", set(spent[0].values()) == {ROUNDS * told["rho"]}, (spent[0], told))


def look_at_audits(scene):
    files = scene.files()
    code, said = scene.audit(files, "--json")
    scene.check("the audit finds nothing", code == 0, said)
    counts = scene.read_independently(files)
    scene.check("an independent reader agrees", isinstance(counts, dict), counts)
    for hub in range(2):
        part = f"{scene.work}/part-{hub}"
        scene.run("audit", "export", f"{scene.work}/fed/hub-{hub}.yaml", "--round", "2", "--out", part)
        done = scene.run("audit", "recompute", "--keys", f"{scene.work}/fed/hub-0.yaml", part, *files, check=False)
        scene.check(f"the part of hub {hub} is right", done.returncode == 0, done.stdout + done.stderr)


def main():
    with tempfile.TemporaryDirectory(prefix="millrace-device-noise-") as work:
        scene = DeviceNoise(work)
        try:
            play(scene)
            look_at_noise(scene)
        finally:
            scene.stop()
        look_at_audits(scene)
    return 1 if scene.failures else 0


if __name__ == "__main__":
    sys.exit(main())
