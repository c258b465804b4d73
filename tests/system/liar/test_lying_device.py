#!/usr/bin/python3
"""One device that lies about its weight or its vector to an honest lead, a real millrace-hub: the lead
finds it in the opened sum, and its model stays as the round before made it.

usage: test_lying_device.py MILLRACE MILLRACE-HUB
"""

import struct
import sys
import unittest

import test_lying_helper as lying_helper
from stage import DIMENSION, Update, model_file

import millrace_oracle as oracle

QUORUM = lying_helper.QUORUM
WEIGHT = 10 # of every honest device, and the largest


def f32(x):
    return struct.unpack("<f", struct.pack("<f", x))[0]


class LyingDevice(lying_helper.Scene):
    """The lead's rule for step_max, auto, has one honest round to go by. One lie a hub: what was opened on a
    model is not opened again."""

    words = None # of the reason, behind its cause

    def update(self, number, **changes):
        return Update(self.stage, self.helper.layout, number, trailer=[1, WEIGHT, 10, 500] + [0] * 12)

    def truth(self, _):
        """What an honest helper answers to the reveal of the first round: section 12, from zeros."""
        columns = zip(*(self.update(number).q for number in range(QUORUM)))
        factor = f32(10.0 / (100.0 * QUORUM * WEIGHT))
        values = [f32(sum(column) * factor) for column in columns][:DIMENSION]
        model = model_file()[:-4 * DIMENSION] + struct.pack(f"<{DIMENSION}f", *values)
        return 200, self.helper.model(oracle.sha256(model))

    def current_model(self):
        with open(f"{self.work.name}/data/tasks/default/current", encoding="ascii") as f:
            return f.read().split()[0]

    def unsound(self, terms, updates):
        """What the oracle says of their sum."""
        half = 2**15
        main = [(sum(column) + half) % 2**16 - half for column in zip(*(u.q for u in updates))]
        trailer = [sum(column) % 2**32 for column in zip(*(u.trailer for u in updates))]
        return oracle.sum_unsound(terms, self.helper.layout, main, trailer, QUORUM)

    def lie(self, update):
        raise NotImplementedError

    def test_one_round_and_then_the_lie(self):
        end = self.run_round(reveal=self.truth)
        self.assertEqual(end["state"], "published", end)
        self.assertLess(end["metrics"]["step"], end["step_max"])
        model, released = self.current_model(), self.stage.released()
        self.assertNotEqual(model, oracle.sha256(self.stage.model).hex())
        self.open_round()
        terms = self.current()[0]
        updates = [self.update(number) for number in range(QUORUM)]
        self.assertIsNone(self.unsound(terms, updates))
        self.lie(updates[-1])
        for update in updates:
            self.upload(update)
        end = self.outcome()
        self.assertEqual(end["state"], "void", end)
        self.assertRegex(end["reason"], "^unsound_sum: " + self.words)
        self.assertEqual(self.unsound(terms, updates), self.words.partition(":")[0])
        self.assertEqual(self.current_model(), model)
        self.assertEqual(self.stage.released(), released)


class WeightBelowZero(LyingDevice, unittest.TestCase):
    """The others' weights leave the sum: the step would be ten times as long."""
    words = "step: the model would move by [0-9.]+, step_max is "

    def lie(self, update):
        update.trailer[1] = 2**32 - (QUORUM - 1) * WEIGHT + QUORUM


class OneLane(LyingDevice, unittest.TestCase):
    """One more than what the levels of all reach."""
    words = "range: a lane of 509 is beyond the 508 "

    def lie(self, update):
        update.q[7] = 127 * QUORUM + 1 - sum(self.update(n).q[7] for n in range(QUORUM - 1))


class AroundTheRing(LyingDevice, unittest.TestCase):
    words = "range: a lane of "

    def lie(self, update):
        update.q[7] = 2**15 + 11


if __name__ == "__main__":
    lying_helper.PROGRAMS = sys.argv[1:3]
    unittest.main(argv=sys.argv[:1] + sys.argv[3:], verbosity=1)
