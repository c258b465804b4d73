#!/usr/bin/python3
"""A lead that wants a second sum on one model, to take a device's update from the difference: every way to
it ends at the helper, a real millrace-hub, whatever was abandoned, restarted, removed or taken back.

usage: test_second_sets.py MILLRACE MILLRACE-HUB
"""

import base64
import os
import shutil
import sys
import tempfile
import unittest

from stage import Stage, Update
from test_lying_lead import HELPER, Round

import millrace_oracle as oracle

PROGRAMS = []
SET = range(4)


class Case(unittest.TestCase):
    tasks = ("default",)

    def setUp(self):
        self.work = tempfile.TemporaryDirectory(prefix="millrace-liar-")
        self.addCleanup(self.work.cleanup)
        self.stage = Stage(*PROGRAMS, self.work.name, HELPER, self.tasks)
        self.addCleanup(self.stop)
        self.first = Round(self.stage, 1, SET)

    def stop(self):
        self.first.lead.close()
        self.assertEqual(self.stage.stop(), 0)

    def restart(self):
        self.first.lead.close()
        self.assertEqual(self.stage.stop(), 0)
        self.stage.start(PROGRAMS[1])
        self.first.lead = self.stage.client("hub-0")

    def refused(self, code, answer):
        self.assertEqual(answer.code, code, answer.body)

    def publish(self, current, devices):
        """The round's honest end: the next model is the stage's."""
        own, helpers = current.opened(devices)
        answer = current.step("reveal", b"\1" + own)
        self.assertEqual(answer.status, 200, answer.body)
        name = base64.b64decode(answer.json()["model"]).hex()
        with open(f"{self.work.name}/data/tasks/default/models/{name}.safetensors", "rb") as f:
            before, self.stage.model = self.stage.model, f.read()
        return before

    def expect_no_second_set(self, number=2):
        """Nobody of the first set is admitted, nor can be in a set; others are."""
        second = Round(self.stage, number, [4, 5])
        self.addCleanup(second.lead.close)
        for device in SET:
            answer = second.seed(Update(self.stage, second.layout, device, attempt=1))
            self.refused("released", answer)
            self.assertIn("round 1 of task default", answer.json()["message"])
            second.updates[device] = Update(self.stage, second.layout, device)
        for devices in ([0, 1, 2], [0, 1, 2, 4], [0, 1, 2, 3], [3, 4, 5]):
            self.refused("set_not_admitted", second.freeze(devices))
        self.refused("below_cohort_minimum", second.freeze([4, 5]))


class SecondSets(Case):
    """After each way to end round 1, in which devices 0 to 3 were, the lead asks for less one of them."""

    def test_abandoned_after_the_opening(self):
        self.first.opened(SET)
        self.assertEqual(self.first.give_up("tired").code, "ok")
        self.expect_no_second_set()

    def test_openings_taken_and_never_revealed(self):
        self.first.opened(SET)
        self.expect_no_second_set()
        self.restart()
        self.expect_no_second_set(3)

    def test_asked_to_open_and_gone(self):
        """It may have left: that the lead was cut off makes no difference."""
        self.first.opened(SET)
        self.restart()
        self.assertEqual(self.first.give_up("tired").code, "ok")
        self.restart()
        self.expect_no_second_set()

    def test_abandoned_before_an_opening(self):
        """Nothing has left: the same devices may come again, less one as well."""
        self.first.frozen(SET)
        self.assertEqual(self.first.give_up("tired").code, "ok")
        second = Round(self.stage, 2, range(3))
        second.frozen(range(3))
        third = Round(self.stage, 3, SET) # not even given up
        self.addCleanup(second.lead.close)
        self.addCleanup(third.lead.close)
        third.opened([0, 1, 3])
        self.restart()
        fourth = Round(self.stage, 4, [2, 4, 5])
        self.addCleanup(fourth.lead.close)
        self.refused("released", fourth.seed(Update(self.stage, fourth.layout, 0)))
        fourth.opened([2, 4, 5])

    def test_current_model_set_back(self):
        before = self.publish(self.first, SET)
        newer, self.stage.model = self.stage.model, before
        self.expect_no_second_set()
        self.stage.model = newer # an honest round, with everybody
        third = Round(self.stage, 3, SET)
        self.addCleanup(third.lead.close)
        self.publish(third, SET)
        for model, number in ((before, 4), (newer, 5)):
            body = self.stage.proposal(self.stage.announcement(number, model_hash=oracle.sha256(model)))
            answer = self.first.lead.ask("POST", "/v1/tasks/default/peer/rounds", body)
            if model is before: # older than the one before the current
                self.refused("wrong_announcement", answer)
                self.assertIn("this hub's current model is", answer.json()["message"])
            else:
                self.assertEqual(answer.status, 200, answer.body)

    def test_task_removed_and_added_again(self):
        """With the same first model, which is the same model by its hash."""
        self.first.opened(SET)
        self.first.lead.close()
        self.assertEqual(self.stage.stop(), 0)
        shutil.rmtree(f"{self.work.name}/data/tasks/default")
        self.stage.start(PROGRAMS[1])
        self.first.lead = self.stage.client("hub-0")
        self.expect_no_second_set()

    def test_ledger_taken_away(self):
        self.first.opened(SET)
        self.first.lead.close()
        self.assertEqual(self.stage.stop(), 0)
        kept = {}
        for name in ("released", "released-0", "released-1"):
            with open(f"{self.work.name}/data/{name}", "rb") as f:
                kept[name] = f.read()
            self.assertEqual(os.stat(f"{self.work.name}/data/{name}").st_mode & 0o777, 0o600)
            os.unlink(f"{self.work.name}/data/{name}")
        with self.assertRaisesRegex(RuntimeError, "released in data_dir is missing.* Put released"):
            self.stage.start(PROGRAMS[1])
        kept["released"] = kept["released"][:-1] # cut off by one byte
        for name, content in kept.items():
            with open(f"{self.work.name}/data/{name}", "wb") as f:
                f.write(content)
        with self.assertRaisesRegex(RuntimeError, "released in data_dir is damaged"):
            self.stage.start(PROGRAMS[1])
        shutil.rmtree(f"{self.work.name}/data") # set up anew
        self.stage.start(PROGRAMS[1])
        self.first.lead = self.stage.client("hub-0")

    def test_resumed_by_the_operator(self):
        """The way on: the devices are counted on a model of another name, and its operator was told."""
        self.first.opened(SET)
        answer = self.stage.ask("operator", "POST", "/v1/tasks/default/admin/resume", {})
        self.refused("released", answer)
        self.assertIn("4 devices are in an opened set on that model", answer.json()["message"])
        self.refused("unauthorised_role", self.stage.ask("hub-0", "POST", "/v1/tasks/default/admin/resume",
                                                         {"accepted": True}))
        shown = self.stage.ask("operator", "GET", "/v1/tasks/default").json()
        self.assertEqual(shown["released_devices"], 4)
        self.stage.resume()
        shown = self.stage.ask("operator", "GET", "/v1/tasks/default").json()
        self.assertEqual((shown["released_devices"], shown["state"]), (0, "void"))
        second = Round(self.stage, 2, range(3))
        self.addCleanup(second.lead.close)
        self.publish(second, range(3))

    def test_paused_is_said(self):
        """Four devices wait for the next model, and the others are too few: nothing goes on by itself."""
        self.first.opened(SET)
        ask = lambda: self.stage.ask("operator", "GET", "/v1/tasks/default").json()
        self.assertNotIn("paused", ask())
        second = Round(self.stage, 2, [4])
        self.addCleanup(second.lead.close)
        self.assertNotIn("paused", ask())
        self.assertEqual(second.give_up("below_cohort_minimum: 1 of 3").status, 204)
        self.assertIn("4 devices are in an opened set on the current model", ask()["paused"])
        self.assertIn("millrace task resume default", ask()["paused"])
        self.stage.resume()
        self.assertNotIn("paused", ask())


class TwoTasks(Case):
    """Two tasks that began with one model are one lineage."""

    tasks = ("default", "other")

    def propose(self, number):
        """(its hash, the helper's seal key)"""
        terms = self.stage.announcement(number, task=b"other")
        answer = self.first.lead.ask("POST", "/v1/tasks/other/peer/rounds", self.stage.proposal(terms))
        self.assertEqual(answer.status, 200, answer.body)
        return oracle.sha256(oracle.announcement_encode(terms)), base64.b64decode(answer.json()["seal_key"])

    def seed(self, number, signed, device):
        body = Update(self.stage, self.first.layout, device).seed_request(*signed, task=b"other")
        return self.stage.ask(f"device-{device:03d}", "POST", f"/v1/tasks/other/rounds/{number}/seed", body)

    def test_the_other_task(self):
        early = self.propose(1)
        self.assertEqual(self.seed(1, early, 0).status, 200) # nothing is opened yet
        self.first.frozen(SET)
        self.refused("released", self.seed(1, early, 1)) # nor may it come to be in both
        own = self.first.own
        helpers = self.first.freeze(SET, own).body
        self.assertEqual(self.first.step("open", b"\2" + own + helpers).status, 200)
        later = self.propose(2)
        for device in SET:
            self.refused("released", self.seed(2, later, device))
        self.assertEqual(self.seed(2, later, 4).status, 200)


if __name__ == "__main__":
    PROGRAMS = sys.argv[1:3]
    import test_lying_lead
    test_lying_lead.PROGRAMS = PROGRAMS
    unittest.main(argv=sys.argv[:1] + sys.argv[3:], verbosity=1)
