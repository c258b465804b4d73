#!/usr/bin/env python3
"""Whole rounds: two hub processes, 100 devices, 1,000,000 values each, w = 16, mutual TLS.

Every device is a real client with connections of its own: it waits in a long poll for the round,
verifies it, uploads over UDP (with --transport http2: over its connection to the lead), and hears
"committed". Five kinds of round alternate:

  held   the devices hold the round's model already: what a round of aggregation costs by itself, and
         what a secure peer's cost can be compared with (none of them distributes a model); with fresh
         connections in every round, as in pull and audit
  resumed  as held, with connections that take up the sessions of the round before
  kept   as held, over the connections of the round before
  pull   the devices have no model and each downloads 4 bytes a value over TLS first
  audit  as held, and the hubs keep what they count (audit_hours)

What the hubs spend on the release that follows a round (the delta, its check, the manifest) is a cost of the round and
not of a device: it stands by itself (`release_ms`), out of the sums and ratios of a device's cost, and is what
perf/release_bench.py is about.

Both hubs' sums are compared in every round with the plain sum of the devices' vectors.

usage: rounds.py [--quick] [--json FILE] [--build DIR] [--devices N] [--dimension D]
                 [--control-threads N] [--transport udp|http2]
"""

import glob
import json
import os
import struct
import subprocess
import sys
import time

HERE = os.path.dirname(os.path.abspath(__file__))
sys.path.insert(0, os.path.join(HERE, "..", "demo"))

from federation import Failure, Federation  # noqa: E402
from figures import run  # noqa: E402
import hub_bench  # noqa: E402
from hub_cpu import Cost, Reading, split, user_shares  # noqa: E402

SCALE = 64.0  # a power of two: the load's deltas are whole steps of it
CONNECT_S = 0.7  # long enough for every device to stand in its long poll before the round opens
SETTLE_S = 0.3  # after the last device: connections are closed, files are synced
OTHERS = 12  # handshakes of a round that are not devices': hubs' with each other, the operator's
REACHES = 7  # series of connections, for the price of a handshake


PREFIXES = {"held": "rounds", "resumed": "rounds.resumed", "kept": "rounds.kept", "pull": "rounds.pull",
            "audit": "rounds.audit"}
# How the load program's devices come to their connections: its commands.
COMMANDS = {"held": "fresh", "resumed": "resumed", "kept": "kept", "pull": "round", "audit": "round"}
# Handshakes of a round, a device and hub, and how many of them take a session up.
HANDSHAKES = {"held": (1, 0), "resumed": (1, 1), "kept": (0, 0)}
MORE = {"held": "", "resumed": ", sessions taken up", "kept": ", connections kept", "pull": ", each device downloading the model as well",
        "audit": ", what was counted kept for an audit as well"}


def write_model(path, dimension, value=0.0):
    header = json.dumps({"w": {"dtype": "F32", "shape": [dimension],
                               "data_offsets": [0, 4 * dimension]}}).encode()
    header += b" " * (-len(header) % 8)
    with open(path, "wb") as f:
        f.write(struct.pack("<Q", len(header)) + header + struct.pack("<f", value) * dimension)


class Rounds(Federation):
    """The demo's federation with a hub configured for large vectors, and the load program."""

    def __init__(self, build, work, devices, dimension, control_threads=1, transport="udp"):
        super().__init__(build, work, devices, {})
        self.dimension = dimension
        self.control_threads = control_threads
        self.transport = transport
        self.upload_options = {"slots_per_worker": devices + 8,
                               "share_bytes_max": 2 * dimension + 4096}
        self.load = None
        self.commands = COMMANDS

    def hub_options(self, index, quorum, cohort_min):
        options = super().hub_options(index, quorum, cohort_min)
        options.setdefault("control", {})["threads"] = self.control_threads
        return options

    def round_options(self):
        return {"weight_max": 100, "scale": SCALE, "rotation_log2": 0, "clip_norm": 1e9,
                "cohort_max": self.devices}

    def start(self):
        model = os.path.join(self.work, "initial.safetensors")
        write_model(model, self.dimension)
        self.make_identities()
        self.start_hubs(self.devices, min(20, self.devices), model)
        configs = [self.device_json(f"{i:03d}", self.pki, i + 2, i, transport=self.transport)
                   for i in range(self.devices)]
        self.load = subprocess.Popen(
            [*self.among_devices, self.program("perf", "load_devices"), "--dimension",
             str(self.dimension), "--scale", str(SCALE), *configs],
            stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)

    def ask_load(self, command):
        self.load.stdin.write(command + "\n")
        self.load.stdin.flush()
        return self.hear_load()

    def hear_load(self):
        line = self.load.stdout.readline()
        if not line:
            raise Failure("the load program ended; its reason is above")
        return json.loads(line)

    def hold_model(self, model_hash):
        """Gives every device the round's model, as if it had it from before; None: takes it away."""
        for i in range(self.devices):
            folder = os.path.join(self.work, f"device-{i:03d}")
            for path in glob.glob(os.path.join(folder, "model-*")):
                os.unlink(path)
            if model_hash is not None:
                os.link(f"{self.work}/hub-0/tasks/default/models/{model_hash}.safetensors",
                        os.path.join(folder, f"model-{model_hash}.safetensors"))

    def pids(self):
        return [hub.pid for hub in self.hubs]

    def round(self, kind):
        """One round; (what it cost the hubs, the lead's account, the load's account, counters)."""
        self.hold_model(None if kind == "pull" else self.operator(0, "status")["tasks"][0]["model_hash"])
        hours = ["--audit-hours", "1"] if kind == "audit" else []
        counters = self.metrics(0)
        shaken, asked = self.handshakes(), self.answers()
        before = Reading(self.pids())
        self.load.stdin.write(self.commands[kind] + "\n")
        self.load.stdin.flush()
        time.sleep(CONNECT_S)
        opened = self.operator(0, "round", "open", *hours)["round"]
        account = self.operator(0, "round", "show", str(opened), "--wait")
        load = self.hear_load()
        time.sleep(SETTLE_S)
        cost = Cost(before, Reading(self.pids()))
        if account["state"] != "published" or load["committed"] != self.devices:
            raise Failure(f"round {opened}: {account['state']}, {load['committed']} committed")
        load["requests"] = self.answers() - asked
        self.check_handshakes(kind, shaken)
        for hub in range(2):
            self.ask_load(f"check {self.work}/hub-{hub}/tasks/default/rounds/{opened}.sum")
        return cost, account, load, (counters, self.metrics(0))

    def handshakes(self):
        """All of both hubs, and those among them that took a session up."""
        hubs = [self.metrics(hub) for hub in range(2)]
        return [sum(hub[f"millrace_control_handshakes_{which}total"] for hub in hubs) for which in ("", "resumed_")]

    def answers(self):
        """Of both hubs, to anybody: all but a few are the devices'."""
        return sum(value for hub in range(2) for name, value in self.metrics(hub).items()
                   if name.startswith("millrace_control_answers_total"))

    def check_handshakes(self, kind, before):
        """The hubs' own connections to each other, and the operator's, are few beside the devices'."""
        if kind in HANDSHAKES:
            for wanted, was, now in zip(HANDSHAKES[kind], before, self.handshakes()):
                if abs(now - was - 2 * self.devices * wanted) > self.devices / 4 + OTHERS:
                    raise Failure(f"a {kind} round has {now - was} handshakes for {2 * self.devices} connections")

    def reach(self):
        """What a connection with one small question costs a hub, whole seconds."""
        before = Reading(self.pids())
        self.ask_load("reach")
        time.sleep(SETTLE_S)
        cost = Cost(before, Reading(self.pids()))
        return cost, sum(cost.whole.values()) / (2 * self.devices)

    def stop(self):
        if self.load is not None:
            self.load.stdin.close()
            self.load.wait()
            self.load = None
        return super().stop()


def received_bytes(before_after):
    totals = [sum(v for k, v in samples.items()
                  if k.startswith("millrace_upload_received_bytes_total"))
              for samples in before_after]
    return totals[1] - totals[0]


def of_devices(cost, shares):
    """As split(), without what a round's release takes."""
    return [{key: seconds for key, seconds in part.items() if key[1] != "release"} for part in split(cost, shares)]


def note_hub(figures, kind, cost, shares, devices, fresh_s):
    """The hubs' time in a round, a device, in milliseconds; and by what the threads are for."""
    user, system = of_devices(cost, shares)
    scale = 1000 / devices
    held = kind == "held"
    prefix = PREFIXES[kind]
    if kind in ("resumed", "kept"):
        figures.sample(f"{prefix}.hub_cpu_ratio", "", sum(user.values()) / fresh_s, "lower",
                       {"resumed": 0.7, "kept": 0.45}[kind],
                       "the same, of that of the round with fresh connections before it")
    figures.sample(f"{prefix}.hub_cpu_ms_per_device", "ms", scale * sum(user.values()), "lower",
                   2 if held else None, "user time of both hubs" + MORE[kind])
    figures.sample(f"{prefix}.hub_kernel_ms_per_device", "ms", scale * sum(system.values()), "lower",
                   None, "system time of both hubs: sockets and files")
    for (hub, role), seconds in sorted(user.items()):
        figures.sample(f"{prefix}.{'helper' if hub else 'lead'}.{role}_ms_per_device", "ms",
                       scale * seconds, "lower", None, "user time")
    made, _ = split(cost, shares)
    for hub, name in enumerate(("lead", "helper")):
        figures.sample(f"{prefix}.{name}.release_ms", "ms", 1000 * made.get((hub, "release"), 0), "lower", None,
                       "user time for the release of the round's model, whatever the number of devices")


def note_round(figures, kind, account, load, counters, devices):
    prefix = PREFIXES[kind]
    device_s = load["user_s"] + load["system_s"] - load["trainer_s"]
    figures.sample(f"{prefix}.publish_ms", "ms", account["publish_ms"], "lower", None,
                   "from quorum to the published model, on the wall")
    figures.sample(f"{prefix}.open_ms", "ms", account["open_ms"], "neither", None,
                   "from opening to quorum; the devices run on the same cores")
    figures.sample(f"{prefix}.device_cpu_ms", "ms", 1000 * device_s / devices, "lower", None,
                   "user and system time of a device, its trainer left out")
    figures.sample(f"{prefix}.requests_per_device", "", load["requests"] / devices, "lower", None,
                   "answers of both hubs, to each other and to the operator included")
    if kind == "held":
        figures.sample("rounds.upload_bytes_per_device", "bytes",
                       received_bytes(counters) / devices, "lower", None,
                       "UDP payload as it reached the lead, retransmissions included")
        figures.sample("rounds.share_bytes", "bytes", load["share_bytes"])


def measure(fed, figures, samples):
    kinds = ["held", "resumed", "kept", "pull", "audit"]
    fed.round("held")  # not counted: first touch of slots, files and code
    series = {kind: [] for kind in kinds}
    for _ in range(samples):
        for kind in kinds:
            series[kind].append(fed.round(kind))
    reaches = [fed.reach() for _ in range(REACHES)]
    for kind in kinds:
        shares = user_shares([cost for cost, *_ in series[kind]])
        for number, (cost, account, load, counters) in enumerate(series[kind]):
            fresh = of_devices(series["held"][number][0], user_shares([cost for cost, *_ in series["held"]]))[0]
            note_hub(figures, kind, cost, shares, fed.devices, sum(fresh.values()))
            note_round(figures, kind, account, load, counters, fed.devices)
    shares = user_shares([cost for cost, _ in reaches])
    for cost, _ in reaches:
        user, _ = split(cost, shares)
        figures.sample("rounds.connection_us", "us", 1e6 * sum(user.values()) / (2 * fed.devices),
                       "lower", None, "user time of a hub: TLS handshake, one small question, end")
    figures.checked()


def main():
    parser = hub_bench.options(__doc__)
    parser.add_argument("--devices", type=int, default=100)
    parser.add_argument("--dimension", type=int, default=1000000)
    parser.add_argument("--control-threads", type=int, default=1)
    parser.add_argument("--transport", choices=("udp", "http2"), default="udp", help="of the devices' shares")
    options = parser.parse_args()
    played = hub_bench.play("rounds", options,
                            lambda work: Rounds(options.build, work, options.devices, options.dimension,
                                                options.control_threads, options.transport),
                            lambda fed, figures: measure(fed, figures, 3 if options.quick else 7),
                            devices=options.devices, dimension=options.dimension, ring_bits=16, hubs=2,
                            control_threads=options.control_threads, transport=options.transport)
    return 0 if played else 1


if __name__ == "__main__":
    sys.exit(run(main))
