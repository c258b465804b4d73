#!/usr/bin/env python3
"""From a round's model to the file that an application opens: test_install.py --build BUILD

Three hubs, eight devices that train, one that only takes models. Pulled whole, then by delta;
installed, judged, put back; in 16 bits; with a hub away nothing is taken, and an older model never is.
"""

import hashlib
import json
import os
import subprocess
import sys

from play import TASK, Consumer, Failure, Play, build_of, run, sha256

CONSUMER = 9


class InstallPlay(Play):
    device = None

    def model(self):
        """A round; the hash of its model."""
        return self.scene.round(TASK.lead, TASK, self.round())["model_hash"]

    def expect(self, said, **wanted):
        for name, value in wanted.items():
            if name == "words":
                if value not in said["text"]:
                    raise Failure(f"{value!r} is not in {said}")
            elif said[name] != value:
                raise Failure(f"{name} is not {value!r} in {said}")

    def same_manifests(self, number):
        manifests = set()
        for hub in TASK.hubs:
            with open(self.manifest(hub, f"{number}.0"), "rb") as f:
                manifests.add(f.read())
        if len(manifests) != 1:
            raise Failure(f"the hubs' manifests of round {number} differ")

    def state(self):
        """The newest record."""
        with open(self.device.file + ".millrace/state", encoding="ascii") as f:
            return max((json.loads(record[:-64]) for record in f.read().splitlines()), key=lambda s: s["sequence"])

    def whole_and_delta(self):
        self.expect(self.device.edge("pull", "--config", self.device.config), result="ok", words="no hub has")
        first = self.model()
        self.same_manifests(1)
        self.expect(self.device.edge("pull", "--config", self.device.config), result="updated", model=first,
                    words="whole")
        if os.path.lexists(self.device.file):
            raise Failure("what was pulled only is installed")
        self.expect(self.device.edge("install"), result="updated", model=first)
        if sha256(self.device.file) != first or not os.path.islink(self.device.file):
            raise Failure("the file is not the first model")
        self.expect(self.device.edge("pull", "--config", self.device.config), result="ok", model=first)
        if self.state()["outcome"] != "none":
            raise Failure("every hub has heard how it went, and the device does not know")
        second = self.model()
        with open(self.device.file, "rb") as f: # an application has the first model open
            self.expect(self.device.edge("pull", "--config", self.device.config, "--wait-ms", "20000"),
                        result="updated", model=second, words="delta")
            self.expect(self.device.edge("install"), result="updated", model=second)
            if hashlib.sha256(f.read()).hexdigest() != first:
                raise Failure("what the application had open has changed")
        if sha256(self.device.file) != second:
            raise Failure("the file is not the second model")
        print("pulled whole, then by delta; installed in one step", flush=True)
        return first, second

    def chain(self):
        """Two rounds at once: one delta of both."""
        self.round()
        last = self.model()
        self.expect(self.device.edge("install", "--config", self.device.config, "--health", "/bin/true"),
                    result="updated", model=last)
        if sha256(self.device.file) != last:
            raise Failure("the file is not the model after two rounds")
        print("two versions behind: one delta", flush=True)
        return last

    def kept(self, hub):
        """Of how many reports that hub has taken the time."""
        name = f'millrace_release_kept_seconds_count{{task="{TASK.name}"}} '
        said, = (line for line in self.scene.run("metrics", *self.scene.at_hub(hub)[:-1]).splitlines() if line.startswith(name))
        return int(said[len(name):])

    def waited(self):
        """What a pull had left is installed, and the hubs hear of it at once: a later release's pull would be too late."""
        number = self.round()
        last = self.scene.round(TASK.lead, TASK, number)["model_hash"]
        self.device.edge("pull", "--config", self.device.config)
        counted = {hub: self.kept(hub) for hub in TASK.hubs}
        self.expect(self.device.edge("install", "--config", self.device.config, "--health", "/bin/true"),
                    result="updated", model=last)
        for hub in TASK.hubs:
            if self.newest(hub)["kept"] != 1:
                raise Failure(f"hub {hub} has not heard that the release is kept: {self.newest(hub)}")
            account = self.scene.round(hub, TASK, number)
            if not account["release_kept_us"] > account["release_us"]["make"]:
                raise Failure(f"hub {hub} does not say how long it took until the device kept it: {account}")
            if self.kept(hub) != counted[hub] + 1:
                raise Failure(f"hub {hub}: {self.kept(hub)} devices after {counted[hub]}")
        print("what waited is installed, and told of", flush=True)
        return last

    def unhealthy(self, good):
        bad = self.model()
        self.expect(self.device.edge("install", "--config", self.device.config, "--health", "/bin/false", want=10),
                    result="release-refused", code="unhealthy")
        if sha256(self.device.file) != good:
            raise Failure("the model before is not back")
        self.expect(self.device.edge("install", "--config", self.device.config, want=10),
                    result="release-refused", code="unhealthy")
        if sha256(self.device.file) != good:
            raise Failure("a refused release was installed")
        better = self.model()
        self.expect(self.device.edge("install", "--config", self.device.config), result="updated", model=better)
        if bad in (good, better):
            raise Failure("the rounds changed nothing")
        print("put back by itself, and not taken again", flush=True)
        return better

    def rolled_back(self, good, before):
        self.expect(self.device.edge("rollback"), result="updated", model=before)
        if sha256(self.device.file) != before:
            raise Failure("rollback did not lead back")
        self.expect(self.device.edge("install", "--config", self.device.config, want=10), code="unhealthy")
        status = self.device.edge("status")
        if (status["installed"], status["previous"]) != (before, good) or status["trial"]:
            raise Failure(f"status: {status}")
        print("rolled back by hand, and not taken again", flush=True)

    def oldest_client(self, version):
        """From the next release on, at every hub."""
        def in_force(hub):
            with open(f"{self.scene.work}/hub-{hub}.log", encoding="utf-8") as f:
                told = [line for line in f if "client_min" in line and "after=" in line]
            return told and f"after={version}" in told[-1]
        for hub in TASK.hubs:
            self.scene.releases[hub] = {"client_min": f'"{version}"'}
            self.scene.write_hub(hub)
            self.scene.reload_hub(hub)
            self.scene.wait_for(f"hub {hub}: client_min {version}", in_force, hub)

    def too_old(self):
        """What needs a newer client leaves everything as it was; this one's own version is enough."""
        before = self.device.edge("status")
        self.oldest_client("99.0.0")
        self.model()
        self.expect(self.device.edge("install", "--config", self.device.config, want=10),
                    result="release-refused", code="client_too_old")
        if self.device.edge("status") != before:
            raise Failure(f"a release for newer clients has changed something: {self.device.edge('status')}")
        own = subprocess.run([os.path.join(self.scene.build, "edge-client", "millrace-edge"), "version"],
                             stdout=subprocess.PIPE, text=True, check=True).stdout.split()[-1]
        self.oldest_client(own)
        last = self.model()
        self.expect(self.device.edge("install", "--config", self.device.config), result="updated", model=last)
        print("a release for newer clients is left, one for this client taken", flush=True)

    def sixteen_bits(self):
        """What the application opens is shorter; deltas go on from what is not, and so does the way back."""
        first = self.model()
        self.device.edge("pull", "--config", self.device.config)
        self.expect(self.device.edge("install", "--installed-as", "float16"), result="updated", model=first)
        short = sha256(self.device.file)
        self.expect(self.device.edge("status"), installed=first, installed_as="float16", sha256=short)
        with open(self.device.file, "rb") as f:
            header = f.read(8 + 120)
        if short == first or b'"F16"' not in header or b'"F32"' in header:
            raise Failure(f"the file is not in 16 bits: {header}")
        second = self.model()
        self.expect(self.device.edge("pull", "--config", self.device.config), result="updated", model=second, words="delta")
        self.expect(self.device.edge("install"), result="updated", model=second)
        self.expect(self.device.edge("status"), installed_as="float32", sha256=second)
        if sha256(self.device.file) != second:
            raise Failure("the file is not the model in float32")
        self.expect(self.device.edge("rollback"), result="updated", model=first)
        if sha256(self.device.file) != short:
            raise Failure("the way back does not lead to 16 bits")
        print("installed in 16 bits, by delta and back", flush=True)

    def hub_away(self):
        self.round()
        self.scene.kill_hub(2)
        self.expect(self.device.edge("install", "--config", self.device.config, want=10),
                    result="release-refused", code="unsigned")
        self.device.set(release_threshold=2)
        self.expect(self.device.edge("install", "--config", self.device.config), result="updated")
        print("a hub away: nothing is taken, or what two of three say", flush=True)

    def older(self):
        """The hubs' stores are put back: what they release then is below what was seen."""
        self.scene.stop()
        state = self.state()
        state["floor_round"] += 5
        text = json.dumps(state).ljust(4096 - 65)
        with open(self.device.file + ".millrace/state", "w", encoding="ascii") as f:
            f.write(2 * (text + hashlib.sha256(text.encode()).hexdigest() + "\n"))
        for hub in TASK.hubs:
            self.scene.start_hub(hub)
        self.expect(self.device.edge("install", "--config", self.device.config, want=10),
                    result="release-refused", code="older")
        print("an older release is refused", flush=True)

    def main(self):
        self.start()
        self.device = Consumer(self.scene, CONSUMER)
        self.whole_and_delta()
        self.chain()
        good = self.waited()
        better = self.unhealthy(good)
        self.rolled_back(better, good)
        self.too_old()
        self.sixteen_bits()
        self.hub_away()
        self.older()


if __name__ == "__main__":
    sys.exit(run(InstallPlay, "release", build=build_of(__doc__)))
