#!/usr/bin/env python3
"""What one refuses all refuse, in the same words: `millrace config check`, `millrace-hub --check`
and the start, over a table of broken configurations.

  test_check.py MILLRACE MILLRACE-HUB
"""
import hashlib
import os
import re
import shutil
import struct
import subprocess
import sys
import tempfile
import time
import unittest

MILLRACE, HUB = (os.path.abspath(path) for path in sys.argv[1:3])
DIMENSION = 256
# What is done to hub-0.yaml: (old text, new text), or a function of the folder; and what is said.
BROKEN = [
    (("quorum:", "quorom:"), "did you mean 'quorum'?"),
    (("hubs: [0, 1]", "hubs: [0, 7]"), "7 is not in the list of hubs"),
    (("name: default", "name: Default"), "must be 1 to 32 of a-z"),
    (("hub-0.sign.key", "hub-1.sign.key"), "is not the public half"),
    (("hub-0.key", "hub-1.key"), "key values mismatch"),
    (("ca_file: pki/ca.pem", "ca_file: pki/hub-0.sign.pub"), "no certificate is in it"),
    (("ca_file: pki/ca.pem", "ca_file: pki/hub-1.pem"), "CN=hub-1 is no CA"),
    (("ca_file: pki/ca.pem", "ca_file: pki/ca.key"), "the CA's key belongs on no hub"),
    (("pki/ca.pem", "pki/none.pem"), "cannot read"),
    (("control:", "sandbox:\n  user: nobody-of-this-name\ncontrol:"), "there is no user"),
    (("share_bytes_max: 131072", "share_bytes_max: 128"), "more than upload.share_bytes_max: 128"),
    (lambda folder: os.chmod(f"{folder}/pki/hub-0.key", 0o644), "chmod 600"),
    (lambda folder: put(f"{folder}/model.safetensors", b"no model"), "task default: "),
    (lambda folder: put(f"{folder}/model.safetensors", model()[:-4]), "task default: "),
    (lambda folder: put(f"{folder}/model.safetensors", model(dtype="F16", bytes_each=2)),
     "only dtype F32"),
    (lambda folder: put(f"{folder}/model.safetensors", model(last=float("nan"))),
     f"value {DIMENSION - 1} of tensor w is NaN"),
    (lambda folder: put(f"{folder}/model.safetensors", model(last=float("-inf"))), "is infinite"),
    (lambda folder: put(f"{folder}/pki/hub-0.pem", b"no certificate\n"), "hub-0.pem: no start line"),
    (lambda folder: current(folder, b"0" * 64), "task default: "),
    (lambda folder: current(folder, b"nothing"), "does not hold a model's hash"),
    (lambda folder: take(folder, model(last=float("inf"))), "is infinite"),
    (lambda folder: issue(folder, uri="urn:millrace:hub:1"), "but of urn:millrace:hub:1"),
    (lambda folder: issue(folder, uri=None), "does not name exactly one millrace identity"),
    (lambda folder: issue(folder, uses="serverAuth"), "extendedKeyUsage serverAuth, clientAuth"),
    (lambda folder: issue(folder, uses="clientAuth"), "extendedKeyUsage serverAuth, clientAuth"),
    (lambda folder: issue(folder, more="keyUsage=critical,keyEncipherment\n"), "digitalSignature"),
    (lambda folder: issue(folder, key=["-algorithm", "ED448"]), "keys for TLS are ECDSA"),
    (lambda folder: issue(folder, ca="stranger"), "it must lead up to a CA of"),
    (lambda folder: expire(folder), "CN=hub-0 expired on 20"),
    (lambda folder: encrypt(folder), "without a passphrase"),
]
OPENSSL = {"stdin": subprocess.DEVNULL, "stderr": subprocess.DEVNULL, "stdout": subprocess.DEVNULL,
           "check": True, "timeout": 60}
P256 = ["-algorithm", "EC", "-pkeyopt", "ec_paramgen_curve:P-256"]


def model(dtype="F32", bytes_each=4, last=0.0):
    size = DIMENSION * bytes_each
    header = f'{{"w":{{"dtype":"{dtype}","shape":[{DIMENSION}],"data_offsets":[0,{size}]}}}}'.encode()
    return struct.pack("<Q", len(header)) + header + bytes(size - 4) + struct.pack("<f", last)


def openssl(*command, folder):
    subprocess.run(["openssl", *command], cwd=f"{folder}/pki", **OPENSSL)


def issue(folder, uri="urn:millrace:hub:0", uses="serverAuth,clientAuth", key=None, ca="ca", days=30, more=""): # pylint: disable=too-many-arguments
    """Another certificate and key for hub 0, of the federation's CA or of a stranger's."""
    names = ",".join((["URI:" + uri] if uri else []) + ["IP:127.0.0.1"])
    put(f"{folder}/pki/extensions", f"subjectAltName={names}\nextendedKeyUsage={uses}\n{more}".encode())
    if ca != "ca":
        openssl("req", "-x509", "-newkey", "rsa:2048", "-nodes", "-keyout", f"{ca}.key", "-out", f"{ca}.pem",
                "-subj", "/CN=stranger", "-days", "30", folder=folder)
    openssl("genpkey", *(key or P256), "-out", "hub-0.key", folder=folder)
    openssl("req", "-new", "-key", "hub-0.key", "-subj", "/CN=hub-0", "-out", "request", folder=folder)
    openssl("x509", "-req", "-in", "request", "-CA", f"{ca}.pem", "-CAkey", f"{ca}.key", "-days", str(days),
            "-extfile", "extensions", "-out", "hub-0.pem", folder=folder)


def expire(folder):
    issue(folder, days=0)
    time.sleep(1.1)  # it holds for the second that it was made in


def encrypt(folder):
    openssl("pkey", "-in", "hub-0.key", "-aes256", "-passout", "pass:x", "-out", "sealed", folder=folder)
    os.chmod(f"{folder}/pki/sealed", 0o600)
    os.replace(f"{folder}/pki/sealed", f"{folder}/pki/hub-0.key")


def take(folder, data):
    """The store has this model already."""
    name = hashlib.sha256(data).hexdigest()
    current(folder, name.encode() + b" 1\n")
    put(f"{folder}/data-0/tasks/default/models/{name}.safetensors", data)


def put(path, data):
    with open(path, "wb") as f:
        f.write(data)


def current(folder, text):
    os.makedirs(f"{folder}/data-0/tasks/default/models")
    put(f"{folder}/data-0/tasks/default/current", text)


def run(*command):
    done = subprocess.run(command, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                          stderr=subprocess.PIPE, text=True, timeout=60, check=False)
    said = []
    for line in done.stderr.splitlines():
        logged = re.search(r' error hub\.not_started code=2 why="(.*)"$', line)
        if logged:
            said.append(re.sub(r"\\(.)", r"\1", logged.group(1)))
        elif line.startswith(("millrace: ", "millrace-hub: ")):
            said.append(line.partition(": ")[2])
    return done.returncode, said


class Check(unittest.TestCase):
    def setUp(self):
        self.folder = tempfile.mkdtemp(prefix="millrace-check-")
        put(f"{self.folder}/model.safetensors", model())
        code, said = run(MILLRACE, "config", "init", "--dir", f"{self.folder}", "--model",
                         f"{self.folder}/model.safetensors", "--hubs", "2", "--devices", "4",
                         "--force")
        self.assertEqual((code, said), (0, []))
        self.file = f"{self.folder}/hub-0.yaml"

    def tearDown(self):
        shutil.rmtree(self.folder)

    def test_good(self):
        self.assertEqual(run(MILLRACE, "config", "check", self.file), (0, []))
        self.assertEqual(run(HUB, "--config", self.file, "--check"), (0, []))

    def test_broken(self):
        with open(self.file, encoding="utf-8") as f:
            good = f.read()
        for change, says in BROKEN:
            self.tearDown()
            self.setUp()
            with self.subTest(says=says, change=change):
                if callable(change):
                    change(self.folder)
                else:
                    with open(self.file, encoding="utf-8") as f:
                        good = f.read()
                    self.assertIn(change[0], good)
                    put(self.file, good.replace(*change).encode())
                answers = [run(MILLRACE, "config", "check", self.file),
                           run(HUB, "--config", self.file, "--check"), run(HUB, "--config", self.file)]
                for code, said in answers:
                    self.assertNotEqual(code, 0)
                    self.assertEqual(len(said), 1, said)
                    self.assertIn(says, said[0])
                    self.assertEqual(said, answers[0][1])


if __name__ == "__main__":
    unittest.main(argv=sys.argv[:1])
