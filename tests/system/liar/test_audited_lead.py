#!/usr/bin/python3
"""A lead that lies about its part in rounds with audit_hours, against one real helper: the helper takes no
commitment without the root that the terms ask for, nor another one later; it proves to each device what it
counted, to nobody else; and an offset in the lead's part, which every hub has signed, is put down to the lead.

usage: test_audited_lead.py MILLRACE MILLRACE-HUB
"""

import base64
import glob
import json
import subprocess
import sys
import tempfile
import unittest

from stage import TASK, Stage
from test_lying_lead import HELPER, Round

import millrace_oracle as oracle

PROGRAMS = []
SET = range(4)
ROUND = 1


class AuditedRound(Round):
    """Its lead counts as it should, and may say otherwise."""

    def salt(self, device):
        return bytes([device + 1]) * 32

    def shares(self, devices):
        return {self.stage.devices[d]: self.updates[d].share(self.layout, self.hash) for d in devices}

    def leaves(self, devices, hub):
        """In the order of the set."""
        found = {}
        for device in devices:
            update = self.updates[device]
            covered = oracle.scope(TASK, self.hash, update.client, hub, 0)
            counted = oracle.seed_hash(covered, update.seed) if hub else oracle.share_hash(
                covered, update.share(self.layout, self.hash))
            salt = bytes(32) if hub else self.salt(device)
            found[update.client] = oracle.counted_leaf(update.client, 0, salt, counted)
        return [found[client] for client in sorted(found)]

    def commit(self, devices, result, random32=bytes(32), root=None):
        plain = super().commit(devices, result, random32)
        root = oracle.tree_root(self.leaves(devices, 0)) if root is None else root
        return oracle.commitment(self.hash, 0, plain[2:34], self.stage.keys[0], root)

    def part(self, devices):
        """What an honest lead would hand to an auditor."""
        by_client = {self.stage.devices[d]: d for d in devices}
        text = b"MRPART02" + oracle.be16(0) + oracle.be16(len(self.canonical)) + self.canonical
        text += oracle.be32(len(by_client))
        shares = self.shares(devices)
        for client in sorted(by_client):
            text += client + oracle.be32(0) + self.salt(by_client[client]) + shares[client]
        return text


class AuditedLead(unittest.TestCase):
    def setUp(self):
        self.work = tempfile.TemporaryDirectory(prefix="millrace-liar-")
        self.addCleanup(self.work.cleanup)
        self.stage = Stage(*PROGRAMS, self.work.name, HELPER)
        self.addCleanup(self.stop)

    def stop(self):
        self.assertEqual(self.stage.stop(), 0)

    def round(self, kind=AuditedRound, **terms):
        current = kind(self.stage, ROUND, **terms)
        self.addCleanup(current.lead.close)
        return current

    def refused(self, code, answer):
        self.assertEqual(answer.code, code, answer.body)

    def proof(self, stem):
        return self.stage.ask(stem, "GET", f"/v1/tasks/default/rounds/{ROUND}/proof")

    def publish(self, current, result=None):
        own, helpers = current.opened(SET, result)
        answer = current.step("reveal", b"\1" + own)
        self.assertEqual(answer.status, 200, answer.body)

    def test_a_root_that_the_terms_do_not_ask_for(self):
        self.refused("bad_commitment", self.round(audit_hours=0).freeze(SET))

    def test_no_root(self):
        current = self.round(audit_hours=1)
        none = current.commit(SET, current.result(SET), root=bytes(32))
        self.refused("bad_commitment", current.freeze(SET, none))

    def test_another_root_later(self):
        current = self.round(audit_hours=1)
        own, helpers = current.frozen(SET)
        other = current.commit(SET, current.result(SET), root=bytes([1]) * 32)
        self.assertEqual(own[:34], other[:34]) # the same value, and well signed
        self.refused("bad_commitment", current.freeze(SET, other))
        self.refused("bad_commitment", current.step("open", b"\2" + other + helpers))
        self.assertEqual(current.step("open", b"\2" + own + helpers).status, 200)

    def test_the_helper_counts_and_proves(self):
        current = self.round(audit_hours=1)
        leaves = current.leaves(SET, HELPER)
        own, helpers = current.frozen(SET)
        self.assertEqual(helpers[34:66], oracle.tree_root(leaves))
        self.refused("no_round", self.proof("device-000")) # nothing is proved before the end
        self.assertEqual(current.step("open", b"\2" + own + helpers).status, 200)
        answer = current.step("reveal", b"\1" + bytes(32) + current.result(SET))
        self.assertEqual(answer.status, 200, answer.body)
        order = sorted(self.stage.devices[d] for d in SET)
        for device in SET:
            said = self.proof(f"device-{device:03d}").json()
            index = order.index(self.stage.devices[device])
            path = [base64.b64encode(p).decode() for p in oracle.tree_path(index, leaves)]
            self.assertEqual(said, {
                "hub": HELPER, "index": index, "count": 4, "salt": base64.b64encode(bytes(32)).decode(), "path": path,
                "commitments": [base64.b64encode(c).decode() for c in (own, helpers)]})
        self.refused("not_found", self.proof("device-004")) # admitted, and not in the set
        for stranger in ("hub-0", "operator"):
            self.refused("unauthorised_role", self.proof(stranger))

    def test_nothing_is_proved_without_hours(self):
        self.publish(self.round(Round))
        self.refused("no_round", self.proof("device-000"))
        self.assertEqual(self.kept(), [])

    def kept(self):
        return glob.glob(f"{self.work.name}/data/tasks/default/audit/*")

    def test_a_round_that_is_given_up_leaves_nothing(self):
        current = self.round(audit_hours=1)
        current.frozen(SET)
        self.assertEqual(len(self.kept()), 1)
        self.assertIn(current.give_up("operator: no more").status, (200, 204))
        self.assertEqual(self.kept(), [])

    # --- the offset --------------------------------------------------------------------------

    def recompute(self, part):
        with open(f"{self.work.name}/keys.json", "w", encoding="utf-8") as f:
            json.dump({"hubs": [{"index": i, "public_key": self.stage.publics[i].hex()} for i in range(2)]}, f)
        done = subprocess.run(
            [PROGRAMS[0], "audit", "recompute", "--json", "--keys", f"{self.work.name}/keys.json", part,
             *glob.glob(f"{self.work.name}/data/tasks/default/transcript/*.log")],
            capture_output=True, text=True, check=False)
        return done.returncode, json.loads(done.stdout)

    def test_an_offset_in_the_leads_part(self):
        """All sign it and the model moves; the lead's own shares, which it has committed to, say that it lied."""
        current = self.round(audit_hours=1)
        lanes = bytearray(current.result(SET))
        lanes[0:2] = ((int.from_bytes(lanes[0:2], "little") + 100) % 2**16).to_bytes(2, "little")
        self.publish(current, bytes(lanes))
        part = f"{self.work.name}/lead.part"
        with open(part, "wb") as f:
            f.write(current.part(SET))
        code, said = self.recompute(part)
        self.assertEqual((code, said["hub"]), (5, 0), said)
        self.assertIn("hub 0 lied: what it opened is not the sum of the 4 shares", said["what"])
        helpers = f"{self.work.name}/helper.part"
        subprocess.run([PROGRAMS[0], "audit", "export", f"{self.work.name}/hub.yaml", "--round", str(ROUND), "--out", helpers],
                       check=True, stdout=subprocess.DEVNULL)
        self.assertEqual(self.recompute(helpers)[0], 0) # the honest one is not blamed

    def test_an_honest_lead(self):
        current = self.round(audit_hours=1)
        self.publish(current)
        part = f"{self.work.name}/lead.part"
        with open(part, "wb") as f:
            f.write(current.part(SET))
        code, said = self.recompute(part)
        self.assertEqual((code, said["parts"]), (0, 1), said)


if __name__ == "__main__":
    PROGRAMS[:] = sys.argv[1:3]
    unittest.main(argv=sys.argv[:1])
