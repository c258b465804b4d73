#!/usr/bin/env python3
"""What is checked is what is used: a device's check against real hubs, a reload that would bring an unfit
certificate into force, and certificates that run out.

  test_fitness.py MILLRACE MILLRACE-HUB MILLRACE-EDGE
"""
import json
import os
import re
import shutil
import signal
import struct
import subprocess
import sys
import tempfile
import time
import unittest

MILLRACE, HUB, EDGE = (os.path.abspath(path) for path in sys.argv[1:4])
LONG_S = 60
QUIET = {"stdin": subprocess.DEVNULL, "stdout": subprocess.DEVNULL, "stderr": subprocess.DEVNULL}


class Federation(unittest.TestCase):
    """Two hubs that run, three devices, an operator; ports as they come."""

    def setUp(self):
        self.folder = tempfile.mkdtemp(prefix="millrace-fitness-")
        self.addCleanup(shutil.rmtree, self.folder)
        header = b'{"w":{"dtype":"F32","shape":[4],"data_offsets":[0,16]}}'
        with open(f"{self.folder}/model.safetensors", "wb") as f:
            f.write(struct.pack("<Q", len(header)) + header + bytes(16))
        subprocess.run([MILLRACE, "config", "init", "--dir", self.folder, "--model",
                        f"{self.folder}/model.safetensors", "--hubs", "2", "--devices", "3", "--force"],
                       check=True, **QUIET)
        self.prepare()
        self.hubs = [self.start(index) for index in range(2)]
        for name in [f"device-{device:03d}.json" for device in range(3)] + ["operator.json"]:
            self.edit_json(name, self.set_ports)

    def prepare(self):
        """Before the hubs start."""

    def set_ports(self, document):
        for hub in document["hubs"]:
            hub["port"] = self.hubs[hub["index"]][1]

    def edit_json(self, name, change):
        with open(f"{self.folder}/{name}", encoding="utf-8") as f:
            document = json.load(f)
        change(document)
        with open(f"{self.folder}/{name}", "w", encoding="utf-8") as f:
            json.dump(document, f)

    def edit_hub(self, index, old, new):
        with open(f"{self.folder}/hub-{index}.yaml", encoding="utf-8") as f:
            text = f.read()
        self.assertIn(old, text)
        with open(f"{self.folder}/hub-{index}.yaml", "w", encoding="utf-8") as f:
            f.write(text.replace(old, new, 1))

    def start(self, index):
        self.edit_hub(index, f"port: {8443 + index}", "port: 0")
        self.edit_hub(index, f"port_base: {9443 + index}", "port_base: 0")
        ready, told = os.pipe()
        with open(f"{self.folder}/hub-{index}.log", "wb") as log:
            hub = subprocess.Popen([HUB, "--config", f"{self.folder}/hub-{index}.yaml", "--ready-fd", str(told)],
                                   pass_fds=[told], stdin=subprocess.DEVNULL, stdout=log, stderr=log)
        os.close(told)
        self.addCleanup(self.stop, hub)
        with os.fdopen(ready, "rb") as f:
            line = f.readline()
        self.assertTrue(line.startswith(b"READY"), self.log(index))
        return hub, int(line.split(b"=")[1])

    def stop(self, hub):
        if hub.returncode is not None:
            return
        hub.send_signal(signal.SIGTERM)
        self.assertEqual(hub.wait(LONG_S), 0)

    def log(self, index):
        with open(f"{self.folder}/hub-{index}.log", encoding="utf-8") as f:
            return f.read()

    def await_log(self, index, what, after=0):
        limit = time.monotonic() + LONG_S
        while what not in self.log(index)[after:]:
            self.assertLess(time.monotonic(), limit, (what, self.log(index)[after:]))
            time.sleep(0.02)

    def openssl(self, *command):
        subprocess.run(["openssl", *command], cwd=f"{self.folder}/pki", check=True, timeout=LONG_S, **QUIET)

    def issue(self, stem, uri, days, uses="serverAuth,clientAuth"):
        """Another certificate for the key that is there."""
        with open(f"{self.folder}/pki/extensions", "w", encoding="ascii") as f:
            f.write(f"subjectAltName=URI:{uri}\nextendedKeyUsage={uses}\n")
        self.openssl("req", "-new", "-key", f"{stem}.key", "-subj", f"/CN={stem}", "-out", "request")
        self.openssl("x509", "-req", "-in", "request", "-CA", "ca.pem", "-CAkey", "ca.key", "-days", str(days),
                     "-extfile", "extensions", "-out", "fresh")
        os.replace(f"{self.folder}/pki/fresh", f"{self.folder}/pki/{stem}.pem")

    def millrace(self, *words):
        return subprocess.run([MILLRACE, *words, "--config", f"{self.folder}/operator.json"], check=False, text=True,
                              stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.PIPE)

    def check(self, name="device-000.json"):
        done = subprocess.run([EDGE, "check", "--config", f"{self.folder}/{name}"], check=False, text=True,
                              stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT)
        return done.returncode, done.stdout

    def assert_check(self, code, *says):
        done, out = self.check()
        self.assertEqual(done, code, out)
        for words in says:
            self.assertIn(words, out)


class Device(Federation):
    def test_good(self):
        self.assert_check(0, "hubs and keys are as pinned")

    def test_wrong_key(self):
        self.edit_json("device-000.json", lambda d: d["hubs"][1].update(public_key="00" * 32))
        self.assert_check(6, "FAIL", "hubs[1].public_key in device.json is not the key of hub 1")

    def test_wrong_order(self):
        self.edit_json("device-000.json", lambda d: d["hubs"].reverse())
        self.assert_check(6, "FAIL", "the hubs of task default are 0, 1, the lead first; in device.json they are 1, 0")

    def test_own_certificate(self):
        identity = "urn:millrace:device:" + "0" * 31 + "1"
        self.issue("device-000", identity, 0)
        time.sleep(1.1)  # it holds for the second that it was made in
        self.assert_check(3, "FAIL", "CN=device-000 expired on 20")
        self.issue("device-000", identity, 30, "serverAuth")
        self.assert_check(3, "FAIL", "extendedKeyUsage clientAuth")
        self.issue("device-000", identity, 30)
        self.assert_check(0)

    def test_a_hub_that_was_taken_back(self):
        """The device's own list; the hubs need not know."""
        subprocess.run([MILLRACE, "pki", "crl", "--dir", f"{self.folder}/pki"], check=True, **QUIET)
        self.edit_json("device-000.json", lambda d: d["device"].update(revocation="pki/revoked.pem"))
        self.assert_check(0)
        subprocess.run([MILLRACE, "pki", "revoke", "hub-1", "--dir", f"{self.folder}/pki"], check=True, **QUIET)
        self.assert_check(4, "ok   default: hub 0", "FAIL default: hub 1", "CN=hub-1 is revoked")


class Reload(Federation):
    def hang_up(self, says):
        after = len(self.log(0))
        self.hubs[0][0].send_signal(signal.SIGHUP)
        self.await_log(0, says, after)
        return self.log(0)[after:]

    def test_unfit_certificates_do_not_come_into_force(self):
        for uri, days, says in (("urn:millrace:hub:1", 30, "but of urn:millrace:hub:1"),
                                ("urn:millrace:hub:0", 0, "CN=hub-0 expired on 20")):
            self.issue("hub-0", uri, days)
            time.sleep(1.1 if days == 0 else 0)
            log = self.hang_up("config.refused")
            self.assertIn(says, log)
            self.assertNotIn("certificate.loaded", log)
            self.assert_check(0)  # by the one that was there
        self.issue("hub-0", "urn:millrace:hub:0", 5)
        self.assertRegex(self.hang_up("config.reloaded"), r"certificate\.expires certificate=own days=[45] ")
        self.assert_check(0)


class Soon(Federation):
    """Certificates that run out, a list that has not, and an older list."""

    def prepare(self):
        self.issue("hub-0", "urn:millrace:hub:0", 20)
        for _ in range(2):
            subprocess.run([MILLRACE, "pki", "crl", "--dir", f"{self.folder}/pki"], check=True, **QUIET)
            os.makedirs(f"{self.folder}/kept", exist_ok=True)
            shutil.copy(f"{self.folder}/pki/revoked.pem", f"{self.folder}/kept/{_}.pem")
        self.edit_hub(0, "identity:\n", "identity:\n  revocation_file: pki/revoked.pem\n")

    def test_it_is_said(self):
        self.assertRegex(self.log(0), r"warn certificate\.expires certificate=own days=(19|20) expires=20")
        self.assertNotIn("certificate=ca ", self.log(0))
        metrics = self.millrace("metrics").stdout
        for name, days in (("own", 20), ("ca", 90), ("revocation_list", 365)):
            left = re.search(rf'millrace_certificate_expiry_seconds{{certificate="{name}"}} (\S+)', metrics)
            self.assertAlmostEqual(float(left.group(1)), days * 86400, delta=3600, msg=name)
        found = subprocess.run([MILLRACE, "doctor", f"{self.folder}/hub-0.yaml", "--json"], check=False, text=True,
                               stdout=subprocess.PIPE, stdin=subprocess.DEVNULL).stdout
        finding, = [check for check in json.loads(found)["checks"] if check["name"] == "certificates"]
        self.assertEqual(finding["level"], "warn")
        self.assertRegex(finding["detail"], r"own 20\S+ \((19|20) days\), ca ")

    def test_an_older_list_is_refused(self):
        subprocess.run([MILLRACE, "pki", "revoke", "device-000", "--dir", f"{self.folder}/pki"], check=True, **QUIET)
        self.await_log(0, "revocation.loaded certificates=1")
        self.assert_check(4, "FAIL default: hub 0")
        shutil.copy(f"{self.folder}/kept/0.pem", f"{self.folder}/pki/older")
        os.replace(f"{self.folder}/pki/older", f"{self.folder}/pki/revoked.pem")
        self.await_log(0, "revocation.failed")
        self.assertIn("older than the one that was in force", self.log(0))
        self.assert_check(4, "FAIL default: hub 0")
        self.hubs[0][0].send_signal(signal.SIGTERM)
        self.assertEqual(self.hubs[0][0].wait(LONG_S), 0)
        for command in ([MILLRACE, "config", "check", f"{self.folder}/hub-0.yaml"],
                        [HUB, "--config", f"{self.folder}/hub-0.yaml"]):
            done = subprocess.run(command, check=False, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                                  stderr=subprocess.STDOUT, text=True, timeout=LONG_S)
            self.assertNotEqual(done.returncode, 0)
            self.assertIn("older than the one that was in force", done.stdout)


if __name__ == "__main__":
    unittest.main(argv=sys.argv[:1])
