#!/usr/bin/python3
"""A lead that wants to choose the set of a round whose set is drawn, against an honest helper, a real
millrace-hub: every way is refused with its code.

usage: test_lying_draw.py MILLRACE MILLRACE-HUB
"""

import base64
import sys
import tempfile
import unittest

from stage import Stage

import draw_oracle as draw
import millrace_oracle as oracle
from test_lying_lead import HELPER, Round

PROGRAMS = []
PLACES, ADMITTED, VOIDS = 4, 6, 5
LEAD_VALUE = bytes([5]) * 32


class Drawn(Round):
    """A round with more devices than places."""

    def __init__(self, stage, number, devices=range(ADMITTED)):
        super().__init__(stage, number, devices, cohort_max=PLACES, admitted_max=ADMITTED)
        self.pledges = [draw.pledge(self.hash, 0, LEAD_VALUE, stage.keys[0]), base64.b64decode(self.signature["pledge"])]

    def list(self, devices, pledges=None, key=0):
        clients = [self.stage.devices[d] for d in devices]
        return draw.list_encode(self.hash, pledges or self.pledges, clients, self.stage.keys[key])

    def listed(self, devices=range(ADMITTED)):
        """The helper's value."""
        answer = self.step("draw", self.list(devices))
        assert answer.status == 200, answer.body
        assert answer.body[:2] == oracle.be16(HELPER)
        self.values = [LEAD_VALUE, answer.body[2:]]
        return self.values[1]

    def drawn(self, devices=range(ADMITTED)):
        """Who is, and who is not."""
        _, clients, hashed = draw.list_decode(self.list(devices), self.terms, self.hash)
        taken = draw.drawn(hashed, self.values, clients, PLACES)
        inside = [d for d in devices if self.stage.devices[d] in taken]
        return inside, [d for d in devices if d not in inside]

    def freeze(self, devices, commitment=None, values=None):
        commitment = commitment or self.commit(devices, self.result(devices))
        body = oracle.included_encode(self.entries(devices)) + commitment
        return self.step("freeze", body + b"".join(values if values is not None else self.values))


class LyingDraw(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.work = tempfile.TemporaryDirectory(prefix="millrace-liar-")
        cls.stage = Stage(*PROGRAMS, cls.work.name, real=HELPER)
        cls.number = 0

    @classmethod
    def tearDownClass(cls):
        code = cls.stage.stop()
        cls.work.cleanup()
        assert code == 0, f"the hub ended with {code}"

    def round(self, kind=Drawn, **words):
        type(self).number += 1
        current = kind(self.stage, self.number, **words)
        self.addCleanup(current.lead.close)
        return current

    def refused(self, code, answer):
        self.assertEqual((answer.status, answer.json()["code"]), (409, code), answer.body)
        self.assertEqual(self.stage.released(), self.stage.initial)

    def test_1_set_that_nobody_drew(self):
        current = self.round(devices=range(5))
        text = draw.pledge_text(current.hash, HELPER, current.pledges[1][:32])
        self.assertTrue(oracle.verify(self.stage.publics[HELPER], current.pledges[1][32:], text))
        self.refused("set_not_drawn", current.freeze(range(4), values=[LEAD_VALUE, bytes(32)]))
        other = draw.pledge(current.hash, HELPER, bytes(32), self.stage.keys[0])
        self.refused("bad_draw", current.step("draw", current.list(range(5), key=1)))
        self.refused("bad_draw", current.step("draw", current.list(range(5), [current.pledges[0], other])))
        self.refused("set_not_admitted", current.step("draw", current.list(range(6))))
        self.refused("below_cohort_minimum", current.step("draw", current.list(range(2))))
        value = current.listed(range(5))
        self.assertEqual(draw.value_hash(current.hash, HELPER, value), current.pledges[1][:32])
        self.assertEqual(current.listed(range(5)), value)
        self.refused("set_conflict", current.step("draw", current.list(range(4))))
        late = current.stage.ask("device-005", "POST", f"/v1/tasks/default/rounds/{current.number}/seed",
                                 next(iter(current.updates.values())).seed_request(current.hash, current.seal_key))
        self.refused("closed", late)
        inside, outside = current.drawn(range(5))
        self.assertEqual((len(inside), len(outside)), (PLACES, 1))
        self.refused("set_not_drawn", current.freeze(inside[1:] + outside))
        self.refused("bad_draw", current.freeze(inside, values=[bytes(32), value]))
        self.refused("bad_draw", current.freeze(inside, values=[LEAD_VALUE, bytes(32)]))
        self.assertEqual(current.freeze(inside, values=[LEAD_VALUE]).status, 400)
        answer = current.freeze(inside)
        self.assertEqual(answer.status, 200, answer.body)

    def test_2_draws_until_it_likes_one(self):
        # The round of the first test, which it gives up now, is one; then so many more.
        for _ in range(VOIDS - 1):
            current = self.round(devices=range(3))
            current.listed(range(3))
        with self.assertRaises(AssertionError) as refused:
            self.round(devices=[])
        self.assertIn("made no model", str(refused.exception))
        self.round(kind=Round, devices=[]) # one whose set is not drawn


if __name__ == "__main__":
    PROGRAMS[:] = sys.argv[1:3]
    unittest.main(argv=sys.argv[:1], verbosity=1)
