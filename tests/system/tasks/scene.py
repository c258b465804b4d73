"""Three hubs and their tasks as real processes on loopback, and devices that train in all of them.

Hub and device files are written here by hand, as an operator would write them: what the commands
generate has tests of its own.
"""

import contextlib
import json
import os
import shutil
import signal
import struct
import subprocess
import sys
import time

HERE = os.path.dirname(os.path.abspath(__file__))
sys.path.insert(0, os.path.join(HERE, "..", "..", "..", "demo"))
from federation import Failure, free_ports, start_hub  # noqa: E402 pylint: disable=wrong-import-position

HOST = "127.0.0.1"
HUBS = 3
DEVICES = 40
SCALE = 128.0 # a power of two: whole steps stay whole in binary floats
WAIT_S = 180


class Task:
    """One task: its hubs (the first leads), its model and the numbers of its devices."""

    def __init__(self, name, hubs, dimension, ring_bits, devices, chunk_bytes=1408):
        self.name = name
        self.hubs = hubs
        self.dimension = dimension
        self.ring_bits = ring_bits
        self.devices = devices
        self.chunk_bytes = chunk_bytes

    @property
    def lead(self):
        return self.hubs[0]


def write_model(path, dimension):
    """A model of zeros in the safetensors layout."""
    header = json.dumps({"w": {"dtype": "F32", "shape": [dimension],
                               "data_offsets": [0, 4 * dimension]}}, separators=(",", ":"))
    header += " " * (-(8 + len(header)) % 64)
    with open(path, "wb") as f:
        f.write(struct.pack("<Q", len(header)) + header.encode())
        f.write(bytes(4 * dimension))


class Devices:
    """perf/load_devices: the devices of one task in a process of their own."""

    def __init__(self, scene, task):
        self.task = task
        paths = [scene.device_json(task, number) for number in task.devices]
        self.log = open(f"{scene.work}/devices-{task.name}.log", "w", encoding="utf-8")
        self.process = subprocess.Popen(
            [os.path.join(scene.build, "perf", "load_devices"), "--dimension", str(task.dimension),
             "--scale", str(SCALE), "--ring-bits", str(task.ring_bits), *paths],
            stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=self.log, text=True)

    def ended(self):
        self.process.wait()
        with open(self.log.name, encoding="utf-8", errors="replace") as f:
            return Failure(f"the devices of {self.task.name} ended with {self.process.returncode}: {f.read()[-2000:]}")

    def ask(self, words):
        try:
            self.process.stdin.write(words + "\n")
            self.process.stdin.flush()
        except BrokenPipeError:
            raise self.ended() from None

    def answer(self):
        line = self.process.stdout.readline()
        if not line:
            raise self.ended()
        return json.loads(line)

    def stop(self):
        with contextlib.suppress(BrokenPipeError):
            self.process.stdin.close()
        try:
            self.process.wait(30)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()
        self.log.close()


class Scene:
    def __init__(self, build, work):
        self.build = build
        self.work = work
        self.pki = os.path.join(work, "pki")
        self.ports = free_ports(HUBS)
        self.udp_ports = [free_ports(1)[0] for _ in range(HUBS)]
        self.processes = [None] * HUBS
        self.tasks = {}
        self.run("pki", "init", "--dir", self.pki, "--hubs", str(HUBS), "--devices", str(DEVICES),
                 "--operators", "1", "--host", HOST)

    def run(self, *words):
        done = subprocess.run([os.path.join(self.build, "appliance", "cli", "millrace"), *words],
                              stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, check=False)
        if done.returncode != 0:
            raise Failure(f"millrace {' '.join(words)}\nexit {done.returncode}: {done.stderr}")
        return done.stdout

    # --- files -----------------------------------------------------------------------------------

    def add_task(self, task):
        self.tasks[task.name] = task
        write_model(f"{self.work}/{task.name}.safetensors", task.dimension)

    def task_yaml(self, task):
        return f"""  - name: {task.name}
    hubs: [{', '.join(map(str, task.hubs))}]
    initial_model_file: {self.work}/{task.name}.safetensors
    round:
      cohort_min: 4
      quorum: {len(task.devices)}
      deadline_ms: 60000
      ring_bits: {task.ring_bits}
      cohort_max: {len(task.devices)}
      chunk_bytes: {task.chunk_bytes}
      scale: {SCALE}
      rotation_log2: 0
      clip_norm: 100000
      weight_max: 100
      commit_interval_ms: 50
"""

    def write_hub(self, index):
        book = "".join(f"""  - index: {i}
    name: hub-{i}
    host: {HOST}
    port: {self.ports[i]}
    public_key_file: {self.pki}/hub-{i}.sign.pub
""" for i in range(HUBS))
        tasks = "".join(self.task_yaml(t) for t in self.tasks.values() if index in t.hubs)
        with open(f"{self.work}/hub-{index}.yaml", "w", encoding="utf-8") as f:
            f.write(f"""data_dir: {self.work}/hub-{index}
identity:
  index: {index}
  signing_key_file: {self.pki}/hub-{index}.sign.key
  ca_file: {self.pki}/ca.pem
  certificate_file: {self.pki}/hub-{index}.pem
  private_key_file: {self.pki}/hub-{index}.key
control:
  listen_host: {HOST}
  port: {self.ports[index]}
upload:
  listen_host: {HOST}
  advertise_host: {HOST}
  port_base: {self.udp_ports[index]}
  workers: 1
  slots_per_worker: 48
  receive_buffer_bytes: 4194304
hubs:
{book}tasks:
{tasks}""")

    def device_json(self, task, number):
        path = os.path.join(self.work, f"{task.name}-device-{number}.json")
        hubs = []
        for i in task.hubs:
            with open(f"{self.pki}/hub-{i}.sign.pub", encoding="ascii") as f:
                hubs.append({"index": i, "name": f"hub-{i}", "host": HOST, "port": self.ports[i],
                             "public_key": f.read().strip()})
        data_dir = os.path.join(self.work, f"{task.name}-device-{number}")
        os.makedirs(data_dir, exist_ok=True)
        with open(path, "w", encoding="utf-8") as f:
            json.dump({"task": task.name,
                       "device": {"ca": f"{self.pki}/ca.pem",
                                  "certificate": f"{self.pki}/device-{number:03d}.pem",
                                  "key": f"{self.pki}/device-{number:03d}.key"},
                       "hubs": hubs, "data_dir": data_dir,
                       "transport": "http2" if number % 10 == 1 else "udp"}, f)
        return path

    # --- hubs ------------------------------------------------------------------------------------

    def start_hub(self, index):
        self.processes[index] = start_hub(os.path.join(self.build, "appliance", "millrace-hub"),
                                          f"{self.work}/hub-{index}.yaml",
                                          f"{self.work}/hub-{index}.log")

    def start(self, task):
        """The hubs of the one task that the scene has."""
        self.add_task(task)
        for hub in task.hubs:
            self.write_hub(hub)
            self.start_hub(hub)

    def kill_hub(self, index):
        self.processes[index].kill()
        self.processes[index].wait()

    def reload_hub(self, index):
        self.processes[index].send_signal(signal.SIGHUP)

    def stop(self):
        codes = []
        for process in self.processes:
            if process and process.poll() is None:
                process.terminate()
        for process in self.processes:
            if process:
                try:
                    codes.append(process.wait(20))
                except subprocess.TimeoutExpired:
                    process.kill()
                    codes.append(process.wait())
        return codes

    # --- the operator ----------------------------------------------------------------------------

    def at_hub(self, hub):
        """The words that say which hub a command of the operator's is for."""
        return ["--hub", f"{HOST}:{self.ports[hub]}", "--hub-index", str(hub), "--ca", f"{self.pki}/ca.pem",
                "--cert", f"{self.pki}/operator.pem", "--key", f"{self.pki}/operator.key", "--json"]

    def operator(self, hub, *words):
        return json.loads(self.run(*words, *self.at_hub(hub)))

    def open_round(self, task):
        return self.operator(task.lead, "round", "open", "--task", task.name)["round"]

    def round(self, hub, task, number):
        return self.operator(hub, "round", "show", str(number), "--task", task.name)

    def wait_for(self, what, condition, *arguments):
        limit = time.monotonic() + WAIT_S
        while time.monotonic() < limit:
            value = condition(*arguments)
            if value:
                return value
            time.sleep(0.05)
        raise Failure(f"{what}: not within {WAIT_S} s")

    def ended(self, task, number):
        try:
            found = self.round(task.lead, task, number)
        except Failure:
            return None # its hub is just starting again
        return found if found["state"] in ("published", "void") else None

    def sum_file(self, hub, task, number):
        return f"{self.work}/hub-{hub}/tasks/{task.name}/rounds/{number}.sum"


def play_out(play, task, **options):
    """play.main(**options) in the scene's folder, which stays, with the hubs' last words, where it fails. The exit code."""
    work = play.scene.work
    try:
        play.main(**options)
    except Failure as failure:
        print(failure, flush=True)
        play.stop()
        for hub in task.hubs:
            with open(f"{work}/hub-{hub}.log", encoding="utf-8") as f:
                print(f"--- hub {hub}\n" + "".join(f.readlines()[-12:]), flush=True)
        print(f"files: {work}")
        return 1
    except BaseException: # no failure that was expected: its trace says more, and no hub outlives it
        play.stop()
        raise
    play.stop()
    shutil.rmtree(work)
    return 0
