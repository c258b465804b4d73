#!/usr/bin/python3
"""Hubs that lie about a watermark to a real millrace-hub: who gives another part of its key than was
announced, or none, and who announces another mark than this hub's operator agreed to.

usage: test_lying_mark.py MILLRACE MILLRACE-HUB
"""

import os
import sys
import tempfile
import unittest

from stage import Stage
from test_lying_helper import Helper, Scene
from test_lying_lead import Round

import watermark_oracle
from h2peer import Server

PROGRAMS = []
LEAD, HELPER = 0, 1
PARTS = [bytes([1]) * 32, bytes([2]) * 32, bytes([3]) * 32]
HASHES = [watermark_oracle.part_hash(part) for part in PARTS]
MARK = {"strength": 20, "part_hashes": HASHES[:2]}


class MarkedStage(Stage):
    """The real hub's operator has exchanged the hashes of the first two parts."""

    own = None # another part than that

    def tasks_yaml(self):
        path = f"{self.work}/mark.key"
        part = self.own or PARTS[self.real]
        with open(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "w", encoding="ascii") as f:
            f.write(part.hex() + "\n")
        hashes = HASHES[:2]
        hashes[self.real] = watermark_oracle.part_hash(part)
        return super().tasks_yaml() + f"""    watermark:
      key_file: {path}
      part_hashes: {hashes[0].hex()}, {hashes[1].hex()}
"""

    def announcement(self, number, **changes):
        return super().announcement(number, **({"watermark": MARK} | changes))


class LyingLead(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.work = tempfile.TemporaryDirectory(prefix="millrace-liar-")
        cls.stage = MarkedStage(*PROGRAMS, cls.work.name, HELPER)

    @classmethod
    def tearDownClass(cls):
        code = cls.stage.stop()
        cls.work.cleanup()
        assert code == 0, f"the helper ended with {code}"

    def refused(self, code, words, answer):
        self.assertEqual(answer.code, code, answer.body)
        self.assertIn(words, answer.json()["message"])

    def propose(self, **changes):
        terms = self.stage.announcement(1000, **changes)
        return self.stage.ask("hub-0", "POST", "/v1/tasks/default/peer/rounds", self.stage.proposal(terms))

    def test_marks_that_are_not_agreed(self):
        for hashes in ([HASHES[2], HASHES[1]], [HASHES[0], HASHES[2]], HASHES[1::-1]):
            self.refused("wrong_announcement", "tasks.watermark.part_hashes",
                         self.propose(watermark=MARK | {"part_hashes": hashes}))
        self.refused("wrong_announcement", "strength 21; here it is 20", self.propose(watermark=MARK | {"strength": 21}))
        self.refused("wrong_announcement", "strength 0; here it is 20", self.propose(watermark=None))

    def test_parts_that_were_not_announced(self):
        current = Round(self.stage, 1)
        self.addCleanup(current.lead.close)
        result = current.result(range(4))
        _, commitment = current.frozen()
        opened = current.step("open", b"\2" + current.own + commitment)
        self.assertEqual(opened.status, 200, opened.body)
        helpers = opened.body
        self.assertEqual(helpers[32:64], PARTS[HELPER])
        own = bytes(32) + PARTS[LEAD] + result
        wrong = "hub 0's part of the watermark's key is not the one that was announced"
        for part in (PARTS[2], PARTS[1], bytes(32)):
            self.refused("bad_opening", wrong,
                         current.step("reveal", b"\1" + bytes(32) + part + result))
        for other in (bytes(32) + result, own[:-32], own + helpers):
            self.refused("bad_opening", "one opening of each", current.step("reveal", b"\1" + other))
        self.assertEqual(self.stage.released(), self.stage.initial, "something was released")
        self.started_with_another_part()
        again = self.ask(current, "open", b"\2" + current.own + commitment)
        self.assertEqual((again.status, again.body), (200, helpers))
        self.assertEqual(self.ask(current, "reveal", b"\1" + own).status, 200)

    def ask(self, current, step, body):
        """Over another connection, until it has time."""
        return self.stage.ask("hub-0", "POST", f"/v1/tasks/default/peer/rounds/{current.number}/{step}", body)

    def started_with_another_part(self):
        """In the middle of a round: it does not start, and the round is not lost."""
        self.stage.process.kill()
        self.stage.process.wait()
        self.stage.own = PARTS[2]
        with self.assertRaisesRegex(RuntimeError, "tasks.watermark.key_file does not hold the part .* put that file back"):
            self.stage.start(PROGRAMS[1])
        self.stage.own = None
        self.stage.start(PROGRAMS[1])


class MarkedHelper(Helper):
    def open(self, body):
        return 200, self.random + PARTS[HELPER] + self.result


class LyingHelper(Scene, unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.work = tempfile.TemporaryDirectory(prefix="millrace-liar-")
        cls.stage = MarkedStage(*PROGRAMS, cls.work.name, LEAD)
        cls.helper = MarkedHelper(cls.stage)
        cls.server = Server(cls.stage.ports[1], cls.stage.pki, "hub-1", cls.helper.answer)
        cls.number = 0

    def test_parts_that_were_not_announced(self):
        wrong = "bad opening: its part of the watermark's key is not the one that was announced"
        for part in (PARTS[2], PARTS[LEAD], bytes(32)):
            self.voids(wrong, open=lambda honest, part=part: (200, honest[1][:32] + part + honest[1][64:]))
            self.assertEqual(self.helper.terms["watermark"], MARK)
        self.voids("bad opening", open=lambda honest: (200, honest[1][:32] + honest[1][64:]))
        self.assertNotIn("reveal", self.asked())
        self.assertEqual(self.stage.released(), self.stage.initial, "something was released")


if __name__ == "__main__":
    PROGRAMS = sys.argv[1:3]
    unittest.main(argv=sys.argv[:1])
