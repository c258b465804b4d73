#!/usr/bin/python3
"""docs/operations.md followed to the letter: install, keys both ways, two hubs, three devices, a round; then the
commonest things are broken, and what is said stands in the page.

    test_operations.py BUILD DIGITS_TOOL ROOT
"""

import os
import re
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


def is_free(port):
    """At both addresses, as TCP and as UDP."""
    held = []
    try:
        for host in HUBS:
            for kind in (socket.SOCK_STREAM, socket.SOCK_DGRAM):
                held.append(socket.socket(socket.AF_INET, kind))
                held[-1].bind((host, port))
        return True
    except OSError:
        return False
    finally:
        for s in held:
            s.close()


def free_port():
    """With the one after it, and those 1000 beyond: what a trial takes. None that the kernel gives away by itself."""
    for port in range(18000 + os.getpid() % 7000, 30000, 3):
        if all(map(is_free, (port, port + 1, port + 1000, port + 1001))):
            return port
    raise RuntimeError("no free ports")


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
        shared = f"{cls.dir}/shared"
        port = free_port()
        cls.common = {"SHARED": shared, "HUB_0": HUBS[0], "HUB_1": HUBS[1], "PORT": port, "UPLOAD_PORT": port + 1000,
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
        joined = [self.office.start("join", I=i) for i in range(DEVICES)]
        for device in joined:
            self.addCleanup(device.end, signal.SIGKILL)
        code, said = self.office.run("round")
        self.assertEqual(code, 0, said)
        self.assertEqual([device.end() for device in joined], [0] * DEVICES, [device.said for device in joined])
        return said

    def test_a_round(self):
        self.assertRegex(self.play(), r"(?m)^state +published$")
        listed = self.do(self.office, "list")
        self.assertRegex(listed, r"(?m)^ *\d+ .* published ")
        self.assertRegex(listed, r"(?m)^  quorum +3$")

    def test_the_trial(self):
        home = self.machine("trial", N=0, ADDRESS=HUBS[0])
        self.do(home, "install")
        shutil.copy(f"{self.dir}/shared/model.safetensors", home.home)
        self.do(home, "trial", PORT=free_port())
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

    def test_versions(self):
        self.play()
        said = self.do(self.office, "versions")
        self.assertRegex(said, r"(?m)^aliases +champion$")
        self.assertRegex(said, r"(?m)^aliases +baseline$")
        self.assertRegex(said, r"(?m)^  site +berlin$")
        self.assertRegex(said, r"(?m)^faults +none$")

    def test_a_mark(self):
        home = self.office.home
        for name in ("north", "south"):
            self.do(self.office, "mark-key")
            os.rename(f"{home}/mark.key", f"{home}/{name}.key")
        subprocess.run([DIGITS, "init", "--layers", "64,64,10", "--seed", "7", "--out", f"{home}/initial.safetensors"],
                       check=True, stdout=subprocess.DEVNULL)
        shutil.copy(f"{home}/initial.safetensors", f"{home}/suspect.safetensors")
        self.do(self.office, "mark")
        self.assertRegex(self.do(self.office, "mark-verify"), r"(?m)^marked +no$")
        os.replace(f"{home}/marked.safetensors", f"{home}/suspect.safetensors")
        self.assertRegex(self.do(self.office, "mark-verify"), r"(?m)^marked +yes$")

    def test_every_block_is_run(self):
        self.assertEqual(self.book.loose, [], "blocks without a mark")
        with open(__file__, encoding="utf-8") as f:
            source = f.read()
        self.assertEqual([name for name in self.book.blocks
                          if name != "settings" and f'"{name}"' not in source], [])

    def test_what_is_installed_says_its_version(self):
        folder = f"{self.office.home}/dest/usr/local/bin"
        programs = sorted(os.listdir(folder))
        self.assertEqual(programs, ["millrace", "millrace-edge", "millrace-hub"])
        for program in programs:
            done = subprocess.run([f"{folder}/{program}", "--version"], stdout=subprocess.PIPE, text=True, check=True)
            self.assertRegex(done.stdout, rf"\A{program} \d+\.\d+\.\d+\n\Z")

    def test_the_unit_and_the_sample_fit(self):
        root = f"{self.hubs[0].home}/dest"
        with open(f"{root}/usr/local/lib/systemd/system/millrace-hub.service", encoding="utf-8") as f:
            unit = dict(line.strip().split("=", 1) for line in f if "=" in line and not line.startswith("#"))
        with open(f"{root}/usr/local/share/doc/millrace/hub.yaml", encoding="utf-8") as f:
            sample = f.read()
        with open(f"{root}/usr/local/lib/sysusers.d/millrace.conf", encoding="utf-8") as f:
            users = [line.split()[1] for line in f if line.startswith("u ")]
        program, option, path = unit["ExecStart"].split()
        self.assertTrue(os.access(root + program, os.X_OK), program)
        self.assertEqual((option, path), ("--config", "/etc/millrace/hub.yaml"))
        self.assertTrue(os.path.exists(root + path), "the page puts it elsewhere")
        self.assertIn(f"\ndata_dir: /var/lib/{unit['StateDirectory']}\n", sample)
        self.assertEqual([unit["User"], unit["Group"]], 2 * users)

    # --- what goes wrong most often ------------------------------------------------------------

    def explained(self, said, about):
        """The page has the message: in a row that speaks of it."""
        rows = self.book.explained(TROUBLE, said)
        self.assertTrue(rows, f"not in the page: {said}")
        self.assertIn(about, " ".join(row[0] for row in rows), said)

    def fails(self, machine, name, expected, about, **changes):
        """The block ends with that exit code, and what it says is explained."""
        code, said = machine.run(name, **changes)
        self.assertEqual(code, expected, said)
        self.explained(said, about)

    def edited(self, path, old, new):
        """A text replaced in a file, until the end of the test."""
        with open(path, encoding="utf-8") as f:
            before = f.read()
        self.assertIn(old, before)
        with open(path, "w", encoding="utf-8") as f:
            f.write(before.replace(old, new))
        self.addCleanup(self.put, path, before)

    @staticmethod
    def put(path, text):
        with open(path, "w", encoding="utf-8") as f:
            f.write(text)

    def at_hub(self, i, file):
        return f"{self.hubs[i].home}/dest/etc/millrace/{file}"

    def replaced(self, path, other):
        """A file with another's contents, until the end of the test."""
        shutil.copy2(path, path + ".right")
        self.addCleanup(os.replace, path + ".right", path)
        shutil.copyfile(other, path)

    def test_a_misspelt_key(self):
        self.edited(self.at_hub(0, "hub.yaml"), "quorum:", "quorom:")
        self.fails(self.hubs[0], "check", 5, "unknown key")

    def test_a_secret_that_others_may_read(self):
        path = self.at_hub(0, "pki/hub-0.sign.key")
        os.chmod(path, 0o644)
        self.addCleanup(os.chmod, path, 0o600)
        self.fails(self.hubs[0], "check", 5, "others may read the secret")

    def test_another_signing_key(self):
        self.replaced(self.at_hub(0, "pki/hub-0.sign.key"), self.at_hub(1, "pki/hub-1.sign.key"))
        self.fails(self.hubs[0], "check", 5, "is not the public half of identity.signing_key_file")

    def test_the_certificate_of_another_hub(self):
        self.replaced(self.at_hub(0, "pki/hub-0.pem"), f"{self.dir}/shared/hub-1.pem")
        self.fails(self.hubs[0], "check", 5, "private_key_file")

    def test_a_hub_that_runs_already(self):
        for key, common in (("port: ", "PORT"), ("port_base: ", "UPLOAD_PORT")):
            self.edited(self.at_hub(0, "hub.yaml"), f"{key}{self.common[common]}", f"{key}{free_port()}")
        second = self.hubs[0].start("start")
        self.assertFalse(second.until("hub.ready"))
        self.assertNotEqual(second.end(), 0)
        self.explained(second.said, "is in use by another hub")

    def test_a_port_that_is_taken(self):
        self.edited(self.at_hub(0, "hub.yaml"), "/var/lib/millrace", "/var/lib/another")
        second = self.hubs[0].start("start")
        self.assertFalse(second.until("hub.ready"))
        self.assertNotEqual(second.end(), 0)
        self.explained(second.said, "cannot bind")

    def test_a_hub_that_is_down(self):
        self.stop(1)
        self.addCleanup(self.start, 1)
        self.fails(self.office, "status", 3, "is it running", N=1)
        code, said = self.office.run("device")
        self.assertNotEqual(code, 0)
        self.assertRegex(said, rf"(?m)^FAIL default: hub 1 +{HUBS[1]}:\d+: Connection refused$") # named once
        # No sum opens without it: the round is given up.
        self.edited(self.at_hub(0, "hub.yaml"), "# peer_timeout_ms: 30000", "peer_timeout_ms: 1000")
        self.stop(0)
        self.start(0)
        code, said = self.office.run("round")
        self.assertEqual(code, 6, said)
        self.assertIn("other_hub: hub 1 (south.example), propose: ", said)
        self.void_reason(said, "other_hub")

    def void_reason(self, said, cause):
        """The table of reasons has it."""
        self.assertIn(f"\n| `{cause}` | ", self.book.text)
        self.assertRegex(said, rf"(?m)^reason +{cause}: ")

    def test_no_device(self):
        code, said = self.office.run("short-round")
        self.assertEqual(code, 6, said)
        self.void_reason(said, "below_cohort_minimum")

    def test_too_small_a_cohort(self):
        self.fails(self.office, "small-round", 4, "below this hub's own")

    def test_the_wrong_hub(self):
        self.fails(self.office, "round-at", 4, "leads no rounds of", N=1)

    def test_an_operator_without_a_configuration(self):
        self.fails(self.office, "status", 2, "--ca is missing", MILLRACE_CONFIG="")

    def test_a_certificate_of_another_ca(self):
        foreign = self.machine("foreign", N=0, ADDRESS=HUBS[0])
        self.do(foreign, "install")
        self.do(foreign, "trial-ca")
        for name in ("operator.pem", "operator.key"):
            self.replaced(f"{self.office.home}/{name}", f"{foreign.home}/trial-ca/{name}")
        self.fails(self.office, "status", 4, "refused us")

    def test_another_key_pinned(self):
        path = f"{self.office.home}/device-0/device.json"
        with open(self.at_hub(0, "pki/hub-1.sign.pub"), encoding="ascii") as f:
            right = f.read().strip()
        with open(self.at_hub(0, "pki/hub-0.sign.pub"), encoding="ascii") as f:
            self.edited(path, right, f.read().strip()[::-1])
        device = self.office.start("join")
        self.addCleanup(device.end, signal.SIGKILL)
        self.office.run("short-round")
        self.assertNotEqual(device.end(), 0)
        self.explained(device.said, "is not the one pinned here")

    def test_a_row_that_is_no_numbers(self):
        self.edited(f"{self.office.home}/device-0/shard.csv", "4.0,", "four,")
        device = self.office.start("join")
        self.addCleanup(device.end, signal.SIGKILL)
        self.office.run("short-round")
        self.assertNotEqual(device.end(), 0)
        self.explained(device.said, "shard.csv")


if __name__ == "__main__":
    BUILD, DIGITS, ROOT = map(os.path.abspath, sys.argv[1:4])
    unittest.main(argv=sys.argv[:1] + sys.argv[4:], verbosity=1)
