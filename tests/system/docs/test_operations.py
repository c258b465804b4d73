#!/usr/bin/python3
"""docs/operations.md followed to the letter: install, keys both ways, two hubs, three devices, a round; then the
commonest things are broken, and what is said stands in the page.

    test_operations.py BUILD DIGITS_TOOL ROOT
"""

import os
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import unittest

from book import Book, Machine

BUILD = DIGITS = ROOT = None
HUBS = ("127.0.0.1", "127.0.0.2") # one port at both
DEVICES = 3
TROUBLE = "## When it does not work"


def free_ports(count):
    """Numbers that are free at both addresses, as TCP and as UDP, and that the kernel gives to nobody by itself."""
    found, port = [], 18000 + os.getpid() % 7000
    while len(found) < count:
        port += 1
        held = []
        try:
            for host in HUBS:
                for kind in (socket.SOCK_STREAM, socket.SOCK_DGRAM):
                    held.append(socket.socket(socket.AF_INET, kind))
                    held[-1].bind((host, port))
            found.append(port)
        except OSError:
            pass
        finally:
            for s in held:
                s.close()
    return found


def write_shard(path, number):
    """60 rows of three classes that a line tells apart."""
    with open(path, "w", encoding="ascii") as f:
        f.writelines(f"{c * 2}.{number},{c * 2 + 1}.2,{c * 2 + 2}.3,{c * 2 + 3}.4,{c}\n" for c in [0, 1, 2] * 20)


class Federation(unittest.TestCase):
    """Set up once, as section "Set up a federation" says; each test leaves it as it was."""

    @classmethod
    def setUpClass(cls):
        cls.dir = tempfile.mkdtemp(prefix="millrace-docs-")
        cls.addClassCleanup(shutil.rmtree, cls.dir)
        cls.book = Book(os.path.join(ROOT, "docs", "operations.md"))
        cls.used = {"settings"}
        shared = f"{cls.dir}/shared"
        port, upload = free_ports(2)
        cls.common = {"SHARED": shared, "HUB_0": HUBS[0], "HUB_1": HUBS[1], "PORT": port, "UPLOAD_PORT": upload,
                      "I": 0}
        os.makedirs(shared)
        subprocess.run([DIGITS, "init", "--layers", "4,8,3", "--seed", "7", "--out", f"{shared}/model.safetensors"],
                       check=True, stdout=subprocess.DEVNULL)
        cls.hubs = [cls.machine(f"hub-{i}", N=i, ADDRESS=HUBS[i]) for i in range(2)]
        cls.office = cls.machine("office", N=0, ADDRESS=HUBS[0]) # CA, operator and devices
        cls.running = [None, None]
        cls.addClassCleanup(cls.stop_all)
        cls.set_up()

    @classmethod
    def machine(cls, name, **settings):
        home = f"{cls.dir}/{name}"
        return Machine(cls.book, home, BUILD, **cls.common, MILLRACE_CONFIG=f"{home}/operator.json", **settings)

    @classmethod
    def do(cls, machine, name, **changes):
        cls.used.add(name)
        return machine.must(name, **changes)

    @classmethod
    def set_up(cls):
        for machine in (*cls.hubs, cls.office):
            cls.do(machine, "install")
        for hub in cls.hubs:
            cls.do(hub, "hub-keys")
        cls.do(cls.hubs[1], "hub-signing-key-openssl") # the other way
        cls.do(cls.office, "ca")
        cls.do(cls.office, "operator-key")
        for i in range(DEVICES):
            cls.do(cls.office, "device-key", I=i)
        cls.do(cls.office, "sign")
        for i, hub in enumerate(cls.hubs):
            cls.do(hub, "configure")
            cls.start(i)
        cls.do(cls.office, "operator")
        for i in range(DEVICES):
            cls.do(cls.office, "device", I=i)
            write_shard(f"{cls.office.home}/device-{i}/shard.csv", i)

    @classmethod
    def start(cls, i):
        cls.used.add("start")
        cls.running[i] = cls.hubs[i].start("start")
        if not cls.running[i].until("hub.ready"):
            raise AssertionError(cls.running[i].said)

    @classmethod
    def stop(cls, i):
        """Its exit code."""
        hub, cls.running[i] = cls.running[i], None
        return hub.end(signal.SIGTERM)

    @classmethod
    def stop_all(cls):
        for i in range(2):
            if cls.running[i]:
                cls.stop(i)

    # --- a round ------------------------------------------------------------------------------

    def play(self):
        """A round with every device; what the operator and the devices hear."""
        self.used.update(("join", "round"))
        joined = [self.office.start("join", I=i) for i in range(DEVICES)]
        for device in joined:
            self.addCleanup(device.end, signal.SIGKILL)
        code, said = self.office.run("round")
        self.assertEqual(code, 0, said)
        self.assertEqual([device.end() for device in joined], [0] * DEVICES, [device.said for device in joined])
        return said

    def test_a_round(self):
        self.assertRegex(self.play(), r"(?m)^state +published$")
        self.assertRegex(self.do(self.office, "list"), r"published")

    def test_the_trial(self):
        home = self.machine("trial", N=0, ADDRESS=HUBS[0])
        self.do(home, "install")
        shutil.copy(f"{self.dir}/shared/model.safetensors", home.home)
        [port] = free_ports(1)
        self.used.update(("trial-hub", "trial-device", "trial-round"))
        self.do(home, "trial", PORT=port)
        running = [home.start("trial-hub", N=i) for i in range(2)]
        for hub in running:
            self.addCleanup(hub.end, signal.SIGTERM)
            self.assertTrue(hub.until("hub.ready"), hub.said)
        for i in range(DEVICES):
            write_shard(f"{home.home}/shard-{i}.csv", i)
            running.append(home.start("trial-device", I=i))
            self.addCleanup(running[-1].end, signal.SIGKILL)
        self.assertRegex(self.do(home, "trial-round"), r"(?m)^state +published$")
        self.assertEqual([device.end() for device in running[2:]], [0] * DEVICES)

    def test_zz_every_block_was_run(self):
        """The last of them by its name."""
        self.assertEqual(self.book.loose, [], "blocks without a mark")
        self.assertEqual(set(self.book.blocks), self.used)


if __name__ == "__main__":
    BUILD, DIGITS, ROOT = map(os.path.abspath, sys.argv[1:4])
    unittest.main(argv=sys.argv[:1] + sys.argv[4:], verbosity=1)
