#!/usr/bin/python3
"""Flower's clients as devices, without Flower.

    test_flower_client.py PACKAGE EXTENSION
"""

import sys
import unittest

import fixture

try:
    import numpy  # noqa: F401 pylint: disable=unused-import
except ImportError:
    print("skipped: no numpy; install python3-numpy")
    sys.exit(77)

millrace, fake = fixture.load(*sys.argv[1:3])
import millrace.flower  # noqa: E402 pylint: disable=wrong-import-position


class Evaluations(unittest.TestCase):
    """A NumPyClient's own evaluate() measures; Flower's, which does nothing, is as none. flwr need not be here for it."""

    def setUp(self):
        self.config = fixture.device_json(fake.begin(3, 16, 1))
        self.addCleanup(fake.end)

    def test_own_evaluate(self):
        class Client:
            def fit(self, parameters, config):
                return [values + 0.01 for values in parameters], 10, {"loss": 0.5}

        class Evaluating(Client):
            def evaluate(self, parameters, config):
                return 0.25, 40, {"accuracy": 0.75, "round": config["server_round"]}

        class Inherited(Client):
            def evaluate(self, parameters, config):
                return 0.0, 0, {}

        Inherited.evaluate.__module__ = "flwr.client.numpy_client"
        self.assertIsNone(millrace.flower.evaluator(Client()))
        self.assertIsNone(millrace.flower.evaluator(Inherited()))
        fake.set("kind", 2)
        with millrace.Client(self.config) as client:
            outcome = client.round(None, 1, evaluate=millrace.flower.evaluator(Evaluating()))
        self.assertEqual((outcome.examples, outcome.metrics), (40, {"accuracy": 0.75, "round": 1, "loss": 0.25}))
        fake.set("newer_round", 1)
        fake.set("kind", 0)
        (outcome,) = millrace.flower.start_numpy_client(self.config, Evaluating(), rounds=1, end_wait=0)
        self.assertEqual(outcome.metrics, {"accuracy": 0.75, "round": 2, "loss": 0.5})


if __name__ == "__main__":
    unittest.main(argv=sys.argv[:1])
