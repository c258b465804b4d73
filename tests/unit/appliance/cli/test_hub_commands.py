#!/usr/bin/python3
"""The operator's command against two running hubs.

    test_hub_commands.py MILLRACE MILLRACE_HUB MILLRACE_EDGE DIGITS_TOOL
"""

import json
import os
import shutil
import signal
import subprocess
import sys
import tempfile
import unittest

import fixture

sys.path.insert(0, os.path.join(fixture.ROOT, "demo"))
from federation import free_base_port  # noqa: E402 pylint: disable=wrong-import-position

MILLRACE = HUB = EDGE = DIGITS = None


class AgainstHubs(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.dir = tempfile.mkdtemp(prefix="millrace-hubs-")
        cls.hubs, cls.logs = [None, None], []
        model = os.path.join(cls.dir, "model.safetensors")
        subprocess.run([DIGITS, "init", "--layers", "4,8,3", "--seed", "1", "--out", model],
                       check=True, stdout=subprocess.DEVNULL)
        cls.run_plain("config", "init", "--dir", cls.dir + "/fed", "--model", model, "--devices",
                      "2", "--base-port", str(free_base_port(2)))
        cls.run_plain("pki", "init", "--dir", cls.dir + "/foreign")
        for hub in range(2):
            cls.start(hub)

    @classmethod
    def run_plain(cls, *words):
        subprocess.run([MILLRACE, *words], check=True, stdout=subprocess.DEVNULL)

    @classmethod
    def start(cls, hub):
        """Starts a hub and waits until it says that it listens."""
        ready, tell = os.pipe()
        log = open(f"{cls.dir}/hub-{hub}.log", "ab")
        cls.logs.append(log)
        cls.hubs[hub] = subprocess.Popen(
            [HUB, "--config", f"{cls.dir}/fed/hub-{hub}.yaml", "--ready-fd", str(tell)],
            pass_fds=[tell], stdin=subprocess.DEVNULL, stdout=log, stderr=log)
        os.close(tell)
        with os.fdopen(ready) as f:
            if not f.readline().startswith("READY"):
                with open(log.name, encoding="utf-8") as said:
                    raise RuntimeError(said.read())

    @classmethod
    def tearDownClass(cls):
        for process in cls.hubs:
            process.terminate()
        codes = [process.wait(60) for process in cls.hubs]
        for log in cls.logs:
            log.close()
        shutil.rmtree(cls.dir)
        if codes != [0, 0]:
            raise RuntimeError(f"the hubs ended with {codes}")

    def command(self, *words):
        return [MILLRACE, *words, "--config", self.dir + "/fed/operator.json"]

    def call(self, *words):
        return fixture.run(*self.command(*words))

    def follow(self, *words):
        watch = fixture.Follower(*self.command("round", "watch", *words))
        self.addCleanup(watch.end, signal.SIGKILL)
        return watch

    def void_round(self):
        """Opens a round that no device joins, and waits for its end; its number."""
        code, out, err = self.call("round", "open", "--deadline-ms", "200", "--wait", "--json")
        self.assertEqual(code, 6, err)
        return json.loads(out)["round"]

    def published_round(self):
        """A round with both devices; its number."""
        data = self.dir + "/data.csv"
        with open(data, "w", encoding="ascii") as f:
            f.writelines(f"{c * 2}.1,{c * 2 + 1}.2,{c * 2 + 2}.3,{c * 2 + 3}.4,{c}\n" for c in [0, 1, 2] * 20)
        devices = [subprocess.Popen([EDGE, "run", "--config", f"{self.dir}/fed/device-00{i}.json", "--data", data,
                                     "--rounds", "1"], stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL,
                                    stderr=subprocess.DEVNULL) for i in range(2)]
        code, out, err = self.call("round", "open", "--wait", "--json")
        for device in devices:
            device.wait(fixture.TIMEOUT_S)
        self.assertEqual(code, 0, err)
        return json.loads(out)["round"]

    def test_status(self):
        for hub, role in ((0, "lead"), (1, "helper")):
            code, out, err = self.call("status", "--hub-index", str(hub), "--json")
            self.assertEqual(code, 0, err)
            found = json.loads(out)
            self.assertEqual((found["hub"], found["role"]), (hub, role))
            # What runs, not what was asked for ("auto").
            self.assertIn(found["packet_source"], ("io_uring", "recvmmsg") if role == "lead" else ("none",))
        code, out, _ = self.call("status")
        self.assertEqual(code, 0)
        self.assertRegex(out, r"(?m)^role +lead$")

    def test_metrics(self):
        code, out, _ = self.call("metrics")
        self.assertEqual(code, 0)
        self.assertIn("# TYPE millrace_build_info gauge\n", out)
        code, out, _ = self.call("metrics", "--json")
        self.assertEqual(code, 0)
        samples = json.loads(out)
        self.assertGreaterEqual(samples["millrace_control_connections"], 1)
        source = json.loads(self.call("status", "--json")[1])["packet_source"]
        self.assertEqual(samples[f'millrace_upload_source_info{{name="{source}",worker="0"}}'], 1)

    def test_a_round_without_devices(self):
        number = self.void_round()
        code, out, err = self.call("round", "show", str(number), "--wait", "--json")
        self.assertEqual(code, 6, err)
        self.assertEqual(json.loads(out)["state"], "void")
        code, out, err = self.call("round", "show", str(number))
        self.assertEqual(code, 0, err)
        self.assertRegex(out, r"(?m)^state +void$")
        code, out, err = self.call("round", "list", "--json")
        self.assertEqual(code, 0, err)
        self.assertIn(number, [r["round"] for r in json.loads(out)["rounds"]])

    def test_a_list_of_rounds_that_ended_differently(self):
        numbers = [self.void_round(), self.published_round(), self.void_round()]
        code, out, err = self.call("round", "list")
        self.assertEqual((code, err), (0, ""))
        head, *lines = [line.split() for line in out.splitlines()]
        rows = {row["round"]: row for row in (dict(zip(head, line)) for line in lines)}
        ends = [rows[str(number)] for number in numbers]
        self.assertEqual([row["state"] for row in ends], ["void", "published", "void"])
        self.assertEqual([row["reason"] == "-" for row in ends], [False, True, False])

    def test_watch(self):
        number = self.void_round()
        watch = self.follow()
        watch.until(f"round {number} ")
        watch.until("waiting for the next round", "stderr")
        self.hubs[0].kill()
        self.hubs[0].wait()
        watch.until("waiting for the hub", "stderr")
        self.start(0)
        watch.until("the hub answers again", "stderr")
        number = self.void_round()
        while f"round {number} " not in watch.until("void"):
            pass
        self.assertEqual(watch.end(signal.SIGINT), -signal.SIGINT)
        once = self.follow("--once", "--json")
        self.assertEqual(json.loads(once.until("{"))["round"], number)
        self.assertEqual(once.end(), 6)

    def test_open_waits_aloud(self):
        """It says whom it asks and what for, outlives a restart of the hub, and ends with the round."""
        self.hubs[1].kill()
        self.hubs[1].wait()
        opened = fixture.Follower(*self.command("round", "open", "--deadline-ms", "200", "--wait",
                                                "--json"))
        self.addCleanup(opened.end, signal.SIGKILL)
        begin = opened.until("waiting for the end of round", "stderr")
        self.assertRegex(begin, r"of task default, asking hub 0 at 127\.0\.0\.1:\d+$")
        self.assertRegex(opened.until(" is proposed, waiting for hub 1 (", "stderr"),
                         r"propose: .*Connection refused.* \(it is asked again\)$")
        self.hubs[0].kill()
        self.hubs[0].wait()
        opened.until("waiting for the hub", "stderr")
        self.start(0)
        opened.until("the hub answers again", "stderr")
        self.start(1)
        self.assertEqual(opened.end(), 6)
        self.assertEqual(json.loads("".join(opened.rest()))["state"], "void")

    def test_refusals(self):
        foreign = ["--cert", self.dir + "/foreign/operator.pem",
                   "--key", self.dir + "/foreign/operator.key"]
        device = ["--cert", self.dir + "/fed/pki/device-000.pem",
                  "--key", self.dir + "/fed/pki/device-000.key"]
        for words, says in [(["status", *foreign], "refused us"),
                            (["status", *device], "unauthorised_role"),
                            (["status", "--ca", self.dir + "/foreign/ca.pem"],
                             "do not accept its certificate"),
                            (["round", "show", "999999"], "no_round"),
                            (["round", "open", "--quorum", "100000"], "bad_request"),
                            (["round", "open", "--hub-index", "1"], "leads no rounds")]:
            code, out, err = self.call(*words)
            self.assertEqual((code, out), (4, ""), words)
            self.assertIn(says, err, words)


if __name__ == "__main__":
    MILLRACE, HUB, EDGE, DIGITS = sys.argv[1:5]
    unittest.main(argv=sys.argv[:1], verbosity=1)
