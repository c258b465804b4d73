"""What every scenario stands on: hubs as an operator would start them, devices in Python, and a folder.

The federation is written by `millrace config init`; what a scenario wants otherwise is put into the
hubs' files as an operator would put it there. Hubs are processes with mutual TLS on loopback. Devices
are clients of the package `millrace`, many threads in a few processes (fleet.py).
"""

import json
import os
import re
import subprocess
import sys
import time

HERE = os.path.dirname(os.path.abspath(__file__))
sys.path.insert(0, os.path.dirname(HERE))
from federation import Failure, free_base_port, start_hub, yaml_lines  # noqa: E402 pylint: disable=wrong-import-position

DEADLINE_MS = 120_000
PATIENCE_MS = "60000"  # with a hub on a machine that is busy with something else
RHO = 2.0**-40  # the unit of costs in announcements
ROUND_GENERATED = re.compile(r"    round:\n(      .*\n)+")


class Stage:
    """A federation in `work`: a context manager that ends what it started."""

    def __init__(self, build, work, hubs, devices):
        self.build, self.work, self.hubs, self.devices = build, os.path.abspath(work), hubs, devices
        self.folder = os.path.join(self.work, "federation")
        self.dumps = os.path.join(self.work, "dumps")
        self.processes, self.fleets = [], []
        os.makedirs(self.dumps, exist_ok=True)

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.stop()

    def run(self, *words):
        """A `millrace` command to its end; its standard output."""
        done = subprocess.run([os.path.join(self.build, "appliance", "cli", "millrace"), *words],
                              stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, check=False)
        if done.returncode != 0:
            raise Failure(f"millrace {' '.join(words)}\nexit {done.returncode}: {done.stderr.strip()}")
        return done.stdout

    # --- files -------------------------------------------------------------------------------

    def prepare(self, model, rounds, **sections):
        """Writes the federation. `rounds`: options of tasks.round; `sections`: of others of the task."""
        self.run("config", "init", "--dir", self.folder, "--hubs", str(self.hubs), "--devices", str(self.devices),
                 "--base-port", str(free_base_port(self.hubs)), "--model", model)
        options = {"deadline_ms": DEADLINE_MS, "commit_interval_ms": 50, **rounds}
        task = "    round:\n" + yaml_lines(options, 6) + "".join(
            f"    {name}:\n{yaml_lines(values, 6)}" for name, values in sections.items())
        for hub in range(self.hubs):
            path = self.hub_file(hub)
            with open(path, encoding="utf-8") as f:
                text = f.read()
            text, found = ROUND_GENERATED.subn(task, text)
            if found != 1:
                raise Failure(f"{path}: no section `round` where `millrace config init` used to write one")
            text = text.replace("upload:\n", "upload:\n  workers: 1\n")
            text = text.replace("control:\n", f"control:\n  handshake_timeout_ms: {PATIENCE_MS}\n")
            with open(path, "w", encoding="utf-8") as f:
                f.write(text)

    def hub_file(self, hub):
        return os.path.join(self.folder, f"hub-{hub}.yaml")

    def hub_data(self, hub):
        return os.path.join(self.folder, f"data-{hub}")

    def device_file(self, number):
        return os.path.join(self.folder, f"device-{number:03d}.json")

    def model_file(self, outcome, hub=0):
        return os.path.join(self.hub_data(hub), "tasks", "default", "models", f"{outcome['model_hash']}.safetensors")

    def plan_privacy(self, epsilon, delta, rounds, devices, dimension, clip):
        """What `millrace dp plan` says."""
        return json.loads(self.run(
            "dp", "plan", "--epsilon", f"{epsilon:.9g}", "--delta", str(delta), "--rounds", str(rounds), "--hubs",
            str(self.hubs), "--devices", str(devices), "--dimension", str(dimension), "--clip", str(clip), "--json"))

    def spent(self):
        """What each device has spent of the task's budget, by each hub's own ledger: a dict a hub."""
        found = []
        for hub in range(self.hubs):
            rows = map(json.loads, self.run(*self.asking(hub, "budget", "export", "default")).splitlines())
            found.append({row["device"]: row["spent"] * RHO for row in rows})
        return found

    # --- processes ---------------------------------------------------------------------------

    def start_hubs(self):
        for hub in range(self.hubs):
            self.processes.append(start_hub(os.path.join(self.build, "appliance", "millrace-hub"), self.hub_file(hub),
                                            os.path.join(self.work, f"hub-{hub}.log")))

    def start_fleet(self, scenario, size, numbers, processes=2):
        """Devices `numbers` of `scenario`, in so many processes."""
        numbers = list(numbers)
        for part in range(min(processes, len(numbers))):
            self.fleets.append(Fleet(self, scenario, size, numbers[part::processes], len(self.fleets)))

    def heard(self):
        """What devices have said since the last call: dicts."""
        return [line for fleet in self.fleets for line in fleet.heard()]

    def asking(self, hub, *words):
        """The words of a command that asks a hub, for JSON."""
        return [*words, "--config", os.path.join(self.folder, "operator.json"), "--hub-index", str(hub), "--timeout-ms",
                PATIENCE_MS, "--json"]

    def operator(self, *words, hub=0):
        return json.loads(self.run(*self.asking(hub, *words)))

    def open_round(self, *words):
        return self.operator("round", "open", *words)["round"]

    def end_of_round(self, number):
        """How it ended. A Failure where it was not published, or its devices have ended."""
        command = [os.path.join(self.build, "appliance", "cli", "millrace"),
                   *self.asking(0, "round", "show", str(number), "--wait")]
        with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as asking:
            while True:
                try:
                    said, why = asking.communicate(timeout=0.5)
                    break
                except subprocess.TimeoutExpired:
                    for fleet in self.fleets:
                        fleet.check(asking)
        if asking.returncode != 0:
            raise Failure(f"round {number}: {why.strip()}; see {self.work}")
        outcome = json.loads(said)
        if outcome["state"] != "published":
            raise Failure(f"round {number} ended {outcome['state']}: {outcome.get('reason')}; see {self.work}")
        return outcome

    def stop(self):
        """Ends everything; the hubs' exit codes."""
        for fleet in self.fleets:
            fleet.stop()
        for process in self.processes:
            process.terminate()
        codes = []
        for process in self.processes:
            try:
                codes.append(process.wait(20))
            except subprocess.TimeoutExpired:
                process.kill()
                codes.append(process.wait())
        self.fleets, self.processes = [], []
        return codes


class Fleet:
    """A process of fleet.py."""

    def __init__(self, stage, scenario, size, numbers, name):
        self.path = os.path.join(stage.work, f"fleet-{name}.jsonl")
        self.log = os.path.join(stage.work, f"fleet-{name}.log")
        self.read = 0
        plan = {"scenario": scenario, "size": size, "dumps": stage.dumps,
                "devices": {str(number): stage.device_file(number) for number in numbers}}
        environment = {**os.environ, "PYTHONPATH": os.pathsep.join((os.path.join(stage.build, "bindings", "python"), os.path.dirname(HERE))),
                       "PYTHONDONTWRITEBYTECODE": "1", "OPENBLAS_NUM_THREADS": "1", "OMP_NUM_THREADS": "1"}
        with open(self.path, "w", encoding="utf-8") as out, open(self.log, "w", encoding="utf-8") as log:
            self.process = subprocess.Popen([sys.executable, os.path.join(HERE, "fleet.py")], env=environment, text=True,
                                            stdin=subprocess.PIPE, stdout=out, stderr=log)
        self.process.stdin.write(json.dumps(plan) + "\n")
        self.process.stdin.flush()

    def heard(self):
        with open(self.path, encoding="utf-8") as f:
            f.seek(self.read)
            text = f.read()
        whole = text.rfind("\n") + 1
        self.read += len(text[:whole].encode())
        self.check()
        return [json.loads(line) for line in text[:whole].splitlines()]

    def check(self, asking=None):
        """A Failure where devices have ended; the question that waits for them is ended too."""
        if self.process.poll() is None:
            return
        if asking:
            asking.kill()
        with open(self.log, encoding="utf-8") as f:
            raise Failure(f"devices ended with exit code {self.process.returncode}: {f.read()[-2000:]}")

    def stop(self):
        """Its input ends, so it cancels its devices."""
        self.process.stdin.close()
        try:
            self.process.wait(20)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()


def wait_for(what, condition, limit_s=120):
    limit = time.monotonic() + limit_s
    while time.monotonic() < limit:
        found = condition()
        if found:
            return found
        time.sleep(0.02)
    raise Failure(f"{what}: not within {limit_s} s")


def budget_of_rounds(stage, epsilon_round, rounds, *case):
    """The budget of so many rounds that each cost what a single one of `epsilon_round` costs: (epsilon, plan). `case`:
    delta, then as plan_privacy."""
    delta, *rest = case
    wanted = stage.plan_privacy(epsilon_round, delta, 1, *rest)["rho_round"]
    low, high = epsilon_round, epsilon_round * rounds
    for _ in range(12):
        middle = (low + high) / 2
        over = stage.plan_privacy(middle, delta, rounds, *rest)["rho_round"] > wanted
        low, high = (low, middle) if over else (middle, high)
    return low, stage.plan_privacy(low, delta, rounds, *rest)
