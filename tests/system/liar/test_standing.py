#!/usr/bin/python3
"""What the other hubs show to one that was put back: a helper whose files tell nothing, since a snapshot brought their
identity along, and a real lead that was put back in the middle of a round.

usage: test_standing.py MILLRACE MILLRACE-HUB
"""

import base64
import os
import shutil
import sys
import unittest

import test_lying_helper
import test_lying_lead
import test_older
import test_second_sets
from stage import TASK
from test_older import RECOVER, shell
from test_second_sets import SET

import millrace_oracle as oracle
import standing_oracle as standings


class Snapshot(test_older.PutBack):
    def stands(self, answer):
        """What the helper said beside that answer, verified: its own standing, and what it has heard of ours."""
        own, _, echo = answer.headers["millrace-standing"].partition(",")
        own = base64.b64decode(own)
        return own, standings.standing_open(TASK, self.stage.publics[1], own), base64.b64decode(echo)

    def ask_standing(self, *words):
        header = ",".join(base64.b64encode(word).decode() for word in words)
        return self.first.lead.ask("GET", "/v1/tasks/default/peer/standing", more=[("millrace-standing", header)] if words else ())

    def put_a_snapshot_back(self):
        """All but the identity, as a snapshot of the disk would have it."""
        self.down()
        for root in (self.data, self.copy):
            for folder, _, names in os.walk(root):
                for name in (name for name in names if name != "identity"):
                    path = os.path.join(self.data, os.path.relpath(folder, root), name)
                    if root == self.copy:
                        shell("cp", "-a", os.path.join(folder, name), path)
                    else:
                        os.unlink(path)
        self.up()

    def test_a_snapshot_and_an_honest_lead(self):
        """Its files show nothing; its own signature, of a record that it does not have, does."""
        lead = standings.standing_sign(TASK, self.stage.keys[0], 0, 0, 3, 1, bytes(32))
        self.keep_a_copy()
        answer = self.ask_standing(lead)
        self.assertEqual(answer.status, 204)
        self.assertEqual(self.stands(answer)[2], lead)
        further = standings.standing_sign(TASK, self.stage.keys[0], 0, 0, 4, 1, bytes(32))
        forged = further[:-1] + bytes([further[-1] ^ 1])
        self.assertEqual(self.stands(self.ask_standing(forged))[2], lead) # it has said no such thing
        early, (hub, epoch, sequence, number, _), _ = self.stands(answer)
        self.assertEqual((hub, epoch, number), (1, 0, 1))
        answer = self.freeze_answered()
        late, (_, _, later, _, _), echo = self.stands(answer)
        self.assertGreater(later, sequence)
        self.assertEqual(echo, lead) # also what was heard before a restart would be
        self.assertEqual(self.ask_standing(lead, late).status, 204)
        self.restart()
        self.assertEqual(self.ask_standing(lead, early).status, 204) # what it has, it has
        self.assertEqual(self.stands(self.ask_standing())[2], lead)
        self.put_a_snapshot_back()
        forged = late[:-1] + bytes([late[-1] ^ 1])
        other = standings.standing_sign(b"other", self.stage.keys[1], 1, 0, later, 1, bytes(32))
        for word in (forged, other, lead): # none of it is its own word
            self.assertEqual(self.ask_standing(lead, word).status, 204)
        self.refused("older", self.ask_standing(lead, late))
        self.expect_older()
        self.assertIn(f"this hub's own signature of record {later} (round 1)", self.shown()["older"])
        self.restart()
        self.expect_older()
        recovered = self.recover()
        self.assertFalse(recovered["needs_restart"])
        self.assertEqual(self.ask_standing(lead, late).status, 204) # of an epoch that it has left
        _, (_, epoch, _, _, _), _ = self.stands(self.ask_standing())
        self.assertEqual(epoch, recovered["epoch"])
        self.expect_recovered(recovered)

    def freeze_answered(self):
        answer = self.first.freeze(SET, self.first.commit(SET, self.first.result(SET)))
        self.assertEqual(answer.status, 200, answer.body)
        return answer

    def test_recovered_before_a_restart(self):
        self.keep_a_copy()
        late = self.stands(self.freeze_answered())[0]
        self.put_a_snapshot_back()
        self.refused("older", self.ask_standing(bytes(122), late))
        recovered = self.recover_at_once()
        self.assertTrue(recovered["needs_restart"])
        self.refused("older", self.first.freeze(SET))
        self.restart()
        self.expect_recovered(recovered)

    def recover_at_once(self):
        answer = self.stage.ask("operator", "POST", RECOVER, {"accepted": True})
        self.assertEqual(answer.status, 200, answer.body)
        return answer.json()


class OlderLead(test_lying_helper.Scene, unittest.TestCase):
    """The lead is the real hub, and is put back."""

    def put_back(self):
        data, copy = f"{self.work.name}/data", f"{self.work.name}/copy"
        shell("cp", "-a", data, copy)
        self.stage.start(test_lying_helper.PROGRAMS[1])
        yield
        self.assertEqual(self.stage.stop(), 0)
        shutil.rmtree(data)
        os.rename(copy, data)
        self.stage.start(test_lying_helper.PROGRAMS[1])

    def expect_older(self):
        for stem, method, path in (("operator", "POST", "admin/rounds"), ("device-000", "GET", "rounds/current"),
                                   ("operator", "POST", "admin/rounds/1/void"), ("operator", "POST", "admin/resume")):
            answer = self.stage.ask(stem, method, f"/v1/tasks/default/{path}")
            self.assertEqual(answer.code, "older", answer.body)

    def test_put_back_in_a_round(self):
        """Nothing of the round is asked or answered again, nor is its number used once more."""
        self.open_round()
        self.current()
        self.assertEqual(self.stage.stop(), 0)
        for _ in self.put_back():
            self.current()
            self.helper.asked.clear()
        self.expect_older()
        answer = self.stage.ask("operator", "POST", RECOVER, {"accepted": True})
        self.assertEqual(answer.status, 200, answer.body)
        recovered = answer.json()
        self.assertEqual(self.stage.ask("operator", "POST", "/v1/tasks/default/admin/rounds").code, "older")
        end = self.stage.ask("device-000", "GET", "/v1/tasks/default/rounds/1").json()
        self.assertEqual((end["state"], end["unopened"]), ("void", ""))
        self.stage.resume(recovered["recovery_code"])
        self.assertEqual(self.helper.asked, [])
        self.open_round()
        self.assertEqual(self.number, recovered["round"] + 1)
        self.assertGreater(self.number, 2**16)
        self.current()
        self.assertEqual(self.helper.terms["model_hash"], oracle.sha256(self.stage.model))

    # --- once more from the same copy -------------------------------------------------------------

    def says(self, epoch, number, echo):
        """The helper says that it stands in that round, and what it has heard of this lead."""
        own = standings.standing_sign(TASK, self.stage.keys[1], 1, epoch, 9, number, bytes(32))
        text = ",".join(base64.b64encode(word).decode() for word in (own, echo))
        self.helper.standing = 200, b"", [("millrace-standing", text)]

    def recover_from(self, copy):
        data = f"{self.work.name}/data"
        self.assertEqual(self.stage.stop(), 0)
        shutil.rmtree(data)
        shell("cp", "-a", copy, data)
        self.stage.start(test_lying_helper.PROGRAMS[1])
        client = self.stage.client("operator")
        try:
            return client.ask("POST", RECOVER, {"accepted": True}) # once
        finally:
            client.close()

    def test_put_back_twice_from_one_copy(self):
        """The copy knows nothing of the life between: the helper does, also where that life's epoch was of a clock ahead."""
        copy = f"{self.work.name}/twice"
        self.assertEqual(self.stage.stop(), 0)
        shell("cp", "-a", f"{self.work.name}/data", copy)
        self.stage.start(test_lying_helper.PROGRAMS[1])
        first = self.recover_from(copy).json()
        ahead = 2**50
        self.assertLess(first["epoch"], ahead)
        last = first["round"] + 2**16
        word = standings.standing_sign(TASK, self.stage.keys[0], 0, ahead, 99, last, bytes(32))
        forged = word[:-1] + bytes([word[-1] ^ 1])
        self.says(0, last - 1, forged) # its own number counts, what it shows of the lead's does not
        second = self.recover_from(copy).json()
        self.assertGreater(second["round"], last - 1 + 2**16 - 1)
        self.assertLess(second["epoch"], ahead)
        self.says(0, last - 1, word)
        third = self.recover_from(copy).json()
        self.assertGreater(third["round"], last + 2**16 - 1)
        self.assertEqual(third["epoch"], ahead + 1)
        self.says(0, 2**52, word) # a helper that lies shuts no numbers
        fourth = self.recover_from(copy).json()
        self.assertLess(fourth["round"], last + 2**20)
        self.helper.standing = 503, b""
        answer = self.recover_from(copy)
        self.assertEqual(answer.code, "busy", answer.body)
        self.assertIn("so that no number comes twice", answer.json()["message"])
        self.helper.standing = 200, b""
        answer = self.stage.ask("operator", "POST", RECOVER, {"accepted": True})
        self.assertEqual(answer.status, 200, answer.body)
        self.beyond_what_is_heard_later(answer.json(), forged)

    def beyond_what_is_heard_later(self, recovered, echo):
        """A helper that was put back as well says a number of the life between: those after it may have been used."""
        self.stage.resume(recovered["recovery_code"])
        heard = recovered["round"] + 1000
        self.says(0, heard, echo)
        self.open_round()
        self.current() # before the helper was asked for a signature it was asked where it stands
        self.stage.ask("operator", "POST", f"/v1/tasks/default/admin/rounds/{self.number}/void")
        self.open_round()
        self.assertGreater(self.number, heard + 2**16 - 1)


if __name__ == "__main__":
    test_lying_helper.PROGRAMS = test_second_sets.PROGRAMS = test_lying_lead.PROGRAMS = sys.argv[1:3]
    unittest.main(argv=sys.argv[:1] + sys.argv[3:], verbosity=1)
