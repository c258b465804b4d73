#!/usr/bin/env python3
"""A device with four tasks has one connection to each hub: test_one_connection.py --build BUILD

Two hubs, each of which leads two tasks and helps in the other two; two devices, each one process with all four. While all
tasks wait for rounds, each hub has accepted one connection of each device. Rounds of all tasks at once: what devices are
given next is the mean of what they trained, of that task and no other. A hub that is killed, and a device whose certificate
is taken back: all tasks hear of it, and come back over one connection, or not at all.
"""

import argparse
import glob
import json
import os
import re
import shutil
import subprocess
import sys
import tempfile
import time

from scene import Failure, Scene, Task

HERE = os.path.dirname(os.path.abspath(__file__))
# Models of different sizes: on one model a device is counted in one task.
TASKS = tuple(Task(name, hubs, dimension, 16, range(2)) for name, hubs, dimension in (
    ("one", [0, 1], 2000), ("two", [0, 1], 3000), ("three", [1, 0], 4000), ("four", [1, 0], 5000)))
HUBS = 2
DEVICES = 2
STEP = 1 / 128 # of the scale: nothing is rounded


def step_of(task, device):
    """A number of steps that no other device or task has."""
    return (1 + TASKS.index(task) + 10 * device) * STEP


class OneConnection(Scene):
    visits = 0 # of the operator's command, which connects each time
    devices = ()

    def task_yaml(self, task):
        return (super().task_yaml(task).replace("cohort_min: 4", "cohort_min: 2")
                .replace("weight_max: 100", "weight_max: 1"))

    def write_hub(self, index):
        super().write_hub(index)
        path = f"{self.work}/hub-{index}.yaml"
        with open(path, encoding="utf-8") as f:
            text = f.read()
        with open(path, "w", encoding="utf-8") as f:
            f.write(text.replace("identity:\n", f"identity:\n  revocation_file: {self.work}/lists.pem\n", 1))

    def publish_lists(self):
        shutil.copy(f"{self.pki}/revoked.pem", f"{self.work}/lists.new")
        os.rename(f"{self.work}/lists.new", f"{self.work}/lists.pem")

    def run(self, *words):
        self.visits += "--hub" in words
        return super().run(*words)

    def metric(self, hub, sample):
        text = self.run("metrics", "--hub", f"127.0.0.1:{self.ports[hub]}", "--hub-index", str(hub), "--ca",
                        f"{self.pki}/ca.pem", "--cert", f"{self.pki}/operator.pem", "--key", f"{self.pki}/operator.key")
        found = re.search(rf"^{re.escape(sample)} (\S+)$", text, re.MULTILINE)
        return float(found.group(1)) if found else 0

    # --- devices ---------------------------------------------------------------------------------

    def start_device(self, number):
        words = []
        for task in TASKS:
            data = f"{self.work}/{task.name}-{number}.step"
            with open(data, "w", encoding="ascii") as f:
                f.write(str(step_of(task, number)))
            words += ["--config", self.device_json(task, number), "--data", data, "--trainer", f"{HERE}/train_step.py"]
        with open(f"{self.work}/device-{number}.log", "w", encoding="utf-8") as log:
            return subprocess.Popen([os.path.join(self.build, "edge-client", "millrace-edge"), "run", *words],
                                    stdout=log, stderr=log, stdin=subprocess.DEVNULL)

    def said(self, number):
        with open(f"{self.work}/device-{number}.log", encoding="utf-8") as f:
            return f.read()

    def connections(self, number, hub):
        """TCP connections that the device's process has to that hub, as the kernel has them."""
        mine = set()
        for path in glob.glob(f"/proc/{self.devices[number].pid}/fd/*"):
            try:
                mine.add(os.readlink(path))
            except FileNotFoundError:
                pass
        with open("/proc/net/tcp", encoding="ascii") as f:
            rows = [line.split() for line in f][1:]
        return sum(row[2].endswith(f":{self.ports[hub]:04X}") and row[3] == "01" and f"socket:[{row[9]}]" in mine
                   for row in rows)

    def all_connections(self):
        return [self.connections(number, hub) for number in range(DEVICES) for hub in range(HUBS)]

    def all_wait(self, hub):
        """Each device's two tasks that this hub leads; and the question itself."""
        return self.metric(hub, "millrace_control_requests") >= DEVICES * len(TASKS) / HUBS + 1


def expect(what, found, wanted):
    if found != wanted:
        raise Failure(f"{what}: {found}, not {wanted}")


def play_rounds(scene, models):
    """A round of each task at once. `models`: what devices are given in it."""
    rounds = {task: scene.open_round(task) for task in TASKS}
    for task, number in rounds.items():
        end = scene.wait_for(f"the end of round {number} of {task.name}", scene.ended, task, number)
        expect(f"round {number} of {task.name}", (end["state"], end["included"]), ("published", DEVICES))
        for device in range(DEVICES):
            with open(f"{scene.work}/{task.name}-{device}.step.seen", encoding="utf-8") as f:
                seen = [json.loads(line) for line in f][-1]
            expect(f"the model of {task.name}", seen, {"round": number, "low": models[task], "high": models[task]})
    return {task: models[task] + sum(step_of(task, device) for device in range(DEVICES)) / DEVICES for task in TASKS}


def play(scene):
    scene.run("pki", "crl", "--dir", scene.pki)
    scene.publish_lists()
    for task in TASKS:
        scene.add_task(task)
    for hub in range(HUBS):
        scene.write_hub(hub)
        scene.start_hub(hub)
    before = [scene.metric(hub, "millrace_control_accepted_total") for hub in range(HUBS)]
    scene.devices = [scene.start_device(number) for number in range(DEVICES)]
    for hub in range(HUBS):
        visits = scene.visits
        scene.wait_for("all tasks to wait", scene.all_wait, hub)
        accepted = scene.metric(hub, "millrace_control_accepted_total") - before[hub] - (scene.visits - visits)
        expect(f"connections that hub {hub} accepted", accepted, DEVICES)
    print(f"{len(TASKS)} tasks wait, a hub accepted {DEVICES} connections of {DEVICES} devices", flush=True)

    models = play_rounds(scene, {task: 0.0 for task in TASKS})
    models = play_rounds(scene, models)
    expect("connections of each device to each hub", scene.all_connections(), [1] * HUBS * DEVICES)
    print("two rounds of each task: every sum is right, still one connection", flush=True)

    scene.kill_hub(1)
    scene.start_hub(1)
    models = play_rounds(scene, models)
    play_rounds(scene, models)
    expect("connections of each device to each hub", scene.all_connections(), [1] * HUBS * DEVICES)
    print("a hub was killed: all tasks are back over one connection", flush=True)

    scene.run("pki", "revoke", "device-001", "--dir", scene.pki)
    began = time.monotonic()
    scene.publish_lists()
    for task in TASKS:
        scene.wait_for(f"{task.name} to hear of it", lambda t=task: re.search(
            rf"{t.name}: waiting for .*certificate-refused", scene.said(1)))
    print(f"a certificate was taken back: no task got on after {time.monotonic() - began:.1f} s", flush=True)
    for hub in range(HUBS):
        expect(f"connections that hub {hub} ended", scene.metric(
            hub, 'millrace_control_connection_ends_total{cause="revoked"}'), 1)
    expect("connections of the other", [scene.connections(0, hub) for hub in range(HUBS)], [1] * HUBS)


def stop(scene):
    for device in scene.devices:
        device.terminate()
        device.wait()
    return scene.stop()


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--build", required=True)
    options = parser.parse_args()
    work = tempfile.mkdtemp(prefix="millrace-one-connection-")
    scene = OneConnection(options.build, work)
    good = False
    try:
        play(scene)
        good = True
    except Failure as failure:
        print(f"FAILED: {failure}")
        for number in range(len(scene.devices)):
            print(scene.said(number)[-3000:])
    codes = stop(scene)
    if good and any(codes):
        print(f"FAILED: the hubs ended with {codes}")
        good = False
    if good:
        shutil.rmtree(work, ignore_errors=True)
    else:
        print(f"everything is in {work}")
    return 0 if good else 1


if __name__ == "__main__":
    sys.exit(main())
