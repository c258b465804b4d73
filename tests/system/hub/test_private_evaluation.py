#!/usr/bin/env python3
"""An evaluation round with noise, on real hubs with real devices: its metrics have both hubs' noise and are paid for
from the devices' budgets, at both hubs alike; the model stays.

usage: test_private_evaluation.py MILLRACE HUB EDGE
"""

import os
import sys
import tempfile

HERE = os.path.dirname(os.path.abspath(__file__))
sys.path.insert(0, HERE)
import test_modes  # noqa: E402 pylint: disable=wrong-import-position
from test_privacy import Private  # noqa: E402 pylint: disable=wrong-import-position

test_modes.TRAINER = os.path.join(HERE, "train_metrics.py")
SETTINGS = """      cohort_max: 3
      weight_max: 1
      metrics: 'accuracy 0..1'
    privacy:
      noise: hub
      epsilon: 60
      delta: 1e-6
      rounds: 2
"""


class Evaluated(Private):
    settings = SETTINGS


def play(scene):
    scene.play_round()
    trained = scene.ask("round", "show", "1")[0]
    model = scene.ask("task", "show")[0]["model_hash"]
    scene.check("an evaluation is published", scene.open_round("--evaluate").returncode == 0)
    shown = scene.ask("round", "show", "2")[0]
    noise = shown["noise"]
    scene.check("it has noise on its metrics alone",
                noise["metrics_sigma2"] > 0 and noise["model_sigma2"] == noise["norms_sigma2"] == 0, noise)
    mean = shown["metrics"]["named"]["accuracy"]["mean"]
    scene.check("and tells a mean within the range", 0 <= mean <= 1, shown["metrics"])
    scene.check("the model stays", scene.ask("task", "show")[0]["model_hash"] == model)
    spent = [scene.spent(hub) for hub in range(2)]
    both = trained["noise"]["rho"] + noise["rho"]
    scene.check("both hubs debit it", spent[0] == spent[1] and set(spent[0].values()) == {both}, (spent, both))
    scene.check("it costs what a round does", 0.9 < noise["rho"] / trained["noise"]["rho"] < 1.1, (noise, trained))


def main():
    with tempfile.TemporaryDirectory(prefix="millrace-private-evaluation-") as work:
        scene = Evaluated(work)
        try:
            play(scene)
        finally:
            scene.stop()
        code, said = scene.audit(scene.files(), "--json")
        scene.check("the audit finds nothing", code == 0, said)
    return 1 if scene.failures else 0


if __name__ == "__main__":
    sys.exit(main())
