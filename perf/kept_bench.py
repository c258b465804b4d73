#!/usr/bin/env python3
"""What a device's connection that rests takes of a hub's memory: kept_bench.py [--quick] [--json FILE] [--build DIR]

A hub, and 10,000 connections of 1,250 devices (1,000 of 125 with --quick), each of which has asked one small question
and rests. What is divided by their number is the growth of the hub's own memory (Pss of /proc/PID/smaps_rollup); the
kernel's sockets are beside it, both ends of them, since both are on this machine.
"""

import os
import resource
import subprocess
import sys

HERE = os.path.dirname(os.path.abspath(__file__))
sys.path.insert(0, os.path.join(HERE, "..", "demo"))

from federation import Failure  # noqa: E402
from figures import Skip, run  # noqa: E402
import hub_bench  # noqa: E402
from rounds import Rounds, write_model  # noqa: E402

DIMENSION = 4096
EACH = 8  # connections of a device: as many as a hub lets it have
PAGE_KIB = 4
KIB_MAX = 40


class Hubs(Rounds):
    def __init__(self, build, work, devices):
        super().__init__(build, work, 2, DIMENSION)
        self.crowd = devices
        self.upload_options["share_bytes_max"] = 4 * DIMENSION + 4096

    def hub_options(self, index, quorum, cohort_min):
        options = super().hub_options(index, quorum, cohort_min)
        options["control"] |= {"connections_max": self.crowd * EACH + 100, "kept_max": 0, "identity_requests_rate": 0,
                               "source_requests_rate": 0, "source_connections_rate": 0}
        return options

    def start(self):
        model = os.path.join(self.work, "initial.safetensors")
        write_model(model, DIMENSION)
        self.make_identities()
        self.run(self.program("appliance", "cli", "millrace"), "pki", "init", "--dir", self.pki, "--hubs", "2",
                 "--devices", str(self.crowd), "--host", self.host, "--force")
        self.start_hubs(2, 2, model)

    def memory_kib(self):
        with open(f"/proc/{self.hubs[0].pid}/smaps_rollup", encoding="ascii") as f:
            return next(int(line.split()[1]) for line in f if line.startswith("Pss:"))

    def fill(self):
        """The load, once all its connections rest."""
        crowd = subprocess.Popen([self.program("perf", "kept_crowd"), self.host, str(self.ports[0]), self.pki,
                                  str(self.crowd), str(EACH)], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
        if crowd.stdout.readline() != f"ready {self.crowd * EACH}\n":
            raise Failure("the load program ended; its reason is above")
        return crowd


def sockets_kib():
    with open("/proc/net/sockstat", encoding="ascii") as f:
        words = next(line for line in f if line.startswith("TCP:")).split()
    return PAGE_KIB * int(words[words.index("mem") + 1])


def measure(fed, figures):
    count = fed.crowd * EACH
    before, sockets = fed.memory_kib(), sockets_kib()
    crowd = fed.fill()
    grown, sockets = fed.memory_kib() - before, sockets_kib() - sockets
    metrics = fed.metrics(0)
    if metrics["millrace_control_connections_at_rest"] < count:
        raise Failure(f"{metrics['millrace_control_connections_at_rest']} of {count} connections rest")
    figures.sample("kept.hub_kib_per_connection", "KiB", grown / count, "lower", KIB_MAX,
                   f"growth of the hub's memory with {count} connections at rest, their sessions included")
    figures.sample("kept.session_bytes", "bytes",
                   metrics["millrace_control_session_bytes"] / metrics["millrace_control_sessions"], "lower", None,
                   "of one that may be taken up, of control.sessions_bytes_max")
    figures.sample("kept.kernel_kib_per_connection", "KiB", sockets / count, "lower", None,
                   "buffers of TCP sockets, both ends")
    crowd.stdin.close()
    crowd.wait()
    figures.checked()


def main():
    options = hub_bench.options(__doc__, "1,000 connections").parse_args()
    devices = 125 if options.quick else 1250
    files = devices * EACH + 1000
    hard = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
    if hard not in (resource.RLIM_INFINITY,) and hard < files:
        raise Skip(f"{files} open files are needed, {hard} are allowed (ulimit -Hn)")
    resource.setrlimit(resource.RLIMIT_NOFILE, (files, hard))
    played = hub_bench.play("kept", options, lambda work: Hubs(options.build, work, devices), measure,
                            connections=devices * EACH, devices=devices)
    return 0 if played else 1


if __name__ == "__main__":
    sys.exit(run(main))
