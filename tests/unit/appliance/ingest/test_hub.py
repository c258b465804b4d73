#!/usr/bin/env python3
"""Hub processes whose datagrams come through a DPDK port, confined as they always are: real devices
upload, and the published sum is right.

af_packet, af_xdp: the devices are in another network namespace. The control connections have a veth
pair of their own; on the other one the hub's end is DPDK's, and the kernel answers ARP for it by the
exception path. client, server: the hub's role at a memif, whose peer comes once the hub is confined,
is killed, and comes again for the next round.

usage: test_hub.py BUILD af_packet|af_xdp|client|server
"""

import ctypes
import os
import re
import select
import socket
import subprocess
import sys
import tempfile
import threading
import time

HERE = os.path.dirname(os.path.abspath(__file__))
sys.path.insert(0, os.path.join(HERE, "..", "..", "..", "..", "demo"))
import sums  # noqa: E402
from federation import Failure, Federation  # noqa: E402

SKIPPED = 77
CLONE_NEWNET = 0x40000000
CONTROL, UPLOADS = "198.18.3", "198.18.2"  # the hub is .1, the devices are .2
DEVICES = 4
TRAINING = {"rotation_log2": "auto", "scale": "auto", "clip_norm": 3.0, "weight_max": 100,
            "trainer": {"epochs": 1, "batch": 16, "learning_rate": 0.05}}


class Skip(Exception):
    """What this machine or process lacks."""


class Network:
    """This process is in the hubs' namespace; another holds the devices'."""

    def __init__(self):
        if not os.access("/dev/net/tun", os.R_OK | os.W_OK):
            raise Skip("/dev/net/tun is not here or may not be opened")
        if ctypes.CDLL(None, use_errno=True).unshare(CLONE_NEWNET) != 0:
            raise Skip(f"no network namespace: {os.strerror(ctypes.get_errno())}")
        self.holder = subprocess.Popen(["unshare", "-n", "sh", "-c", "echo; exec sleep 600"],
                                       stdout=subprocess.PIPE)
        self.holder.stdout.readline()
        pid = self.holder.pid
        try:
            for name in ("dpdk", "ctl"):
                self.here("ip", "link", "add", f"{name}-hub", "type", "veth", "peer", "name",
                          f"{name}-dev", "netns", str(pid))
        except Failure as failure:
            self.close()
            raise Skip(f"no veth pairs: {failure}") from failure
        self.here("ip", "link", "set", "lo", "up")
        self.here("ip", "addr", "add", f"{CONTROL}.1/24", "dev", "ctl-hub")
        self.there("ip", "addr", "add", f"{CONTROL}.2/24", "dev", "ctl-dev")
        self.there("ip", "addr", "add", f"{UPLOADS}.2/24", "dev", "dpdk-dev")
        # Frames as a wire would carry them: no trains of datagrams to be cut by nobody.
        self.there("ethtool", "-K", "dpdk-dev", "tx", "off", "gso", "off")
        for name in ("dpdk", "ctl"):
            self.here("ip", "link", "set", f"{name}-hub", "up")
            self.there("ip", "link", "set", f"{name}-dev", "up")

    def here(self, *command):
        done = subprocess.run(command, capture_output=True, text=True, check=False)
        if done.returncode != 0:
            raise Failure(f"{' '.join(command)}: {done.stderr.strip()}")

    def devices(self, *command):
        return ["nsenter", "-t", str(self.holder.pid), "-n", *command]

    def there(self, *command):
        self.here(*self.devices(*command))

    def close(self):
        self.holder.kill()
        self.holder.wait()


class Loopback:
    """No other namespace: the devices reach a memif by its peer's sockets."""

    def devices(self, *command):
        return list(command)


class Peer:
    """The other end of a memif, and a relay to it: what devices send to `port` goes to the peer, a
    socket for each device, and the answers come back."""

    def __init__(self, build, device, port):
        self.command = [f"{build}/tests/unit/appliance/ingest/dpdk_peer", device, "02:00:00:00:00:01", "1",
                        str(port)]
        self.front = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self.front.bind(("127.0.0.1", port))
        self.backs = {}  # a device's address: its socket
        self.start()
        threading.Thread(target=self.relay, daemon=True).start()

    def start(self):
        self.process = subprocess.Popen(self.command, stdout=subprocess.PIPE, text=True)
        self.port = int(self.process.stdout.readline())

    def kill(self):
        self.process.kill()
        self.process.wait()

    def relay(self):
        while True:
            back_of = {back: device for device, back in self.backs.items()}
            ready, _, _ = select.select([self.front, *back_of], [], [])
            for sock in ready:
                try:
                    data, sender = sock.recvfrom(2048)
                    if sock is not self.front:
                        self.front.sendto(data, back_of[sock])
                        continue
                    if sender not in self.backs:
                        self.backs[sender] = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
                    self.backs[sender].sendto(data, ("127.0.0.1", self.port))
                except ConnectionRefusedError:
                    pass  # the peer is dead at the moment: loss


class Hubs(Federation):
    """The lead's upload section is given; hub 1 has sockets."""

    control, uploads = f"{CONTROL}.1", f"{UPLOADS}.1"

    upload = ""

    def make_identities(self):
        self.run(self.program("appliance", "cli", "millrace"), "pki", "init", "--dir", self.pki,
                 "--hubs", "2", "--devices", str(self.devices), "--operators", "1", "--host",
                 self.control)

    def at_control(self, text):
        return text.replace("127.0.0.1", self.control)

    def hub_name(self, index):
        return self.uploads if index == 0 else super().hub_name(index) # where its datagrams go

    def hub_yaml(self, index, *rest):
        text = self.at_control(super().hub_yaml(index, *rest))
        text = re.sub(r"\bdeadline_ms: \d+", "deadline_ms: 60000", text)
        if index == 0:
            text = text.replace("upload:\n", "upload:\n" + self.upload)
            text = text.replace(f"listen_host: {self.control}\n  advertise_host: {self.control}",
                                f"listen_host: 0.0.0.0\n  advertise_host: {self.uploads}")
        return text

    def device_json(self, *arguments):
        path = super().device_json(*arguments)
        with open(path, encoding="utf-8") as f:
            text = self.at_control(f.read())
        with open(path, "w", encoding="utf-8") as f:
            f.write(text.replace('"http2"', '"udp"'))
        return path

    def run(self, *command):
        return super().run(*[self.at_control(word) for word in command])

    def log(self, index=0):
        with open(f"{self.work}/hub-{index}.log", encoding="utf-8") as f:
            return f.read()


class LocalHubs(Hubs):
    control = uploads = "127.0.0.1"


def open_federation(build, work, upload, kind=Hubs):
    os.mkdir(work)
    fed = kind(build, work, DEVICES, TRAINING)
    fed.upload = upload
    fed.make_identities()
    fed.model = f"{work}/initial.safetensors"
    fed.run(fed.program("demo", "digits-tool"), "init", "--layers", "64,64,10", "--seed",
            "1", "--out", fed.model)
    return fed


def expect(truth, text, fed):
    if not truth:
        raise Failure(f"{text}\n{fed.log()[-3000:]}")


def address_tap(fed):
    """What an operator does to the interface of the exception path, once it is there. The devices
    forget the neighbour that an earlier hub was to them: this one has to answer their ARP."""
    fed.network.there("ip", "neigh", "flush", "dev", "dpdk-dev")
    fed.network.here("ip", "addr", "add", f"{UPLOADS}.1/24", "dev", "dpdk-tap")
    fed.network.here("ip", "link", "set", "dpdk-tap", "up")


def run_round(fed, number_of_round=1):
    data, dumps = f"{fed.work}/data.csv", f"{fed.work}/dumps"
    os.makedirs(dumps, exist_ok=True)
    with open(data, "w", encoding="ascii") as f:
        for i in range(20):
            f.write(",".join(str((i * 7 + j) % 17) for j in range(64)) + f",{i % 10}\n")
    fed.operator(0, "round", "open")
    programs = []
    for number in range(DEVICES):
        config = fed.device_json(f"{number_of_round}-{number:03d}", fed.pki, number, number)
        programs.append(subprocess.Popen(
            fed.network.devices(fed.program("edge-client", "millrace-edge"), "run", "--config",
                                config, "--data", data, "--rounds", "1", "--dump-dir", dumps,
                                "--transport", "udp", "--patience-ms", "40000"),
            stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True))
    for program in programs:
        out, _ = program.communicate(timeout=100)
        expect(program.returncode == 0, f"a device ended with {program.returncode}:\n{out}", fed)
    state = ""
    for _ in range(600):
        state = fed.operator(0, "round", "show", str(number_of_round))["state"]
        if state in ("published", "void"):
            break
        time.sleep(0.1)
    expect(state == "published", f"the round is {state}", fed)
    check = sums.compare(f"{fed.work}/hub-0", "default", dumps, number_of_round)
    expect(check.equal and len(check.included) == DEVICES,
           f"the sum of {len(check.included)} devices: {check.detail}", fed)


def confined(fed):
    """The sandbox is on: every part that can be; unless the hub's branches are counted."""
    if 'why="built with a sanitizer or for coverage"' in fed.log():
        return
    parts = dict(re.findall(r"sandbox\.part.*?part=(\w+) in_force=(\w+)", fed.log()))
    expect(parts.get("system_calls") == "yes" and parts.get("no_capabilities") == "yes",
           f"not confined: {parts}", fed)


def whole_round(build, work, network, device, source):
    fed = open_federation(build, work, f"""  source: {source}
  dpdk_device: "{device}"
  dpdk_exception: "net_tap0,iface=dpdk-tap"
""")
    fed.network = network
    try:
        fed.start_hubs(DEVICES, 2, fed.model)
        address_tap(fed)
        confined(fed)
        run_round(fed)
        metrics = fed.metrics(0)
        expect("source=dpdk" in fed.log(), "the workers do not have the port", fed)
        to_kernel = metrics['millrace_upload_to_kernel_total{worker="0"}']
        expect(to_kernel > 0, "no ARP went to the kernel", fed)
        codes = fed.stop()
        expect(codes == [0, 0], f"the hubs ended with {codes}", fed)
    finally:
        fed.stop()


def over_memif(build, work, role):
    name = f"millrace-test-hub-{os.getpid()}"
    peer_role = "server" if role == "client" else "client"
    fed = open_federation(build, work, f"""  source: dpdk
  dpdk_device: "net_memif0,role={role},id=0,socket={name},socket-abstract=yes,mac=02:00:00:00:00:01"
  dpdk_addresses: 198.18.0.1
""", LocalHubs)
    fed.network = Loopback()
    peer = None
    try:
        fed.start_hubs(DEVICES, 2, fed.model)
        confined(fed)
        peer = Peer(build, f"net_memif9,role={peer_role},id=0,socket={name},socket-abstract=yes",
                    fed.udp_ports[0])
        run_round(fed)
        peer.kill()
        peer.start()
        run_round(fed, 2)
        codes = fed.stop()
        expect(codes == [0, 0], f"the hubs ended with {codes}", fed)
    except Failure:
        print(fed.log()[-3000:], file=sys.stderr)
        raise
    finally:
        fed.stop()
        if peer is not None:
            peer.kill()


def falls_back(build, work, network):
    """`auto` with a device that is not there: sockets, and the log says why."""
    fed = open_federation(build, work, """  source: auto
  dpdk_device: "net_af_packet7,iface=not-there"
""")
    fed.network = network
    network.here("ip", "addr", "add", f"{UPLOADS}.1/24", "dev", "dpdk-hub")
    try:
        fed.start_hubs(DEVICES, 2, fed.model)
        confined(fed)
        log = fed.log()
        refused = re.search(r"upload\.dpdk.*refused=.*net_af_packet7", log)
        expect(refused, "the log does not say why there is no port", fed)
        expect(re.search(r"upload\.worker.*source=(io_uring|recvmmsg)", log), "no sockets", fed)
        run_round(fed)
    finally:
        fed.stop()
        network.here("ip", "addr", "del", f"{UPLOADS}.1/24", "dev", "dpdk-hub")


def refuses(build, work):
    """`dpdk` with a device that is not there, or none: the hub says so and does not start."""
    for name, lines, words in (
            ("typo", '  dpdk_device: "net_af_pakcet0,iface=dpdk-hub"\n', ["net_af_pakcet0",
                                                                          "is written as"]),
            ("gone", '  dpdk_device: "net_af_packet0,iface=not-there"\n', ["net_af_packet0"]),
            ("none", "", ["dpdk_device"])):
        fed = open_federation(build, f"{work}-{name}", "  source: dpdk\n" + lines)
        path = f"{fed.work}/hub-0.yaml"
        with open(path, "w", encoding="utf-8") as f:
            f.write(fed.hub_yaml(0, DEVICES, 2, fed.model))
        done = subprocess.run([fed.program("appliance", "millrace-hub"), "--config", path],
                              capture_output=True, text=True, timeout=60, check=False)
        missing = [word for word in words if word not in done.stderr]
        if done.returncode in (0, -11, -6, -31) or missing:
            raise Failure(f"{name}: exit {done.returncode}, without {missing}:\n{done.stderr}")
        print(f"ok   {name}: {done.stderr.strip().splitlines()[-2]}")


def main():
    build, driver = sys.argv[1], sys.argv[2]
    if driver in ("client", "server"):
        with tempfile.TemporaryDirectory(prefix="millrace-dpdk-") as folder:
            over_memif(build, f"{folder}/memif", driver)
        print(f"ok   two rounds through a memif, as its {driver}")
        return 0
    if driver == "af_xdp":
        try:
            socket.socket(44, socket.SOCK_RAW, 0).close()
        except OSError as error:
            raise Skip(f"no AF_XDP sockets: {error}") from error
    network = Network()
    device = f"net_{driver}0,iface=dpdk-hub"
    try:
        with tempfile.TemporaryDirectory(prefix="millrace-dpdk-") as folder:
            whole_round(build, f"{folder}/dpdk", network, device, "dpdk")
            print("ok   a round through the port")
            whole_round(build, f"{folder}/auto", network, device, "auto")
            print("ok   auto takes the port")
            if driver == "af_packet":
                falls_back(build, f"{folder}/fallback", network)
                print("ok   auto falls back to sockets")
                refuses(build, f"{folder}/refused")
    finally:
        network.close()
    return 0


if __name__ == "__main__":
    try:
        sys.exit(main())
    except Skip as skip:
        print(f"skipped: {skip}", file=sys.stderr)
        sys.exit(SKIPPED)
    except Failure as failure:
        print(failure, file=sys.stderr)
        sys.exit(1)
