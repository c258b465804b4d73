#!/usr/bin/env python3
"""Steps of few levels between real hubs: test_requantise.py --build BUILD

Three hubs, eight devices that train, one that only takes models. What it fetches is smaller; the hubs make the same models,
also over kills, a rollback, an import and another number of bits; a hub that rounds otherwise signs nothing.
"""

import glob
import os
import struct
import sys

from play import TASK, Consumer, Failure, Play, build_of, run, sha256

STATE = b'"millrace.optimiser_state":"'


class RequantisePlay(Play):
    device = None

    def policy(self, requantise, hubs=range(3), **lines):
        for hub in hubs:
            self.scene.rounds[hub] = {"requantise": requantise, **lines}
            self.scene.write_hub(hub)
            if self.scene.processes[hub]:
                self.scene.reload_hub(hub)
                self.scene.wait_for(f"hub {hub}: requantise {requantise}", self.is_in_force, hub, requantise)

    def is_in_force(self, hub, requantise):
        with open(f"{self.scene.work}/hub-{hub}.log", encoding="utf-8") as f:
            told = [line for line in f if "requantise" in line and "after=" in line]
        return told and f"after={requantise}" in told[-1]

    def fetched(self):
        """Bytes of the delta to the newest model, which is then installed."""
        said = self.device.edge("pull", "--config", self.device.config)
        if "delta" not in said["text"]:
            raise Failure(f"not by delta: {said}")
        self.device.edge("install")
        if sha256(self.device.file) != said["model"]:
            raise Failure("another file than the release says")
        return said["fetched_bytes"]

    def model_file(self, hub, model):
        return f"{self.scene.work}/hub-{hub}/tasks/{TASK.name}/models/{model}.safetensors"

    def state_of(self, model):
        """The file of the state that a model names, the same bytes at every hub; None: it names none."""
        files = set()
        for hub in TASK.hubs:
            with open(self.model_file(hub, model), "rb") as f:
                head = f.read(4096)
            if STATE not in head:
                files.add(None)
                continue
            name = head.partition(STATE)[2][:64].decode()
            with open(f"{self.scene.work}/hub-{hub}/tasks/{TASK.name}/optimisers/{name}.state", "rb") as f:
                files.add(f.read())
        state, = files
        return state

    def waiting(self, model):
        """What rounding has left out so far: the largest of it."""
        return max(map(abs, struct.unpack_from(f"<{TASK.dimension}f", self.state_of(model), 64)))

    def last(self, number):
        return self.scene.round(TASK.lead, TASK, number)["model_hash"]

    def smaller(self):
        self.round()
        self.device.install()
        plain = [self.one() for _ in range(2)][-1]
        sizes = {"off": plain}
        for bits in (8, 4):
            self.policy(bits)
            self.one()
            sizes[bits] = self.one()
        print(f"bytes of a delta: {sizes}", flush=True)
        if not sizes[4] < 0.7 * sizes[8] or not sizes[8] < TASK.dimension * 4 / 3:
            raise Failure("deltas of few levels are not small")

    def one(self):
        self.round()
        return self.fetched()

    def chain(self):
        self.round()
        self.round()
        print(f"two versions behind: {self.fetched()} bytes", flush=True)

    def killed(self):
        """The lead and a helper die in the middle of a round's end: it comes to the same model."""
        number = self.scene.open_round(TASK)
        self.devices.ask("round")
        self.devices.answer()
        for hub in (TASK.lead, 2):
            self.scene.kill_hub(hub)
        for hub in (TASK.lead, 2):
            self.scene.start_hub(hub)
        end = self.scene.wait_for(f"the end of round {number}", self.scene.ended, TASK, number)
        if end["state"] != "published":
            raise Failure(f"round {number}: {end}")
        for hub in TASK.hubs:
            self.scene.wait_for(f"release {number} at hub {hub}", self.is_newest, hub, f"{number}.0")
        if self.waiting(end["model_hash"]) == 0:
            raise Failure("nothing waits")
        self.fetched()
        self.one()
        print("killed in between, and on", flush=True)

    def on_every_hub(self, *words):
        for hub in TASK.hubs:
            self.scene.operator(hub, "model", *words, "--task", TASK.name)

    def chosen(self):
        """A rollback has the residual that went with that model; an imported file begins with none."""
        number = self.round()
        last, old = self.last(number), self.last(number - 1)
        before = self.state_of(old)
        self.on_every_hub("rollback", str(self.version_of(old)), "--yes")
        if self.state_of(old) != before:
            raise Failure("the state of an older model is another one")
        bare = os.path.join(self.scene.work, "bare.safetensors")
        with open(f"{self.scene.work}/{TASK.name}.safetensors", "rb") as f:
            first = f.read()
        start = 8 + int.from_bytes(first[:8], "little")
        with open(self.model_file(0, last), "rb") as f:
            values = f.read()[-4 * TASK.dimension:]
        with open(bare, "wb") as f:
            f.write(first[:start] + values)
        self.on_every_hub("import", bare)
        if self.state_of(sha256(bare)) is not None:
            raise Failure("an imported file has a state")
        if self.waiting(self.last(self.round())) == 0:
            raise Failure("nothing waits after an import")
        print("rolled back, imported, and on", flush=True)

    def version_of(self, model):
        listed = self.scene.operator(0, "model", "list", "--task", TASK.name)["models"]
        return next(row["version"] for row in listed if row["model_hash"] == model)

    def another(self):
        """A hub that rounds otherwise signs no round; with the rounding off, models name no state."""
        self.policy(8, hubs=[2])
        try:
            self.scene.open_round(TASK)
        except Failure:
            pass
        self.scene.wait_for("a refusal of the terms", self.is_refused)
        self.policy("off")
        if self.state_of(self.last(self.round())) is not None:
            raise Failure("a model names a state without need")
        files = glob.glob(f"{self.scene.work}/hub-0/tasks/{TASK.name}/optimisers/*.state")
        print(f"off again; {len(files)} states of older models", flush=True)

    def is_refused(self):
        with open(f"{self.scene.work}/hub-{TASK.lead}.log", encoding="utf-8") as f:
            return "requantise 4" in f.read()

    def main(self):
        self.start()
        self.device = Consumer(self.scene, 9)
        self.smaller()
        self.chain()
        self.killed()
        self.chosen()
        self.another()


if __name__ == "__main__":
    sys.exit(run(RequantisePlay, "requantise", build=build_of(__doc__)))
