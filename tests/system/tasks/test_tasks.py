#!/usr/bin/env python3
"""Many tasks on the same hubs, at once: test_tasks.py --build BUILD

Three hubs, four tasks (hub 0 leads two and helps in one, hubs 1 and 2 lead one each) with rings of
8, 12, 24 and 32 bits and models of 1,000 to 1,000,000 values, forty devices. Every published sum, on
every hub of its task, must be the plain sum of the devices that heard `committed`; a SIGKILL of each
hub in turn loses nothing; a task added and one taken away by SIGHUP in the middle of rounds disturb
no other.
"""

import argparse
import shutil
import sys
import tempfile

from scene import Devices, Failure, Scene, Task

TASKS = (
    Task("small", [0, 1], 1000, 8, range(0, 10)),
    Task("wide", [0, 2], 50_000, 24, range(10, 20), chunk_bytes=1216),
    Task("threefold", [1, 0, 2], 200_000, 32, range(20, 30)),
    Task("million", [2, 1], 1_000_000, 12, range(30, 40), chunk_bytes=8896),
)
ADDED = Task("added", [1, 2], 5000, 10, range(0, 10)) # the devices of "small" have it as well


class Play:
    def __init__(self, scene):
        self.scene = scene
        self.devices = {}
        self.sums = 0

    def open_all(self, tasks):
        """Opens a round of each task and lets all their devices go."""
        rounds = {task: self.scene.open_round(task) for task in tasks}
        for task in tasks:
            self.devices[task.name].ask("round")
        return rounds

    def settle(self, task, number):
        """The round must be published, with every device that heard `committed`, on every hub."""
        told = self.devices[task.name].answer()
        end = self.scene.wait_for(f"the end of round {number} of {task.name}", self.scene.ended,
                                  task, number)
        if end["state"] != "published":
            raise Failure(f"round {number} of {task.name} is void: {end.get('reason')}")
        if told["round"] != number or told["committed"] < len(task.devices):
            raise Failure(f"round {number} of {task.name}: {told}")
        for hub in task.hubs:
            path = self.scene.sum_file(hub, task, number)
            self.devices[task.name].ask(f"check {path}")
            checked = self.devices[task.name].answer()
            if not checked["equal"] or checked["members"] != len(task.devices):
                raise Failure(f"{path}: {checked}")
            self.sums += 1

    def all_at_once(self):
        rounds = self.open_all(TASKS)
        for task in TASKS:
            self.settle(task, rounds[task])
        print(f"{len(TASKS)} tasks at once: every sum is the plain sum", flush=True)

    def every_hub_tells(self):
        """The operator sees the same tasks and rounds on every hub, whatever its role in them."""
        for hub in range(len(self.scene.processes)):
            mine = [task for task in TASKS if hub in task.hubs]
            listed = self.scene.operator(hub, "task", "list")["tasks"]
            if [row["task"] for row in listed] != [task.name for task in mine]:
                raise Failure(f"hub {hub} lists {listed}")
            for task in mine:
                shown = self.scene.operator(hub, "task", "show", task.name)
                rounds = self.scene.operator(hub, "round", "list", "--task", task.name)["rounds"]
                role = "lead" if hub == task.lead else "helper"
                if (shown["role"], shown["hubs"], shown["policy"]["ring_bits"]) != (
                        role, task.hubs, task.ring_bits):
                    raise Failure(f"hub {hub} shows {shown}")
                if [(r["round"], r["role"], r["included"]) for r in rounds] != [
                        (1, role, len(task.devices))]:
                    raise Failure(f"hub {hub} lists the rounds {rounds}")
        print("every hub tells of its tasks and their rounds", flush=True)

    def uploads_begin(self, rounds):
        for task, number in rounds.items():
            if self.scene.round(task.lead, task, number)["admitted"] > 0:
                return True
        return False

    def kill_each(self):
        for hub in range(len(self.scene.processes)):
            rounds = self.open_all(TASKS)
            self.scene.wait_for("the first upload", self.uploads_begin, rounds)
            self.scene.kill_hub(hub)
            self.scene.start_hub(hub)
            for task in TASKS:
                self.settle(task, rounds[task])
            print(f"hub {hub} killed in the middle of {len(TASKS)} rounds: nothing is lost", flush=True)

    def served(self, hub, name):
        return any(task["task"] == name for task in self.scene.operator(hub, "task", "list")["tasks"])

    def reload(self):
        """`million` goes and `added` comes while the other tasks are in a round."""
        gone, stay = TASKS[-1], TASKS[:-1]
        rounds = self.open_all(stay)
        del self.scene.tasks[gone.name]
        self.scene.add_task(ADDED)
        for hub in range(len(self.scene.processes)):
            self.scene.write_hub(hub)
            self.scene.reload_hub(hub)
        for hub in ADDED.hubs:
            self.scene.wait_for(f"{ADDED.name} at hub {hub}", self.served, hub, ADDED.name)
        for hub in gone.hubs:
            self.scene.wait_for(f"the end of {gone.name} at hub {hub}",
                                lambda h=hub: not self.served(h, gone.name))
        self.devices[ADDED.name] = Devices(self.scene, ADDED)
        rounds.update(self.open_all([ADDED]))
        for task, number in rounds.items():
            self.settle(task, number)
        print("one task added, one taken away: no other was disturbed", flush=True)

    def main(self):
        for task in TASKS:
            self.scene.add_task(task)
        for hub in range(len(self.scene.processes)):
            self.scene.write_hub(hub)
            self.scene.start_hub(hub)
        for task in TASKS:
            self.devices[task.name] = Devices(self.scene, task)
        self.all_at_once()
        self.every_hub_tells()
        self.kill_each()
        self.reload()

    def stop(self):
        for devices in self.devices.values():
            devices.stop()
        return self.scene.stop()


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--build", required=True)
    parser.add_argument("--work", help="keep everything in this folder")
    options = parser.parse_args()
    work = options.work or tempfile.mkdtemp(prefix="millrace-tasks-")
    play = Play(Scene(options.build, work))
    good = False
    try:
        play.main()
        good = True
    except Failure as failure:
        print(f"FAILED: {failure}")
    codes = play.stop()
    if good and any(codes):
        print(f"FAILED: the hubs ended with {codes}")
        good = False
    print(f"{play.sums} sums compared")
    if good and not options.work:
        shutil.rmtree(work, ignore_errors=True)
    elif not good:
        print(f"everything is in {work}")
    return 0 if good else 1


if __name__ == "__main__":
    sys.exit(main())
