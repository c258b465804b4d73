#!/usr/bin/env python3
"""The main job, whole: two hubs and thirty devices train a model on handwritten digits.

Real processes on loopback, mutual TLS, UDP uploads (one device uses HTTP/2). In one round a device
is killed in the middle of its upload; one device has a certificate from a foreign CA. Every round's
secure sum is compared with the plain sum of the same vectors, and the whole training with the same
training by plain float averaging. Run it through `./run demo`. With --epsilon it is another one,
with noise and a budget: private.py. With --deltas it is what rounding costs: deltas.py.
"""

import argparse
import json
import os
import shutil
import statistics
import sys
import tempfile
import time

import sums
from federation import Failure, Federation
from report import write_report

# Why these: docs/decisions/0008-demo-parameters.md.
TRAINING = {
    "layers": "64,64,10",
    "rotation_log2": "auto",
    "scale": "auto",
    "clip_norm": 4.0,
    "weight_max": 100,
    "trainer": {"epochs": 10, "batch": 8, "learning_rate": 0.2},
}
KILL_ROUND = 5  # the device numbered VICTIM dies in the middle of this round's upload
KILL_DEADLINE_MS = 10000
VICTIM = 7
COHORT_MIN = 20


class Demo:
    def __init__(self, options):
        self.options = options
        self.work = options.work or tempfile.mkdtemp(prefix="millrace-demo-")
        os.makedirs(self.work, exist_ok=True)
        self.genuine = options.devices - 1  # the last one comes from the foreign CA
        training = {**TRAINING, "ring_bits": options.ring_bits}
        if options.ring_bits != 16: # narrow rings hold few devices of all levels: so many come
            training["cohort_max"] = self.genuine
        if options.levels is not None:
            training["levels"] = options.levels
        if options.requantise is not None:
            training["requantise"] = options.requantise
        self.fed = Federation(options.build, self.work, self.genuine, training)
        self.dumps = os.path.join(self.work, "dumps")
        self.rounds = []
        self.received = 0

    def say(self, text):
        print(text, flush=True)

    # --- set-up ------------------------------------------------------------------------------

    def digits_tool(self, *words):
        return self.fed.run(self.fed.program("demo", "digits-tool"), *words)

    def prepare(self):
        os.makedirs(self.dumps, exist_ok=True)
        self.shards = os.path.join(self.work, "shards")
        self.digits_tool("split", "--input", self.options.data, "--devices",
                         str(self.options.devices), "--alpha", "0.5", "--seed", "7",
                         "--held-out", "0.2", "--out", self.shards)
        self.initial = os.path.join(self.work, "initial.safetensors")
        self.digits_tool("init", "--layers", TRAINING["layers"], "--seed", "7", "--out",
                         self.initial)
        self.fed.make_identities()

    def shard(self, number):
        return os.path.join(self.shards, f"device-{number:03d}.csv")

    def start_device(self, number, *extra):
        config = self.fed.device_json(f"{number:03d}", self.fed.pki, number, number)
        self.fed.start_device(f"{number:03d}", config, self.shard(number), self.dumps, *extra)

    def start(self):
        self.fed.start_hubs(self.genuine, COHORT_MIN, self.initial)
        for number in range(self.genuine):
            self.start_device(number)
        config = self.fed.device_json("foreign", self.fed.foreign, self.genuine, 0)
        self.foreigner = self.fed.start_device("foreign", config, self.shard(self.genuine),
                                               self.dumps)

    # --- one round ---------------------------------------------------------------------------

    def arrange_kill(self, number):
        """Swaps the victim for one that halts after a chunk; brings it back a round later."""
        if number == KILL_ROUND:
            self.fed.kill_device(f"{VICTIM:03d}")
            self.start_device(VICTIM, "--stop-after-chunks", "2")
        elif number == KILL_ROUND + 1:
            self.start_device(VICTIM)

    def kill_victim_mid_upload(self):
        """Waits until the victim says it has halted in its upload, then kills it."""
        path = f"{self.work}/device-{VICTIM:03d}.log"
        limit = time.monotonic() + 30
        while time.monotonic() < limit:
            with open(path, encoding="utf-8") as f:
                if "stopped after" in f.read():
                    self.fed.kill_device(f"{VICTIM:03d}")
                    return
            time.sleep(0.02)
        raise Failure(f"the device to be killed never began its upload: see {path}")

    def bytes_received(self, share_bytes):
        """Upload bytes at the lead so far: UDP payloads as counted, HTTP/2 bodies by their number."""
        samples = self.fed.metrics(0)
        datagrams = sum(v for k, v in samples.items()
                        if k.startswith("millrace_upload_received_bytes_total"))
        return int(datagrams
                   + samples["millrace_upload_http2_staged_total"] * share_bytes)

    def round(self, number):
        self.arrange_kill(number)
        # Only the round that a device is killed in has to wait for its deadline.
        wish = ("--deadline-ms", str(KILL_DEADLINE_MS)) if number == KILL_ROUND else ()
        opened = self.fed.operator(0, "round", "open", *wish)["round"]
        if number == KILL_ROUND:
            self.kill_victim_mid_upload()
        outcome = self.fed.operator(0, "round", "show", str(opened), "--wait")
        if outcome["state"] != "published":
            raise Failure(f"round {opened} ended {outcome['state']}: {outcome.get('reason')}")
        return self.account(opened, outcome)

    def account(self, opened, outcome):
        """What the demo says of a finished round."""
        check = sums.compare(f"{self.work}/hub-0", "default", self.dumps, opened)
        other = sums.compare(f"{self.work}/hub-1", "default", self.dumps, opened)
        model = f"{self.work}/hub-0/tasks/default/models/{outcome['model_hash']}.safetensors"
        accuracy = self.evaluate(model)
        received = self.bytes_received(check.share_bytes)
        before, self.received = self.received, received
        with open(f"{self.work}/included-{opened}.txt", "w", encoding="ascii") as f:
            f.write("\n".join(check.included) + "\n")
        return {
            "round": opened, "joined": outcome["included"],
            "dropped": outcome["admitted"] - outcome["included"],
            "accuracy": accuracy, "plain_accuracy": None,
            "bytes": received - before,
            "publish_ms": outcome["publish_ms"],
            "match": check.equal and other.equal, "detail": check.detail,
            "resolution": outcome["metrics"]["resolution"],
            "saturated": outcome["metrics"]["saturated"],
            "rounding_error": outcome["metrics"]["rounding_error"],
        }

    def evaluate(self, model):
        text = self.digits_tool("eval", "--model", model, "--data",
                                os.path.join(self.shards, "held-out.csv"), "--json")
        return json.loads(text)["accuracy"]

    # --- the end -----------------------------------------------------------------------------

    def plain_training(self):
        """The same training with plain float averages over the same included devices."""
        text = self.digits_tool(
            "plain", "--model", self.initial, "--shards", self.shards, "--rounds",
            str(len(self.rounds)), "--included", os.path.join(self.work, "included-{round}.txt"),
            "--pki", self.fed.pki, "--training", json.dumps(TRAINING["trainer"]),
            "--clip-norm", str(TRAINING["clip_norm"]), "--weight-max",
            str(TRAINING["weight_max"]), "--data", os.path.join(self.shards, "held-out.csv"),
            "--json")
        for row, accuracy in zip(self.rounds, json.loads(text)["accuracy"]):
            row["plain_accuracy"] = accuracy

    def foreign_refused(self):
        """The foreign device must have been told so, and both sides must have noticed."""
        with open(f"{self.work}/device-foreign.log", encoding="utf-8") as f:
            told = "certificate" in f.read()
        counted = sum(v for k, v in self.fed.metrics(0).items()
                      if "handshake" in k and "untrusted" in k)
        return told and counted > 0

    def summary(self, seconds):
        last = self.rounds[-1]
        return {
            "rounds": len(self.rounds), "devices": self.options.devices, "hubs": 2,
            "accuracy": last["accuracy"], "plain_accuracy": last["plain_accuracy"],
            "sum_matches_plaintext": all(r["match"] for r in self.rounds),
            "rejected_devices": 1 if self.refused else 0,
            "dropped_uploads": sum(r["dropped"] for r in self.rounds),
            "round_ms_median": statistics.median(r["publish_ms"] for r in self.rounds),
            "resolution": last["resolution"], "saturated": last["saturated"],
            "rounding_error": last["rounding_error"],
            "rounding_error_first": self.rounds[0]["rounding_error"],
            "seconds": round(seconds, 1),
        }

    def main(self):
        began = time.monotonic()
        self.say("preparing: data split, initial model, certificates")
        self.prepare()
        self.start()
        self.say(f"{'round':>5} {'joined':>6} {'dropped':>7} {'accuracy':>8} {'bytes':>9}"
                 f" {'ms to model':>11} {'resolution':>10} {'saturated':>9} {'rounding':>8}  sum")
        for number in range(1, self.options.rounds + 1):
            row = self.round(number)
            self.rounds.append(row)
            self.say(f"{row['round']:5d} {row['joined']:6d} {row['dropped']:7d}"
                     f" {row['accuracy']:8.4f} {row['bytes']:9,d} {row['publish_ms']:11.1f}"
                     f" {row['resolution']:10.2f} {100 * row['saturated']:7.3f} %"
                     f" {100 * row['rounding_error']:6.2f} %"
                     f"  {'equals plaintext' if row['match'] else 'DIFFERS: ' + row['detail']}")
        self.refused = self.foreign_refused()
        codes = self.fed.stop()
        self.plain_training()
        summary = self.summary(time.monotonic() - began)
        report = os.path.abspath(self.options.report)
        write_report(report, summary, self.rounds)
        return self.verdict(summary, codes, report)

    def verdict(self, summary, codes, report):
        expected_drop = 1 if len(self.rounds) >= KILL_ROUND else 0
        came_back = len(self.rounds) <= KILL_ROUND or self.rounds[-1]["joined"] == self.genuine
        near = 0.01 if self.options.ring_bits in (12, 16, 24, 32) and self.options.levels is None else 0.025
        checks = [
            ("every secure sum equals the plaintext sum", summary["sum_matches_plaintext"]),
            (f"within {near} of plain float averaging",
             abs(summary["accuracy"] - summary["plain_accuracy"]) <= near),
            ("the device with a foreign certificate was refused and told so", self.refused),
            ("the device killed mid-upload was left out whole, and came back",
             summary["dropped_uploads"] == expected_drop and came_back),
            ("both hubs stopped cleanly", codes == [0, 0]),
        ]
        if self.options.ring_bits in (16, 24, 32) and self.options.levels is None:
            checks.append(("the last update lost at most 5 % to rounding, nothing saturated to speak of",
                           summary["rounding_error"] <= 0.05 and summary["saturated"] < 0.01))
        if len(self.rounds) >= 20:
            checks.insert(1, ("accuracy at least 0.93", summary["accuracy"] >= 0.93))
        self.say("")
        for text, good in checks:
            self.say(f"  {'ok  ' if good else 'FAIL'} {text}")
        self.say(f"\naccuracy {summary['accuracy']:.4f} secure, {summary['plain_accuracy']:.4f}"
                 f" plain; {summary['round_ms_median']:.1f} ms from quorum to model (median);"
                 f" {summary['seconds']} s in all\nreport: {report}")
        if self.options.json:
            print(json.dumps(summary), flush=True)
        return all(good for _, good in checks)


def parse():
    parser = argparse.ArgumentParser(description=__doc__.split("\n", 1)[0])
    parser.add_argument("--build", required=True, help="the build directory")
    parser.add_argument("--data", required=True, help="digits.csv.gz")
    parser.add_argument("--devices", type=int, default=30)
    parser.add_argument("--rounds", type=int, help="so many (20; with --epsilon 30)")
    parser.add_argument("--ring-bits", default=16, type=lambda t: t if t == "auto" else int(t),
                        choices=[8, 10, 12, 16, 24, 32, "auto"],
                        help="the ring's width (16), with cohort_max the devices that take part")
    parser.add_argument("--levels", type=int, help="levels at most: 1 is ternary, 7 are four bits")
    parser.add_argument("--requantise", type=int, choices=[8, 4],
                        help="round each step of the model to levels of so many bits")
    parser.add_argument("--epsilon", type=float,
                        help="train with noise and this budget instead (demo/private.py)")
    parser.add_argument("--deltas", action="store_true",
                        help="what rounding costs deltas of known shapes instead (demo/deltas.py)")
    parser.add_argument("--values", type=int, nargs="+", default=[703, 100000, 1310720],
                        help="with --deltas: the models' sizes")
    parser.add_argument("--draws", type=int, default=20,
                        help="with --epsilon: how often numpy draws the noise it compares with")
    parser.add_argument("--report", help="the page (out/demo.html, or out/demo-epsilon-E.html)")
    parser.add_argument("--work", help="keep all files of the run in this folder")
    parser.add_argument("--json", action="store_true", help="print one JSON object last")
    options = parser.parse_args()
    if options.rounds is None:
        options.rounds = 20 if options.epsilon is None else 30
    if options.epsilon is None and options.devices < COHORT_MIN + 2:
        parser.error(f"--devices must be at least {COHORT_MIN + 2}: {COHORT_MIN} are the smallest"
                     " cohort, one dies, one is foreign")
    if options.epsilon is not None and not 8 <= options.devices <= 1000:
        parser.error("--devices must be 8 to 1000 with --epsilon: three of them are refused in the"
                     " middle, and the digits are enough for so many")
    if options.epsilon is not None and (options.rounds < 4 or options.draws < 1):
        parser.error("--rounds must be at least 4 with --epsilon, for a middle; --draws at least 1")
    if options.report is None:
        options.report = ("out/demo.html" if options.epsilon is None
                          else f"out/demo-epsilon-{options.epsilon:g}.html")
    return options


def demo_of(options):
    if options.deltas:
        from deltas import DeltasDemo  # needs numpy
        return DeltasDemo(options)
    if options.epsilon is None:
        return Demo(options)
    from private import PrivateDemo  # needs numpy, which the plain demo does not
    return PrivateDemo(options)


def main():
    options = parse()
    os.makedirs(os.path.dirname(os.path.abspath(options.report)), exist_ok=True)
    demo = demo_of(options)
    good = False
    try:
        good = demo.main()
    except Failure as failure:
        print(f"demo: {failure}\nfiles of the run: {demo.work}", file=sys.stderr)
    finally:
        demo.fed.stop()
        if good and not options.work:
            shutil.rmtree(demo.work)
    return 0 if good else 1


if __name__ == "__main__":
    sys.exit(main())
