#!/usr/bin/env python3
"""From a round's model to the file that an application opens: test_install.py --build BUILD

Three hubs, eight devices that train, one that only takes models. Pulled whole, then by delta;
installed, judged, put back; with a hub away nothing is taken, and an older model never is.
"""

import argparse
import hashlib
import json
import os
import shutil
import subprocess
import sys
import tempfile

HERE = os.path.dirname(os.path.abspath(__file__))
sys.path.insert(0, os.path.join(HERE, "..", "tasks"))
from scene import Devices, Failure, Scene, Task  # noqa: E402 pylint: disable=wrong-import-position

TASK = Task("ota", [1, 0, 2], 40_000, 16, range(0, 8))
CONSUMER = 9


class ReleaseScene(Scene):
    def task_yaml(self, task):
        return super().task_yaml(task).replace("      rotation_log2: 0\n", "      rotation_log2: 10\n")


def sha256(path):
    with open(path, "rb") as f:
        return hashlib.sha256(f.read()).hexdigest()


class Play:
    def __init__(self, scene):
        self.scene = scene
        self.devices = None
        self.config = None
        self.file = os.path.join(scene.work, "app", "model.safetensors")

    def edge(self, *words, want=0):
        done = subprocess.run([os.path.join(self.scene.build, "edge-client", "millrace-edge"), *words,
                               "--into", self.file, "--json"], stdout=subprocess.PIPE,
                              stderr=subprocess.PIPE, text=True, check=False)
        if done.returncode != want:
            raise Failure(f"millrace-edge {' '.join(words)}: exit {done.returncode}, not {want}\n"
                          f"{done.stdout}{done.stderr}")
        return json.loads(done.stdout.splitlines()[-1])

    def round(self):
        number = self.scene.open_round(TASK)
        self.devices.ask("round")
        told = self.devices.answer()
        end = self.scene.wait_for(f"the end of round {number}", self.scene.ended, TASK, number)
        if end["state"] != "published" or told["committed"] != len(TASK.devices):
            raise Failure(f"round {number}: {end} {told}")
        for hub in TASK.hubs: # a release is made a moment after the round has ended
            self.scene.wait_for(f"release {number} at hub {hub}", self.released, hub, number)
        return end["model_hash"]

    def released(self, hub, number):
        folder = f"{self.scene.work}/hub-{hub}/tasks/{TASK.name}/releases"
        return os.path.exists(f"{folder}/{number}.0.manifest")

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
            with open(f"{self.scene.work}/hub-{hub}/tasks/{TASK.name}/releases/{number}.0.manifest",
                      "rb") as f:
                manifests.add(f.read())
        if len(manifests) != 1:
            raise Failure(f"the hubs' manifests of round {number} differ")

    def whole_and_delta(self):
        self.expect(self.edge("pull", "--config", self.config), result="ok", words="no hub has")
        first = self.round()
        self.same_manifests(1)
        self.expect(self.edge("pull", "--config", self.config), result="updated", model=first,
                    words="whole")
        if os.path.lexists(self.file):
            raise Failure("what was pulled only is installed")
        self.expect(self.edge("install"), result="updated", model=first)
        if sha256(self.file) != first or not os.path.islink(self.file):
            raise Failure("the file is not the first model")
        self.expect(self.edge("pull", "--config", self.config), result="ok", model=first)
        second = self.round()
        with open(self.file, "rb") as f: # an application has the first model open
            self.expect(self.edge("pull", "--config", self.config, "--wait-ms", "20000"),
                        result="updated", model=second, words="delta")
            self.expect(self.edge("install"), result="updated", model=second)
            if hashlib.sha256(f.read()).hexdigest() != first:
                raise Failure("what the application had open has changed")
        if sha256(self.file) != second:
            raise Failure("the file is not the second model")
        print("pulled whole, then by delta; installed in one step", flush=True)
        return first, second

    def chain(self):
        """Two rounds at once: one delta of both."""
        self.round()
        last = self.round()
        self.expect(self.edge("install", "--config", self.config, "--health", "/bin/true"),
                    result="updated", model=last)
        if sha256(self.file) != last:
            raise Failure("the file is not the model after two rounds")
        print("two versions behind: one delta", flush=True)
        return last

    def unhealthy(self, good):
        bad = self.round()
        self.expect(self.edge("install", "--config", self.config, "--health", "/bin/false", want=10),
                    result="release-refused", code="unhealthy")
        if sha256(self.file) != good:
            raise Failure("the model before is not back")
        self.expect(self.edge("install", "--config", self.config, want=10),
                    result="release-refused", code="unhealthy")
        if sha256(self.file) != good:
            raise Failure("a refused release was installed")
        better = self.round()
        self.expect(self.edge("install", "--config", self.config), result="updated", model=better)
        if bad in (good, better):
            raise Failure("the rounds changed nothing")
        print("put back by itself, and not taken again", flush=True)
        return better

    def rolled_back(self, good, before):
        self.expect(self.edge("rollback"), result="updated", model=before)
        if sha256(self.file) != before:
            raise Failure("rollback did not lead back")
        self.expect(self.edge("install", "--config", self.config, want=10), code="unhealthy")
        status = self.edge("status")
        if (status["installed"], status["previous"]) != (before, good) or status["trial"]:
            raise Failure(f"status: {status}")
        print("rolled back by hand, and not taken again", flush=True)

    def hub_away(self):
        self.round()
        self.scene.kill_hub(2)
        self.expect(self.edge("install", "--config", self.config, want=10),
                    result="release-refused", code="unsigned")
        with open(self.config, encoding="utf-8") as f:
            device = json.load(f)
        device["release_threshold"] = 2
        with open(self.config, "w", encoding="utf-8") as f:
            json.dump(device, f)
        self.expect(self.edge("install", "--config", self.config), result="updated")
        print("a hub away: nothing is taken, or what two of three say", flush=True)

    def older(self):
        """The hubs' stores are put back: what they release then is below what was seen."""
        self.scene.stop()
        path = self.file + ".millrace/state.json"
        with open(path, encoding="utf-8") as f:
            state = json.load(f)
        state["floor_round"] += 5
        with open(path, "w", encoding="utf-8") as f:
            json.dump(state, f)
        for hub in TASK.hubs:
            self.scene.start_hub(hub)
        self.expect(self.edge("install", "--config", self.config, want=10),
                    result="release-refused", code="older")
        print("an older release is refused", flush=True)

    def main(self):
        os.mkdir(os.path.dirname(self.file))
        self.scene.add_task(TASK)
        for hub in range(len(self.scene.processes)):
            self.scene.write_hub(hub)
            self.scene.start_hub(hub)
        self.devices = Devices(self.scene, TASK)
        self.config = self.scene.device_json(TASK, CONSUMER)
        self.whole_and_delta()
        good = self.chain()
        better = self.unhealthy(good)
        self.rolled_back(better, good)
        self.hub_away()
        self.older()

    def stop(self):
        if self.devices:
            self.devices.stop()
        return self.scene.stop()


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--build", required=True)
    arguments = parser.parse_args()
    work = tempfile.mkdtemp(prefix="millrace-release-")
    play = Play(ReleaseScene(arguments.build, work))
    try:
        play.main()
    except Failure as failure:
        print(failure, flush=True)
        play.stop()
        for hub in TASK.hubs:
            with open(f"{work}/hub-{hub}.log", encoding="utf-8") as f:
                print(f"--- hub {hub}\n" + "".join(f.readlines()[-12:]), flush=True)
        return 1
    play.stop()
    shutil.rmtree(work)
    return 0


if __name__ == "__main__":
    sys.exit(main())
