#!/usr/bin/env python3
"""Named metrics and evaluation rounds, on real hubs with real devices: both hubs show the mean of what devices
reported, weighted by their examples; an evaluation leaves the model as it is, and devices train on it afterwards; on one
model a device is evaluated once; hubs with other metrics sign nothing.

usage: test_evaluation.py MILLRACE HUB EDGE
"""

import glob
import json
import os
import signal
import subprocess
import sys
import tempfile
import time

HERE = os.path.dirname(os.path.abspath(__file__))
sys.path.insert(0, HERE)
import test_modes  # noqa: E402 pylint: disable=wrong-import-position
from test_transcripts import Scene  # noqa: E402 pylint: disable=wrong-import-position

test_modes.TRAINER = os.path.join(HERE, "train_metrics.py")
METRICS = "      metrics: 'accuracy 0..1, gain -2..2'\n"
BEFORE = "      evaluate_before: true\n"
STOP = ("      automatic: true\n      evaluate_every: 1\n      stop_metric: accuracy\n      stop_evaluations: 2\n"
        "      stop_gain: 1\n")
SHORT = ("--deadline-ms", "4000")


def change(path, old, new):
    with open(path, encoding="utf-8") as f:
        text = f.read()
    assert text.count(old) == 1, (old, text)
    with open(path, "w", encoding="utf-8") as f:
        f.write(text.replace(old, new))


class Evaluated(Scene):
    @staticmethod
    def set_rounds(path):
        change(path, f"      quorum: {test_modes.DEVICES}\n", f"      quorum: {test_modes.DEVICES}\n{METRICS}")

    def ask(self, *words, hub=0):
        done = self.run(*words, "--json", "--hub-index", str(hub), "--config", f"{self.work}/fed/operator.json")
        return json.loads(done.stdout.splitlines()[-1])

    def versions(self):
        return self.run("model", "list", "--json", "--config", f"{self.work}/fed/operator.json").stdout

    def told(self, number):
        """What each device reported in that round."""
        lines = []
        for path in glob.glob(f"{self.work}/fed/*-seen"):
            with open(path, encoding="utf-8") as f:
                lines += [json.loads(line) for line in f]
        return [line for line in lines if line["round"] == number]

    def reload(self, hub, old, new):
        """The hub has the file's new values once it says so."""
        change(f"{self.work}/fed/hub-{hub}.yaml", old, new)
        said = self.count("config.reloaded")
        self.processes[hub].send_signal(signal.SIGHUP)
        limit = time.monotonic() + test_modes.WAIT_S
        while self.count("config.reloaded") == said and time.monotonic() < limit:
            time.sleep(0.05)

    @staticmethod
    def wait(condition):
        limit = time.monotonic() + test_modes.WAIT_S
        while not condition():
            if time.monotonic() > limit:
                return False
            time.sleep(0.1)
        return True

    def count(self, words):
        with open(f"{self.work}/log", encoding="utf-8", errors="replace") as f:
            return f.read().count(words)

    def current(self):
        return self.ask("task", "show")["model_hash"]

    def check_means(self, number, member, stage):
        """Both hubs have the weighted means of what the trainers say that they reported."""
        lines = self.told(number)
        weight = sum(line["examples"] for line in lines)
        for hub in range(2):
            named = self.ask("round", "show", str(number), hub=hub)["metrics"]["named"]
            for name in ("accuracy", "gain"):
                mean = sum(line["examples"] * line[member][name] for line in lines) / weight
                self.check(f"round {number}: hub {hub} has the mean of {name}, {stage}",
                           len(lines) == test_modes.DEVICES and abs(named[name][stage] - mean) < 1e-4,
                           (named, mean, lines))


def train_then_evaluate(scene):
    scene.play_round()
    scene.check_means(1, "metrics", "mean")
    model, versions = scene.current(), scene.versions()
    scene.check("an evaluation is published", scene.open_round("--evaluate").returncode == 0)
    scene.check_means(2, "metrics", "mean")
    shown = scene.ask("round", "show", "2")
    scene.check("it says what it is", shown["kind"] == "evaluation" and shown["model_hash"] == model, shown)
    scene.check("devices trained nothing", all("loss" not in line for line in scene.told(2)))
    scene.check("the model stays", [scene.current(), scene.ask("task", "show", hub=1)["model_hash"]] == [model, model])
    scene.check("there is no version for it", scene.versions() == versions)
    scene.check("its weight is that of the examples", shown["metrics"]["weight"] == sum(line["examples"] for line in scene.told(2)))
    done = scene.run("metrics", "--config", f"{scene.work}/fed/operator.json").stdout
    scene.check("Prometheus has both", all(f'of="{of}"' in done for of in ("model", "trained")), done)


def once_on_one_model(scene):
    code = scene.open_round("--evaluate", *SHORT).returncode
    scene.check("the same devices are not evaluated twice on one model", code == 6, code)
    scene.reload(0, METRICS, METRICS + BEFORE)
    code = scene.open_round(*SHORT).returncode
    scene.check("nor in a round that trains, and evaluates before", code == 6, code)
    scene.reload(0, METRICS + BEFORE, METRICS)
    scene.check("they train on it", scene.open_round().returncode == 0)
    scene.check("and make a model", scene.ask("round", "show", "5")["model_hash"] == scene.current())
    scene.reload(0, METRICS, METRICS + BEFORE)
    scene.check("they train, and evaluate before", scene.open_round().returncode == 0)
    scene.check_means(6, "metrics_before", "before")
    scene.check_means(6, "metrics", "mean")


def early_stopping(scene):
    """No accuracy is better by the whole range: the first evaluation that comes by itself stops the task."""
    scene.reload(0, METRICS + BEFORE, METRICS + STOP)
    scene.check("the rule stops the task", scene.wait(lambda: scene.ask("task", "show").get("stopped")))
    shown, newest = scene.ask("task", "show"), scene.ask("round", "list")["rounds"][-1]
    scene.check("after an evaluation by itself", (newest["round"], newest["kind"]) == (7, "evaluation"), newest)
    scene.check("and says why", "accuracy" in shown["paused"] and "go-on" in shown["paused"], shown)
    operator = ("--config", f"{scene.work}/fed/operator.json")
    scene.check("the operator lets it go on", scene.run("task", "go-on", *operator).returncode == 0)
    scene.check("and rounds come again", scene.wait(lambda: scene.current() != shown["model_hash"]))
    scene.check("once", scene.run("task", "go-on", *operator, check=False).returncode != 0)
    scene.reload(0, METRICS + STOP, METRICS)


def other_metrics(scene):
    scene.reload(1, METRICS, METRICS.replace("-2..2", "-2..3"))
    done = scene.open_round(*SHORT)
    while "(busy)" in done.stderr: # the last round that opened by itself
        time.sleep(0.2)
        done = scene.open_round(*SHORT)
    scene.check("a hub with other metrics signs nothing", done.returncode != 0 and "metrics" in done.stdout + done.stderr,
                done.stdout + done.stderr)


def look(scene):
    files = scene.files()
    code, said = scene.audit(files, "--json")
    scene.check("the audit finds nothing", code == 0, said)
    counts = scene.read_independently(files)
    scene.check("an independent reader agrees", isinstance(counts, dict), counts)


def main():
    with tempfile.TemporaryDirectory(prefix="millrace-evaluation-") as work:
        scene = Evaluated(work)
        try:
            train_then_evaluate(scene)
            once_on_one_model(scene)
            early_stopping(scene)
            other_metrics(scene)
        except (subprocess.CalledProcessError, SystemExit, KeyError, TypeError) as failed:
            with open(f"{work}/log", encoding="utf-8", errors="replace") as f:
                print(f.read()[-6000:], flush=True)
            scene.check("the scene was played", False, repr(failed))
        finally:
            scene.stop()
        look(scene)
    return 1 if scene.failures else 0


if __name__ == "__main__":
    sys.exit(main())
