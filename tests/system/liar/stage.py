"""One real millrace-hub and everything that a liar needs beside it: certificates, keys, devices.

The other parties are played from tests/oracle/, written from docs/wire-format.md alone.
"""

import base64
import glob
import os
import struct
import subprocess
import sys
import time

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "..", "oracle"))
sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "..", "..", "demo"))

from cryptography import x509

import millrace_oracle as oracle
from federation import free_ports
from h2peer import Client

TASK = b"default"
DIMENSION = 300
DEVICES = 6
COHORT_MIN = 3
PEER_TIMEOUT_MS = 5000
BUSY_S = 60 # a hub that is busy for longer is stuck


def b64(data):
    return base64.b64encode(data).decode()


def model_file():
    header = b'{"w":{"dtype":"F32","shape":[%d],"data_offsets":[0,%d]}}' % (DIMENSION, 4 * DIMENSION)
    header += b" " * (-(8 + len(header)) % 64)
    return struct.pack("<Q", len(header)) + header + bytes(4 * DIMENSION)


def make_identities(millrace, folder, hubs, devices):
    subprocess.run([millrace, "pki", "init", "--dir", folder, "--hubs", str(hubs), "--devices",
                    str(devices), "--operators", "1", "--host", "127.0.0.1"], check=True,
                   stdout=subprocess.DEVNULL)


class Stage:
    """Two hubs by their certificates; `real` of them is a process, the other one is ours."""

    def __init__(self, millrace, hub, work, real, tasks=("default",)):
        self.work, self.real, self.tasks = work, real, tasks
        self.pki = f"{work}/pki"
        self.ports = free_ports(2)
        make_identities(millrace, self.pki, 3, DEVICES)
        self.model = model_file()
        with open(f"{work}/initial.safetensors", "wb") as f:
            f.write(self.model)
        self.keys = [bytes.fromhex(self.read(f"{self.pki}/hub-{i}.sign.key")) for i in range(3)]
        self.publics = [bytes.fromhex(self.read(f"{self.pki}/hub-{i}.sign.pub")) for i in range(3)]
        self.devices = [self.client_id(i) for i in range(DEVICES)]
        self.start(hub)

    @staticmethod
    def read(path):
        with open(path, encoding="ascii") as f:
            return f.read().strip()

    def client_id(self, number):
        with open(f"{self.pki}/device-{number:03d}.pem", "rb") as f:
            certificate = x509.load_pem_x509_certificate(f.read())
        names = certificate.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
        uri, = names.get_values_for_type(x509.UniformResourceIdentifier)
        return bytes.fromhex(uri.rpartition(":")[2])

    identity = "" # further lines of that section

    def start(self, hub):
        i = self.real
        hubs = "".join(f"  - index: {n}\n    name: hub-{n}\n    host: 127.0.0.1\n    port: {self.ports[n]}\n"
                       f"    public_key_file: {self.pki}/hub-{n}.sign.pub\n" for n in range(2))
        with open(f"{self.work}/hub.yaml", "w", encoding="ascii") as f:
            f.write(f"""data_dir: {self.work}/data
log_level: debug
identity:
  index: {i}
  signing_key_file: {self.pki}/hub-{i}.sign.key
  ca_file: {self.pki}/ca.pem
  certificate_file: {self.pki}/hub-{i}.pem
  private_key_file: {self.pki}/hub-{i}.key
{self.identity}control:
  listen_host: 127.0.0.1
  port: {self.ports[i]}
upload:
  listen_host: 127.0.0.1
  port_base: 0
  slots_per_worker: 16
  share_bytes_max: 65536
  receive_buffer_bytes: 262144
tasks:
{self.tasks_yaml()}hubs:
{hubs}""")
        read_end, write_end = os.pipe()
        self.log = f"{self.work}/hub.log"
        with open(self.log, "wb") as log:
            self.process = subprocess.Popen(
                [hub, "--config", f"{self.work}/hub.yaml", "--ready-fd", str(write_end)],
                pass_fds=[write_end], stdin=subprocess.DEVNULL, stdout=log, stderr=log)
        os.close(write_end)
        with os.fdopen(read_end, "rb") as ready:
            if not ready.readline().startswith(b"READY"):
                with open(self.log, encoding="utf-8", errors="replace") as log:
                    raise RuntimeError("the hub did not start:\n" + log.read())
        self.initial = self.released()

    def tasks_yaml(self):
        return "".join(f"""  - name: {task}
    hubs: [0, 1]
    initial_model_file: {self.work}/initial.safetensors
    round:
      cohort_min: {COHORT_MIN}
      quorum: 4
      deadline_ms: 60000
      weight_max: 10
      scale: 100
      clip_norm: 100
      rotation_log2: 0
      commit_interval_ms: 20
      peer_timeout_ms: {PEER_TIMEOUT_MS}
""" for task in self.tasks)

    def resume(self, *codes):
        """The operator's way on: the next version with the same values; codes of recoveries that it ends."""
        wish = {"accepted": True} | ({"codes": ",".join(codes)} if codes else {})
        answer = self.ask("operator", "POST", "/v1/tasks/default/admin/resume", wish)
        assert answer.status == 200, answer.body
        name = answer.json()["model_hash"]
        assert name == oracle.sha256(oracle.resumed_version(self.model, codes)).hex()
        with open(f"{self.work}/data/tasks/default/models/{name}.safetensors", "rb") as f:
            self.model = f.read()
        self.initial = self.released()

    def stop(self):
        """The hub's exit code after SIGTERM: 0 unless a lie broke it."""
        self.process.terminate()
        return self.process.wait(60)

    def client(self, stem):
        return Client(self.ports[self.real], self.pki, stem)

    def ask(self, stem, *words):
        """One request over a connection of its own; comes back where the hub is busy."""
        limit = time.monotonic() + BUSY_S
        while True:
            client = self.client(stem)
            try:
                answer = client.ask(*words)
            finally:
                client.close()
            if answer.status not in (429, 503) or time.monotonic() > limit:
                return answer
            time.sleep(answer.json()["retry_after_ms"] / 1000)

    def released(self):
        """Every sum and model on the real hub's disk."""
        return sorted(glob.glob(f"{self.work}/data/tasks/default/rounds/*.sum") +
                      glob.glob(f"{self.work}/data/tasks/default/models/*.safetensors"))

    def announcement(self, number, **changes):
        hubs = [{"index": i, "public_key": self.publics[i], "name": b"hub-%d" % i} for i in range(2)]
        return dict(round=number, deadline_unix_ms=1 + int(time.time() * 1000), dimension=DIMENSION,
                    ring_bits=16, rotation_log2=0, levels=127, headroom=4, seal=1, step_max_bits=0x447A0000, audit_hours=0,
                    quorum=0, admitted_max=0, optimiser=0, learning_rate_bits=0x3F800000, beta1_bits=0, beta2_bits=0,
                    tau_bits=0, model_values=0, kind=0, metrics=[], noise_kind=0, chunk_bytes=1408,
                    cohort_min=COHORT_MIN, cohort_max=DEVICES, weight_max=10, scale_bits=0x42C80000,
                    clip_norm_bits=0x42C80000, model_hash=oracle.sha256(self.model),
                    rotation_seed=bytes(32), task=TASK, training=b"", hubs=hubs) | changes


    def proposal(self, terms, key=0):
        """The terms as the body that a lead puts to a helper, signed with the key of hub `key`."""
        return oracle.proposal(oracle.announcement_encode(terms), self.keys[key])


class Update:
    """What a device prepared: its vector, its trailer, its seed for the one helper."""

    def __init__(self, stage, layout, number, attempt=0, trailer=None):
        self.client = stage.devices[number]
        self.number, self.attempt = number, attempt
        self.q = [(lane * 31 + number * 57) % 255 - 127 for lane in range(layout.lanes)]
        self.q[DIMENSION:] = [0] * (layout.lanes - DIMENSION)
        self.trailer = trailer or [1, number + 1, 10, 500, 0, 0] + [0] * 10
        self.seed = bytes([16 * number + attempt + 1]) * 32

    def seed_request(self, hash32, seal_key, ephemeral=None, **changes):
        """Sealed to the helper's key of the round; `changes` are of the scope that it is sealed for."""
        words = {"task": TASK, "announcement_hash": hash32, "client": self.client, "hub": 1,
                 "attempt": self.attempt} | changes
        return oracle.seed_request(hash32, self.attempt, oracle.scope(**words), self.seed, seal_key,
                                   ephemeral or bytes([self.number + 1]) * 32)

    def receipt_parts(self, layout, announcement_hash, request):
        return oracle.receipt_parts(layout, request, self.seed, self.scope(announcement_hash))

    def scope(self, announcement_hash):
        """Of the one use of its seed, and of the helper's receipt."""
        return oracle.scope(TASK, announcement_hash, self.client, 1, self.attempt)

    def mask(self, layout, announcement_hash):
        return oracle.mask_bytes(layout, self.seed, self.scope(announcement_hash))

    def share(self, layout, announcement_hash):
        return oracle.lead_share(layout, self.q, self.trailer, [self.mask(layout, announcement_hash)])
