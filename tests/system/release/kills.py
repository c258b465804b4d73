#!/usr/bin/env python3
"""Hubs and a device are killed while releases are made, judged, held and installed: kills.py --build BUILD [--kills N]

In each turn: a hub right after a round, when its release is being made; the device in the middle of
an installation, and again; a hub in the middle of a promote, of a hold that it has acknowledged, of a
pass of retention. Afterwards: one manifest for a version, the same at all hubs and for ever; no
version goes back, at no hub and not on the device; what the application opens is a whole model, old
or new; an alias that was acknowledged is there; a roll-out that was held stays held.
"""

import argparse
import os
import random
import subprocess
import sys
import time

from play import TASK, Consumer, Failure, Play, run, sha256

KILLS_A_TURN = 6


class KillPlay(Play):
    def __init__(self, scene, seed):
        super().__init__(scene)
        self.random = random.Random(seed)
        self.manifests = {}
        self.models = {} # by release
        self.kills = 0
        self.champions = [0, 0, 0]

    def kill(self, hub):
        self.scene.kill_hub(hub)
        self.scene.start_hub(hub)
        self.kills += 1

    def pause(self, most_s):
        time.sleep(self.random.uniform(0, most_s))

    def check_manifests(self):
        for hub in range(3):
            folder = os.path.dirname(self.manifest(hub, "0"))
            for name in os.listdir(folder):
                if not name.endswith(".manifest"):
                    continue
                with open(os.path.join(folder, name), "rb") as f:
                    if self.manifests.setdefault(name, data := f.read()) != data:
                        raise Failure(f"hub {hub}: {name} is another manifest than it was")

    def released(self):
        """A round; a hub dies when it has ended, and makes the release all the same."""
        number = self.scene.open_round(TASK)
        self.devices.ask("round")
        self.devices.answer()
        end = self.scene.wait_for(f"the end of round {number}", self.scene.ended, TASK, number)
        self.pause(0.06)
        self.kill(self.random.randrange(3))
        if end["state"] != "published":
            raise Failure(f"round {number}: {end}")
        for hub in range(3):
            self.scene.wait_for(f"release {number} at hub {hub}", self.is_newest, hub, f"{number}.0")
        self.check_manifests()
        self.models[number] = end["model_hash"]
        return number

    def opened(self, device):
        """Which release the application finds."""
        if not os.path.lexists(device.file):
            return 0
        found = sha256(device.file)
        return next((n for n, model in self.models.items() if model == found), None)

    def installed(self, device, number):
        before = self.opened(device)
        for _ in range(2):
            with subprocess.Popen([os.path.join(self.scene.build, "edge-client", "millrace-edge"), "install",
                                   "--config", device.config, "--into", device.file, "--json"],
                                  stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL) as process:
                self.pause(0.12)
                process.kill()
            self.kills += 1
            now = self.opened(device)
            if now not in (before, number):
                raise Failure(f"the application finds release {now}, not {before} or {number}")
            before = now
        device.install()
        if self.opened(device) != number:
            raise Failure(f"release {number} is not installed")

    def promoted(self):
        """What was acknowledged, or what was under way, is the champion."""
        hub = self.random.randrange(3)
        version = self.scene.operator(hub, "model", "show", "current", "--task", TASK.name)["version"]
        words = [os.path.join(self.scene.build, "appliance", "cli", "millrace"), "model", "promote", str(version),
                 "--task", TASK.name, "--hub", f"127.0.0.1:{self.scene.ports[hub]}", "--hub-index", str(hub),
                 "--ca", f"{self.scene.pki}/ca.pem", "--cert", f"{self.scene.pki}/operator.pem",
                 "--key", f"{self.scene.pki}/operator.key"]
        with subprocess.Popen(words, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL) as process:
            self.pause(0.1)
            self.kill(hub)
            told = process.wait() == 0
        now = 0
        if told or self.champions[hub]:
            now = self.scene.operator(hub, "model", "show", "champion", "--task", TASK.name)["version"]
        if now not in ((version,) if told else (version, self.champions[hub])):
            raise Failure(f"hub {hub}: version {now} is champion, not {version}; acknowledged: {told}")
        self.champions[hub] = now

    def held(self, device, number):
        hub = self.random.randrange(3)
        self.order(hub, "hold")
        self.kill(hub)
        found = self.newest(hub)
        if (found["state"], found["percent"], found["version"]) != ("held", 0, f"{number}.0"):
            raise Failure(f"hub {hub}: a hold that was acknowledged is gone: {found}")
        if self.opened(device) != number:
            raise Failure("the device has another model")
        self.order(hub, "go-on")

    def collected(self):
        hub = self.random.randrange(3)
        self.scene.operator(hub, "model", "gc", "--task", TASK.name)
        self.pause(0.02)
        self.kill(hub)
        if self.champions[hub]:
            self.scene.operator(hub, "model", "show", "champion", "--task", TASK.name)
        faults = self.scene.operator(hub, "model", "verify", "--task", TASK.name)["faults"]
        if any("no version has it" not in fault for fault in faults):
            raise Failure(f"hub {hub}: {faults}")

    def main(self, kills):
        for hub in range(3):
            self.scene.releases[hub] = {"rollout_step_s": 3600}
            self.scene.rounds[hub] = {"requantise": 4} # each model has a state
        self.start()
        device = Consumer(self.scene, 9)
        seen = 0
        while self.kills < kills:
            number = self.released()
            self.installed(device, number)
            self.promoted()
            self.held(device, number)
            self.collected()
            status = device.edge("status")
            if status["seen_round"] != number or number <= seen:
                raise Failure(f"release {number} after {seen}: {status}")
            seen = number
        print(f"{self.kills} kills, {seen} releases: whole old or whole new, no way down, no alias lost", flush=True)


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--build", required=True)
    parser.add_argument("--kills", type=int, default=300)
    parser.add_argument("--seed", type=int, default=random.randrange(1 << 32))
    arguments = parser.parse_args()
    print(f"seed {arguments.seed}", flush=True)
    return run(KillPlay, "release-kills", arguments.seed, build=arguments.build, kills=arguments.kills)


if __name__ == "__main__":
    sys.exit(main())
