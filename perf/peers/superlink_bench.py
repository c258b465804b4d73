#!/usr/bin/env python3
"""Millrace's hubs beside a real server of Flower's: SuperLink, ServerApp and SuperNodes as processes, with TLS.

Both federations run all the time, with the same number of devices and values of 8 bits, and rounds take turns. Flower's is
perf/peers/superlink/, an app with Flower's own SecAgg+ workflow and mod, started by `flwr run`; each device is a `flower-supernode`
with the processes that it starts. Millrace's is perf/rounds.py. In a round of either every device gets the model first (4 bytes a
value; Millrace: kind "pull"), and every sum is compared with what it must be.

Server CPU is user and system time: of the SuperLink and the ServerApp there, of both hubs here. Flower's processes ask each other
every three seconds whether there is something to do, and its devices are slow where they share two cores, so the same is also shown
without what its server spends while nothing is done. Bytes are those that devices send, counted by a relay of TCP in front of the
SuperLink, TLS included; here datagrams as they reach the lead.

Python packages: as for peers.py. usage: superlink_bench.py [--quick] [--json FILE] [--build DIR] [--devices N] [--values N]
"""

import glob
import os
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import threading
import time

HERE = os.path.dirname(os.path.abspath(__file__))
sys.path.insert(0, os.path.join(HERE, ".."))
sys.path.insert(0, HERE)

import hub_bench  # noqa: E402
import rounds  # noqa: E402
from federation import Failure, free_ports  # noqa: E402
from figures import Skip, run  # noqa: E402
from peers import FLOWER_BYTES, FLOWER_CPU, Missing, python_of_venv  # noqa: E402

DEVICES, VALUES, NEIGHBOURS = 12, 1000000, 11
SAMPLES, QUICK_SAMPLES = 7, 2
IDLE_S = 12  # four times the pause of Flower's loops
WAIT_S = 900
APP = os.path.join(HERE, "superlink")
CHUNK_BYTES = 1 << 18


class Relay:
    """Passes TCP connections on to a port, and counts what goes there."""

    def __init__(self, port):
        self.to = ("127.0.0.1", port)
        self.listener = socket.create_server(("127.0.0.1", 0), backlog=512)
        self.port = self.listener.getsockname()[1]
        self.sent_bytes, self.lock = 0, threading.Lock()
        threading.Thread(target=self.accept, daemon=True).start()

    def accept(self):
        while True:
            try:
                device, _ = self.listener.accept()
            except OSError:
                return
            try:
                server = socket.create_connection(self.to)
            except OSError:
                device.close()
                continue
            for source, sink, counted in ((device, server, True), (server, device, False)):
                threading.Thread(target=self.carry, args=(source, sink, counted), daemon=True).start()

    def carry(self, source, sink, counted):
        try:
            while data := source.recv(CHUNK_BYTES):
                if counted:
                    with self.lock:
                        self.sent_bytes += len(data)
                sink.sendall(data)
            sink.shutdown(socket.SHUT_WR)
        except OSError:
            pass


def cpu_s(pid):
    """User and system time of all of a process's threads, those that have ended too, to the nanosecond."""
    return time.clock_gettime(~pid << 3 | 2)  # its CPU-time clock: see clock_getcpuclockid(3)


class Flower:
    """A SuperLink with its SuperNodes, and a run whose rounds wait for us."""

    def __init__(self, python, pki, work, devices, values, samples):
        self.bin, self.pki, self.work, self.devices, self.values, self.samples = os.path.dirname(python), pki, work, devices, values, samples
        self.processes, self.serverapp, self.relay = [], None, None
        self.gate = self.path("gate")
        os.makedirs(self.gate)

    def path(self, name):
        return os.path.join(self.work, name)

    def start(self, name, *command):
        """In a session of its own, so that what it starts ends with it."""
        home = self.path(f"home-{name}")
        os.makedirs(home, exist_ok=True)
        environment = {**os.environ, "PATH": f"{self.bin}:{os.environ['PATH']}", "FLWR_HOME": home, "FLWR_TELEMETRY_ENABLED": "0",
                       "FLWR_DISABLE_UPDATE_CHECK": "1", "OMP_NUM_THREADS": "1", "OPENBLAS_NUM_THREADS": "1"}
        with open(self.path(f"{name}.log"), "w", encoding="utf-8") as log:
            process = subprocess.Popen([os.path.join(self.bin, command[0]), *command[1:]], env=environment, cwd=self.work,
                                       stdin=subprocess.DEVNULL, stdout=log, stderr=log, start_new_session=True)
        self.processes.append(process)
        return process

    def open(self):
        port, *ports = free_ports(1 + self.devices)
        self.superlink = self.start("superlink", "flower-superlink", "--port", str(port), "--ssl-certfile", f"{self.pki}/hub-0.pem",
                                    "--ssl-keyfile", f"{self.pki}/hub-0.key", "--ssl-ca-certfile", f"{self.pki}/ca.pem",
                                    "--disable-runtime-dependency-installation")
        self.await_port(port)
        self.relay = Relay(port)
        for number, own in enumerate(ports):
            self.start(f"supernode-{number}", "flower-supernode", "--superlink", f"127.0.0.1:{self.relay.port}",
                       "--root-certificates", f"{self.pki}/ca.pem", "--port", str(own), "--node-config", f"partition-id={number}")
        self.run_app(port)
        self.serverapp = int(self.await_word("ready", 1))

    def await_port(self, port):
        limit = time.monotonic() + WAIT_S
        while self.superlink.poll() is None and time.monotonic() < limit:
            try:
                socket.create_connection(("127.0.0.1", port)).close()
                return
            except OSError:
                time.sleep(0.1)
        raise Failure(f"the SuperLink did not start: see {self.path('superlink.log')}")

    def run_app(self, port):
        os.makedirs(self.path("home-run"))
        with open(self.path("home-run/config.toml"), "w", encoding="utf-8") as f:
            f.write(f'[superlink]\ndefault = "bench"\n[superlink.bench]\naddress = "127.0.0.1:{port}"\n'
                    f'root-certificates = "{self.pki}/ca.pem"\n')
        shutil.copytree(APP, self.path("app"))
        config = (f'rounds={self.samples + 1} devices={self.devices} neighbours={min(NEIGHBOURS, self.devices)} values={self.values} '
                  f'gate="{self.gate}"')
        done = self.start("run", "flwr", "run", self.path("app"), "bench", "--run-config", config)
        if done.wait(WAIT_S) != 0:
            raise Failure(f"flwr run did not: see {self.path('run.log')}")

    def await_word(self, word, number):
        """What the app says at that point of that round."""
        path, limit = os.path.join(self.gate, f"{word}-{number}"), time.monotonic() + WAIT_S
        while not os.path.exists(path):
            if time.monotonic() > limit or self.superlink.poll() is not None:
                raise Failure(f"Flower's round {number} is not {word}: see {self.path('superlink.log')}")
            time.sleep(0.02)
        with open(path, encoding="ascii") as f:
            return f.read()

    def reading(self):
        return cpu_s(self.superlink.pid), cpu_s(self.serverapp), self.relay.sent_bytes, time.monotonic()

    def spent(self, before):
        return [now - was for was, now in zip(before, self.reading())]

    def idle(self):
        """CPU seconds a second of SuperLink and ServerApp while everybody waits."""
        before = self.reading()
        time.sleep(IDLE_S)
        superlink, serverapp, _, seconds = self.spent(before)
        return (superlink + serverapp) / seconds

    def round(self, number):
        """(CPU of the SuperLink, of the ServerApp, bytes of the devices, seconds on the wall). The sum was right when this returns."""
        before = self.reading()
        with open(os.path.join(self.gate, f"go-{number}"), "w", encoding="ascii"):
            pass
        self.await_word("done", number)
        spent = self.spent(before)
        self.await_word("ready", number + 1)
        return spent

    def stop(self):
        for process in self.processes:
            end_session(process.pid)
        for process in self.processes:
            process.wait()
        if self.serverapp and os.path.exists(f"/proc/{self.serverapp}"): # in a session of its own
            os.kill(self.serverapp, signal.SIGKILL)
        if self.relay:
            self.relay.listener.close()


def end_session(leader):
    """Every process of a session that we began: SuperNodes and SuperLinks start others, in groups of their own."""
    for folder in glob.glob("/proc/[0-9]*"):
        try:
            with open(f"{folder}/stat", encoding="utf-8", errors="replace") as f:
                session = int(f.read().rpartition(")")[2].split()[3])
            if session == leader:
                os.kill(int(os.path.basename(folder)), signal.SIGKILL)
        except (OSError, ProcessLookupError):
            pass


class Both(rounds.Rounds):
    """Millrace's federation, and Flower's beside it with the same certificates."""

    def __init__(self, options, python, work, samples):
        super().__init__(options.build, work, options.devices, options.values)
        self.flower = Flower(python, self.pki, os.path.join(work, "flower"), options.devices, options.values, samples)

    def start(self):
        super().start()
        self.flower.open()

    def stop(self):
        self.flower.stop()
        return super().stop()


def note(figures, devices, flower, idle, own, counters):
    superlink, serverapp, sent, seconds = flower
    hubs = sum(own.whole.values())
    of = "user and system time, a device; every device gets the model too"
    figures.sample("superlink.flower.superlink_ms", "ms", 1e3 * superlink / devices, "neither", None, of)
    figures.sample("superlink.flower.serverapp_ms", "ms", 1e3 * serverapp / devices, "neither", None, of)
    figures.sample("superlink.flower.round_s", "s", seconds, "neither", None, "on the wall; all devices share the cores")
    figures.sample("superlink.flower.upload_bytes", "bytes", sent / devices, "neither", None, "TCP, TLS included")
    figures.sample("superlink.millrace.hubs_ms", "ms", 1e3 * hubs / devices, "neither", None, of)
    figures.sample("superlink.millrace.upload_bytes", "bytes", rounds.received_bytes(counters) / devices, "neither", None, "UDP payload")
    figures.sample("superlink.of_flower.hub_cpu", "ratio", hubs / (superlink + serverapp), "lower", FLOWER_CPU,
                   "CPU of both hubs / of SuperLink and ServerApp")
    figures.sample("superlink.of_flower.hub_cpu_busy", "ratio", hubs / (superlink + serverapp - idle * seconds), "lower", FLOWER_CPU,
                   "the same, without what Flower's server spends in that time when nothing is done")
    figures.sample("superlink.of_flower.upload_bytes", "ratio", rounds.received_bytes(counters) / sent, "lower", FLOWER_BYTES,
                   "what a device sends / likewise")


def measure(both, figures, samples):
    both.round("pull")  # not counted, as Flower's first, in which devices fetch the app
    both.flower.round(1)
    idle = both.flower.idle()
    figures.context(flower_idle_ms_per_s=round(1e3 * idle, 2))
    for number in range(2, samples + 2):
        own, _, _, counters = both.round("pull")
        note(figures, both.devices, both.flower.round(number), idle, own, counters)
    figures.checked()


def main():
    parser = hub_bench.options(__doc__)
    parser.add_argument("--devices", type=int, default=DEVICES)
    parser.add_argument("--values", type=int, default=VALUES)
    options = parser.parse_args()
    samples = QUICK_SAMPLES if options.quick else SAMPLES
    try:
        python = python_of_venv()
    except Missing as reason:
        raise Skip(f"Flower cannot be had: {reason}") from None
    played = hub_bench.play("superlink", options, lambda work: Both(options, python, work, samples),
                            lambda both, figures: measure(both, figures, samples),
                            devices=options.devices, values=options.values, value_bits=8, ring_bits=16,
                            flower_neighbours=min(NEIGHBOURS, options.devices))
    return 0 if played else 1


if __name__ == "__main__":
    sys.exit(run(main))
