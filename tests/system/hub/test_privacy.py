#!/usr/bin/env python3
"""A task with noise and a budget, on real hubs with real devices: what is opened has every hub's noise, both
hubs debit the same, also where one is killed, and who has nothing left is refused and told.

usage: test_privacy.py MILLRACE HUB EDGE
"""

import array
import glob
import json
import os
import sys
import tempfile
import time

HERE = os.path.dirname(os.path.abspath(__file__))
sys.path.insert(0, HERE)
sys.path.insert(0, os.path.join(HERE, "..", "..", "..", "demo"))
import test_modes  # noqa: E402 pylint: disable=wrong-import-position
from sums import TRAILER_LANES, little_endian, read_dump  # noqa: E402 pylint: disable=wrong-import-position
from test_transcripts import Scene  # noqa: E402 pylint: disable=wrong-import-position

test_modes.DIMENSION = 1024
ROUNDS = 3
RHO = 2.0**-40
SETTINGS = """      cohort_max: 3
      weight_max: 1
      audit_hours: 24
    privacy:
      noise: hub
      epsilon: 40
      delta: 1e-6
      rounds: %d
""" % ROUNDS


class Private(Scene):
    settings = SETTINGS

    def set_rounds(self, path):
        """Here all three devices are in each round, with noise and a budget."""
        with open(path, encoding="utf-8") as f:
            text = f.read()
        changed = text.replace("      quorum: 3\n", "      quorum: 3\n" + self.settings)
        assert changed != text, text
        with open(path, "w", encoding="utf-8") as f:
            f.write(changed)

    def ask(self, *words, hub=0):
        """The answer of a command as JSON; it waits for a hub that has just started."""
        limit = time.monotonic() + test_modes.WAIT_S
        while True:
            done = self.run(*words, "--json", "--hub-index", str(hub), "--config", f"{self.work}/fed/operator.json",
                            check=False)
            if done.returncode == 0 or time.monotonic() > limit:
                return [json.loads(line) for line in done.stdout.splitlines()]
            time.sleep(0.1)

    def spent(self, hub):
        return {line["device"]: line["spent"] for line in self.ask("budget", "export", "default", hub=hub)}

    def noise_of(self, number):
        """What a round's sum has beside the devices' own vectors, lane by lane."""
        folder = f"{self.work}/fed/data-0/tasks/default/rounds/{number}"
        with open(folder + ".json", encoding="utf-8") as f:
            record = json.load(f)
        with open(folder + ".sum", "rb") as f:
            packed = f.read()
        total = little_endian(array.array("h", packed[:-4 * TRAILER_LANES]))
        for upload in record["uploads"]:
            path = f"{self.work}/dumps/{upload['client_id']}-default-r{number}-a{upload['attempt']}.bin"
            lanes, trailer = read_dump(path, number, upload["client_id"], upload["attempt"])
            total = [a - b for a, b in zip(total, lanes)]
            self.check(f"round {number}: a device tells count and weight alone",
                       list(trailer[:8]) == [1, 1, 0, 0, 0, 0, 0, 0], list(trailer))
        return [float(x) for x in total], record


def play(scene):
    scene.play_round()
    while scene.ask("round", "list")[0]["rounds"][-1]["round"] < ROUNDS:
        scene.restart(1)
        scene.ask("status", hub=1)
        scene.check("a round is published", scene.open_round("--deadline-ms", "60000").returncode == 0)
    state = scene.ask("round", "show", str(ROUNDS))[0]
    scene.check("all rounds are published", state["state"] == "published", state)


def look_at_noise(scene):
    lanes = []
    for number in range(1, ROUNDS + 1):
        noise, record = scene.noise_of(number)
        lanes += noise
    told = record["noise"]
    ratio = sum(x * x for x in lanes) / len(lanes) / (2 * told["model_sigma2"])
    scene.check("the noise of both hubs is in the sums", 0.85 < ratio < 1.15, ratio)
    scene.check("both hubs say the same of it", told == scene.ask("round", "show", str(ROUNDS), hub=1)[0]["noise"],
                told)
    return told


def look_at_budget(scene, told):
    spent = [scene.spent(hub) for hub in range(2)]
    scene.check("both ledgers are equal", spent[0] == spent[1] and len(spent[0]) == 3, spent)
    scene.check("every round is debited once", set(spent[0].values()) == {ROUNDS * told["rho"]}, (spent[0], told))
    pool = scene.ask("budget", "list", hub=1)[0]["pools"][0]
    metrics = scene.run("metrics", "--config", f"{scene.work}/fed/operator.json").stdout
    scene.check("the gauge is the ledger, to the last digit",
                f'millrace_budget_spent_rho{{pool="default"}} {ROUNDS * told["rho"] * RHO!r}\n' in metrics,
                [line for line in metrics.splitlines() if "budget" in line])
    gauge = float(metrics.split('\nmillrace_budget_spent_epsilon{pool="default"} ')[1].split("\n")[0])
    scene.check("epsilon is within what was promised", 39 < gauge <= 40 and
                abs(gauge / pool["epsilon_most"] - 1) < 1e-8, (gauge, pool))
    device = next(iter(spent[0]))
    one = scene.ask("budget", "show", device)[0]["pools"][0]
    scene.check("one device's", one["left"] == told["budget"] - ROUNDS * told["rho"], one)
    for hub in range(2):
        scene.restart(hub)
        scene.check(f"hub {hub} has the same after a restart", scene.spent(hub) == spent[0])


def log_has(scene, words):
    """Waits for it."""
    limit = time.monotonic() + test_modes.WAIT_S
    while time.monotonic() < limit:
        with open(f"{scene.work}/log", encoding="utf-8", errors="replace") as f:
            if words in f.read():
                return True
        time.sleep(0.1)
    return False


def spend_more(scene):
    """One device forgets its own count: the hubs refuse it."""
    code = scene.open_round("--deadline-ms", "3000").returncode
    scene.check("a round that nobody can pay for is void", code == 6, code)
    scene.check("a device refuses by its own count", log_has(scene, "not-accepted: by this device's own count epsilon"))
    device = scene.processes[-1]  # the newest hub is behind it
    for device in scene.processes:
        if "device-" in " ".join(device.args):
            break
    device.terminate()
    device.wait(60)
    config = device.args[device.args.index("--config") + 1]
    os.remove(f"{scene.work}/fed/data-{os.path.basename(config)[:-5]}/state.json")
    scene.start(*device.args)
    scene.processes.remove(device)
    scene.open_round("--deadline-ms", "3000")
    scene.check("the hubs refuse it and say what is left",
                log_has(scene, "refused (budget): the device has ") and log_has(scene, " left in pool default"))


def look_at_transcripts(scene):
    files = sorted(glob.glob(f"{scene.work}/fed/data-[01]/tasks/default/transcript/*.log"))
    code, said = scene.audit(files, "--json")
    scene.check("the audit finds nothing", code == 0 and json.loads(said)["debits"] == 2 * ROUNDS, said)
    counts = scene.read_independently(files)
    scene.check("an independent reader agrees", isinstance(counts, dict), counts)
    look_at_parts(scene, files)


def look_at_parts(scene, files):
    """Each hub by itself: what it counted and the noise that it owes make what it opened, and nothing else does."""
    for hub in range(2):
        part = f"{scene.work}/part-{hub}"
        scene.run("audit", "export", f"{scene.work}/fed/hub-{hub}.yaml", "--round", "2", "--out", part)
        recompute = ["audit", "recompute", "--keys", f"{scene.work}/fed/hub-0.yaml", part, *files]
        done = scene.run(*recompute, check=False)
        scene.check(f"the part of hub {hub} is right", done.returncode == 0, done.stdout + done.stderr)
        with open(part, "r+b") as f:
            seed_at = 12 + int.from_bytes(f.read(12)[10:], "big") + 4
            f.seek(seed_at)
            byte = f.read(1)[0]
            f.seek(seed_at)
            f.write(bytes([byte ^ 1]))
        done = scene.run(*recompute, check=False)
        scene.check(f"hub {hub} cannot tell of other noise", done.returncode != 0 and "seed of noise" in done.stderr,
                    done.stdout + done.stderr)


def main():
    with tempfile.TemporaryDirectory(prefix="millrace-privacy-") as work:
        scene = Private(work)
        try:
            play(scene)
            look_at_budget(scene, look_at_noise(scene))
            spend_more(scene)
        finally:
            scene.stop()
        look_at_transcripts(scene)
    return 1 if scene.failures else 0


if __name__ == "__main__":
    sys.exit(main())
