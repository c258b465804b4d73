"""Network namespaces for hubs, devices and strangers, and a federation of real processes in them.

    strangers  198.18.6.2 and all of 198.19.0.0/16     devices  198.18.5.2, the relay among them
         |  mrn-far / mrn-str                                |  mrn-wire / mrn-dev
         +----------------------- hubs: 198.18.6.1, 198.18.5.1 (this process) --+

The namespaces have no names and end with the processes that hold them. Devices reach the control
plane over the wire itself and the upload plane through the relay, whose address the lead tells them.
"""

import ctypes
import json
import os
import re
import shutil
import subprocess
import sys
import tempfile
import time

HERE = os.path.dirname(os.path.abspath(__file__))
sys.path.insert(0, os.path.join(HERE, "..", "..", "..", "demo"))
sys.path.insert(0, os.path.join(HERE, "..", "..", "..", "perf"))
from federation import Failure  # noqa: E402
from rounds import Rounds  # noqa: E402

SKIPPED = 77
CLONE_NEWNET = 0x40000000
CLONE_NEWNS = 0x00020000
HUBS, DEVICES = "198.18.5.1", "198.18.5.2"
FAR_HUBS, STRANGER, SOURCES = "198.18.6.1", "198.18.6.2", "198.19.0.0"
TO_DEVICES, TO_STRANGERS = "mrn-dev", "mrn-str"  # the hubs' ends of the two wires
HOLD_S = 3600
WAIT_S = 60  # a wait that long means that what was awaited does not come


class Skip(Exception):
    """What this machine or process lacks."""


def call(*command):
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode != 0:
        raise Failure(f"{' '.join(command)}: {done.stderr.strip()}")
    return done.stdout


def wait_for(truth, what):
    """Returns truth()'s first value that counts as true."""
    limit = time.monotonic() + WAIT_S
    while time.monotonic() < limit:
        value = truth()
        if value:
            return value
        time.sleep(0.1)
    raise Failure(f"waited {WAIT_S} s in vain: {what}")


class Network:
    def __init__(self):
        self.holders = []
        if os.geteuid() != 0:
            raise Skip("not root: network namespaces and iptables need it")
        missing = [name for name in ("ip", "iptables", "nsenter") if shutil.which(name) is None]
        if missing:
            raise Skip(f"not installed: {', '.join(missing)} (tests/install.sh net)")
        if ctypes.CDLL(None, use_errno=True).unshare(CLONE_NEWNET | CLONE_NEWNS) != 0:
            raise Skip(f"no namespaces: {os.strerror(ctypes.get_errno())}")
        try:
            call("mount", "--make-rprivate", "/")
            call("ip", "link", "set", "lo", "up")
            self.devices = self.far_end("mrn-wire", DEVICES, TO_DEVICES, HUBS)
            self.strangers = self.far_end("mrn-far", STRANGER, TO_STRANGERS, FAR_HUBS)
            call(*self.strangers, "ip", "addr", "add", f"{SOURCES}/16", "dev", "lo")
            call("ip", "route", "add", f"{SOURCES}/16", "via", STRANGER)
            # Rules without a target only count.
            call("iptables", "-A", "INPUT", "-i", TO_STRANGERS)
            call("iptables", "-A", "OUTPUT", "-o", TO_STRANGERS)
        except Failure as failure:
            self.close()
            raise Skip(f"no veth pairs or no iptables: {failure}") from failure

    def far_end(self, name, address, near, near_address):
        """A namespace with one wire to this one; the command that runs another in it."""
        holder = subprocess.Popen(["unshare", "-n", "sh", "-c", f"echo; exec sleep {HOLD_S}"],
                                  stdout=subprocess.PIPE, stdin=subprocess.DEVNULL)
        self.holders.append(holder)
        holder.stdout.readline()
        there = ("nsenter", "-t", str(holder.pid), "-n")
        call("ip", "link", "add", near, "type", "veth", "peer", "name", name, "netns",
             str(holder.pid))
        call("ip", "addr", "add", f"{near_address}/24", "dev", near)
        call("ip", "link", "set", near, "up")
        call(*there, "ip", "addr", "add", f"{address}/24", "dev", name)
        call(*there, "ip", "link", "set", name, "up")
        call(*there, "ip", "link", "set", "lo", "up")
        return there

    def lose(self, percent):
        """From now on: of all packets between hubs and devices, so many a hundred, each way."""
        chance = ("-m", "statistic", "--mode", "random", "--probability", str(percent / 100),
                  "-j", "DROP")
        call("iptables", "-A", "INPUT", "-i", TO_DEVICES, *chance)
        call("iptables", "-A", "OUTPUT", "-o", TO_DEVICES, *chance)

    @staticmethod
    def counted(chain, target, interface):
        """(packets, bytes) that met the chain's rule for the interface."""
        for line in call("iptables", "-L", chain, "-v", "-x", "-n").splitlines():
            words = line.split()
            if interface in words and (target in words) == (target is not None):
                return int(words[0]), int(words[1])
        raise Failure(f"no rule of {chain} for {interface}")

    @staticmethod
    def socket_losses():
        """Datagrams that found a full receive buffer, of all sockets in the hubs' namespace."""
        with open("/proc/self/net/snmp", encoding="ascii") as f:
            names, values = (line.split()[1:] for line in f if line.startswith("Udp:"))
        return int(dict(zip(names, values))["RcvbufErrors"])

    def close(self):
        for holder in self.holders:
            holder.kill()
            holder.wait()


class Talker:
    """A helper program that answers one line of JSON to a line, and ends with its input."""

    def __init__(self, *command):
        self.command = [str(word) for word in command]
        self.process = subprocess.Popen(self.command, stdin=subprocess.PIPE,
                                        stdout=subprocess.PIPE, text=True)

    def hear(self):
        line = self.process.stdout.readline()
        if not line:
            raise Failure(f"{' '.join(self.command)} ended with {self.process.wait()}")
        return line

    def ask(self, line):
        self.process.stdin.write(line + "\n")
        self.process.stdin.flush()
        return json.loads(self.hear())

    def end(self):
        self.process.stdin.close()
        said = self.process.stdout.read()
        if self.process.wait() != 0:
            raise Failure(f"{' '.join(self.command)} ended with {self.process.returncode}")
        return said


class NetRounds(Rounds):
    """Hubs in this namespace; a load of real devices, and the relay, in the devices' one."""

    host = HUBS

    def __init__(self, build, work, network, devices, dimension):
        super().__init__(build, work, devices, dimension)
        self.among_devices = network.devices
        self.network = network
        self.settings = {}  # "section.key" of hub.yaml: value, for both hubs
        self.delay_us, self.late_percent, self.late_us = 0, 0, 0  # of the relay
        self.relay = None
        self.headers = os.path.join(work, "headers")

    def hub_name(self, index):
        return DEVICES if index == 0 else super().hub_name(index) # the relay, as all hubs sign

    def hub_options(self, *arguments):
        options = super().hub_options(*arguments)
        settings = {"control.listen_host": "0.0.0.0", "upload.listen_host": "0.0.0.0",
                    "upload.advertise_host": DEVICES, "round.deadline_ms": 120000, **self.settings}
        for key, value in settings.items():
            section, name = key.split(".")
            options[section][name] = value
        return options

    def start(self):
        self.relay = Talker(*self.network.devices, self.program("tests", "system", "net", "net_relay"),
                            DEVICES, self.udp_ports[0], HUBS, self.delay_us, self.late_percent,
                            self.late_us, self.headers)
        self.relay.hear()
        super().start()

    def start_hub(self, index, inside=()):
        """Again, after it was stopped; `inside` is a command in front of the hub's."""
        with open(f"{self.work}/hub-{index}.log", "a", encoding="utf-8") as log:
            self.hubs[index] = subprocess.Popen(
                [*inside, self.program("appliance", "millrace-hub"), "--config",
                 f"{self.work}/hub-{index}.yaml"], stdout=log, stderr=log,
                stdin=subprocess.DEVNULL)
        self.wait_ready(index)

    def log(self, index):
        with open(f"{self.work}/hub-{index}.log", encoding="utf-8") as f:
            return f.read()

    # --- a round, in steps -------------------------------------------------------------------

    def begin(self):
        """Every device sets out, a round is opened; its number."""
        self.set_out()
        return self.open_round()

    def set_out(self):
        self.load.stdin.write("round\n")
        self.load.stdin.flush()

    def open_round(self):
        return self.operator(0, "round", "open")["round"]

    def finish(self, number):
        """The load's account, when the round is published with all of them and the sum is right."""
        account = self.operator(0, "round", "show", str(number), "--wait")
        load = self.hear_load()
        if account["state"] != "published" or load["committed"] != self.devices:
            raise Failure(f"round {number}: {account['state']}, {load['committed']} of "
                          f"{self.devices} committed\n{self.log(0)[-3000:]}")
        for hub in range(2):
            self.check_sum(number, hub)
        return load

    def check_sum(self, number, hub):
        path = f"{self.work}/hub-{hub}/tasks/default/rounds/{number}.sum"
        wait_for(lambda: os.path.exists(path), f"{path} to be written")
        checked = self.ask_load(f"check {path}")
        if not checked["equal"] or checked["members"] != self.devices:
            raise Failure(f"round {number}, hub {hub}: {checked}")

    def relayed(self):
        """What went to the lead by the relay since it heard "begin", once nothing waits in it."""
        def whole():
            account = self.relay.ask("account")
            return account if account["waiting"] == 0 else None
        return wait_for(whole, "the relay to be empty")

    def drops(self):
        """Datagrams that the lead dropped, by reason."""
        found = {}
        for name, value in self.metrics(0).items():
            match = re.match(r'millrace_upload_drops_total\{.*reason="(\w+)"', name)
            if match:
                found[match[1]] = found.get(match[1], 0) + int(value)
        return found

    def counter(self, name):
        """Summed over its labels."""
        return sum(int(value) for sample, value in self.metrics(0).items()
                   if sample.partition("{")[0] == name)

    def memory(self, hub=0):
        """Resident bytes of a hub."""
        with open(f"/proc/{self.hubs[hub].pid}/status", encoding="ascii") as f:
            return 1024 * int(re.search(r"VmRSS:\s+(\d+)", f.read())[1])

    def stop(self):
        codes = super().stop()
        if self.relay is not None:
            self.relay.end()
            self.relay = None
        return codes


def run_scene(scene, *arguments):
    """Runs scene(network, work, ...); the exit code for meson."""
    network = None
    work = tempfile.mkdtemp(prefix="millrace-net-")
    code = 1
    try:
        network = Network()
        code = scene(network, work, *arguments) or 0
    except Skip as skip:
        print(f"skipped: {skip}", file=sys.stderr)
        code = SKIPPED
    except Failure as failure:
        print(f"FAILED: {failure}\neverything is in {work}", file=sys.stderr)
    finally:
        if network is not None:
            network.close()
        if code != 1:
            shutil.rmtree(work, ignore_errors=True)
    return code
