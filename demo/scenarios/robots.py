"""Robots that learn a part which is new to them: `./run demo --scenario robots`.

Forty robots find parts on a belt with a small quantised network, whose backbone is frozen. At sixteen of them people label frames
with a part that the network does not know. Each round they train the detection head for one epoch on the frames labelled since,
and a quorum of 30 % of the fleet closes it. Every robot waits for the release that both hubs sign, and installs it. The figure is
the time from the quorum to the last robot's installed model: its application's file leads to it.
"""

import json
import os
import re
import statistics
import subprocess
import threading
import time
from datetime import datetime

import numpy as np

import frames
import page
from stage import Failure, Stage

TITLE = "A new part, from the quorum to the last robot"
ABOUT = ("The parts are real handwritten digits (UCI, CC BY 4.0); the frames that they are seen in are put together, so synthetic "
         "(demo/scenarios/frames.py). Rounds follow each other at once. Robots are not attested: hubs know them by their certificates.")
HUBS = 2
QUORUM_SHARE = 0.3
TRAINER = '{"epochs": 1, "batch": 8, "learning_rate": 0.05}'
WAIT_MS = 30000
LIMIT_S = 2.0
SIZES = {
    "full": {"robots": 40, "labelled": 16, "rounds": 6, "frames": 12, "pretraining": 900},
    "small": {"robots": 10, "labelled": 4, "rounds": 2, "frames": 4, "pretraining": 30},
}
HEALTHY = """#!/bin/sh
# The robot's own word on a new model: the file is whole, as long as its header and tensors say.
test "$(wc -c <"$1")" -eq {size}
"""


def device(number, size):
    """The training function of a robot at which frames are labelled."""
    plan = SIZES[size]
    camera = frames.Camera(number, frames.digits(frames.ROBOTS))

    def train(weights, task):
        places, kinds = camera.frames(plan["frames"], share_new=0.25)
        seen, random, losses = frames.look(weights, places)[0], np.random.default_rng(task.seed), []
        order = random.permutation(len(kinds))
        for at in range(0, len(order), task.training["batch"]):
            chosen = order[at:at + task.training["batch"]]
            loss, found, _ = frames.head_gradients(weights, seen[chosen], kinds[chosen])
            losses.append(loss)
            for name in frames.HEAD:
                weights[name] -= task.training["learning_rate"] * found[name]
        return weights, len(kinds), {"loss": float(np.mean(losses))}
    return train


class Robot:
    """What runs the application's model: `millrace-edge install` again and again, as a service would."""

    def __init__(self, stage, number, health):
        self.file = os.path.join(stage.work, "application", f"{number:03d}.safetensors")
        self.installed = {}  # {hash of the model: seconds of the wall clock}
        self.failed = None
        config = os.path.join(stage.folder, f"application-{number:03d}.json")
        with open(stage.device_file(number), encoding="utf-8") as f:
            device_json = json.load(f)
        device_json["data_dir"] = f"data-application-{number:03d}"
        os.makedirs(os.path.join(stage.folder, device_json["data_dir"]))
        with open(config, "w", encoding="utf-8") as f:
            json.dump(device_json, f)
        self.command = [os.path.join(stage.build, "edge-client", "millrace-edge"), "install", "--config", config, "--into",
                        self.file, "--health", health, "--wait-ms", str(WAIT_MS), "--json"]
        self.ending = threading.Event()
        self.process = None
        self.thread = threading.Thread(target=self.serve)

    def serve(self):
        while not self.ending.is_set():
            with subprocess.Popen(self.command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as self.process:
                said, why = self.process.communicate()
            if self.ending.is_set():
                return
            told = json.loads(said.splitlines()[-1]) if said.strip() else {"result": "nothing", "code": why}
            if told["result"] == "updated":
                self.installed[told["model"]] = os.lstat(self.file).st_mtime  # when the link was made that leads to it
            elif told["result"] not in ("ok", "unreachable") and told["code"] not in ("frozen", "unsigned"):
                self.failed = f"{self.file}: {said}{why}"
                return

    def stop(self):
        self.ending.set()
        if self.process and self.process.poll() is None:
            self.process.terminate()
        if self.thread.ident:
            self.thread.join()


class Robots:
    def __init__(self, build, work, size, say):
        self.size, self.say, self.plan = size, say, SIZES[size]
        self.stage = Stage(build, work, HUBS, self.plan["robots"])
        self.fleet, self.rows = [], []
        self.quorum = max(2, round(QUORUM_SHARE * self.plan["robots"]))
        pool = frames.digits(frames.JUDGES)
        shown = [frames.Camera(5000 + i, pool).frames(20, share_new=0.1) for i in range(8)]
        self.test = [np.concatenate(part) for part in zip(*shown)]

    def prepare(self):
        import millrace
        stage = self.stage
        model = os.path.join(stage.work, "first.safetensors")
        self.weights = frames.pretrained(self.plan["pretraining"])
        millrace.save(self.weights, model, frozen=frames.BACKBONE)
        stage.prepare(model, {"cohort_min": self.quorum, "quorum": self.quorum, "clip_norm": 1, "weight_max": 200,
                              "training": f"'{TRAINER}'"})
        health = os.path.join(stage.work, "health.sh")
        with open(health, "w", encoding="ascii") as f:
            f.write(HEALTHY.format(size=os.path.getsize(model)))
        os.chmod(health, 0o755)
        os.makedirs(os.path.join(stage.work, "application"))
        self.fleet = [Robot(stage, number, health) for number in range(self.plan["robots"])]

    def quorum_at(self, number):
        """When the lead closed the round, by its log: seconds of the wall clock, which is the robots' too."""
        with open(os.path.join(self.stage.work, "hub-0.log"), encoding="utf-8") as f:
            at, = re.findall(rf"^(\S+)Z info round\.closing task=default round={number} ", f.read(), re.MULTILINE)
        return datetime.fromisoformat(at + "+00:00").timestamp()

    def all_installed(self, model):
        limit = time.monotonic() + 120
        while any(model not in robot.installed for robot in self.fleet):
            for robot in self.fleet:
                if robot.failed:
                    raise Failure(robot.failed)
            if time.monotonic() > limit:
                raise Failure(f"model {model} was not installed everywhere within 120 s; see {self.stage.work}")
            time.sleep(0.01)
        return sorted(robot.installed[model] for robot in self.fleet)

    def note(self, number, weights, joined=0, delays=()):
        found, right, false = frames.judge(weights, *self.test)
        row = {"round": number, "joined": joined, "found": found, "right": right, "false": false,
               "first_s": min(delays, default=0.0), "median_s": statistics.median(delays) if delays else 0.0,
               "last_s": max(delays, default=0.0)}
        self.rows.append(row)
        self.say(f"{number:5d} {joined:6d} {found:10.3f} {right:7.3f}" + (
            f" {row['first_s']:9.2f} {row['median_s']:8.2f} {row['last_s']:7.2f}" if delays else ""))

    def rounds(self):
        import millrace
        for _ in range(self.plan["rounds"]):
            number = self.stage.open_round()
            outcome = self.stage.end_of_round(number)
            installed = self.all_installed(outcome["model_hash"])
            quorum = self.quorum_at(number)
            weights = millrace.load(self.fleet[-1].file)
            self.note(number, weights, outcome["included"], [at - quorum for at in installed])
            same = all(self.weights[name].tobytes() == weights[name].tobytes() for name in frames.BACKBONE)
            self.rows[-1]["backbone_same"] = same

    def main(self):
        plan = self.plan
        self.say(f"{plan['robots']} robots, frames labelled at {plan['labelled']} of them, a quorum of {self.quorum}")
        self.prepare()
        trained, everything = (sum(self.weights[name].size for name in names) for names in (frames.HEAD, self.weights))
        self.say(f"      the head is {trained} of {everything} values; the rest is frozen, on the grid of int8\n"
                 "round joined  new part  others   s from quorum to the first, median, last robot")
        self.stage.start_hubs()
        for robot in self.fleet:
            robot.thread.start()
        self.note(0, self.weights)
        self.stage.start_fleet("robots", self.size, range(plan["labelled"]))
        try:
            self.rounds()
        finally:
            for robot in self.fleet:
                robot.stop()
        files = [self.same_file(robot) for robot in self.fleet]
        codes = self.stage.stop()
        return self.verdict(files, codes, trained, everything)

    def same_file(self, robot):
        with open(robot.file, "rb") as f, open(self.fleet[0].file, "rb") as other:
            return f.read() == other.read()

    def verdict(self, files, codes, trained, everything):
        rounds, first, last = self.rows[1:], self.rows[0], self.rows[-1]
        checks = [
            ("each round closed with its quorum of 30 %", all(row["joined"] >= self.quorum for row in rounds)),
            ("every robot installed every release, and has the same model as all others", all(files)),
            ("the backbone stayed as it was, byte for byte", all(row["backbone_same"] for row in rounds)),
            ("both hubs stopped cleanly", codes == [0] * HUBS)]
        if self.size == "full":
            checks.append(("the new part is found at 0.7 of its places or more, and others lost at most 0.08",
                           last["found"] >= 0.7 and last["right"] >= first["right"] - 0.08))
        delays = [row["last_s"] for row in rounds]
        figure = (f"from the quorum to the last of {self.plan['robots']} robots' installed model: {statistics.median(delays):.2f} s "
                  f"(median of {len(delays)} rounds; {min(delays):.2f} to {max(delays):.2f}; wanted: {LIMIT_S:g} or less, on a machine that does "
                  f"nothing else); new part found {first['found']:.3f} -> {last['found']:.3f}")
        parts = [page.chart("From quorum to the installed model", "seconds", {
            name: [row[f"{name}_s"] for row in rounds] for name in ("last", "median", "first")}),
                 page.chart("Judged right, on frames of no robot", "share of places", {
                     "the new part": [row["found"] for row in self.rows], "all others": [row["right"] for row in self.rows]},
                            places=f"before, and after round 1 to {last['round']}"),
                 page.table(("round", "joined", "new part", "others", "taken for it", "first s", "median s", "last s"), [
                     (row["round"], row["joined"], *(f"{row[name]:.3f}" for name in (
                         "found", "right", "false", "first_s", "median_s", "last_s"))) for row in self.rows])]
        summary = {"scenario": "robots", "robots": self.plan["robots"], "quorum": self.quorum, "trained_values": trained,
                   "values": everything, "last_robot_s": delays, "last_robot_s_median": statistics.median(delays),
                   "found_before": first["found"], "found_after": last["found"], "right_before": first["right"],
                   "right_after": last["right"]}
        return figure, checks, parts, summary


PLAY = Robots
