#!/usr/bin/env python3
"""SIGKILLs of either hub at random moments of rounds, and what became of every upload.

Two real hubs and a dozen real devices on loopback train two tasks without end: each hub leads one
and helps in the other, each device is one process that takes part in both. One hub after the other
is killed and started again. In the end every upload that a device heard `committed` for must be in
its round's published set exactly once (or the round void, with nothing released), and every published
sum, on both hubs, must be the plain sum of the vectors that its devices dumped before masking. Run
it through `./run crash`.
"""

import argparse
import collections
import glob
import json
import os
import random
import re
import shutil
import sys
import tempfile
import time

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "..", "..", "demo"))
import sums  # noqa: E402
from federation import Failure, Federation, Task, start_hub  # noqa: E402

LAYERS = {"narrow": "64,4,10", "wide": "64,9,10"}
TRAINING = {
    "rotation_log2": 0,
    "scale": 400.0,
    "clip_norm": 4.0,
    "weight_max": 100,
    "trainer": {"epochs": 1, "batch": 8, "learning_rate": 0.2},
}
QUORUM = 8
COHORT_MIN = 4
DEADLINE_MS = 8000
ROLES = ("lead", "helper")


class CrashFederation(Federation):
    """Hubs that open rounds by themselves, and can be killed and started again one by one."""

    def __init__(self, build, work, devices):
        super().__init__(build, work, devices, TRAINING)
        self.tasks = [Task(name, hubs, os.path.join(work, f"{name}.safetensors"))
                      for name, hubs in zip(LAYERS, ((0, 1), (1, 0)))]

    def round_options(self):
        return {**super().round_options(), "deadline_ms": DEADLINE_MS, "commit_interval_ms": 20,
                "automatic": "true"}

    def write_configs(self):
        self.hubs = [None, None]
        for index in range(2):
            os.makedirs(f"{self.work}/hub-{index}", exist_ok=True)
            with open(f"{self.work}/hub-{index}.yaml", "w", encoding="utf-8") as f:
                f.write(self.hub_yaml(index, QUORUM, COHORT_MIN, None))

    def start_hub(self, index):
        self.hubs[index] = start_hub(self.program("appliance", "millrace-hub"),
                                     f"{self.work}/hub-{index}.yaml", f"{self.work}/hub-{index}.log")

    def kill_hub(self, index):
        self.hubs[index].kill()
        self.hubs[index].wait()


class Crash:
    def __init__(self, options):
        self.options = options
        self.random = random.Random(options.seed)
        self.work = options.work or tempfile.mkdtemp(prefix="millrace-crash-")
        os.makedirs(self.work, exist_ok=True)
        self.dumps = os.path.join(self.work, "dumps")
        self.fed = CrashFederation(options.build, self.work, options.devices)
        self.kills = 0
        self.states = collections.Counter()  # (role, task, state found): kills
        self.read_to = [0, 0]
        self.counts = collections.Counter()
        self.problems = []

    def start(self):
        tool = self.fed.program("demo", "digits-tool")
        shards = os.path.join(self.work, "shards")
        os.makedirs(self.dumps, exist_ok=True)
        self.fed.run(tool, "split", "--input", self.options.data, "--devices",
                     str(self.options.devices), "--alpha", "5", "--seed", "7", "--held-out", "0.2",
                     "--out", shards)
        for task in self.fed.tasks:
            self.fed.run(tool, "init", "--layers", LAYERS[task.name], "--seed", "7", "--out", task.model)
        self.fed.make_identities()
        self.fed.write_configs()
        self.fed.start_hub(1)
        self.fed.start_hub(0)
        for number in range(self.options.devices):
            # Device 1 sends its shares over HTTP/2, the others by UDP.
            first, second = (self.fed.device_json(f"{number:03d}-{task.name}", self.fed.pki, number,
                                                  number, task) for task in self.fed.tasks)
            data = os.path.join(shards, f"device-{number:03d}.csv")
            self.fed.start_device(f"{number:03d}", first, data, self.dumps, "--config", second,
                                  "--data", data, "--json")

    # --- killing -----------------------------------------------------------------------------

    def count(self, index):
        """Counts a kill for each task by the state that the hub found on its disk, as its newest log
        lines say."""
        with open(f"{self.work}/hub-{index}.log", encoding="utf-8") as f:
            f.seek(self.read_to[index])
            text = f.read()
            self.read_to[index] = f.tell()
        for task in self.fed.tasks:
            found = re.findall(rf"(?:round|helper)\.recovered .*?task={task.name} .*?state=(\w+)", text)
            lost = re.findall(rf"(?:round|helper)\.lost .*?task={task.name} ", text)
            state = "LOST" if lost else found[-1] if found else "none"
            self.states[ROLES[task.hubs.index(index)], task.name, state] += 1

    def kill_one(self):
        time.sleep(self.random.uniform(0, self.options.gap))
        index = self.random.randrange(2)
        with open(f"{self.work}/hub-{index}.log", encoding="utf-8") as f:
            f.seek(0, os.SEEK_END)
            self.read_to[index] = f.tell()
        self.fed.kill_hub(index)
        time.sleep(self.random.choice((0, 0, 0, self.random.uniform(0, 0.3))))
        self.fed.start_hub(index)
        self.kills += 1
        self.count(index)

    def check_alive(self):
        for index, process in enumerate(self.fed.hubs):
            if process.poll() is not None:
                raise Failure(f"hub {index} ended by itself with {process.returncode}: "
                              f"see {self.work}/hub-{index}.log")
        for name, process in self.fed.clients.items():
            if process.poll() is not None:
                raise Failure(f"device {name} ended by itself with {process.returncode}: "
                              f"see {self.work}/device-{name}.log")

    def kill_all(self):
        for number in range(1, self.options.kills + 1):
            self.kill_one()
            self.check_alive()
            if number % 50 == 0:
                ended = sum(len(self.records(task)) for task in self.fed.tasks)
                print(f"{number} kills, {ended} rounds ended", flush=True)

    # --- the end -----------------------------------------------------------------------------

    def newest(self, task):
        rounds = self.fed.operator(task.hubs[0], "round", "list", "--task", task.name)["rounds"]
        return rounds[-1]["round"] if rounds else None

    def published(self, task):
        return sum(record["state"] == "published" for record in self.records(task).values())

    def wait_for(self, what, condition):
        limit = time.monotonic() + 120
        while not condition():
            if time.monotonic() > limit:
                raise Failure(f"{what}: not within two minutes, see {self.work}/hub-*.log")
            self.check_alive()
            time.sleep(0.2)

    def settle(self):
        """Without kills rounds of each task must be published; then the devices go, and the last
        rounds end."""
        before = [self.published(task) for task in self.fed.tasks]
        for task, count in zip(self.fed.tasks, before):
            self.wait_for(f"two more published rounds of {task.name}",
                          lambda t=task, n=count: self.published(t) >= n + 2)
        for process in self.fed.clients.values():
            process.terminate()
        for process in self.fed.clients.values():
            process.wait(10)
        self.fed.clients = {}
        for task, last in [(task, self.newest(task)) for task in self.fed.tasks]:
            self.wait_for(f"the end of round {last} of {task.name}",
                          lambda t=task, n=last: n in self.records(t))

    def rounds_dir(self, hub, task):
        return f"{self.work}/hub-{hub}/tasks/{task.name}/rounds"

    def records(self, task):
        """What the task's lead wrote of each round that ended."""
        records = {}
        for path in glob.glob(f"{self.rounds_dir(task.hubs[0], task)}/*.json"):
            with open(path, encoding="utf-8") as f:
                records[int(os.path.basename(path)[:-5])] = json.load(f)
        return records

    def heard(self):
        """(client, what it printed) of every round that a device took part in."""
        for path in sorted(glob.glob(f"{self.work}/device-*.log")):
            client = self.client_of(path)
            with open(path, encoding="utf-8") as f:
                for line in f:
                    if line.startswith("{"):
                        yield client, json.loads(line)

    def client_of(self, log):
        """The client id that the device's certificate carries."""
        number = os.path.basename(log)[len("device-"):-len(".log")]
        text = self.fed.run("openssl", "x509", "-noout", "-ext", "subjectAltName", "-in",
                            f"{self.fed.pki}/device-{number}.pem")
        return re.search(r"urn:millrace:device:([0-9a-f]{32})", text).group(1)

    def check_round(self, task, number, record):
        self.counts[record["state"]] += 1
        if record["state"] == "void":
            self.counts[f"void: {re.sub(r'[0-9]+', 'N', record['reason'])[:70]}"] += 1
            if os.path.exists(f"{self.rounds_dir(task.hubs[0], task)}/{number}.sum"):
                self.problems.append(f"{task.name} round {number} is void and its sum was written")
            return
        clients = [m["client_id"] for m in record["uploads"]]
        self.counts["included"] += len(clients)
        if len(set(clients)) != len(clients) or len(clients) < COHORT_MIN:
            self.problems.append(f"{task.name} round {number}: a device twice, or too few: {len(clients)}")
        for hub in task.hubs:
            check = sums.compare(f"{self.work}/hub-{hub}", task.name, self.dumps, number)
            self.counts["sums"] += 1
            if not check.equal or check.included != clients:
                self.problems.append(f"{task.name} round {number} at hub {hub}: "
                                     f"{check.detail or 'other set'}")

    def check_outcome(self, records, client, outcome):
        """What the device heard must be what the round's record says."""
        self.counts[f"device: {outcome['result']}"] += 1
        if outcome["result"] == "published" or (outcome["result"] == "void" and "model" in outcome):
            record = records[outcome["task"]].get(outcome["round"])
            if record is None or record["state"] != outcome["result"] or (
                    outcome["model"] and outcome["model"] != record["model_hash"]):
                self.problems.append(f"{client} heard {outcome['result']} of {outcome['task']} round {outcome['round']}")
        if outcome["result"] != "committed":
            return
        name, number, attempt = outcome["task"], outcome["round"], outcome["attempt"]
        record = records[name].get(number)
        said = f"{client} heard committed for attempt {attempt} of {name} round {number},"
        if record is None:
            self.problems.append(f"{said} which never ended")
        elif record["state"] == "void":
            self.counts["committed in void rounds"] += 1
        elif [m["attempt"] for m in record["uploads"] if m["client_id"] == client] != [attempt]:
            self.problems.append(f"{said} which is not in its set exactly once")

    def check(self):
        records = {task.name: self.records(task) for task in self.fed.tasks}
        for task in self.fed.tasks:
            for number, record in sorted(records[task.name].items()):
                self.check_round(task, number, record)
            if self.published(task) == 0:
                self.problems.append(f"no round of {task.name} was published")
        for client, outcome in self.heard():
            self.check_outcome(records, client, outcome)
        self.problems += [f"{n} times the {role} lost its round of {task}"
                          for (role, task, state), n in self.states.items() if state == "LOST"]

    def main(self):
        began = time.monotonic()
        self.start()
        self.kill_all()
        self.settle()
        codes = self.fed.stop()
        self.check()
        if codes != [0, 0]:
            self.problems.append(f"the hubs ended with {codes}")
        self.report(time.monotonic() - began)
        return 1 if self.problems else 0

    def report(self, seconds):
        for problem in self.problems:
            print(f"WRONG: {problem}")
        for role, task in sorted({key[:2] for key in self.states}, reverse=True):
            states = {s: n for (r, t, s), n in sorted(self.states.items()) if (r, t) == (role, task)}
            print(f"killed as {role:6} of {task:6} {sum(states.values()):4}: "
                  + ", ".join(f"{n} in {s}" for s, n in states.items()))
        for name, value in sorted(self.counts.items()):
            print(f"{name}: {value}")
        print(f"{self.kills} kills, {self.counts['published']} rounds published, "
              f"{self.counts['void']} void, {self.counts['device: committed']} committed told, "
              f"{len(self.problems)} mismatches, seed {self.options.seed}, {seconds:.0f} s")


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--build", required=True)
    parser.add_argument("--data", required=True)
    parser.add_argument("--kills", type=int, default=500)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--devices", type=int, default=12)
    parser.add_argument("--gap", type=float, default=1.6, help="most seconds between two kills")
    parser.add_argument("--work", help="keep everything in this folder")
    options = parser.parse_args()
    crash = Crash(options)
    code = 1
    try:
        code = crash.main()
    except Failure as failure:
        print(f"FAILED: {failure}")
    finally:
        for process in [*crash.fed.clients.values(), *filter(None, crash.fed.hubs)]:
            if process.poll() is None:
                process.kill()
                process.wait()
        if code == 0 and not options.work:
            shutil.rmtree(crash.work, ignore_errors=True)
        elif code:
            print(f"everything is in {crash.work}")
    return code


if __name__ == "__main__":
    sys.exit(main())
