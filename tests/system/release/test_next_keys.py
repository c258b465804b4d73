#!/usr/bin/env python3
"""A hub gets a new signing key, and no device a new device.json: test_next_keys.py --build BUILD"""

import os
import shutil
import sys
import threading
import time

from play import HERE, TASK, Consumer, Devices, Failure, Play, build_of, run

sys.path.insert(0, os.path.join(HERE, "..", "..", "oracle"))
import key_chain_oracle  # noqa: E402 pylint: disable=wrong-import-position

HUB = 2


class KeyPlay(Play):
    def seed(self, hub):
        return f"{self.scene.pki}/hub-{hub}.sign.key"

    def statement(self, name, number, signers):
        """Of HUB's key in new.key, signed by these others too."""
        path = f"{self.scene.work}/{name}"
        self.scene.run("key", "next", f"{self.scene.work}/new.key", "--signing-key", self.seed(HUB),
                       "--hub-index", str(HUB), "--task", TASK.name, "--number", str(number), "--out", path)
        for hub in signers:
            self.scene.run("key", "endorse", path, "--signing-key", self.seed(hub), "--hub-index", str(hub))
        return path

    def announce(self, hub, path):
        return self.scene.operator(hub, "key", "announce", path, "--task", TASK.name)

    def refused(self, hub, path, fault):
        try:
            self.announce(hub, path)
        except Failure as why:
            if f"({fault})" not in str(why):
                raise
        else:
            raise Failure(f"{path} is not refused as {fault}")

    def judged(self, **wanted):
        """The second implementation says the same of the files as the C code."""
        keys = {}
        for hub in range(3):
            with open(f"{self.scene.pki}/hub-{hub}.sign.pub", encoding="ascii") as f:
                keys[hub] = bytes.fromhex(f.read().strip())
        for name, fault in wanted.items():
            with open(f"{self.scene.work}/{name.replace('_', '-')}", "rb") as f:
                data = f.read()
            found = key_chain_oracle.judge(data, TASK.name, keys, 3, 0)
            if found != fault:
                raise Failure(f"{name}: {found}, not {fault}")

    def swap(self):
        """HUB has its new key, and the other hubs its public half: no device was told."""
        self.devices.stop()
        self.scene.stop()
        public = self.scene.run("key", "public", f"{self.scene.work}/new.key")
        with open(f"{self.scene.pki}/hub-{HUB}.sign.pub", "w", encoding="ascii") as f:
            f.write(public)
        shutil.copy(f"{self.scene.work}/new.key", self.seed(HUB))
        data = f"{self.scene.work}/hub-{HUB}"
        os.remove(f"{data}/owner.json")
        os.rename(f"{data}/tasks/{TASK.name}/transcript", f"{self.scene.work}/transcript-of-the-old-key")
        for hub in TASK.hubs:
            self.scene.start_hub(hub)

    def announced_meanwhile(self, device, path):
        """A device that had asked for keys before it waited asks once more: it is not told `unsigned`."""
        said = []
        waiting = threading.Thread(target=lambda: said.append(
            device.edge("pull", "--config", device.config, "--wait-ms", "4000", want=None)))
        waiting.start()
        time.sleep(1.5) # it waits by now; where it does not yet, it has the key sooner
        self.announce(0, path)
        waiting.join()
        if not said or said[0]["result"] != "ok":
            raise Failure(f"a key that was announced during the wait is not asked for: {said}")

    def main(self):
        self.start()
        device, two = Consumer(self.scene, 9), Consumer(self.scene, 10, threshold=2)
        # As the devices read them; writing them once more would be in their way.
        trainers = [f"{self.scene.work}/{TASK.name}-device-{number}.json" for number in TASK.devices]
        self.round()
        device.install()
        self.scene.run("key", "new", f"{self.scene.work}/new.key")
        self.refused(0, self.statement("alone", 1, []), "too_few")
        self.refused(0, self.statement("skipped", 2, [0, 1]), "skipped")
        one_other = self.statement("one-other", 1, [0])
        whole = self.statement("whole", 1, [0, 1])
        self.judged(alone="too_few", skipped="skipped", one_other="too_few", whole="taken")
        self.swap()
        if device.install(want=10)["code"] != "unsigned":
            raise Failure("a key that nobody has announced is taken")
        self.announce(1, one_other) # hub 1's operator has not signed it
        said = device.install(want=10)
        if said["code"] != "unsigned" or "too few" not in said["warning"]:
            raise Failure(f"two of three signatures are enough for a device that wants all: {said}")
        two.install()
        self.announced_meanwhile(device, whole) # hub 2 has none, hub 1 the one with too few
        self.refused(0, whole, "passed")
        device.install()
        print("a next key is taken from one hub, though another one has a statement that is not enough", flush=True)
        self.trained(trainers, device)

    def trained(self, trainers, device):
        """Devices that train follow too, each with the old device.json; and the files stay."""
        for path in trainers:
            if f"{self.scene.pki}/hub" in path:
                raise Failure("a device's file was made anew")
        devices = Devices.__new__(Devices)
        original, self.scene.device_json = self.scene.device_json, lambda task, number: trainers[number]
        devices.__init__(self.scene, TASK)
        self.scene.device_json = original
        self.devices = devices
        self.round()
        device.install()
        with open(f"{self.scene.work}/{TASK.name}-device-9/keys", "r+b") as f:
            f.truncate(os.path.getsize(f.name) - 1)
        said = device.edge("pull", "--config", device.config, want=None)
        if said["result"] != "bad-config" or "does not lead on" not in said["text"]:
            raise Failure(f"a torn file of keys is passed over: {said}")
        print("devices train with a hub's new key, none has a new device.json", flush=True)


if __name__ == "__main__":
    sys.exit(run(KeyPlay, "next-keys", build=build_of(__doc__)))
