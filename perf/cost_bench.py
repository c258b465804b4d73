#!/usr/bin/env python3
"""What a device costs the hubs, from small models to large ones and from few devices to many.

Two hub processes and real clients, as in rounds.py: for each size of the table a federation of its own, whose rounds
alternate between fresh connections and those of the round before. Both hubs' sums are compared in every round with the
plain one. Up to 100 devices take part all at once, more of them fifty at a time. Clients that live on keep seven files open
each: where a process may not have so many, such a size has fresh connections alone.

usage: cost_bench.py [--quick] [--json FILE] [--build DIR]
"""

import os
import resource
import shutil
import subprocess
import sys
import tempfile

HERE = os.path.dirname(os.path.abspath(__file__))
sys.path.insert(0, os.path.join(HERE, "..", "demo"))

from federation import Failure  # noqa: E402
from figures import Figures, Skip, run  # noqa: E402
import hub_bench  # noqa: E402
from hub_cpu import user_shares  # noqa: E402
from rounds import SCALE, Rounds, of_devices, write_model  # noqa: E402

# Devices, values, ring bits (a ring of 16 holds no sums of a thousand), control threads.
SIZES = ((10, 703, 16, 1), (10, 10000, 16, 1), (10, 100000, 16, 1), (10, 1000000, 16, 1), (10, 10000000, 16, 1),
         (100, 703, 16, 1), (100, 10000, 16, 1), (100, 100000, 16, 1), (100, 1000000, 16, 1), (100, 1000000, 16, 2),
         (1000, 703, 32, 1), (1000, 100000, 32, 1), (10000, 703, 32, 1))
QUICK = ((10, 703, 16, 1), (10, 100000, 16, 1), (100, 703, 16, 1), (100, 703, 16, 2))
AT_ONCE = 100  # of more devices FEW take part at a time: the others would only wait for the processor
FEW = 50
KINDS = {"held": "fresh", "kept": "kept"}


class Costs(Rounds):
    def __init__(self, build, work, devices, dimension, ring_bits, control_threads, live_on):
        super().__init__(build, work, devices, dimension, control_threads)
        if not live_on:
            self.commands = {"held": "round"}
        self.ring_bits = ring_bits
        self.upload_options["share_bytes_max"] = ring_bits // 8 * dimension + 4096

    def hub_options(self, index, quorum, cohort_min):
        options = super().hub_options(index, quorum, cohort_min)
        options["control"] |= {"connections_max": 2 * self.devices + 64, "handshakes_max": 2 * self.devices + 64,
                               "kept_max": 0, "identity_requests_rate": 0, "source_connections_rate": 0,
                               "source_requests_rate": 0}
        return options

    def round_options(self):
        return super().round_options() | {"ring_bits": self.ring_bits, "deadline_ms": 300000}

    def start(self):
        model = os.path.join(self.work, "initial.safetensors")
        write_model(model, self.dimension)
        self.make_identities()
        self.start_hubs(self.devices, min(20, self.devices), model)
        configs = [self.device_json(f"{i:03d}", self.pki, i + 2, i) for i in range(self.devices)]
        at_once = FEW if self.devices > AT_ONCE else self.devices
        self.load = subprocess.Popen(
            [self.program("perf", "load_devices"), "--dimension", str(self.dimension), "--scale", str(SCALE),
             "--ring-bits", str(self.ring_bits), "--at-once", str(at_once), *configs],
            stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)


# The threads that bound how many devices a hub bears, user and system time together.
THREADS = {"lead_control": (0, "control"), "lead_workers": (0, "workers"), "helper_control": (1, "control")}


def note(figures, name, kind, series, devices):
    """A device's cost, without what the release of a round's model takes."""
    shares = user_shares(series)
    scale = 1000 / devices
    for cost in series:
        user, system = of_devices(cost, shares)
        taken = {"user": sum(user.values()), "system": sum(system.values())}
        taken |= {thread: user[key] + system[key] for thread, key in THREADS.items()}
        for part, seconds in taken.items():
            figures.sample(f"{name}.{kind}.{part}_ms", "ms/device", scale * seconds, "lower")


def measure(figures, build, size, samples):
    devices, dimension, ring_bits, threads = size
    live_on = allow_files(files_of(size))
    work = tempfile.mkdtemp(prefix="millrace-cost-bench-")
    federation = Costs(build, work, devices, dimension, ring_bits, threads, live_on)
    try:
        federation.start()
        if devices <= 1000:
            federation.round("held")  # not counted: first touch of slots, files and code
        series = {kind: [] for kind in KINDS if kind in federation.commands}
        for _ in range(samples):
            for kind, costs in series.items():
                costs.append(federation.round(kind)[0])
    except Failure as failure:
        raise Failure(f"{devices} devices of {dimension} values: {failure}\nfiles of the run: {work}") from failure
    finally:
        federation.stop()
    shutil.rmtree(work)
    name = f"cost.{devices}_of_{dimension}" + (f".threads_{threads}" if threads > 1 else "")
    for kind, costs in series.items():
        note(figures, name, KINDS[kind], costs, devices)


def files_of(size):
    """Open at the same time in the load's process where all its clients live on."""
    return 7 * size[0] + 1000


def allow_files(count):
    """Whether so many may be open at the same time, here and in the programs that are started; root raises the limit."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if soft == resource.RLIM_INFINITY or soft >= count:
        return True
    try:
        resource.setrlimit(resource.RLIMIT_NOFILE, (max(count, hard), max(count, hard)))
    except (OSError, ValueError):
        return False
    return True


def main():
    options = hub_bench.options(__doc__, "fewer rounds and sizes").parse_args()
    if not os.path.exists(os.path.join(options.build, "appliance", "millrace-hub")):
        raise Skip(f"{options.build} has no hub: the option `appliance` is off")
    sizes = QUICK if options.quick else SIZES
    figures = Figures("cost")
    figures.context(cpu=hub_bench.cpu_name(), cpus=os.cpu_count(), hubs=2)
    try:
        for size in sizes:
            measure(figures, options.build, size, 2 if options.quick or size[0] > 1000 else 3)
    except Failure as failure:
        print(f"cost: {failure}", file=sys.stderr)
        return 1
    figures.checked()
    figures.write(options.json)
    return 0


if __name__ == "__main__":
    sys.exit(run(main))
