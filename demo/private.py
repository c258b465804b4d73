"""The main job with a privacy budget: what `./run demo --epsilon E` does.

Real hubs with `tasks.privacy`, planned by `millrace dp plan`; each device a process that takes part
in every round. A few devices have been in a rehearsal, a task of the same pool, and paid for it:
their budget ends in the middle of the training, they are refused and told, and the others go on.

Beside it numpy repeats the training without noise and with a trusted server's noise of the same
budget (central.py). docs/privacy.md, "What a budget costs in accuracy".
"""

import hashlib
import json
import math
import os
import re
import tempfile
import time

import numpy as np

import central
from federation import Failure, Federation, Task
from private_report import write_private_report
from sums import read_dump

LAYERS = (64, 10)
# Why these: docs/privacy.md, "What a budget costs in accuracy".
CLIP_NORM = 1.5
BATCH = 1024  # more than any device has: full batches, so that a training has no order
TRAINING = {
    "layers": "64,10",
    "rotation_log2": "auto",
    "scale": "auto",
    "clip_norm": CLIP_NORM,
    "weight_max": 1,
    "trainer": {"epochs": 20, "batch": BATCH, "learning_rate": 1.0},
}
POOL = "digits"
REHEARSAL = "rehearsal"
EAGER = 3  # devices that were in the rehearsal: half of their budget is gone
WAIT_S = 60
TRAILER_BYTES = 64
RHO = 2.0**-40


def device_id(number):
    return hashlib.sha256(f"device-{number:03d}".encode()).hexdigest()[:32]


def unpack(packed, ring_bits):
    """The lanes of an opened sum, as signed numbers."""
    bits = np.unpackbits(np.frombuffer(packed[:-TRAILER_BYTES], np.uint8), bitorder="little")
    lanes = bits.reshape(-1, ring_bits).astype(np.int64) @ (1 << np.arange(ring_bits, dtype=np.int64))
    return np.where(lanes >= 1 << (ring_bits - 1), lanes - (1 << ring_bits), lanes)


def wait_for(condition, what):
    limit = time.monotonic() + WAIT_S
    while time.monotonic() < limit:
        found = condition()
        if found:
            return found
        time.sleep(0.05)
    raise Failure(what)


class PrivateDemo:
    def __init__(self, options):
        self.options = options
        self.work = work = options.work or tempfile.mkdtemp(prefix="millrace-demo-")
        os.makedirs(work, exist_ok=True)
        self.delta = 0.002 / options.devices
        self.dumps = os.path.join(work, "dumps")
        self.shards = os.path.join(work, "shards")
        self.numbers = {device_id(i): i for i in range(options.devices)}
        self.eager = range(options.devices - EAGER, options.devices)
        self.fed = Federation(options.build, work, options.devices, TRAINING)
        self.fed.upload_options = {**Federation.upload_options,
                                   "slots_per_worker": options.devices + 8}
        self.rounds = []

    @staticmethod
    def say(text):
        print(text, flush=True)

    def digits_tool(self, *words):
        return self.fed.run(self.fed.program("demo", "digits-tool"), *words)

    # --- set-up ------------------------------------------------------------------------------

    def ask_plan(self):
        """What `millrace dp plan` makes of the budget."""
        dimension = sum((a + 1) * b for a, b in zip(LAYERS, LAYERS[1:]))
        return json.loads(self.fed.run(
            self.fed.program("appliance", "cli", "millrace"), "dp", "plan",
            "--epsilon", str(self.options.epsilon), "--delta", str(self.delta),
            "--rounds", str(self.options.rounds), "--devices", str(self.options.devices),
            "--dimension", str(dimension), "--clip", str(CLIP_NORM), "--json"))

    def task(self, name, devices, rounds, model):
        """A task of the pool, for whose budget `rounds` rounds of so many devices are planned."""
        return Task(name, (0, 1), model,
                    {"cohort_min": max(2, devices // 2), "cohort_max": devices, "quorum": devices,
                     "ring_bits": self.plan["ring_bits"]},
                    {"noise": "hub", "epsilon": self.options.epsilon, "delta": self.delta,
                     "rounds": rounds, "pool": POOL})

    def prepare(self):
        os.makedirs(self.dumps, exist_ok=True)
        self.digits_tool("split", "--input", self.options.data, "--devices",
                         str(self.options.devices), "--alpha", "0.5", "--seed", "7",
                         "--held-out", "0.2", "--out", self.shards)
        self.initial = os.path.join(self.work, "initial.safetensors")
        central.write_zeros(self.initial, LAYERS)
        # Another one: on one model a device is in one opened set, whatever the task.
        rehearsed = os.path.join(self.work, "rehearsed.safetensors")
        self.digits_tool("init", "--layers", TRAINING["layers"], "--seed", "7", "--out", rehearsed)
        self.plan = self.ask_plan()
        self.fed.tasks = (
            self.task(POOL, self.options.devices, self.options.rounds, self.initial),
            self.task(REHEARSAL, EAGER, 2, rehearsed))
        self.fed.make_identities()

    def start_device(self, number, task):
        name = f"{number:03d}" if task.name == POOL else f"{task.name}-{number:03d}"
        config = self.fed.device_json(name, self.fed.pki, number, number, task)
        self.fed.start_device(name, config, os.path.join(self.shards, f"device-{number:03d}.csv"),
                              self.dumps)

    def rehearse(self):
        """A round of the other task, by which the eager devices spend half of the same budget."""
        for number in self.eager:
            self.start_device(number, self.fed.tasks[1])
        self.play(REHEARSAL, EAGER)
        for number in self.eager:
            self.fed.kill_device(f"{REHEARSAL}-{number:03d}")

    # --- rounds ------------------------------------------------------------------------------

    def play(self, task, quorum):
        opened = self.fed.operator(0, "round", "open", "--task", task, "--quorum", str(quorum))
        number = str(opened["round"])
        outcome = self.fed.operator(0, "round", "show", number, "--task", task, "--wait")
        if outcome["state"] != "published":
            raise Failure(f"round {number} of {task} ended {outcome['state']}: "
                          f"{outcome.get('reason')}")
        return outcome

    def spent(self, hub):
        """What each device has spent, by that hub's ledger."""
        text = self.fed.operator(hub, "budget", "export", POOL, "--json", json_out=False)
        rows = [json.loads(line) for line in text.splitlines()]
        return {row["device"]: row["spent"] for row in rows}

    def budget_of(self, number):
        pools = self.fed.operator(0, "budget", "show", device_id(number))["pools"]
        return next(pool for pool in pools if pool["pool"] == POOL)

    def able(self, rho, budget):
        """Devices that can pay for one more round."""
        spent = self.spent(0)
        return [i for i in range(self.options.devices)
                if spent.get(device_id(i), 0) + rho <= budget]

    def told(self, number):
        """What a device says of a refusal for its budget; None: nothing yet."""
        with open(f"{self.work}/device-{number:03d}.log", encoding="utf-8") as f:
            found = re.search(r"^.*refused \(budget\): (.*)$", f.read(), re.MULTILINE)
        return found.group(1) if found else None

    def round(self, quorum):
        outcome = self.play(POOL, quorum)
        folder = f"{self.work}/hub-0/tasks/{POOL}"
        with open(f"{folder}/rounds/{outcome['round']}.json", encoding="utf-8") as f:
            uploads = json.load(f)["uploads"]
        with open(f"{self.work}/included-{outcome['round']}.txt", "w", encoding="ascii") as f:
            f.write("".join(upload["client_id"] + "\n" for upload in uploads))
        model = f"{folder}/models/{outcome['model_hash']}.safetensors"
        evaluated = self.digits_tool("eval", "--model", model, "--data",
                                     os.path.join(self.shards, "held-out.csv"), "--json")
        return {
            "round": outcome["round"], "noise": outcome["noise"],
            "members": sorted(self.numbers[upload["client_id"]] for upload in uploads),
            "accuracy": json.loads(evaluated)["accuracy"], "ms": outcome["publish_ms"],
            "noise_ratio": self.noise_ratio(outcome, uploads),
            "epsilon": self.budget_of(0)["epsilon"],
            "epsilon_eager": self.budget_of(self.eager[0])["epsilon"],
        }

    def noise_ratio(self, outcome, uploads):
        """Variance of what the opened sum has beside the devices' own vectors, over that of two
        hubs' noise; NaN where the hubs' sums differ."""
        packed = []
        for hub in range(2):
            with open(f"{self.work}/hub-{hub}/tasks/{POOL}/rounds/{outcome['round']}.sum",
                      "rb") as f:
                packed.append(f.read())
        noise = unpack(packed[0], self.plan["ring_bits"])
        for upload in uploads:
            client, attempt = upload["client_id"], upload["attempt"]
            path = f"{self.dumps}/{client}-{POOL}-r{outcome['round']}-a{attempt}.bin"
            noise = noise - np.array(read_dump(path, outcome["round"], client, attempt)[0])
            os.unlink(path)
        same = packed[0] == packed[1]
        return float((noise**2).mean() / (2 * outcome["noise"]["model_sigma2"])) if same else math.nan

    def train(self):
        quorum = self.options.devices
        self.say(f"{'round':>5} {'joined':>6} {'accuracy':>8} {'epsilon':>8} {'of the eager':>12}"
                 f" {'ms to model':>11}  refused")
        refused = {}
        for _ in range(self.options.rounds):
            row = self.round(quorum)
            self.rounds.append(row)
            left_out = set(self.eager) - set(row["members"]) - set(refused)
            for number in sorted(left_out):
                refused[number] = wait_for(lambda n=number: self.told(n),
                                           f"device {number} was left out and not told why")
            self.say(f"{row['round']:5d} {len(row['members']):6d} {row['accuracy']:8.4f}"
                     f" {row['epsilon']:8.3f} {row['epsilon_eager']:12.3f} {row['ms']:11.1f}"
                     f"  {', '.join(f'device {n}' for n in sorted(left_out))}")
            quorum = len(self.able(row["noise"]["rho"], row["noise"]["budget"]))
        return refused

    # --- the end -----------------------------------------------------------------------------

    def compare(self):
        """The same training elsewhere: accuracy after each round, by name."""
        cohort = central.Cohort(self.shards, LAYERS)
        members = [np.array(row["members"]) for row in self.rounds]
        rho = self.rounds[-1]["noise"]["rho"] * RHO
        alone = CLIP_NORM / math.sqrt(2 * rho)
        both = CLIP_NORM * self.plan["noise_multiplier_of_all_hubs"]
        draws = self.options.draws
        plain = json.loads(self.digits_tool(
            "plain", "--model", self.initial, "--shards", self.shards, "--rounds",
            str(len(self.rounds)), "--included", os.path.join(self.work, "included-{round}.txt"),
            "--pki", self.fed.pki, "--training", json.dumps(TRAINING["trainer"]), "--clip-norm",
            str(CLIP_NORM), "--weight-max", "1", "--data",
            os.path.join(self.shards, "held-out.csv"), "--json"))["accuracy"]
        setting = (members, TRAINING["trainer"], CLIP_NORM)
        return {
            "plain": plain,
            "no_noise": cohort.train(*setting),
            "central": central.many(cohort, *setting, alone, draws),
            "two_hubs": central.many(cohort, *setting, both, draws),
        }

    def summary(self, found, refused, ledgers):
        last = self.rounds[-1]
        return {
            "epsilon": self.options.epsilon, "delta": self.delta,
            "devices": self.options.devices, "rounds": len(self.rounds),
            "accuracy": last["accuracy"], "accuracy_no_noise": found["plain"][-1],
            "accuracy_central": float(found["central"][:, -1].mean()),
            "accuracy_central_range": [float(found["central"][:, -1].min()),
                                       float(found["central"][:, -1].max())],
            "accuracy_two_hubs_numpy": float(found["two_hubs"][:, -1].mean()),
            "accuracy_two_hubs_numpy_range": [float(found["two_hubs"][:, -1].min()),
                                              float(found["two_hubs"][:, -1].max())],
            "noise_multiplier": self.plan["noise_multiplier"],
            "epsilon_spent": last["epsilon"], "epsilon_spent_eager": last["epsilon_eager"],
            "refused_devices": len(refused), "ledgers_equal": ledgers[0] == ledgers[1],
        }

    def checks(self, found, refused, ledgers):
        first = self.rounds[0]["noise"]
        ratios = [row["noise_ratio"] for row in self.rounds]
        spread = 6 * math.sqrt(2 / (len(ratios) * self.plan["dimension"]))
        away = next((i for i, row in enumerate(self.rounds)
                     if not set(self.eager) & set(row["members"])), len(self.rounds))
        others = set(range(self.options.devices)) - set(self.eager)
        return [
            ("the hubs announced what `millrace dp plan` says",
             first["model_sigma2"] == self.plan["sigma2_model"]
             and abs(first["rho"] * RHO / self.plan["rho_round"] - 1) < 1e-6),
            ("both hubs' sums are equal, and have both hubs' noise beside the devices' vectors",
             abs(float(np.mean(ratios)) - 1) < spread),
            ("every device of the training alone was in every round",
             all(others <= set(row["members"]) for row in self.rounds)),
            ("the devices of the rehearsal were refused in the middle, and told what is left",
             set(refused) == set(self.eager) and 0 < away < len(self.rounds)
             and all(" left in pool digits" in text for text in refused.values())),
            ("the training went on without them", away < len(self.rounds)),
            ("both hubs' ledgers are equal, device by device", ledgers[0] == ledgers[1]
             and len(ledgers[0]) == self.options.devices),
            ("no device has spent more than its budget",
             max(ledgers[0].values()) <= first["budget"]),
            ("numpy's training without noise is the plain one",
             abs(found["plain"][-1] - found["no_noise"][-1]) <= 0.01),
        ]

    def tell(self, summary, refused):
        def span(name):
            low, high = summary[name + "_range"]
            return f"{summary[name]:.4f} (mean of {self.options.draws}; {low:.4f} to {high:.4f})"
        number, text = sorted(refused.items())[0] if refused else (None, "")
        self.say(f"""
  device {number} was told: {text}

accuracy on the held-out digits after {summary['rounds']} rounds of {summary['devices']} devices, \
epsilon {summary['epsilon_spent']:.3f} at delta {self.delta:.2g}:
  no noise                                   {summary['accuracy_no_noise']:.4f}
  a trusted server's noise, numpy            {span('accuracy_central')}
  two hubs' noise, numpy                     {span('accuracy_two_hubs_numpy')}
  Millrace, this run                         {summary['accuracy']:.4f}
""")

    def main(self):
        self.say("preparing: plan, data split, certificates")
        self.prepare()
        self.say(f"epsilon {self.options.epsilon:g} at delta {self.delta:.2g} for"
                 f" {self.options.rounds} rounds: noise multiplier"
                 f" {self.plan['noise_multiplier']:.2f} of each hub, {self.plan['ring_bits']} bits,"
                 f" levels {self.plan['levels']}")
        self.fed.start_hubs(self.options.devices, 2, self.initial)
        self.rehearse()
        for number in range(self.options.devices):
            self.start_device(number, self.fed.tasks[0])
        refused = self.train()
        ledgers = [self.spent(hub) for hub in range(2)]
        codes = self.fed.stop()
        self.say("\ncomparing: the same training in numpy")
        found = self.compare()
        summary = self.summary(found, refused, ledgers)
        checks = self.checks(found, refused, ledgers)
        checks.append(("both hubs stopped cleanly", codes == [0, 0]))
        self.tell(summary, refused)
        for text, good in checks:
            self.say(f"  {'ok  ' if good else 'FAIL'} {text}")
        written = write_private_report(self.options.report, summary, self.rounds, found)
        self.say("\n" + "\n".join(f"report: {path}" for path in written))
        if self.options.json:
            print(json.dumps(summary), flush=True)
        return all(good for _, good in checks)
