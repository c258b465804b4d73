#!/usr/bin/env python3
"""A device against real hubs: every end a round can have for it, seen from the command line.

usage: test_rounds.py BUILD
"""

import json
import os
import re
import signal
import socket
import ssl
import subprocess
import sys
import tempfile
import threading
import time

HERE = os.path.dirname(os.path.abspath(__file__))
sys.path.insert(0, os.path.join(HERE, "..", "..", "..", "demo"))
from federation import Federation  # noqa: E402

TRAINING = {"rotation_log2": "auto", "scale": "auto", "clip_norm": 3.0, "weight_max": 100,
            "trainer": {"epochs": 1, "batch": 16, "learning_rate": 0.05}}
DEVICES = 8


NOBODY = "127.66.66.66"


class Hubs(Federation):
    """Rounds that stay open for long; datagrams may be sent where nobody listens."""

    blackhole = False

    def hub_yaml(self, *arguments):
        text = re.sub(r"\bdeadline_ms: \d+", "deadline_ms: 60000", super().hub_yaml(*arguments))
        if self.blackhole:
            text = text.replace("advertise_host: 127.0.0.1", f"advertise_host: {NOBODY}")
        return text

    def hub_name(self, index):
        """All hubs sign that the lead's datagrams go there, or devices would send none."""
        return NOBODY if self.blackhole and index == 0 else super().hub_name(index)


class Scene:
    """One federation with an open round, and devices that are tried one after the other."""

    def __init__(self, build, work, name):
        os.mkdir(work)
        self.work = work
        self.fed = Hubs(build, work, DEVICES, TRAINING)
        self.fed.blackhole = name == "blackhole"
        self.fed.make_identities()
        self.data = f"{work}/data.csv"
        with open(self.data, "w", encoding="ascii") as f:
            for i in range(20):
                f.write(",".join(str((i * 7 + j) % 17) for j in range(64)) + f",{i % 10}\n")
        self.model = f"{work}/initial.safetensors"
        self.fed.run(self.fed.program("demo", "digits-tool"), "init", "--layers",
                     "64,64,10", "--seed", "1", "--out", self.model)
        self.fed.start_hubs(DEVICES, 2, self.model)
        if name not in ("ends", "back"):
            self.fed.operator(0, "round", "open")
        self.failures = 0

    def device(self, number, *words, config=None, wait=True, wait_end=None):
        config = config or self.fed.device_json(f"{number:03d}", self.fed.pki, 0, number)
        process = subprocess.Popen(
            [self.fed.program("edge-client", "millrace-edge"), "run", "--config", config, "--data",
             self.data, "--rounds", "1", "--json", "--patience-ms", "20000",
             "--end-wait-ms", "0" if wait_end is None else str(wait_end), *words],
            stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
        if not wait:
            return process
        out, err = process.communicate(timeout=90)
        return process.returncode, json.loads(out) if out else {}, err

    def expect(self, name, answer, code, **members):
        got, line, err = answer
        wrong = [k for k, v in members.items() if line.get(k) != v]
        if got != code or wrong:
            self.failures += 1
            print(f"FAIL {name}: exit {got} (expected {code}), {line}\n{err}")
        else:
            print(f"ok   {name}")


def ways_in(scene):
    scene.expect("over UDP", scene.device(0, "--transport", "udp"), 0, result="committed",
                 transport="udp", attempt=0)
    scene.expect("over HTTP/2", scene.device(1, "--transport", "http2"), 0, result="committed",
                 transport="http2", datagrams=0)
    scene.expect("on scalar kernels", scene.device(2, "--cpu-mask", "scalar"), 0,
                 result="committed")
    os.remove(f"{scene.work}/device-000/state.json")
    code, line, err = scene.device(0)
    scene.expect("counted once only", (code, line, err), 0, result="already-counted")


def killed_and_back(scene):
    process = scene.device(3, "--transport", "udp", "--stop-after-chunks", "2", wait=False)
    while "stopped after" not in process.stderr.readline():
        if process.poll() is not None:
            break
    process.send_signal(signal.SIGKILL)
    process.communicate()
    scene.expect("killed in its upload, and back with a new attempt", scene.device(3), 0,
                 result="committed", attempt=1)


def bad_training(scene):
    part = f"{scene.work}/part.txt"
    for name, text, result in (("NaN from a program", "nan", "bad-delta"),
                               ("a program that dies", "dies", "trainer-failed")):
        with open(part, "w", encoding="ascii") as f:
            f.write(text)
        number = 4 if text == "nan" else 5
        scene.expect(name, scene.device(number, "--trainer", f"{HERE}/external_trainer.py",
                                        "--data", part), 8, result=result)
    with open(part, "w", encoding="ascii") as f:
        f.write("good")
    scene.expect("a program that trains",
                 scene.device(6, "--trainer", f"{HERE}/external_trainer.py", "--data", part), 0,
                 result="committed", examples=6)


def trust(scene):
    path = scene.fed.device_json("other", scene.fed.pki, 0, 7)
    with open(path, encoding="utf-8") as f:
        config = json.load(f)
    config["hubs"][1]["public_key"] = config["hubs"][0]["public_key"]
    with open(path, "w", encoding="utf-8") as f:
        json.dump(config, f)
    scene.expect("a hub that is not the pinned one", scene.device(7, config=path), 6)
    foreign = scene.fed.device_json("foreign", scene.fed.foreign, 0, 0)
    scene.expect("a certificate of a foreign CA", scene.device(7, "--patience-ms", "1000", config=foreign), 4)


def hub_comes_late(scene):
    """The lead is stopped (not closed) for a moment while the device wants to upload."""
    scene.fed.hubs[0].send_signal(signal.SIGSTOP)
    process = scene.device(7, "--transport", "http2", wait=False)
    time.sleep(1)
    scene.fed.hubs[0].send_signal(signal.SIGCONT)
    out, err = process.communicate(timeout=60)
    scene.expect("a lead that sleeps for a second",
                 (process.returncode, json.loads(out) if out else {}, err), 0, result="committed")


def blocked(scene):
    began = time.monotonic()
    scene.expect("UDP blocked: HTTP/2 as a new attempt", scene.device(0, "--transport", "auto"), 0,
                 result="committed", transport="http2", attempt=1)
    print(f"     after {time.monotonic() - began:.1f} s")


def play(scene, devices):
    """(exit code, lines, standard error) of each, once the round has ended for all."""
    playing = [scene.device(number, wait=False, wait_end=30000) for number in devices]
    answers = []
    for process in playing:
        out, err = process.communicate(timeout=90)
        answers.append((process.returncode, [json.loads(line) for line in out.splitlines()], err))
    return answers


def hears_the_end(scene):
    """Two devices are enough for the round, one is not; both rounds close at their deadline."""
    number = scene.fed.operator(0, "round", "open", "--deadline-ms", "3000")["round"]
    for code, lines, err in play(scene, (0, 1)):
        scene.expect("committed, then published", (code, lines[0], err), 0, round=number, result="committed")
        model = scene.fed.operator(0, "round", "show", str(number))["model_hash"]
        scene.expect("and with which model", (code, lines[1], err), 0, round=number, result="published", model=model)
    number = scene.fed.operator(0, "round", "open", "--deadline-ms", "2000")["round"]
    for code, lines, err in play(scene, (2,)):
        scene.expect("committed, then void", (code, lines[0], err), 7, round=number, result="committed")
        scene.expect("and why", (code, lines[1], err), 7, round=number, result="void", model="")
        scene.expect("with the reason", (int("below_cohort_minimum: " in lines[1]["text"]), {}, lines), 1)


def comes_again(scene):
    """The round before was given up before anything was opened, as both hubs sign: so device 2 is counted on the same model."""
    number = scene.fed.operator(0, "round", "open", "--deadline-ms", "4000")["round"]
    for code, lines, err in play(scene, (2, 4)):
        scene.expect("committed on the model of a void round", (code, lines[0], err), 0, round=number, result="committed")
        scene.expect("and published", (code, lines[-1], err), 0, round=number, result="published")


def set_back(scene):
    """Both hubs' operators put back the model that a published round began with: its devices stay away."""
    before = [str(scene.fed.operator(hub, "model", "show")["version"]) for hub in range(2)]
    number = scene.fed.operator(0, "round", "open", "--deadline-ms", "4000")["round"]
    for code, lines, err in play(scene, (5, 6)):
        scene.expect("counted", (code, lines[-1], err), 0, round=number, result="published")
    for hub in (1, 0):
        now = scene.fed.operator(hub, "model", "rollback", before[hub], "--yes")
        good = now["version"] > int(before[hub]) + 1 and now["released_devices"] == 2
        scene.expect("a rollback is a higher version, and says what it costs", (int(good), now, ""), 1)
    scene.fed.operator(0, "round", "open")
    process = scene.device(5, wait=False)
    said = ""
    while "waiting for the next model" not in said and process.poll() is None:
        said += process.stderr.readline()
    process.kill()
    out, _ = process.communicate(timeout=60)
    good = "hub 0 has not signed" in said and not out
    scene.expect("a model that was set back is waited out", (int(good), {}, said + out), 1)


class Portal:
    """Between a device and its lead: shows a foreign certificate until it lets the device through."""

    def __init__(self, pki, lead_port):
        self.tls = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        self.tls.load_cert_chain(f"{pki}/hub-0.pem", f"{pki}/hub-0.key")
        self.lead_port = lead_port
        self.through = threading.Event()
        self.listener = socket.create_server(("127.0.0.1", 0))
        self.port = self.listener.getsockname()[1]
        threading.Thread(target=self.serve, daemon=True).start()

    def serve(self):
        while True:
            threading.Thread(target=self.meet, args=(self.listener.accept()[0],), daemon=True).start()

    def meet(self, device):
        try:
            if self.through.is_set():
                lead = socket.create_connection(("127.0.0.1", self.lead_port))
                threading.Thread(target=self.carry, args=(lead, device), daemon=True).start()
                self.carry(device, lead)
            else:
                self.tls.wrap_socket(device, server_side=True).close()
        except OSError: # the device has hung up
            device.close()

    @staticmethod
    def carry(source, target):
        try:
            while data := source.recv(65536):
                target.sendall(data)
            target.shutdown(socket.SHUT_WR)
        except OSError:
            pass


def captive_portal(scene):
    portal = Portal(scene.fed.foreign, scene.fed.ports[0])
    path = scene.fed.device_json("003", scene.fed.pki, 0, 3)
    with open(path, encoding="utf-8") as f:
        config = json.load(f)
    config["hubs"][0]["port"] = portal.port
    with open(path, "w", encoding="utf-8") as f:
        json.dump(config, f)
    process = scene.device(3, config=path, wait=False)
    said = process.stderr.readline()
    portal.through.set()
    scene.fed.operator(0, "round", "open", "--deadline-ms", "20000")
    out, err = process.communicate(timeout=60)
    scene.expect("a captive portal is waited out", (process.returncode, json.loads(out) if out else {}, said + err), 0,
                 result="committed")
    scene.expect("and named", (int("captive portal" in said and "certificate" in said), {}, said), 1)


def main():
    failures = 0
    with tempfile.TemporaryDirectory(prefix="millrace-rounds-") as folder:
        for name, acts in (("ways", (ways_in, killed_and_back, bad_training, trust, hub_comes_late)),
                           ("blackhole", (blocked,)), ("ends", (hears_the_end, comes_again, captive_portal)),
                           ("back", (set_back,))):
            scene = Scene(sys.argv[1], f"{folder}/{name}", name)
            try:
                for act in acts:
                    act(scene)
            finally:
                scene.fed.stop()
            failures += scene.failures
    return 1 if failures else 0


sys.exit(main())
