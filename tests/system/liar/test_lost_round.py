#!/usr/bin/python3
"""A hub whose journal or commit log is gone, and devices that wait for its word that it never opened the round: it says so
where its ledger and its transcript tell it, and nowhere else.

usage: test_lost_round.py MILLRACE MILLRACE-HUB
"""

import base64
import glob
import os
import sys
import unittest

import test_lying_helper
import test_lying_lead
import test_older
import test_second_sets
from test_older import shell
from test_second_sets import SET

import millrace_oracle as oracle

FEWER = [0, 1, 2]


def end_of(stage, number):
    return stage.ask("device-000", "GET", f"/v1/tasks/default/rounds/{number}")


class LostJournal(test_older.PutBack):
    def lose(self, *older):
        """The journal; and of files of these names those of the copy are there."""
        self.down()
        for path in glob.glob(f"{self.data}/tasks/default/journal-*"):
            os.unlink(path)
        for names in older:
            for path in glob.glob(f"{self.data}/{names}"):
                os.unlink(path)
            for path in glob.glob(f"{self.copy}/{names}"):
                shell("cp", "-a", path, self.data + path.removeprefix(self.copy))
        self.up()

    def expect(self, unopened):
        answer = end_of(self.stage, 1)
        if unopened:
            end = answer.json()
            self.assertEqual(end["state"], "void")
            self.assertTrue(end["reason"].startswith("helper_lost_round: this hub has lost"), end)
            self.assertTrue(oracle.verify(self.stage.publics[1], base64.b64decode(end["unopened"]),
                                          oracle.unopened_text(self.first.hash)))
        else:
            self.assertFalse(answer.status == 200 and answer.json()["unopened"], answer.body)
            self.assertNotIn(b"never opened it", answer.body)

    def expect_nothing_more(self):
        """And never will it open the round, whatever comes back."""
        own = self.first.commit(FEWER, self.first.result(FEWER))
        for answer in (self.first.freeze(SET), self.first.freeze(FEWER, own), self.first.step("open", b"\2" + own + own),
                       self.first.lead.ask("POST", "/v1/tasks/default/peer/rounds",
                                           self.stage.proposal(self.first.terms))):
            self.assertIn(answer.code, ("round_lost", "void"), answer.body)

    def put_the_journal_back(self):
        self.down()
        for path in glob.glob(f"{self.copy}/tasks/default/journal-*"):
            shell("cp", "-a", path, f"{self.data}/tasks/default/")
        self.up()

    def test_lost_before_the_freeze(self):
        self.keep_a_copy()
        self.lose()
        for _ in range(2):
            self.expect(True)
            self.expect_nothing_more()
            self.restart()
        self.put_the_journal_back()
        self.expect(True)
        self.expect_nothing_more()
        self.assertNotIn("older", self.shown())

    def test_lost_after_the_freeze(self):
        """Committed to is not opened."""
        self.first.frozen(SET)
        self.lose()
        self.expect(True)
        self.expect_nothing_more()

    def test_lost_after_the_opening(self):
        self.first.opened(SET)
        self.lose()
        self.expect(False)
        self.restart()
        self.expect(False)

    def test_opened_and_the_ledger_put_back(self):
        """All of the ledger's files are those of the copy, so that they fit each other: the transcript knows."""
        self.keep_a_copy()
        self.first.opened(SET)
        self.lose("released*")
        self.expect(False)

    def test_opened_and_the_transcript_put_back(self):
        self.keep_a_copy()
        self.first.opened(SET)
        self.lose("tasks/default/transcript/000001.log")
        self.expect(False)

    def test_a_copy_without_a_journal(self):
        """What a hub that is older than itself has may lack the opening: nothing is said, then or after."""
        self.keep_a_copy()
        self.first.opened(SET)
        for path in glob.glob(f"{self.copy}/tasks/default/journal-*"):
            os.unlink(path)
        self.put_back()
        self.expect(False)
        self.recover()
        self.expect(False)
        self.restart()
        self.expect(False)


class LostLog(test_lying_helper.Scene, unittest.TestCase):
    """The lead is the real hub."""

    def lose(self):
        self.assertEqual(self.stage.stop(), 0)
        for path in glob.glob(f"{self.work.name}/data/tasks/default/commit-*"):
            os.unlink(path)
        self.stage.start(test_lying_helper.PROGRAMS[1])
        return end_of(self.stage, self.number)

    def test_lost_before_anybody_was_asked_to_open(self):
        self.open_round()
        self.current()
        end = self.lose().json()
        self.assertEqual(end["state"], "void")
        self.assertTrue(oracle.verify(self.stage.publics[0], base64.b64decode(end["unopened"]),
                                      oracle.unopened_text(self.helper.hash)))

    def test_lost_after_that(self):
        """The helper does not answer; the sum may be made of what it has said elsewhere."""
        self.run_round(open=lambda honest: None)
        end = self.lose()
        self.assertFalse(end.status == 200 and end.json()["unopened"], end.body)


if __name__ == "__main__":
    test_lying_helper.PROGRAMS = test_second_sets.PROGRAMS = test_lying_lead.PROGRAMS = sys.argv[1:3]
    unittest.main(argv=sys.argv[:1] + sys.argv[3:], verbosity=1)
