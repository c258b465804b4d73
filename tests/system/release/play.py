"""What the tests of releases share: three hubs, eight devices that train, devices that only take models."""

import argparse
import hashlib
import json
import os
import subprocess
import sys
import tempfile

from cryptography import x509

HERE = os.path.dirname(os.path.abspath(__file__))
sys.path.insert(0, os.path.join(HERE, "..", "tasks"))
from scene import Devices, Failure, Scene, Task, play_out  # noqa: E402 pylint: disable=wrong-import-position

TASK = Task("ota", [1, 0, 2], 40_000, 16, range(0, 8))


class ReleaseScene(Scene):
    """`releases` and `rounds` of each hub are lines of its tasks.releases and tasks.round."""

    releases = {}
    rounds = {}

    def write_hub(self, index):
        self.writing = index
        super().write_hub(index)

    def task_yaml(self, task):
        text = super().task_yaml(task).replace("      rotation_log2: 0\n", "      rotation_log2: 10\n")
        text += "".join(f"      {name}: {value}\n" for name, value in self.rounds.get(self.writing, {}).items())
        lines = self.releases.get(self.writing, {})
        return text + ("    releases:\n" if lines else "") + "".join(
            f"      {name}: {value}\n" for name, value in lines.items())


def sha256(path):
    with open(path, "rb") as f:
        return hashlib.sha256(f.read()).hexdigest()


class Consumer:
    """A device that only takes models."""

    def __init__(self, scene, number, threshold=None):
        self.scene = scene
        self.number = number
        self.config = scene.device_json(TASK, number)
        self.file = os.path.join(scene.work, "app", f"{number}.safetensors")
        os.makedirs(os.path.dirname(self.file), exist_ok=True)
        if threshold:
            self.set(release_threshold=threshold)

    def set(self, **members):
        with open(self.config, encoding="utf-8") as f:
            device = json.load(f)
        device.update(members)
        with open(self.config, "w", encoding="utf-8") as f:
            json.dump(device, f)

    def client_id(self):
        with open(f"{self.scene.pki}/device-{self.number:03d}.pem", "rb") as f:
            certificate = x509.load_pem_x509_certificate(f.read())
        names = certificate.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
        uri, = names.get_values_for_type(x509.UniformResourceIdentifier)
        return bytes.fromhex(uri.rpartition(":")[2])

    def edge(self, *words, want=0):
        done = subprocess.run([os.path.join(self.scene.build, "edge-client", "millrace-edge"), *words,
                               "--into", self.file, "--json"], stdout=subprocess.PIPE,
                              stderr=subprocess.PIPE, text=True, check=False)
        if want is not None and done.returncode != want:
            raise Failure(f"device {self.number}: millrace-edge {' '.join(words)}: exit {done.returncode}, not {want}\n"
                          f"{done.stdout}{done.stderr}")
        return json.loads(done.stdout.splitlines()[-1])

    def install(self, healthy=True, want=0):
        return self.edge("install", "--config", self.config, "--health",
                         "/bin/true" if healthy else "/bin/false", want=want)


class Play:
    def __init__(self, scene):
        self.scene = scene
        self.devices = None

    def start(self):
        self.scene.add_task(TASK)
        for hub in range(len(self.scene.processes)):
            self.scene.write_hub(hub)
            self.scene.start_hub(hub)
        self.devices = Devices(self.scene, TASK)

    def manifest(self, hub, version):
        return f"{self.scene.work}/hub-{hub}/tasks/{TASK.name}/releases/{version}.manifest"

    def round(self):
        """A round, and its release at every hub; the number."""
        number = self.scene.open_round(TASK)
        self.devices.ask("round")
        told = self.devices.answer()
        end = self.scene.wait_for(f"the end of round {number}", self.scene.ended, TASK, number)
        if end["state"] != "published" or told["committed"] != len(TASK.devices):
            raise Failure(f"round {number}: {end} {told}")
        for hub in TASK.hubs: # a release is made a moment after the round has ended
            self.scene.wait_for(f"release {number} at hub {hub}", self.is_newest, hub, f"{number}.0")
        return number

    def is_newest(self, hub, version):
        try:
            return self.newest(hub)["version"] == version
        except Failure:
            return False

    def newest(self, hub):
        return self.scene.operator(hub, "release", "show", "--task", TASK.name)

    def order(self, hub, word):
        return self.scene.operator(hub, "release", word, "--task", TASK.name)

    def stop(self):
        if self.devices:
            self.devices.stop()
        return self.scene.stop()


def run(kind, name, *arguments, build, **options):
    """Plays kind(scene, *arguments).main(**options), as scene.play_out. The exit code."""
    work = tempfile.mkdtemp(prefix=f"millrace-{name}-")
    return play_out(kind(ReleaseScene(build, work), *arguments), TASK, **options)


def build_of(description):
    """Of the one option that most of them have."""
    parser = argparse.ArgumentParser(description=description)
    parser.add_argument("--build", required=True)
    return parser.parse_args().build
