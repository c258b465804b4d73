"""A federation of real processes on loopback: two hubs, many devices, mutual TLS.

Writes the configuration files, starts and stops the programs, and talks to the lead through the
operator's command. Knows nothing of accuracy or reports.
"""

import json
import os
import random
import signal
import socket
import subprocess
import time

DEADLINE_MS = 120000


class Failure(Exception):
    """Something the demo needs did not work; the text says what and where to look."""


def free_ports(count, kind=socket.SOCK_STREAM):
    """Ports that were free a moment ago, held open together so that they differ. None of those that
    the kernel gives to whoever asks for any: a hub takes its port only seconds later."""
    held = []
    while len(held) < count:
        s = socket.socket(socket.AF_INET, kind)
        try:
            s.bind(("127.0.0.1", random.randrange(10000, 20000)))
            held.append(s)
        except OSError:
            s.close()
    ports = [s.getsockname()[1] for s in held]
    for s in held:
        s.close()
    return ports


def free_base_port(hubs):
    """For `config init`: with the next ones, and those 1000 beyond."""
    for _ in range(100):
        (base,) = free_ports(1)
        try:
            for i in range(hubs):
                for kind, port in ((socket.SOCK_STREAM, base + i), (socket.SOCK_DGRAM, base + 1000 + i)):
                    with socket.socket(socket.AF_INET, kind) as s:
                        s.bind(("127.0.0.1", port))
            return base
        except OSError:
            pass
    raise Failure("no free ports in a row between 10000 and 21000: end what listens there")


def yaml_lines(options, indent):
    return "".join(f"{' ' * indent}{name}: {value}\n" for name, value in options.items())


class Task:
    """What the hubs do: the first of them leads, the other helps."""

    def __init__(self, name, hubs, model=None, rounds=None, privacy=None):
        self.name = name
        self.hubs = hubs
        self.model = model  # None: the model that the hubs are started with
        self.rounds = rounds or {}  # options of `round` that differ from the federation's
        self.privacy = privacy or {}  # the section `privacy`; none: sums are exact


def start_hub(program, config, log_path):
    """Starts a hub and waits until it says that it listens; its process."""
    ready, told = os.pipe()
    with open(log_path, "a", encoding="utf-8") as log:
        hub = subprocess.Popen([program, "--config", config, "--ready-fd", str(told)],
                               stdout=log, stderr=log, stdin=subprocess.DEVNULL, pass_fds=(told,))
    os.close(told)
    with os.fdopen(ready, "rb") as f:
        if not f.readline().startswith(b"READY"):
            raise Failure(f"{config}: the hub did not start: see {log_path}")
    return hub


class Federation:
    """Programs from `build`, files under `work`."""

    tasks = (Task("default", (0, 1)),)
    upload_options = {"workers": 1, "slots_per_worker": 64, "share_bytes_max": 65536,
                      "receive_buffer_bytes": 1048576}
    host = "127.0.0.1"  # where the hubs listen
    among_devices = ()  # a command in front of the devices' programs: into their namespace

    def __init__(self, build, work, devices, training):
        self.build = build
        self.work = work
        self.devices = devices
        self.training = training
        self.hubs = []
        self.clients = {}
        self.ports = free_ports(2)
        self.udp_ports = free_ports(2, socket.SOCK_DGRAM)
        self.pki = os.path.join(work, "pki")

    # --- files -------------------------------------------------------------------------------

    def program(self, *parts):
        return os.path.join(self.build, *parts)

    def run(self, *command):
        """Runs a program to its end; returns its standard output."""
        done = subprocess.run(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
        if done.returncode != 0:
            raise Failure(f"{' '.join(command)}\nexit {done.returncode}: {done.stderr.strip()}")
        return done.stdout

    def make_identities(self):
        """One CA for the federation and one that nobody trusts."""
        millrace = self.program("appliance", "cli", "millrace")
        self.run(millrace, "pki", "init", "--dir", self.pki, "--hubs", "2", "--devices",
                 str(self.devices), "--operators", "1", "--host", self.host)
        self.foreign = os.path.join(self.work, "foreign-pki")
        self.run(millrace, "pki", "init", "--dir", self.foreign, "--hubs", "1", "--devices", "1",
                 "--operators", "1", "--host", self.host)

    def hub_options(self, index, quorum, cohort_min):
        """What hub.yaml says beside who is who, a section each; `round` is the same in every task."""
        return {
            "control": {"listen_host": self.host, "port": self.ports[index]},
            "upload": {"listen_host": self.host, "advertise_host": self.host,
                       "port_base": self.udp_ports[index], **self.upload_options},
            "round": {"cohort_min": cohort_min, "quorum": quorum, **self.round_options()},
        }

    def round_options(self):
        return {
            "deadline_ms": DEADLINE_MS,
            "ring_bits": self.training.get("ring_bits", 16),
            **{key: self.training[key] for key in ("cohort_max", "levels", "requantise") if key in self.training},
            "rotation_log2": self.training["rotation_log2"],
            "scale": self.training["scale"],
            "clip_norm": self.training["clip_norm"],
            "weight_max": self.training["weight_max"],
            "training": f"'{json.dumps(self.training['trainer'])}'",
            "commit_interval_ms": 100,
        }

    def hub_name(self, index):
        """In announcements. Devices send datagrams to the lead's address, or to one that is its name."""
        return f"hub-{index}"

    @staticmethod
    def task_yaml(task, rounds, model):
        privacy = f"    privacy:\n{yaml_lines(task.privacy, 6)}" if task.privacy else ""
        return f"""  - name: {task.name}
    hubs: {list(task.hubs)}
    initial_model_file: {task.model or model}
    round:
{yaml_lines(rounds, 6)}{privacy}    keep:
      sums: 0 # all: whoever asks for these files compares them later
"""

    def hub_yaml(self, index, quorum, cohort_min, model):
        options = self.hub_options(index, quorum, cohort_min)
        hubs = "".join(
            f"  - index: {i}\n    name: {self.hub_name(i)}\n    host: {self.host}\n    port: {self.ports[i]}\n"
            f"    public_key_file: {self.pki}/hub-{i}.sign.pub\n" for i in range(2))
        tasks = "".join(self.task_yaml(task, {**options["round"], **task.rounds}, model)
                        for task in self.tasks)
        return f"""data_dir: {self.work}/hub-{index}
log_level: info
cpu_mask: all
identity:
  index: {index}
  signing_key_file: {self.pki}/hub-{index}.sign.key
  ca_file: {self.pki}/ca.pem
  certificate_file: {self.pki}/hub-{index}.pem
  private_key_file: {self.pki}/hub-{index}.key
control:
{yaml_lines(options["control"], 2)}upload:
{yaml_lines(options["upload"], 2)}hubs:
{hubs}tasks:
{tasks}"""

    def device_stem(self, identity):
        """How `pki init` names that device's files, among so many."""
        return f"device-{identity:0{3 if self.devices <= 1000 else 4}d}"

    def device_json(self, name, pki, number, identity, task=None, transport=None):
        """A device's configuration for a task: `identity` is the certificate's number inside `pki`."""
        task = task or self.tasks[0]
        path = os.path.join(self.work, f"device-{name}.json")
        hubs = []
        for i in task.hubs:
            with open(f"{self.pki}/hub-{i}.sign.pub", encoding="ascii") as f:
                key = f.read().strip()
            hubs.append({"index": i, "name": f"hub-{i}", "host": self.host,
                         "port": self.ports[i], "public_key": key})
        config = {
            "task": task.name,
            "device": {"ca": f"{self.pki}/ca.pem",
                       "certificate": f"{pki}/{self.device_stem(identity)}.pem",
                       "key": f"{pki}/{self.device_stem(identity)}.key"},
            "hubs": hubs,
            "data_dir": os.path.join(self.work, f"device-{name}"),
            "transport": transport or ("http2" if number == 1 else "udp"),
            "training_seed": 1, # so that the plain training can repeat it
        }
        os.makedirs(config["data_dir"], exist_ok=True)
        with open(path, "w", encoding="utf-8") as f:
            json.dump(config, f, indent=1)
        return path

    # --- processes ---------------------------------------------------------------------------

    def start_hubs(self, quorum, cohort_min, model):
        for index in range(2):
            os.makedirs(f"{self.work}/hub-{index}", exist_ok=True)
            path = f"{self.work}/hub-{index}.yaml"
            with open(path, "w", encoding="utf-8") as f:
                f.write(self.hub_yaml(index, quorum, cohort_min, model))
            log = open(f"{self.work}/hub-{index}.log", "w", encoding="utf-8")
            self.hubs.append(subprocess.Popen(
                [self.program("appliance", "millrace-hub"), "--config", path],
                stdout=log, stderr=log, stdin=subprocess.DEVNULL))
        for index in range(2):
            self.wait_ready(index)

    def wait_ready(self, index):
        limit = time.monotonic() + 60
        while time.monotonic() < limit:
            if self.hubs[index].poll() is not None:
                break
            try:
                self.operator(index, "status")
                return
            except Failure:
                time.sleep(0.05)
        with open(f"{self.work}/hub-{index}.log", encoding="utf-8") as f:
            raise Failure(f"hub {index} did not start:\n{f.read()[-2000:]}")

    def operator(self, hub, *words, json_out=True):
        """One `millrace` command against a hub."""
        command = [self.program("appliance", "cli", "millrace"), *words,
                   "--hub", f"{self.host}:{self.ports[hub]}", "--hub-index", str(hub),
                   "--ca", f"{self.pki}/ca.pem", "--cert", f"{self.pki}/operator.pem",
                   "--key", f"{self.pki}/operator.key"]
        if json_out:
            command.append("--json")
        text = self.run(*command)
        return json.loads(text) if json_out else text

    def metrics(self, hub):
        """The hub's /metrics as {sample: value}, labels included in the name."""
        text = self.operator(hub, "metrics", json_out=False)
        samples = {}
        for line in text.splitlines():
            if line and not line.startswith("#"):
                name, _, value = line.rpartition(" ")
                samples[name] = float(value)
        return samples

    def start_device(self, name, config, data, dumps, *extra):
        log = open(f"{self.work}/device-{name}.log", "a", encoding="utf-8")
        self.clients[name] = subprocess.Popen(
            [*self.among_devices, self.program("edge-client", "millrace-edge"), "run", "--config",
             config, "--data", data, "--dump-dir", dumps, *extra],
            stdout=log, stderr=log, stdin=subprocess.DEVNULL)
        return self.clients[name]

    def kill_device(self, name):
        process = self.clients.pop(name)
        process.send_signal(signal.SIGKILL)
        process.wait()

    def stop(self):
        """Ends everything; returns the exit codes of the hubs."""
        for process in self.clients.values():
            process.terminate()
        for process in self.clients.values():
            try:
                process.wait(5)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()
        for process in self.hubs:
            process.terminate()
        codes = []
        for process in self.hubs:
            try:
                codes.append(process.wait(10))
            except subprocess.TimeoutExpired:
                process.kill()
                codes.append(process.wait())
        self.hubs = []
        self.clients = {}
        return codes
