#!/usr/bin/python3
"""A lead and devices that lie to an honest helper, a real millrace-hub: every lie is refused with its
code, and no sum and no model appears on the helper's disk.

usage: test_lying_lead.py MILLRACE MILLRACE-HUB
"""

import base64
import json
import math
import struct
import sys
import tempfile
import time
import unittest

from stage import COHORT_MIN, DEVICES, Stage, Update, b64

import millrace_oracle as oracle

PROGRAMS = []
HELPER = 1


def float_bits(value):
    return int.from_bytes(struct.pack(">f", value), "big")


class Round:
    """A round that a lying lead runs against the helper."""

    def __init__(self, stage, number, devices=range(5), **terms):
        self.stage, self.number = stage, number
        self.terms = stage.announcement(number, **terms)
        self.canonical = oracle.announcement_encode(self.terms)
        self.hash = oracle.sha256(self.canonical)
        self.layout = oracle.Layout(self.terms)
        self.was_opened = False
        self.lead = stage.client("hub-0")
        proposal = stage.proposal(self.terms)
        answer = self.lead.ask("POST", "/v1/tasks/default/peer/rounds", proposal)
        if answer.status in (429, 503): # it has started a moment ago: once more, until it has time
            answer = stage.ask("hub-0", "POST", "/v1/tasks/default/peer/rounds", proposal)
        assert answer.status == 200, answer.body
        self.signature = answer.json()
        self.seal_key = base64.b64decode(self.signature["seal_key"])
        self.updates = {}
        for device in devices:
            self.admit(Update(stage, self.layout, device))

    def admit(self, update):
        request = update.seed_request(self.hash, self.seal_key)
        answer = self.seed(update, request)
        assert answer.status == 200, answer.body
        parts = update.receipt_parts(self.layout, self.hash, request)
        mac = oracle.receipt_mac(base64.b64decode(self.signature["receipt_key"]), update.scope(self.hash), parts[0])
        assert answer.body == oracle.receipt_answer(HELPER, parts, mac), answer.body
        self.updates[update.number] = update

    def seed(self, update, body=None):
        body = body or update.seed_request(self.hash, self.seal_key)
        return self.stage.ask(f"device-{update.number:03d}", "POST", f"/v1/tasks/default/rounds/{self.number}/seed", body)

    def entries(self, devices):
        return {self.stage.devices[d]: 0 for d in devices}

    def result(self, devices):
        shares = [self.updates[d].share(self.layout, self.hash) for d in devices]
        return oracle.add_up(self.layout, shares)

    def commit(self, devices, result, random32=bytes(32)):
        set_hash = oracle.included_hash(self.hash, oracle.included_encode(self.entries(devices)))
        value = oracle.commitment_value(self.hash, set_hash, 0, random32, result)
        return oracle.commitment(self.hash, 0, value, self.stage.keys[0])

    def give_up(self, reason, key=0, announcement=None, said=None):
        """The order to end it, signed with the key of hub `key` over `said`."""
        announcement = announcement or self.hash
        text = oracle.void_text(announcement, reason if said is None else said)
        return self.step("void", {"reason": reason, "announcement": b64(announcement),
                                  "signature": b64(oracle.sign(self.stage.keys[key], text))})

    def step(self, name, body):
        return self.lead.ask("POST", f"/v1/tasks/default/peer/rounds/{self.number}/{name}", body)

    def freeze(self, devices, commitment=None):
        commitment = commitment or self.commit(devices, self.result(devices))
        return self.step("freeze", oracle.included_encode(self.entries(devices)) + commitment)

    def frozen(self, devices=range(4), result=None):
        """(own commitment, the helper's) over a good set."""
        self.own = self.commit(devices, result or self.result(devices))
        answer = self.freeze(devices, self.own)
        assert answer.status == 200, answer.body
        return self.own, answer.body

    def opened(self, devices=range(4), result=None):
        """(own opening, the helper's)."""
        own, helpers = self.frozen(devices, result)
        answer = self.step("open", b"\2" + own + helpers)
        self.was_opened = True
        assert answer.status == 200, answer.body
        return bytes(32) + (result or self.result(devices)), answer.body


class LyingLead(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.work = tempfile.TemporaryDirectory(prefix="millrace-liar-")
        cls.stage = Stage(*PROGRAMS, cls.work.name, HELPER)
        cls.number = 0
        cls.before = None

    @classmethod
    def tearDownClass(cls):
        code = cls.stage.stop()
        cls.work.cleanup()
        assert code == 0, f"the helper ended with {code}"

    def round(self, *arguments, **terms):
        type(self).number += 1
        if self.before and self.before.was_opened: # its devices are counted on the next model only
            self.stage.resume()
        current = type(self).before = Round(self.stage, self.number, *arguments, **terms)
        self.addCleanup(current.lead.close)
        return current

    def tearDown(self):
        self.assertEqual(self.stage.released(), self.stage.initial, "something was released")

    def refused(self, code, answer):
        self.assertEqual(answer.code, code, answer.body)

    # --- terms -------------------------------------------------------------------------------

    def propose(self, stem="hub-0", **changes):
        terms = self.stage.announcement(self.number + 1000, **changes)
        return self.stage.ask(stem, "POST", "/v1/tasks/default/peer/rounds", self.stage.proposal(terms))

    def test_terms_that_this_helper_would_not_sign(self):
        self.refused("unauthorised_role", self.propose(stem="hub-2"))
        self.refused("unauthorised_role", self.propose(stem="device-000"))
        self.refused("below_cohort_minimum", self.propose(cohort_min=COHORT_MIN - 1))
        self.refused("wrong_announcement", self.propose(model_hash=bytes(32)))
        self.refused("wrong_announcement", self.propose(dimension=299))
        accuracy = [{"name": b"accuracy", "low_bits": 0, "high_bits": 0x3F800000}]
        for kind in range(3): # this helper's operator asks devices for none
            self.refused("wrong_announcement", self.propose(kind=kind, metrics=accuracy))
        hubs = self.stage.announcement(1)["hubs"]
        stranger = [hubs[0], hubs[1] | {"public_key": self.stage.publics[2]}]
        self.refused("wrong_announcement", self.propose(hubs=stranger))
        self.refused("bad_request", self.stage.ask("hub-0", "POST", "/v1/tasks/default/peer/rounds", b"MRAN" + bytes(200)))

    def test_a_certificate_is_not_the_lead(self):
        """Whoever has hub 0's TLS key, or a CA that issues another, has not its signing key."""
        terms = self.stage.announcement(self.number + 1000)
        canonical = oracle.announcement_encode(terms)
        honest = self.stage.proposal(terms)
        by_another = self.stage.proposal(self.stage.announcement(self.number + 1001))
        for body in (self.stage.proposal(terms, key=1), self.stage.proposal(terms, key=2), canonical + bytes(64),
                     canonical + by_another[-64:], honest[:-1] + bytes([honest[-1] ^ 1])):
            self.refused("bad_signature", self.stage.ask("hub-0", "POST", "/v1/tasks/default/peer/rounds", body))
        for body in (canonical, canonical[:-1], bytes(64), b""):
            self.refused("bad_request", self.stage.ask("hub-0", "POST", "/v1/tasks/default/peer/rounds", body))
        self.round() # nothing was kept of any of them

    def test_numbers_that_run_away(self):
        """One signed round of a huge number would shut all others to this helper."""
        canonical = oracle.announcement_encode(self.stage.announcement(self.number + 1))
        for number in (2**20 + self.number + 1, 2**52, 2**53, 2**63 - 1, 2**63, 2**64 - 1):
            far = canonical[:6] + oracle.be64(number) + canonical[14:]
            signed = oracle.proposal(far, self.stage.keys[0])
            answer = self.stage.ask("hub-0", "POST", "/v1/tasks/default/peer/rounds", signed)
            self.assertIn(answer.code, ("wrong_round", "bad_request"), number)
            if answer.code == "wrong_round":
                self.assertIn("signed-round", answer.json()["message"])
        self.round()

    def test_two_announcements_of_one_round(self):
        current = self.round()
        other = self.stage.proposal(current.terms | {"scale_bits": 0x43480000})
        self.refused("wrong_announcement", current.lead.ask("POST", "/v1/tasks/default/peer/rounds", other))
        older = self.stage.proposal(current.terms | {"round": self.number - 1 or 1})
        self.assertIn(current.lead.ask("POST", "/v1/tasks/default/peer/rounds", older).code,
                      ("wrong_round", "wrong_announcement"))

    # --- sets --------------------------------------------------------------------------------

    def test_sets_that_are_not_answered(self):
        current = self.round()
        self.refused("below_cohort_minimum", current.freeze(range(COHORT_MIN - 1)))
        current.updates[5] = Update(self.stage, current.layout, 5) # its seed was never sent
        self.refused("set_not_admitted", current.freeze([0, 1, 2, 5]))
        commitment = current.commit(range(4), current.result(range(4)))
        other_attempt = {client: 1 for client in current.entries(range(4))}
        self.refused("set_not_admitted",
                     current.step("freeze", oracle.included_encode(other_attempt) + commitment))
        once = sorted(current.entries(range(3)))
        twice = oracle.be32(4) + b"".join(client + oracle.be32(0) for client in once[:1] + once)
        self.refused("bad_request", current.step("freeze", twice + commitment))
        falling = oracle.be32(3) + b"".join(client + oracle.be32(0) for client in once[::-1])
        self.refused("bad_request", current.step("freeze", falling + commitment))
        many = oracle.be32(DEVICES + 1) + b"".join(bytes([i]) * 20 for i in range(DEVICES + 1))
        self.refused("bad_request", current.step("freeze", many + commitment))

    def test_one_set_a_round(self):
        current = self.round()
        devices = range(4)
        own, helpers = current.frozen(devices)
        again = current.freeze(devices, own)
        self.assertEqual(again.body, helpers)
        for other in ([0, 1, 2], [0, 1, 2, 3, 4], [1, 2, 3, 4]):
            self.refused("set_conflict", current.freeze(other))
        changed = current.commit(devices, bytes(current.layout.share_bytes))
        self.refused("bad_commitment", current.freeze(devices, changed))

    def test_commitments_of_others(self):
        before = self.round()
        replayed = before.commit(range(4), before.result(range(4)))
        current = self.round()
        self.refused("bad_commitment", current.freeze(range(4), replayed))
        good = current.commit(range(4), current.result(range(4)))
        self.refused("bad_commitment", current.freeze(range(4), good[:-1] + bytes([good[-1] ^ 1])))
        by_another = oracle.commitment(current.hash, 0, good[2:34], self.stage.keys[2])
        self.refused("bad_commitment", current.freeze(range(4), by_another))
        as_helper = oracle.commitment(current.hash, 1, good[2:34], self.stage.keys[0])
        self.refused("bad_commitment", current.freeze(range(4), as_helper))
        self.refused("bad_request", current.freeze(range(4), good[:129]))
        self.refused("unauthorised_role", self.stage.ask(
            "hub-2", "POST", f"/v1/tasks/default/peer/rounds/{self.number}/freeze",
            oracle.included_encode(current.entries(range(4))) + good))

    # --- openings ----------------------------------------------------------------------------

    def test_steps_out_of_order(self):
        current = self.round()
        own = current.commit(range(4), current.result(range(4)))
        self.refused("wrong_round", current.step("open", b"\2" + own + own))
        self.refused("wrong_round", current.step("reveal", b"\1"))
        current.frozen()
        self.refused("wrong_round", current.step("reveal", b"\1"))
        current.number += 1
        self.refused("wrong_round", current.step("open", b"\2" + own + own))

    def test_no_opening_without_every_commitment(self):
        before = self.round()
        _, stale = before.frozen()
        current = self.round()
        own, helpers = current.frozen()
        other = current.commit(range(4), bytes(current.layout.share_bytes))
        for body in (b"\1" + own, b"\2" + own, b"\2" + own + own, b"\2" + helpers + own, b"\2" + other + helpers,
                     b"\2" + own + stale, b"\2" + own + helpers[:-1] + bytes([helpers[-1] ^ 1]),
                     b"\3" + own + helpers + own, b""):
            self.refused("bad_commitment", current.step("open", body))

    def test_openings_that_were_altered(self):
        current = self.round()
        own, helpers = current.opened()
        for body in (b"\1" + own[:-1] + bytes([own[-1] ^ 1]), b"\1" + own[::-1], b"\1" + helpers, b"\1",
                     b"\2" + own, b"\2" + own + helpers, b"\1" + own + helpers, b"\1" + own + b"\0"):
            self.refused("bad_opening", current.step("reveal", body))

    def test_a_random_sum(self):
        for number in range(3):
            current = self.round()
            random_sum = oracle.ctr_stream(bytes([number]) * 16, bytes(16), 0, current.layout.share_bytes)
            own, helpers = current.opened(result=random_sum)
            self.refused("unsound_sum", current.step("reveal", b"\1" + own))
            again = current.step("reveal", b"\1" + own) # asked once more, as after a lost connection
            self.refused("void", again)
            self.assertRegex(again.json()["message"], "^unsound_sum: (count lane|weight lane|range|norm)")

    def test_a_sum_that_leaves_a_device_out(self):
        """The set names four, the lead's result is of three: the count lane is masked noise then."""
        current = self.round()
        own, helpers = current.opened(result=current.result(range(3)))
        self.refused("unsound_sum", current.step("reveal", b"\1" + own))

    def test_devices_that_count_themselves_twice(self):
        for trailer in ([2, 5] + [0] * 14, [0, 5] + [0] * 14, [1, 0] + [0] * 14, [1, 99999] + [0] * 14):
            current = self.round(range(3))
            current.admit(Update(self.stage, current.layout, 3, trailer=trailer))
            if trailer[:2] == [1, 0]: # a weight of none at all, in a sum of nothing else
                for update in current.updates.values():
                    update.trailer = trailer
            own, helpers = current.opened()
            self.refused("unsound_sum", current.step("reveal", b"\1" + own))

    # --- a device that reaches too far -------------------------------------------------------

    def unsound(self, words, liar, **terms):
        """Three honest devices and a liar, in a round of an honest lead; `liar` changes its update."""
        current = self.round(range(3), **terms)
        update = Update(self.stage, current.layout, 3)
        liar(update, [current.updates[d] for d in range(3)])
        current.admit(update)
        own, helpers = current.opened()
        answer = current.step("reveal", b"\1" + own)
        self.refused("unsound_sum", answer)
        self.assertRegex(answer.json()["message"], words)

    def honest_step(self):
        layout = oracle.Layout(self.stage.announcement(1))
        updates = [Update(self.stage, layout, d) for d in range(4)]
        squares = sum(sum(column) ** 2 for column in zip(*(u.q for u in updates)))
        return 10 / (100 * 10) * math.sqrt(squares) # weight_max / (scale * sum of weights)

    def test_a_weight_below_zero(self):
        """The step is divided by the sum of weights: it would be two and a half times as long."""
        def liar(update, others):
            update.trailer[1] = 2**32 - sum(o.trailer[1] for o in others) + 4
        self.unsound("^step: the model would move by [0-9.]+, step_max is ", liar,
                     step_max_bits=float_bits(1.5 * self.honest_step()))

    def test_one_lane(self):
        """What four devices reach, and one more."""
        def liar(update, others):
            update.q[5] = 127 * 4 + 1 - sum(o.q[5] for o in others)
        self.unsound("^range: a lane of 509 is beyond the 508 that 4 devices", liar)

    def test_a_lane_around_the_ring(self):
        def liar(update, others):
            update.q[5] = 2**15 + 7
        self.unsound("^range: a lane of ", liar)

    def test_a_vector_beyond_the_clip(self):
        """Within the range in every lane; the others are what clip_norm 15 and scale 100 allow."""
        def liar(update, others):
            update.q = [4 * 127 - sum(column) for column in zip(*(o.q for o in others))]
        self.unsound("^norm: the sum has [0-9.]+, beyond the [0-9.]+ that 4 devices of clip_norm 15 ", liar,
                     clip_norm_bits=float_bits(15.0))

    # --- devices -----------------------------------------------------------------------------

    def test_devices_at_the_helper(self):
        current = self.round(range(3))
        update = current.updates[0]
        self.assertEqual(current.seed(update).status, 200) # the same again
        good = update.seed_request(current.hash, current.seal_key)
        self.assertEqual(current.seed(update, good).body, current.seed(update, good).body)
        again = update.seed_request(current.hash, current.seal_key, ephemeral=bytes([77]) * 32)
        self.refused("seed_conflict", current.seed(update, again))
        self.refused("wrong_announcement", current.seed(update, bytes(32) + good[32:]))
        self.refused("bad_request", current.seed(update, good[:35] + b"\x08" + good[36:]))
        self.refused("body_too_large", current.seed(update, good + b"\0"))
        self.refused("bad_request", current.seed(update, good[:-1]))
        self.refused("unauthorised_role", self.stage.ask(
            "hub-0", "POST", f"/v1/tasks/default/rounds/{self.number}/seed", good))
        current.number += 1
        self.refused("wrong_round", current.seed(update))
        current.number -= 1
        current.frozen(range(3))
        self.refused("closed", current.seed(Update(self.stage, current.layout, 3)))

    def test_seeds_that_do_not_open(self):
        """Sealed to another key, for another scope, changed on the way: refused by name, and counted."""
        before = self.round(range(3))
        current = self.round(range(3))
        self.assertNotEqual(before.seal_key, current.seal_key)
        update = Update(self.stage, current.layout, 3)
        good = update.seed_request(current.hash, current.seal_key)
        stranger = oracle.x25519_public(bytes([3]) * 32)
        wrong = [update.seed_request(current.hash, before.seal_key), update.seed_request(current.hash, stranger),
                 update.seed_request(current.hash, current.seal_key, client=self.stage.devices[4]),
                 update.seed_request(current.hash, current.seal_key, announcement_hash=before.hash),
                 update.seed_request(current.hash, current.seal_key, hub=2),
                 update.seed_request(current.hash, current.seal_key, attempt=1), good[:36] + bytes(32) + good[68:]]
        wrong += [good[:at] + bytes([good[at] ^ 1]) + good[at + 1:] for at in (36, 68, 115)]
        for body in wrong:
            answer = current.seed(update, body)
            self.refused("bad_seed", answer)
            self.assertIn("does not open with this hub's key of the round", answer.json()["message"])
        self.assertEqual(current.seed(update, good).status, 200)
        told = self.stage.ask("operator", "GET", f"/v1/tasks/default/admin/rounds/{self.number}").json()
        self.assertEqual(told["bad_seeds"], len(wrong))
        metrics = self.stage.ask("operator", "GET", "/metrics").body.decode()
        self.assertIn(f'millrace_helper_bad_seeds_total{{task="default"}} {len(wrong)}\n', metrics)

    def test_one_key_a_round(self):
        """The same question gets the same bytes; the key of a round that is frozen opens nothing any more."""
        current = self.round(range(4))
        again = current.lead.ask("POST", "/v1/tasks/default/peer/rounds", self.stage.proposal(current.terms))
        self.assertEqual(again.json(), current.signature)
        text = oracle.announcement_text(current.hash, current.seal_key)
        self.assertTrue(oracle.verify(self.stage.publics[HELPER], base64.b64decode(current.signature["signature"]), text))
        current.frozen()
        again = current.lead.ask("POST", "/v1/tasks/default/peer/rounds", self.stage.proposal(current.terms))
        self.assertEqual(again.json(), current.signature)

    def test_a_round_that_was_given_up(self):
        current = self.round()
        order = {"reason": "x", "announcement": b64(current.hash),
                 "signature": b64(oracle.sign(self.stage.keys[0], oracle.void_text(current.hash, "x")))}
        self.refused("unauthorised_role", self.stage.ask(
            "hub-2", "POST", f"/v1/tasks/default/peer/rounds/{self.number}/void", order))
        self.assertEqual(current.give_up("tired").code, "ok")
        self.refused("void", current.seed(current.updates[0]))
        self.refused("void", current.freeze(range(4)))

    def ended(self, current):
        """(state, reason, whether it says under its key that it has not opened) as a device hears it."""
        answer = self.stage.ask("device-000", "GET", f"/v1/tasks/default/rounds/{current.number}")
        self.assertEqual(answer.status, 200, answer.body)
        end = answer.json()
        unopened = end["unopened"] != ""
        if unopened:
            statement = base64.b64decode(end["unopened"])
            self.assertTrue(oracle.verify(self.stage.publics[HELPER], statement, oracle.unopened_text(current.hash)))
        return end["state"], end["reason"], unopened

    def test_what_it_says_of_a_round_that_it_has_not_opened(self):
        left = self.round()
        left.frozen()
        self.assertEqual(self.ended(left), ("under_way", "", False))
        current = self.round() # without a word about the one before
        state, reason, unopened = self.ended(left)
        self.assertEqual((state, reason[:10], unopened), ("void", "lead_gone:", True))
        self.refused("wrong_round", left.freeze(range(4)))
        current.give_up("tired")
        limit = time.monotonic() + 20 # it says so when the end is on its disk
        while not self.ended(current)[2] and time.monotonic() < limit:
            time.sleep(0.05)
        self.assertEqual(self.ended(current), ("void", "tired", True))
        current.number += 1000
        self.refused("no_round", self.stage.ask("device-000", "GET", f"/v1/tasks/default/rounds/{current.number}"))

    def test_what_it_says_of_a_round_that_it_has_opened(self):
        left = self.round()
        left.opened()
        current = self.round()
        self.assertEqual(self.ended(left)[2], False)
        current.opened()
        current.give_up("tired")
        self.assertEqual(self.ended(current), ("void", "tired", False))

    def test_an_order_that_the_lead_did_not_sign(self):
        before = self.round()
        current = self.round()
        self.refused("bad_signature", current.give_up("tired", key=2))
        self.refused("bad_signature", current.give_up("tired", key=1))
        self.refused("bad_signature", current.give_up("tired", said="something else"))
        self.refused("wrong_announcement", current.give_up("tired", announcement=before.hash))
        self.refused("bad_request", current.step("void", {"reason": "tired"}))
        current.frozen() # it goes on

    def test_openings_that_come_too_late(self):
        current = self.round()
        own, helpers = current.frozen()
        self.assertEqual(current.give_up("tired").code, "ok")
        self.refused("void", current.step("open", b"\2" + own + helpers))
        current = self.round()
        own, helpers = current.opened()
        self.round() # the next one has begun
        self.refused("wrong_round", current.step("reveal", b"\1" + own))


class LeadThatTakesBack(unittest.TestCase):
    """What the helper has opened and computed stays, whatever its lead says of the round afterwards."""

    def setUp(self):
        self.work = tempfile.TemporaryDirectory(prefix="millrace-liar-")
        self.addCleanup(self.work.cleanup)
        self.stage = Stage(*PROGRAMS, self.work.name, HELPER)
        self.current = Round(self.stage, 1)
        self.folder = f"{self.work.name}/data/tasks/default"

    def read(self, name):
        with open(f"{self.folder}/{name}", "rb") as f:
            return f.read()

    def restart(self):
        self.current.lead.close()
        self.assertEqual(self.stage.stop(), 0)
        with open(self.stage.log, encoding="utf-8") as log:
            self.said = log.read()
        self.stage.start(PROGRAMS[1])
        self.current.lead = self.stage.client("hub-0")

    def lie(self):
        """Twice, and once more to the process after it."""
        for reason in ("tired", "it never happened"):
            self.current.give_up(reason)
        self.restart()
        self.current.give_up("whatever")
        self.current.lead.close()
        self.assertEqual(self.stage.stop(), 0)

    def test_void_after_the_opening(self):
        self.current.opened()
        self.lie()
        record = json.loads(self.read("rounds/1.json"))
        self.assertEqual((record["state"], record["reason"]), ("void", "tired"))
        self.assertIs(record["opened"], True)
        expected = oracle.included_encode(self.current.entries(range(4)))
        self.assertEqual(record["set_hash"], oracle.included_hash(self.current.hash, expected).hex())
        self.assertEqual([entry["client_id"] for entry in record["uploads"]],
                         sorted(self.stage.devices[d].hex() for d in range(4)))

    def test_void_after_the_model(self):
        own, helpers = self.current.opened()
        self.assertEqual(self.current.step("reveal", b"\1" + own).status, 200)
        released = self.stage.released()
        kept = {name: self.read(name) for name in ("rounds/1.json", "rounds/1.sum")}
        self.assertEqual(json.loads(kept["rounds/1.json"])["state"], "revealed")
        self.lie()
        self.assertEqual({name: self.read(name) for name in kept}, kept)
        self.assertEqual(self.stage.released(), released)
        self.assertIn("is not to be taken back: this hub has opened it", self.said)


class FloodingLead(unittest.TestCase):
    def test_proposals_without_end(self):
        """Each costs a check of its signature at least: they run out, that is counted, and they come again."""
        with tempfile.TemporaryDirectory(prefix="millrace-liar-") as work:
            stage = Stage(*PROGRAMS, work, HELPER)
            lead = stage.client("hub-0")
            other = stage.client("hub-2")
            path = "/v1/tasks/default/peer/rounds"
            wrong = stage.proposal(stage.announcement(1), key=2)
            codes = []
            while codes.count("rate_limited") < 3 and len(codes) < 5000:
                answer = lead.ask("POST", path, wrong)
                codes.append(answer.code)
                self.assertEqual(other.ask("POST", path, wrong).code, "unauthorised_role") # costs nobody else's
            self.assertEqual(set(codes), {"bad_signature", "rate_limited"})
            self.assertGreaterEqual(codes.index("rate_limited"), 60)
            self.assertGreater(answer.json()["retry_after_ms"], 0)
            metrics = stage.ask("operator", "GET", "/metrics").body.decode()
            self.assertRegex(metrics, r'millrace_helper_refusals_total\{[^}]*code="rate_limited"[^}]*\} 3\n')
            lead.close()
            other.close()
            Round(stage, 1).lead.close() # after a while
            self.assertEqual(stage.stop(), 0)


class HonestLead(unittest.TestCase):
    def test_a_sum_that_changes_nothing(self):
        """The model is its own next one, and does not become its own parent."""
        with tempfile.TemporaryDirectory(prefix="millrace-liar-") as work:
            stage = Stage(*PROGRAMS, work, HELPER)
            current = Round(stage, 1)
            for update in current.updates.values():
                update.q = [0] * len(update.q)
            own, helpers = current.opened()
            self.assertEqual(current.step("reveal", b"\1" + own).status, 200)
            model = oracle.sha256(stage.model).hex()
            with open(f"{work}/data/tasks/default/models/{model}.json", encoding="utf-8") as f:
                self.assertEqual(json.load(f), {"parent": None})
            with open(f"{work}/data/tasks/default/rounds/1.json", encoding="utf-8") as f:
                record = json.load(f)
            self.assertEqual((record["parent"], record["model_hash"]), (model, model))
            self.assertIs(record["model_known"], True)
            current.lead.close()
            self.assertEqual(stage.stop(), 0)

    def test_the_same_steps_without_a_lie(self):
        """Or the refusals above would prove nothing."""
        with tempfile.TemporaryDirectory(prefix="millrace-liar-") as work:
            stage = Stage(*PROGRAMS, work, HELPER)
            current = Round(stage, 1)
            own, helpers = current.opened()
            answer = current.step("reveal", b"\1" + own)
            self.assertEqual(answer.status, 200, answer.body)
            with open(f"{work}/data/tasks/default/rounds/1.sum", "rb") as f:
                lanes, trailer = oracle.centred(current.layout, f.read())
            updates = [current.updates[d] for d in range(4)]
            self.assertEqual(lanes, [sum(column) for column in zip(*(u.q for u in updates))])
            self.assertEqual(trailer, [sum(column) for column in zip(*(u.trailer for u in updates))])
            current.lead.close()
            self.assertEqual(stage.stop(), 0)


if __name__ == "__main__":
    PROGRAMS = sys.argv[1:3]
    unittest.main(argv=sys.argv[:1] + sys.argv[3:], verbosity=1)
