#!/usr/bin/python3
"""A helper whose data_dir is put back from a copy, in every way that its operator may do it, and a lead that
wants a second set of one round from it, or a second sum on one model. The helper is a real millrace-hub.

usage: test_older.py MILLRACE MILLRACE-HUB
"""

import os
import shutil
import subprocess
import sys

import unittest

import test_lying_lead
import test_second_sets
from stage import Update
from test_lying_lead import Round
from test_second_sets import SET, Case

import millrace_oracle as oracle

FEWER = [0, 1, 2]
RECOVER = "/v1/tasks/default/admin/recover"


def shell(*words):
    subprocess.run(words, check=True)


class PutBack(Case):
    """A helper in a round that devices have joined, and what its operator does to its folder."""

    def setUp(self):
        super().setUp()
        self.data, self.copy = f"{self.work.name}/data", f"{self.work.name}/copy"

    def down(self):
        self.first.lead.close()
        self.assertEqual(self.stage.stop(), 0)

    def up(self):
        self.stage.start(test_second_sets.PROGRAMS[1])
        self.first.lead = self.stage.client("hub-0")

    def keep_a_copy(self):
        self.down()
        shell("cp", "-a", self.data, self.copy)
        self.up()

    def put_back(self, how="anew"):
        self.down()
        if how == "anew":
            shutil.rmtree(self.data)
            shell("cp", "-a", self.copy, self.data)
        else: # over the newer files
            shell("cp", "-a", f"{self.copy}/.", self.data)
        self.up()

    def shown(self):
        return self.stage.ask("operator", "GET", "/v1/tasks/default").json()

    def metrics(self):
        return self.stage.ask("operator", "GET", "/metrics").body.decode()

    def expect_older(self):
        """No question of the round is answered, nor is there another round, or a word on how one ended."""
        first = self.first
        self.refused("older", first.seed(Update(self.stage, first.layout, 4)))
        own = first.commit(FEWER, first.result(FEWER))
        for answer in (first.freeze(FEWER, own), first.freeze(SET), first.step("open", b"\2" + own + own),
                       first.step("reveal", b"\1"), first.give_up("tired"),
                       first.lead.ask("POST", "/v1/tasks/default/peer/rounds", self.stage.proposal(first.terms)),
                       first.lead.ask("POST", "/v1/tasks/default/peer/rounds",
                                      self.stage.proposal(self.stage.announcement(9)))):
            self.refused("older", answer)
        self.assertIn("millrace recover", answer.json()["message"])
        answer = self.stage.ask("device-000", "GET", "/v1/tasks/default/rounds/1")
        self.assertFalse(answer.json().get("unopened"), answer.body)
        self.assertIn('millrace_task_older{task="default"} 1\n', self.metrics())
        self.assertIn("older", self.shown())
        self.refused("older", self.stage.ask("operator", "POST", "/v1/tasks/default/admin/resume", {"accepted": True}))

    def recover(self):
        answer = self.stage.ask("operator", "POST", RECOVER, {})
        self.refused("older", answer)
        self.assertIn("no model that it has is signed on again", answer.json()["message"])
        self.refused("unauthorised_role", self.stage.ask("hub-0", "POST", RECOVER, {"accepted": True}))
        answer = self.stage.ask("operator", "POST", RECOVER, {"accepted": True})
        self.assertEqual(answer.status, 200, answer.body)
        self.refused("wrong_round", self.stage.ask("operator", "POST", RECOVER, {"accepted": True}))
        return answer.json()

    def expect_recovered(self, recovered, number=2):
        """Nothing of the round is answered ever; the task goes on with a name that nobody knew before."""
        for _ in range(2): # and likewise after a restart
            own = self.first.commit(FEWER, self.first.result(FEWER))
            for answer in (self.first.freeze(FEWER, own), self.first.freeze(SET),
                           self.first.lead.ask("POST", "/v1/tasks/default/peer/rounds",
                                               self.stage.proposal(self.first.terms))):
                self.assertIn(answer.code, ("void", "wrong_round", "wrong_announcement", "older"), answer.body)
            answer = self.stage.ask("device-000", "GET", "/v1/tasks/default/rounds/1")
            self.assertFalse(answer.json().get("unopened"), answer.body)
            later = self.stage.proposal(self.stage.announcement(number))
            answer = self.first.lead.ask("POST", "/v1/tasks/default/peer/rounds", later)
            self.refused("older", answer)
            self.restart()
        for wish in ({"accepted": True}, {"accepted": True, "codes": "0" * 16}):
            self.refused("older", self.stage.ask("operator", "POST", "/v1/tasks/default/admin/resume", wish))
        before = self.stage.model
        self.stage.resume(recovered["recovery_code"])
        self.assertNotEqual(oracle.sha256(self.stage.model), oracle.sha256(oracle.resumed_version(before)))
        self.refused("older", self.first.lead.ask(
            "POST", "/v1/tasks/default/peer/rounds",
            self.stage.proposal(self.stage.announcement(number, model_hash=oracle.sha256(before)))))
        second = Round(self.stage, number, FEWER)
        self.addCleanup(second.lead.close)
        self.publish(second, FEWER)
        self.assertIn('millrace_task_older{task="default"} 0\n', self.metrics())


class Older(PutBack):
    # --- in the middle of a round ------------------------------------------------------------------

    def test_put_back_after_the_freeze(self):
        """The attack: the copy has the round with its seeds, and knows of no set."""
        self.keep_a_copy()
        self.first.frozen(SET)
        self.put_back()
        self.expect_older()
        self.restart()
        self.expect_older()
        self.expect_recovered(self.recover())

    def test_put_back_after_the_opening(self):
        self.keep_a_copy()
        self.first.opened(SET)
        self.put_back()
        self.expect_older()
        self.expect_recovered(self.recover())

    def test_an_older_ledger_over_the_newer_one(self):
        """Its heads are from two lives, which no start passes over."""
        self.keep_a_copy()
        self.first.opened(SET)
        with self.assertRaisesRegex(RuntimeError, "an older or shorter file was put in its place"):
            self.put_back("over it")
        shutil.rmtree(self.data)
        shell("cp", "-a", self.copy, self.data)
        self.up()
        self.expect_older()

    def test_the_journal_alone(self):
        """Its file identity is that of the newest life; the transcript knows better."""
        self.keep_a_copy()
        self.first.frozen(SET)
        self.down()
        for name in os.listdir(f"{self.copy}/tasks/default"):
            if name.startswith("journal"):
                shell("cp", "-a", f"{self.copy}/tasks/default/{name}", f"{self.data}/tasks/default/{name}")
        self.up()
        self.expect_older()
        self.assertIn("the journal is an older copy", self.shown()["older"])

    def test_recovered_and_put_back_again(self):
        """A copy from before the recovery is found as well."""
        self.keep_a_copy()
        self.first.frozen(SET)
        self.put_back("over it")
        self.recover()
        self.put_back("over it")
        self.expect_older()
        self.expect_recovered(self.recover())

    # --- after a round -----------------------------------------------------------------------------

    def test_put_back_to_the_model_before(self):
        """The copy's ledger does not know of the set that was opened on its current model."""
        self.keep_a_copy()
        before = self.publish(self.first, SET)
        self.stage.model = before
        self.put_back()
        self.expect_older()
        self.expect_recovered(self.recover())

    def test_a_task_that_the_copy_does_not_have(self):
        self.down()
        shell("cp", "-a", self.data, self.copy)
        shutil.rmtree(f"{self.copy}/tasks/default")
        self.up()
        self.first.opened(SET)
        self.put_back()
        self.expect_older()

    # --- what is no copy ---------------------------------------------------------------------------

    def test_ordinary_life(self):
        """Stops and kills, another mode, another name on the way: the round goes on."""
        self.down()
        os.rename(self.data, f"{self.work.name}/elsewhere")
        shell("chmod", "-R", "g+r", f"{self.work.name}/elsewhere")
        shell("chown", "-R", f"{os.getuid()}:{os.getgid()}", f"{self.work.name}/elsewhere")
        os.rename(f"{self.work.name}/elsewhere", self.data)
        self.up()
        self.first.frozen(SET)
        self.first.lead.close()
        self.stage.process.kill()
        self.stage.process.wait()
        self.up()
        self.first.opened(SET)
        self.publish(self.first, SET)
        self.assertIn('millrace_task_older{task="default"} 0\n', self.metrics())
        self.assertNotIn("older", self.shown())


if __name__ == "__main__":
    test_second_sets.PROGRAMS = test_lying_lead.PROGRAMS = sys.argv[1:3]
    unittest.main(argv=sys.argv[:1] + sys.argv[3:], verbosity=1)
