#!/usr/bin/env python3
"""What a privacy budget adds to a round of 10,000 devices, from quorum to model.

Two hub processes serve two tasks of one shape: `plain`, whose sums are exact, and `private`, with
noise of every hub and a debit of each device. Their rounds alternate. Every device is a real client
over mutual TLS, fifty at a time (perf/load_devices). The debit by itself, which a
private round does beside drawing noise, is what the ledger takes for the same cohort
(perf/debit_ledger), in turns with the rounds.

usage: debit.py [--quick] [--json FILE] [--build DIR] [--devices N] [--dimension D]
                [--samples N]
"""

import json
import os
import subprocess
import sys

HERE = os.path.dirname(os.path.abspath(__file__))
sys.path.insert(0, os.path.join(HERE, "..", "demo"))

from federation import Failure, Federation, Task  # noqa: E402
from figures import run  # noqa: E402
import hub_bench  # noqa: E402
from rounds import write_model  # noqa: E402

AT_ONCE = 50  # devices that take part at the same time: more only wait for the processor
RING_BITS = 32
SCALE = 64.0
ROUNDS_MAX = 64
WAIT_S = 1200  # for a round: a busy machine takes minutes for so many handshakes
KINDS = ("plain", "private")


class Load:
    """The devices of a task, in one process."""

    def __init__(self, fed, task):
        configs = [fed.device_json(f"{task.name}-{i}", fed.pki, i + 2, i, task)
                   for i in range(fed.devices)]
        self.process = subprocess.Popen(
            [fed.program("perf", "load_devices"), "--dimension", str(fed.dimension), "--scale",
             str(SCALE), "--ring-bits", str(RING_BITS), "--at-once", str(AT_ONCE), *configs],
            stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)

    def begin(self):
        self.process.stdin.write("round\n")
        self.process.stdin.flush()

    def hear(self):
        line = self.process.stdout.readline()
        if not line:
            raise Failure("a load program ended; its reason is above")
        return json.loads(line)

    def stop(self):
        self.process.kill()
        self.process.wait()


class Debit(Federation):
    def __init__(self, build, work, devices, dimension):
        super().__init__(build, work, devices, {})
        self.dimension = dimension
        self.upload_options = {"slots_per_worker": devices + 8,
                               "share_bytes_max": 4 * dimension + 4096}
        self.loads = {}
        models = [os.path.join(work, f"{kind}.safetensors") for kind in KINDS]
        for place, path in enumerate(models):
            write_model(path, dimension, place) # no task's model is the other's
        self.tasks = (Task("plain", (0, 1), models[0]),
                      Task("private", (0, 1), models[1], {"scale": "auto"},
                           {"noise": "hub", "epsilon": 8, "delta": 1e-6, "rounds": ROUNDS_MAX}))

    def hub_options(self, index, quorum, cohort_min):
        options = super().hub_options(index, quorum, cohort_min)
        many = 2 * self.devices + 64
        options["control"] |= {"connections_max": many, "handshakes_max": many,
                               "source_connections_rate": 0, "source_requests_rate": 0}
        return options

    def round_options(self):
        return {"weight_max": 1, "scale": SCALE, "rotation_log2": 0, "clip_norm": 1e9,
                "ring_bits": RING_BITS, "cohort_max": self.devices, "deadline_ms": 1000 * WAIT_S}

    def start(self):
        self.make_identities()
        self.start_hubs(self.devices, min(20, self.devices), None)
        for task in self.tasks:
            self.loads[task.name] = Load(self, task)

    def round(self, kind):
        """What the lead says of a round; every device heard "committed", both sums are the same."""
        opened = self.operator(0, "round", "open", "--task", kind)["round"]
        self.loads[kind].begin()
        committed = self.loads[kind].hear()["committed"]
        account = self.operator(0, "round", "show", str(opened), "--task", kind, "--wait")
        if account["state"] != "published" or committed != self.devices:
            raise Failure(f"round {opened} of {kind}: {account['state']}, {committed} committed:"
                          f" {account.get('reason')}")
        sums = []
        for hub in range(2):
            with open(f"{self.work}/hub-{hub}/tasks/{kind}/rounds/{opened}.sum", "rb") as f:
                sums.append(f.read())
        if sums[0] != sums[1]:
            raise Failure(f"round {opened} of {kind}: the hubs' sums differ")
        return account

    def spent(self, hub):
        text = self.operator(hub, "budget", "export", "private", "--json", json_out=False)
        return [json.loads(line)["spent"] for line in text.splitlines()]

    def check_spent(self, rounds, rho):
        """Both ledgers have each device in each private round, once."""
        for hub in range(2):
            if self.spent(hub) != [rounds * rho] * self.devices:
                raise Failure(f"hub {hub}: its ledger does not have {rounds} debits of every device")

    def stop(self):
        for load in self.loads.values():
            load.stop()
        self.loads = {}
        return super().stop()


def ledger(fed, figures):
    """The ledger's own share: milliseconds of claiming and writing down the cohort."""
    text = fed.run(fed.program("perf", "debit_ledger"), "--devices", str(fed.devices), "--dir",
                   fed.work)
    took = json.loads(text)
    figures.sample("debit.ledger_plain_ms", "ms", took["plain_ms"], "lower", None,
                   "claiming a set and writing it down, on the wall")
    figures.sample("debit.ledger_private_ms", "ms", took["private_ms"], "lower", None,
                   "the same with the debit of each device, in a pool of a million")
    return took["private_ms"] - took["plain_ms"]


def measure(fed, figures, samples):
    for kind in KINDS:
        fed.round(kind)  # not counted: first touch of slots, files and code
    for _ in range(samples):
        took = {}
        for kind in KINDS:
            account = fed.round(kind)
            took[kind] = account["publish_ms"]
            figures.sample(f"debit.{kind}_publish_ms", "ms", took[kind], "lower", None,
                           "from quorum to the published model, on the wall")
        added = ledger(fed, figures)
        figures.sample("debit.of_publish", "ratio", added / took["plain"], "lower", 0.05,
                       "what the debit adds in a hub's ledger, of a plain round from quorum to model")
        figures.sample("debit.private_over_plain", "ratio", took["private"] / took["plain"],
                       "neither", None, "noise, debit and all: a private round over a plain one")
    fed.check_spent(samples + 1, account["noise"]["rho"])
    figures.checked()


def main():
    parser = hub_bench.options(__doc__, "fewer rounds of fewer devices")
    parser.add_argument("--devices", type=int)
    parser.add_argument("--dimension", type=int, default=1000)
    parser.add_argument("--samples", type=int, help="rounds of each kind (7; 3 with --quick)")
    options = parser.parse_args()
    devices = options.devices or (1000 if options.quick else 10000)
    played = hub_bench.play("debit", options, lambda work: Debit(options.build, work, devices, options.dimension),
                            lambda fed, figures: measure(fed, figures, options.samples or (3 if options.quick else 7)),
                            devices=devices, dimension=options.dimension, ring_bits=RING_BITS, hubs=2)
    return 0 if played else 1


if __name__ == "__main__":
    sys.exit(run(main))
