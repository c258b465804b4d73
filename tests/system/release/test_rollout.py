#!/usr/bin/env python3
"""A release goes to some devices first, on by what they report, and stops: test_rollout.py --build BUILD"""

import os
import struct
import sys

from play import HERE, TASK, Consumer, Failure, Play, build_of, run, sha256

sys.path.insert(0, os.path.join(HERE, "..", "..", "oracle"))
import release_oracle  # noqa: E402 pylint: disable=wrong-import-position

CONSUMERS = range(9, 15)
LONG_S = 1_000_000


def other_values(path, into):
    """A copy of a model whose first value is another."""
    with open(path, "rb") as f:
        model = bytearray(f.read())
    at = 8 + int.from_bytes(model[:8], "little")
    model[at:at + 4] = struct.pack("<f", struct.unpack_from("<f", model, at)[0] + 1)
    with open(into, "wb") as f:
        f.write(model)


class RolloutPlay(Play):
    def policy(self, hubs=range(3), **lines):
        for hub in hubs:
            self.scene.releases[hub] = {"health_reports_min": 3, **lines}
            self.scene.write_hub(hub)
            if self.scene.processes[hub]:
                self.scene.reload_hub(hub)

    def wait_newest(self, hub, **wanted):
        def holds():
            found = self.newest(hub)
            return all(found[name] == value for name, value in wanted.items())
        self.scene.wait_for(f"hub {hub}: {wanted}", holds)

    def share(self, device, number):
        with open(self.manifest(0, f"{number}.0"), "rb") as f:
            manifest = f.read()
        return release_oracle.share(release_oracle.sha256(manifest), device.client_id())

    def by_share(self, devices):
        """Who may have it first is a hash, and time alone leads no further."""
        number = self.round()
        kept = 0
        for device in devices:
            first = self.share(device, number) < 5000
            said = device.install(want=0 if first else 10)
            if not first and said["code"] != "held_back":
                raise Failure(f"device {device.number}: {said}")
            kept += first
        for hub in range(3):
            self.wait_newest(hub, percent=50, kept=kept, went_back=0, failed=0)
        named = [self.scene.operator(0, "release", "show", version, "--task", TASK.name)["version"]
                 for version in (str(number), f"{number}.0")]
        if named != 2 * [f"{number}.0"]:
            raise Failure(f"release show {number} shows {named}")
        if kept == 0: # nobody has said that it is good: one in 64 times
            return
        self.policy(rollout='"50,100"', rollout_step_s=1)
        for hub in range(3):
            self.wait_newest(hub, percent=100)
        for device in devices:
            device.install()
        for hub in range(3):
            self.wait_newest(hub, kept=len(devices))
        print(f"{kept} of {len(devices)} devices first, then all", flush=True)

    def stops_by_itself(self, devices):
        self.policy(rollout="100")
        number = self.round()
        for device in devices[:3]:
            if device.install(healthy=False, want=10)["code"] != "unhealthy":
                raise Failure("it was not put back")
        for hub in range(3):
            self.wait_newest(hub, version=f"{number}.0", state="stopped", percent=0, went_back=3, kept=0)
        if devices[3].install(want=10)["code"] != "held_back":
            raise Failure("a stopped release is taken")
        self.scene.kill_hub(2)
        self.scene.start_hub(2)
        self.wait_newest(2, state="stopped", went_back=3)
        print("stopped by itself after three devices, also over a kill", flush=True)

    def stays_stopped(self, devices):
        number = self.round()
        for hub in range(3):
            self.wait_newest(hub, version=f"{number}.0", state="held", percent=0)
        if devices[3].install(want=10)["code"] != "held_back":
            raise Failure("the next release is taken though the one before was stopped")
        for hub in (0, 1):
            self.order(hub, "go-on")
        if devices[3].install(want=10)["code"] != "held_back":
            raise Failure("one hub's hold counts for nothing")
        two_of_three = Consumer(self.scene, 20, threshold=2)
        two_of_three.install()
        self.order(2, "go-on")
        for device in devices[3:]:
            device.install()
        print("the next release waits for the operators, of as many hubs as the threshold", flush=True)

    def withdrawn(self, devices):
        number = self.round()
        self.order(0, "withdraw")
        if devices[0].install(want=10)["code"] != "held_back":
            raise Failure("a release that one hub has withdrawn is taken")
        try:
            self.order(0, "go-on")
        except Failure as refused:
            if "for good" not in str(refused):
                raise
        else:
            raise Failure("a withdrawn release goes on")
        self.round()
        devices[0].install()
        listed = self.scene.operator(0, "release", "list", "--task", TASK.name)["releases"]
        if [row["version"] for row in listed] != [f"{n}.0" for n in range(number + 1, 0, -1)] or \
                listed[1]["state"] != "withdrawn" or listed[2]["state"] != "superseded":
            raise Failure(f"listed: {listed}")
        print("withdrawn for good; the next version goes its way", flush=True)

    def one_voice(self, device):
        """Whoever goes back by hand says so at his next pull, and counts once."""
        before = self.newest(0)
        device.edge("rollback")
        device.install(want=10)
        self.wait_newest(0, kept=before["kept"] - 1, went_back=before["went_back"] + 1)
        device.install(want=10)
        self.wait_newest(0, kept=before["kept"] - 1, went_back=before["went_back"] + 1)

    def on_every_hub(self, *words):
        for hub in TASK.hubs:
            self.scene.operator(hub, "model", *words, "--task", TASK.name)

    def chosen(self, device):
        """What operators make is a version above the round's: devices take it from all hubs, and the next round's after."""
        number = self.round()
        old = device.install()["model"]
        self.on_every_hub("rollback", str(number), "--yes")
        for hub in TASK.hubs:
            self.wait_newest(hub, version=f"{number}.1")
        if device.install()["model"] == old:
            raise Failure("the device kept the newer values")
        file = os.path.join(self.scene.work, "chosen.safetensors")
        other_values(device.file, file)
        self.on_every_hub("import", file)
        self.scene.kill_hub(2)
        self.scene.start_hub(2)
        for hub in TASK.hubs:
            self.wait_newest(hub, version=f"{number}.2")
        device.install()
        if sha256(device.file) != sha256(file):
            raise Failure("the device does not have the imported file")
        if self.round() != number + 1:
            raise Failure("the next round has another number")
        device.install()
        print("rolled back, imported, and on: devices follow", flush=True)

    def write_tags(self, hub, devices):
        path = os.path.join(self.scene.work, f"tags-{hub}")
        with open(path, "w", encoding="utf-8") as f:
            f.writelines(f"lab {device.client_id().hex()}\n" for device in devices)
        return path

    def by_tag(self, devices):
        """Devices that every hub's operator lists come first; one that says so itself, or one hub alone, is not enough."""
        lab, of_one_hub, other = devices[:3]
        files = [self.write_tags(hub, [lab, of_one_hub] if hub == 2 else [lab]) for hub in range(3)]
        for hub in range(3):
            self.policy([hub], rollout='"lab,100"', rollout_step_s=LONG_S, tags_file=files[hub])
        number = self.round()
        for hub in range(3):
            self.wait_newest(hub, version=f"{number}.0", state="going", tag="lab", percent=0)
        lab.install()
        for device in (of_one_hub, other):
            if device.install(want=10)["code"] != "held_back":
                raise Failure(f"device {device.number} is not of the lab, and has the release")
        self.scene.kill_hub(2)
        self.scene.start_hub(2)
        for hub in range(3):
            self.wait_newest(hub, kept=1)
        for hub in range(2): # the file alone is another
            self.write_tags(hub, [lab, of_one_hub])
            self.scene.reload_hub(hub)
        self.scene.wait_for("the second device of the lab", lambda: of_one_hub.edge(
            "install", "--config", of_one_hub.config, want=None)["code"] != "held_back")
        of_one_hub.install()
        for hub in range(3):
            self.policy([hub], rollout='"lab,100"', rollout_step_s=1, tags_file=files[hub])
        for hub in range(3):
            self.wait_newest(hub, percent=100)
        other.install()
        print("devices of a tag first, then all", flush=True)

    def metrics(self):
        found = self.scene.operator(0, "metrics")
        for name, value in (("halted", 0), ("kept_devices", 0), ("not_kept_devices", 1)):
            if found[f'millrace_release_{name}{{task="ota"}}'] != value:
                raise Failure(f"millrace_release_{name} is not {value}")

    def main(self):
        self.policy(rollout='"50,100"', rollout_step_s=LONG_S)
        self.start()
        devices = [Consumer(self.scene, number) for number in CONSUMERS]
        self.by_share(devices)
        self.stops_by_itself(devices)
        self.stays_stopped(devices)
        self.withdrawn(devices)
        self.one_voice(devices[0])
        self.metrics()
        self.chosen(devices[0])
        self.by_tag(devices)


if __name__ == "__main__":
    sys.exit(run(RolloutPlay, "rollout", build=build_of(__doc__)))
