#!/usr/bin/env python3
"""Rounds of real hubs and devices while the network, the machine or strangers do their worst.

Every scene ends with rounds that are published with all devices and the right sum at both hubs.

usage: test_faults.py SCENE --build DIR
"""

import argparse
import hashlib
import json
import os
import signal
import sys
import time

from netns import (HERE, HUBS, FAR_HUBS, SOURCES, TO_DEVICES, NetRounds, Skip, Talker, call,
                   run_scene, wait_for)
from federation import Failure

DEVICES = 6
DIMENSION = 100000
STOPPED_S = 3
SPARE_BYTES = 4 << 20  # beyond a hub's resident memory: the system's own share, and files' pages
HANDSHAKES_MAX, STALLED, STALLS_PER_S = 256, 3000, 400


def expect(truth, text):
    if not truth:
        raise Failure(text)


def say(**figures):
    print(json.dumps(figures), flush=True)


def lossy(fed):
    """A tenth of all packets lost each way, a path with a delay, a tenth overtaken by others."""
    fed.delay_us, fed.late_percent, fed.late_us = 10000, 10, 40000
    fed.start()
    fed.network.lose(10)
    number = fed.begin()
    load = fed.finish(number)
    lost = {chain: fed.network.counted(chain, "DROP", TO_DEVICES)[0]
            for chain in ("INPUT", "OUTPUT")}
    expect(all(lost.values()) and load["retransmitted"] > 0, f"nothing was lost: {lost}, {load}")
    say(lost=lost, datagrams=load["datagrams"], retransmitted=load["retransmitted"])


def stopped(fed):
    """Either hub stands still for some seconds while the uploads come, and goes on."""
    fed.delay_us = 20000
    fed.settings = {"upload.window_max": 4}
    fed.start()
    for index in range(2):
        fed.relay.ask("begin")
        number = fed.begin()
        wait_for(lambda: fed.relay.ask("account")["sent"] > 0, "the first datagram")
        fed.hubs[index].send_signal(signal.SIGSTOP)
        time.sleep(STOPPED_S)
        fed.hubs[index].send_signal(signal.SIGCONT)
        load = fed.finish(number)
        say(stopped=index, seconds=STOPPED_S, retransmitted=load["retransmitted"])


def digest(path):
    with open(path, "rb") as f:
        return hashlib.sha256(f.read()).hexdigest()


def fill(folder):
    """Takes the last byte of the file system; the path of what took it."""
    path = os.path.join(folder, "filler")
    with open(path, "wb", buffering=0) as f:
        for size in (65536, 4096):
            try:
                while True:
                    f.write(bytes(size))
            except OSError:
                pass
    return path


def disk_full(fed):
    """A hub whose data_dir is full stops and says why; with room again the same round goes on."""
    folders = [f"{fed.work}/hub-{index}" for index in range(2)]
    try:
        for folder in folders:
            os.makedirs(folder)
            call("mount", "-t", "tmpfs", "-o", "size=24m", "mrn-data", folder)
        fed.start()
        fed.finish(fed.begin())
        for index, folder in enumerate(folders):
            fill_once(fed, index, folder)
    finally:
        fed.stop()
        for folder in folders:
            call("umount", folder)


def fill_once(fed, index, folder):
    kept = {name: digest(f"{folder}/tasks/default/rounds/{name}") for name in os.listdir(f"{folder}/tasks/default/rounds")}
    # A helper on a full disk takes no round, and devices that had set out might be through already.
    number = fed.open_round()
    wait_for(lambda: f"round={number} state=admitting" in fed.log(1), "the helper to take the round")
    filler = fill(folder)
    fed.set_out()
    wait_for(lambda: fed.hubs[index].poll() is not None, f"hub {index} to stop on its full disk")
    code = fed.hubs[index].poll()
    fatal = [line for line in fed.log(index).splitlines() if "hub.fatal" in line]
    expect(code == 1 and len(fatal) == 1 and "is the disk full?" in fatal[0],
           f"hub {index} ended with {code} and says {fatal}")
    os.unlink(filler)
    fed.start_hub(index)
    fed.finish(number)
    now = {name: digest(f"{folder}/tasks/default/rounds/{name}") for name in kept}
    expect(now == kept, f"hub {index}: what was there before is not what was kept")
    say(full=index, fatal=fatal[0].partition("why=")[2])


class MemoryGroup:
    """A control group of its own, of version 2 or 1, whichever has the memory controller."""

    def __init__(self, name):
        root = "/sys/fs/cgroup"
        if self.read(f"{root}/cgroup.controllers") and \
                "memory" in self.read(f"{root}/cgroup.subtree_control").split():
            self.path, self.files = f"{root}/{name}", ("memory.max", "memory.peak")
        elif os.path.exists(f"{root}/memory/memory.limit_in_bytes"):
            self.path = f"{root}/memory/{name}"
            self.files = ("memory.limit_in_bytes", "memory.max_usage_in_bytes")
        else:
            raise Skip("no memory controller in /sys/fs/cgroup, of either version")
        try:
            os.mkdir(self.path)
        except OSError as error:
            raise Skip(f"no control group may be made: {error}") from error

    @staticmethod
    def read(path):
        try:
            with open(path, encoding="ascii") as f:
                return f.read()
        except OSError:
            return ""

    def limit(self, limit):
        with open(f"{self.path}/{self.files[0]}", "w", encoding="ascii") as f:
            f.write(str(limit))

    def inside(self):
        """A command that goes into the group and becomes the one behind it."""
        return ["sh", "-c", 'echo $$ >"$0" && exec "$@"', f"{self.path}/cgroup.procs"]

    def peak(self):
        return int(self.read(f"{self.path}/{self.files[1]}") or 0)

    def close(self):
        os.rmdir(self.path)


def memory_limited(fed):
    """A hub that may have little more memory than it needs goes on within it."""
    group = MemoryGroup(f"mrn-{os.getpid()}")
    try:
        fed.start()
        fed.finish(fed.begin())
        limit = fed.memory() + SPARE_BYTES
        fed.hubs[0].terminate()
        expect(fed.hubs[0].wait() == 0, "the lead did not stop")
        group.limit(limit)
        fed.start_hub(0, group.inside())
        for _ in range(3):
            fed.finish(fed.begin())
        expect(fed.hubs[0].poll() is None, f"the lead ended with {fed.hubs[0].poll()}")
        say(limit_bytes=limit, peak_bytes=group.peak(), resident_bytes=fed.memory())
        expect(fed.stop() == [0, 0], "a hub did not end well")
    finally:
        fed.stop()
        group.close()


def handshakes(fed):
    """Connections that stall in TLS, from many addresses and far more than a hub lets wait: they
    push one another out, and the devices come through."""
    fed.settings = {"control.handshakes_max": HANDSHAKES_MAX}
    fed.start()
    fed.finish(fed.begin())
    before = fed.memory()
    stall = Talker(*fed.network.strangers, sys.executable, os.path.join(HERE, "stall.py"), FAR_HUBS,
                   fed.ports[0], SOURCES, STALLED, STALLS_PER_S)
    pushed_out = 'millrace_control_handshake_failures_total{reason="pushed_out"}'
    wait_for(lambda: fed.metrics(0)[pushed_out] > 0, "more handshakes than may wait")
    honest = fed.metrics(0)["millrace_control_handshakes_total"]
    for _ in range(3):
        fed.finish(fed.begin())
    wait_for(lambda: fed.metrics(0)[pushed_out] > 4 * HANDSHAKES_MAX, "many times as many")
    metrics = fed.metrics(0)
    during = fed.memory()
    honest = metrics["millrace_control_handshakes_total"] - honest
    expect(metrics["millrace_control_handshakes_pending"] <= HANDSHAKES_MAX,
           f"{metrics['millrace_control_handshakes_pending']} handshakes wait")
    expect(metrics["millrace_control_over_limit_total"] == 0, "somebody was turned away")
    account = json.loads(stall.end())
    wait_for(lambda: fed.counter("millrace_control_handshakes_pending") == 0,
             "the stalled handshakes to be gone")
    metrics = fed.metrics(0)
    say(**account, honest=int(honest), memory_before_during=[before, during],
        counted={name: value for name, value in metrics.items() if value and name.startswith(
            ("millrace_control_limited", "millrace_control_handshake_failures"))})


def slow_readers(fed):
    """Clients that ask for a model and do not read it are cut off, and counted by cause."""
    sys.path.insert(0, os.path.join(HERE, "..", "liar"))
    from h2peer import Client  # which ends with 77 where python3-h2 is not installed
    fed.settings = {"control.idle_timeout_ms": 1000}
    fed.start()
    fed.finish(fed.begin())
    model = fed.operator(0, "status")["tasks"][0]["model_hash"]
    readers = []
    for number in range(fed.devices):
        reader = Client(fed.ports[0], fed.pki, f"device-{number:03d}", host=HUBS)
        reader.h2.send_headers(1, [(":method", "GET"), (":scheme", "https"), (":authority", "hub"),
                                   (":path", f"/v1/tasks/default/models/{model}")], end_stream=True)
        reader.flush()
        readers.append(reader)
    cause = 'millrace_control_connection_ends_total{cause="stalled"}'
    wait_for(lambda: fed.metrics(0)[cause] >= len(readers), "every slow reader to be cut off")
    fed.finish(fed.begin())
    say(readers=len(readers), cut_off=int(fed.metrics(0)[cause]))
    for reader in readers:
        reader.close()


SCENES = {"loss": lossy, "stop": stopped, "disk": disk_full, "memory": memory_limited,
          "handshakes": handshakes, "readers": slow_readers}


def play(network, work, options):
    fed = NetRounds(options.build, work, network, DEVICES, DIMENSION)
    try:
        SCENES[options.scene](fed)
    finally:
        fed.stop()


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("scene", choices=SCENES)
    parser.add_argument("--build", required=True)
    return run_scene(play, parser.parse_args())


if __name__ == "__main__":
    sys.exit(main())
