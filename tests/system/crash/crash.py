#!/usr/bin/env python3
"""SIGKILLs of either hub at random moments of rounds, and what became of every upload.

Two real hubs and a dozen real devices on loopback train without end; one hub after the other is
killed and started again. In the end every upload that a device heard `committed` for must be in its
round's published set exactly once (or the round void, with nothing released), and every published
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
import subprocess
import sys
import tempfile
import time

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "..", "..", "demo"))
import sums  # noqa: E402
from federation import Failure, Federation  # noqa: E402

TRAINING = {
    "layers": "64,4,10",
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

    def hub_yaml(self, index, quorum, cohort_min, model):
        text = super().hub_yaml(index, quorum, cohort_min, model)
        text = re.sub(r"deadline_ms: \d+", f"deadline_ms: {DEADLINE_MS}", text)
        return text.replace("commit_interval_ms: 100", "commit_interval_ms: 20\n      automatic: true")

    def write_configs(self, model):
        self.hubs = [None, None]
        for index in range(2):
            os.makedirs(f"{self.work}/hub-{index}", exist_ok=True)
            with open(f"{self.work}/hub-{index}.yaml", "w", encoding="utf-8") as f:
                f.write(self.hub_yaml(index, QUORUM, COHORT_MIN, model))

    def start_hub(self, index):
        """Starts it and waits until it says that it listens."""
        path = f"{self.work}/hub-{index}.log"
        ready, told = os.pipe()
        with open(path, "a", encoding="utf-8") as log:
            self.hubs[index] = subprocess.Popen(
                [self.program("appliance", "millrace-hub"), "--config",
                 f"{self.work}/hub-{index}.yaml", "--ready-fd", str(told)],
                stdout=log, stderr=log, stdin=subprocess.DEVNULL, pass_fds=(told,))
        os.close(told)
        with os.fdopen(ready, "rb") as f:
            if not f.readline().startswith(b"READY"):
                raise Failure(f"hub {index} did not start again: see {path}")

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
        self.fed = CrashFederation(options.build, self.work, options.devices, TRAINING)
        self.kills = collections.Counter()
        self.read_to = [0, 0]

    def start(self):
        tool = self.fed.program("demo", "digits-tool")
        shards = os.path.join(self.work, "shards")
        model = os.path.join(self.work, "initial.safetensors")
        os.makedirs(self.dumps, exist_ok=True)
        self.fed.run(tool, "split", "--input", self.options.data, "--devices",
                     str(self.options.devices), "--alpha", "5", "--seed", "7", "--held-out", "0.2",
                     "--out", shards)
        self.fed.run(tool, "init", "--layers", TRAINING["layers"], "--seed", "7", "--out", model)
        self.fed.make_identities()
        self.fed.write_configs(model)
        self.fed.start_hub(1)
        self.fed.start_hub(0)
        for number in range(self.options.devices):
            # Device 1 sends its shares over HTTP/2, the others by UDP.
            config = self.fed.device_json(f"{number:03d}", self.fed.pki, number, number)
            self.fed.start_device(f"{number:03d}", config,
                                  os.path.join(shards, f"device-{number:03d}.csv"), self.dumps,
                                  "--json")

    # --- killing -----------------------------------------------------------------------------

    def found(self, index):
        """The state that the hub found on its disk, as its newest log lines say."""
        with open(f"{self.work}/hub-{index}.log", encoding="utf-8") as f:
            f.seek(self.read_to[index])
            text = f.read()
            self.read_to[index] = f.tell()
        found = re.findall(r"(?:round|helper)\.recovered .*?state=(\w+)", text)
        lost = re.findall(r"(?:round|helper)\.lost ", text)
        return "LOST" if lost else found[-1] if found else "none"

    def kill_one(self):
        time.sleep(self.random.uniform(0, self.options.gap))
        index = self.random.randrange(2)
        with open(f"{self.work}/hub-{index}.log", encoding="utf-8") as f:
            f.seek(0, os.SEEK_END)
            self.read_to[index] = f.tell()
        self.fed.kill_hub(index)
        time.sleep(self.random.choice((0, 0, 0, self.random.uniform(0, 0.3))))
        self.fed.start_hub(index)
        self.kills[ROLES[index], self.found(index)] += 1

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
                print(f"{number} kills, {len(self.records())} rounds ended", flush=True)

    # --- the end -----------------------------------------------------------------------------

    def newest(self):
        rounds = self.fed.operator(0, "round", "list")["rounds"]
        return rounds[-1] if rounds else None

    def settle(self):
        """Without kills a round must be published; then the devices go, and the last round ends."""
        limit = time.monotonic() + 120
        before = len([r for r in self.records().values() if r["state"] == "published"])
        while len([r for r in self.records().values() if r["state"] == "published"]) < before + 2:
            if time.monotonic() > limit:
                raise Failure(f"no round is published any more: see {self.work}/hub-0.log")
            self.check_alive()
            time.sleep(0.2)
        for process in self.fed.clients.values():
            process.terminate()
        for process in self.fed.clients.values():
            process.wait(10)
        self.fed.clients = {}
        last = self.newest()
        while last and last["round"] not in self.records():
            time.sleep(0.1)

    def records(self):
        records = {}
        for path in glob.glob(f"{self.work}/hub-0/tasks/default/rounds/*.json"):
            with open(path, encoding="utf-8") as f:
                records[int(os.path.basename(path)[:-5])] = json.load(f)
        return records

    def heard(self):
        """(client, round, attempt) of every `committed` that a device printed."""
        for path in sorted(glob.glob(f"{self.work}/device-*.log")):
            client = self.client_of(path)
            with open(path, encoding="utf-8") as f:
                for line in f:
                    if line.startswith("{"):
                        outcome = json.loads(line)
                        yield client, outcome["round"], outcome["attempt"], outcome["result"]

    def client_of(self, log):
        """The client id that the device's certificate carries."""
        number = os.path.basename(log)[len("device-"):-len(".log")]
        text = self.fed.run("openssl", "x509", "-noout", "-ext", "subjectAltName", "-in",
                            f"{self.fed.pki}/device-{number}.pem")
        return re.search(r"urn:millrace:device:([0-9a-f]{32})", text).group(1)

    def check(self):
        records = self.records()
        problems = []
        counts = collections.Counter()
        for number, record in sorted(records.items()):
            counts[record["state"]] += 1
            if record["state"] == "void":
                counts[f"void: {re.sub(r'[0-9]+', 'N', record['reason'])[:70]}"] += 1
                if os.path.exists(f"{self.work}/hub-0/tasks/default/rounds/{number}.sum"):
                    problems.append(f"round {number} is void and its sum was written")
                continue
            clients = [m["client_id"] for m in record["included"]]
            counts["included"] += len(clients)
            if len(set(clients)) != len(clients) or len(clients) < COHORT_MIN:
                problems.append(f"round {number}: a device twice, or too few: {len(clients)}")
            for hub in range(2):
                check = sums.compare(f"{self.work}/hub-{hub}", self.dumps, number)
                counts["sums"] += 1
                if not check.equal or check.included != clients:
                    problems.append(f"round {number} at hub {hub}: {check.detail or 'other set'}")
        for client, number, attempt, result in self.heard():
            counts[f"device: {result}"] += 1
            if result != "committed":
                continue
            record = records.get(number)
            if record is None:
                problems.append(f"{client} heard committed for round {number}, which never ended")
            elif record["state"] == "void":
                counts["committed in void rounds"] += 1
            elif [m["attempt"] for m in record["included"] if m["client_id"] == client] != [attempt]:
                problems.append(f"{client} heard committed for attempt {attempt} of round {number},"
                                f" which is not in its set exactly once")
        return counts, problems

    def main(self):
        began = time.monotonic()
        self.start()
        self.kill_all()
        self.settle()
        codes = self.fed.stop()
        counts, problems = self.check()
        if codes != [0, 0]:
            problems.append(f"the hubs ended with {codes}")
        if counts["published"] == 0:
            problems.append("no round was published")
        problems += [f"{n} times the {role} lost its round" for (role, state), n
                     in self.kills.items() if state == "LOST"]
        self.report(counts, problems, time.monotonic() - began)
        return 1 if problems else 0

    def report(self, counts, problems, seconds):
        for problem in problems:
            print(f"WRONG: {problem}")
        for role in ROLES:
            states = {s: n for (r, s), n in sorted(self.kills.items()) if r == role}
            print(f"killed {role:6} {sum(states.values()):4}: "
                  + ", ".join(f"{n} in {s}" for s, n in states.items()))
        for name, value in sorted(counts.items()):
            print(f"{name}: {value}")
        print(f"{sum(self.kills.values())} kills, {counts['published']} rounds published, "
              f"{counts['void']} void, {counts['device: committed']} committed told, "
              f"{len(problems)} mismatches, seed {self.options.seed}, {seconds:.0f} s")


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
