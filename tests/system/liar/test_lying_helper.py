#!/usr/bin/python3
"""A helper and devices that lie to an honest lead, a real millrace-hub: every lie ends the round with
its reason or is refused with its code, and no sum and no new model appears on the lead's disk.

usage: test_lying_helper.py MILLRACE MILLRACE-HUB
"""

import base64
import json
import shutil
import ssl
import struct
import sys
import tempfile
import threading
import time
import unittest

from h2peer import Client, Server
from stage import DIMENSION, PEER_TIMEOUT_MS, Stage, Update, b64, make_identities, model_file

import millrace_oracle as oracle

PROGRAMS = []
LEAD = 0
QUORUM = 4


class Helper:
    """An honest helper, step by step; a test changes what it says by overriding `lies`."""

    def __init__(self, stage):
        self.stage = stage
        self.lies = {}  # step -> function(self, honest answer) -> answer, or None for silence
        self.past = {}  # round -> commitment
        self.masks = {} # (round, client, attempt) -> mask
        self.seal = bytes([7]) * 32 # private; of every round
        self.asked = []
        self.standing = 200, b""

    def answer(self, path, body):
        step = path.rpartition("/")[2]
        if step == "standing": # most say nothing of it
            return self.standing
        if path == "/v1/tasks/default/peer/rounds":
            step, number = "propose", oracle.announcement_decode(body[:-64])["round"]
        else:
            number = int(path.split("/")[6])
        self.asked.append((number, step))
        honest = getattr(self, step)(body)
        lie = self.lies.get(step)
        return lie(honest) if lie else honest

    def propose(self, body):
        canonical = body[:-64]
        self.terms = oracle.announcement_decode(canonical)
        self.hash = oracle.sha256(canonical)
        assert oracle.verify(self.stage.publics[0], body[-64:], oracle.announcement_text(self.hash))
        self.layout = oracle.Layout(self.terms)
        return 200, self.signature()

    def signature(self, key=1, announcement_hash=None, signed_key=None, said_key=None):
        """Of the announcement, and of the round's key."""
        own = oracle.x25519_public(self.seal)
        text = oracle.announcement_text(announcement_hash or self.hash, own if signed_key is None else signed_key)
        return {"hub": 1, "seal_key": b64(said_key or own),
                "signature": b64(oracle.sign(self.stage.keys[key], text)),
                "receipt_key": b64(oracle.receipt_key(self.stage.keys[1], self.hash)), "pledge": ""}

    def receipt(self, update, key=1, hub=1, mask=0):
        """Takes a device's seed; with another key, hub, or a mask that is so much more, it lies."""
        self.masks[self.hash, update.client, update.attempt] = update.mask(self.layout, self.hash)
        request = update.seed_request(self.hash, oracle.x25519_public(self.seal))
        count, _ = update.receipt_parts(self.layout, self.hash, request)
        said = (count + mask) % 2**32
        mac = oracle.receipt_mac(oracle.receipt_key(self.stage.keys[key], self.hash), update.scope(self.hash), said)
        return b64(oracle.receipt(hub, said, mac))

    def freeze(self, body):
        self.entries, used = oracle.included_decode(body)
        self.lead = body[used:]
        self.set_hash = oracle.included_hash(self.hash, body[:used])
        self.result = oracle.add_up(self.layout, [self.masks[self.hash, c, a] for c, a in self.entries])
        return 200, self.commit(self.result)

    def commit(self, result, hub=1, key=1):
        self.random = bytes([9]) * 32
        self.result = result
        value = oracle.commitment_value(self.hash, self.set_hash, hub, self.random, result)
        root = bytes([1]) * 32 if self.terms["audit_hours"] else bytes(32)
        self.own = oracle.commitment(self.hash, hub, value, self.stage.keys[key], root)
        self.past[self.terms["round"]] = self.own
        return self.own

    def open(self, body):
        return 200, self.random + self.result

    def reveal(self, body):
        """The next model, where the test had it computed."""
        return 200, self.model(bytes(32))

    def model(self, model_hash, key=1):
        text = oracle.model_text(self.hash, self.set_hash, model_hash)
        return {"hub": 1, "model": b64(model_hash), "signature": b64(oracle.sign(self.stage.keys[key], text))}

    def void(self, body):
        order = json.loads(body)
        assert base64.b64decode(order["announcement"]) == self.hash
        assert oracle.verify(self.stage.publics[0], base64.b64decode(order["signature"]),
                             oracle.void_text(self.hash, order["reason"]))
        return 204, b""


class Scene:
    """A real lead, and the helper that we are."""

    @classmethod
    def setUpClass(cls):
        cls.work = tempfile.TemporaryDirectory(prefix="millrace-liar-")
        cls.stage = Stage(*PROGRAMS, cls.work.name, LEAD)
        cls.helper = Helper(cls.stage)
        cls.server = Server(cls.stage.ports[1], cls.stage.pki, "hub-1", cls.helper.answer)
        cls.number = 0

    @classmethod
    def tearDownClass(cls):
        code = cls.stage.stop()
        cls.server.close()
        cls.work.cleanup()
        assert code == 0, f"the lead ended with {code}"

    def setUp(self):
        self.helper.lies.clear()
        self.before = self.number

    # --- a round -----------------------------------------------------------------------------

    def asked(self):
        """The steps that the lead asked for in this test's rounds."""
        return {step for number, step in self.helper.asked if number > self.before}

    def open_round(self):
        """On another version of the model, where an opened set has the devices."""
        if self.stage.ask("operator", "GET", "/v1/tasks/default").json()["released_devices"]:
            self.stage.resume()
        answer = self.stage.ask("operator", "POST", "/v1/tasks/default/admin/rounds")
        self.assertEqual(answer.status, 200, answer.body)
        type(self).number = answer.json()["round"]

    def current(self):
        """The envelope, as devices get it: verified by the oracle."""
        answer = self.stage.ask("device-000", "GET",
                                f"/v1/tasks/default/rounds/current?after={self.number - 1}&wait_ms=20000")
        self.assertEqual(answer.status, 200)
        return oracle.envelope_open(answer.body)

    def request(self, update, **changes):
        return {"announcement": b64(self.helper.hash), "attempt": update.attempt, "transport": "http2",
                "receipts": [self.helper.receipt(update)]} | changes

    def uploads(self, update, **changes):
        return self.stage.ask(f"device-{update.number:03d}", "POST", f"/v1/tasks/default/rounds/{self.number}/uploads",
                              self.request(update, **changes))

    def upload_path(self, grant):
        return f"/v1/tasks/default/rounds/{self.number}/uploads/{grant.json()['upload']}"

    def put(self, update, grant):
        return self.stage.ask(f"device-{update.number:03d}", "PUT", self.upload_path(grant) + "/share",
                              update.share(self.helper.layout, self.helper.hash))

    def update(self, number, **changes):
        return Update(self.stage, self.helper.layout, number, **changes)

    def upload(self, update):
        grant = self.uploads(update)
        self.assertEqual(grant.status, 200, grant.body)
        self.assertEqual(self.put(update, grant).status, 202)
        return grant

    def outcome(self, wait_ms=30000):
        answer = self.stage.ask("operator", "GET",
                                f"/v1/tasks/default/admin/rounds/{self.number}?wait_ms={wait_ms}")
        return answer.json()

    def run_round(self, **lies):
        self.helper.lies.update(lies)
        self.open_round()
        if "propose" not in lies:
            self.current()
            for number in range(QUORUM):
                self.upload(self.update(number))
        return self.outcome()

    def voids(self, reason, **lies):
        """The round ends void with that reason, and the lead says which hub it was."""
        end = self.run_round(**lies)
        self.assertEqual(end["state"], "void")
        self.assertIn(reason, end["reason"])
        self.check_statement()
        return end["reason"]

    def check_statement(self):
        """What the lead tells devices under its key: that nothing was opened, exactly where it asked for no opening."""
        end = self.stage.ask("device-000", "GET", f"/v1/tasks/default/rounds/{self.number}").json()
        self.assertEqual(end["unopened"] == "", (self.number, "open") in self.helper.asked)
        if end["unopened"]:
            self.assertTrue(oracle.verify(self.stage.publics[0], base64.b64decode(end["unopened"]),
                                          oracle.unopened_text(self.helper.hash)))

    def count(self, label):
        text = self.stage.ask("operator", "GET", "/metrics").body.decode()
        found = [line for line in text.splitlines() if line.startswith("millrace_") and f'"{label}"' in line]
        self.assertEqual(len(found), 1, found)
        return float(found[0].rpartition(" ")[2])


class LyingHelper(Scene, unittest.TestCase):
    def tearDown(self):
        self.assertEqual(self.stage.released(), self.stage.initial, "something was released")

    # --- lies of the helper ------------------------------------------------------------------

    def test_signatures_of_the_announcement(self):
        helper = self.helper
        # another signer, another announcement, as if it were the lead, another key than the signed one
        for words in ({"key": 2}, {"announcement_hash": bytes(32)}, {"signed_key": b""}, {"said_key": bytes([9]) * 32}):
            self.voids("signature of the announcement does not hold",
                       propose=lambda honest, words=words: (200, helper.signature(**words)))
        self.voids("signature of the announcement does not hold",
                   propose=lambda honest: (200, honest[1] | {"hub": 2}))
        self.voids("has told no key for its receipts",
                   propose=lambda honest: (200, honest[1] | {"receipt_key": b64(bytes(32))}))
        self.voids("propose", propose=lambda honest: (200, b"no JSON"))
        self.assertEqual(self.asked() - {"void"}, {"propose"})

    def test_commitments(self):
        helper = self.helper
        self.voids("bad commitment: not signed", freeze=lambda honest: (200, helper.commit(helper.result, key=2)))
        self.voids("bad commitment: not signed",
                   freeze=lambda honest: (200, helper.commit(helper.result, hub=0)))
        replayed = helper.past[self.number]
        self.voids("bad commitment: not signed", freeze=lambda honest: (200, replayed))
        self.voids("bad commitment: 129 bytes", freeze=lambda honest: (200, honest[1][:129]))
        self.assertNotIn("open", self.asked())

    def test_openings(self):
        helper = self.helper
        committed = "bad opening: it is not what the hub committed to"

        def flip(honest):
            return 200, honest[1][:-1] + bytes([honest[1][-1] ^ 1])

        self.voids(committed, open=flip)
        self.voids(committed, open=lambda honest: (200, bytes(32) + honest[1][32:]))
        self.voids(committed, open=lambda honest: (200, honest[1][:32] + bytes(helper.layout.share_bytes)))
        self.voids("bad opening", open=lambda honest: (200, honest[1][:-1]))
        self.assertNotIn("reveal", self.asked())

    def test_an_opening_that_does_not_come(self):
        """It may have been given to somebody: the lead waits, until its operator takes the cost."""
        before = self.count("by_operator")
        self.helper.lies["open"] = lambda honest: None
        self.open_round()
        self.current()
        for number in range(QUORUM):
            self.upload(self.update(number))
        path = f"/v1/tasks/default/admin/rounds/{self.number}"
        limit = time.monotonic() + 12 * PEER_TIMEOUT_MS / 1000
        while "it is asked again" not in self.outcome(0).get("waits_for", ""): # longer than a step may take
            self.assertLess(time.monotonic(), limit)
            time.sleep(0.1)
        self.assertEqual(self.outcome(0)["state"], "opening")
        answer = self.stage.ask("operator", "POST", path + "/void", {})
        self.assertEqual(answer.code, "released", answer.body)
        self.assertIn("its 4 devices cannot be counted on this model again", answer.json()["message"])
        self.assertEqual(self.outcome(0)["state"], "opening")
        self.assertEqual(self.stage.ask("operator", "POST", path + "/void", {"accepted": True}).status, 200)
        end = self.outcome()
        self.assertEqual((end["state"], end["opened"]), ("void", True))
        self.assertRegex(end["reason"], "^by_operator: ")
        self.assertEqual(self.count("by_operator"), before + 1)
        self.assertNotIn("reveal", self.asked())

    def test_random_sums(self):
        helper = self.helper
        before = self.count("unsound_sum")
        for number in range(3):
            def lie(honest, number=number):
                key = bytes([number]) * 16
                return 200, helper.commit(oracle.ctr_stream(key, bytes(16), 0, helper.layout.share_bytes))
            end = self.run_round(freeze=lie)
            self.assertEqual(end["state"], "void")
            self.assertRegex(end["reason"], "count lane|weight lane|range")
        self.assertEqual(self.count("unsound_sum"), before + 3)

    def test_one_cause_whoever_finds_it_first(self):
        """A lie that both hubs can see has one name: found here, by the other hub, or by it before it was asked again."""
        helper = self.helper

        def spoilt(honest):
            return 200, helper.commit(oracle.ctr_stream(bytes(16), bytes(16), 0, helper.layout.share_bytes))

        def refusal(status, code, message):
            return lambda honest: (status, {"code": code, "message": message, "retry_after_ms": 0})

        before = self.count("unsound_sum")
        for by_the_helper in (refusal(409, "unsound_sum", "count lane: 3 of 4"),
                              refusal(410, "void", "unsound_sum: count lane: 3 of 4")):
            self.assertRegex(self.voids("count lane: 3 of 4", reveal=by_the_helper), "^unsound_sum: hub 1 ")
        helper.lies.clear()
        for step, answer, cause in (
                ("freeze", refusal(403, "revoked", "entry 1"), "revoked_device"),
                ("freeze", refusal(409, "below_cohort_minimum", "4 of 9"), "below_cohort_minimum"),
                ("propose", refusal(409, "below_cohort_minimum", "3 is below 9"), "terms_refused"),
                ("propose", refusal(409, "wrong_announcement", "no model"), "terms_refused"),
                ("freeze", refusal(410, "void", "lead_gone: over"), "lead_gone"),
                ("freeze", refusal(410, "void", "tired"), "other_hub")):
            self.assertRegex(self.voids("refused, ", **{step: answer}), f"^{cause}: hub 1 ")
            helper.lies.clear()
        over = threading.Event()

        def late(honest):
            """The lead alone sees it; the link is free for the next round once it has."""
            over.wait(30)
            return honest

        self.assertRegex(self.voids("", freeze=spoilt, reveal=late),
                         "^unsound_sum: (count lane|weight lane|range)")
        over.set()
        self.assertEqual(self.count("unsound_sum"), before + 3)

    def test_a_sum_without_one_device(self):
        helper = self.helper

        def lie(honest):
            masks = [helper.masks[helper.hash, c, a] for c, a in helper.entries[1:]]
            return 200, helper.commit(oracle.add_up(helper.layout, masks))

        end = self.run_round(freeze=lie)
        self.assertEqual(end["state"], "void")
        self.assertRegex(end["reason"], "count lane|weight lane|range")

    def test_another_model(self):
        helper = self.helper
        before = self.count("model_mismatch")
        self.voids("model_mismatch: hub 1 computed", reveal=lambda honest: (200, helper.model(bytes([5]) * 32)))
        self.assertEqual(self.count("model_mismatch"), before + 1)
        self.voids("bad model attestation",
                   reveal=lambda honest: (200, helper.model(bytes(32), key=2)))
        self.voids("bad model attestation",
                   reveal=lambda honest: (200, honest[1] | {"model": b64(bytes([6]) * 32)}))

    def test_refusals_of_no_ground(self):
        for step in ("freeze", "open", "reveal"):
            refusal = {"code": "set_conflict", "message": "no \"reason\"\n", "retry_after_ms": 0}
            self.voids("refused", **{step: lambda honest: (409, refusal)})
            self.voids("refused with status 418", **{step: lambda honest: (418, b"?")})

    # --- lies of devices ---------------------------------------------------------------------

    def test_receipts(self):
        self.open_round()
        self.current()
        update, other = self.update(0), self.update(1)
        receipt, good = self.helper.receipt, self.helper.receipt(update)
        for receipts in ([receipt(other)], [receipt(self.update(0, attempt=1))], [good, good], [receipt(update, hub=0)],
                         [receipt(update, key=2)]):
            self.assertEqual(self.uploads(update, receipts=receipts).code, "bad_receipt")
        raw = base64.b64decode(good)
        for at in (2, 5, 6, 21): # its count mask, its MAC
            changed = raw[:at] + bytes([raw[at] ^ 1]) + raw[at + 1:]
            self.assertEqual(self.uploads(update, receipts=[b64(changed)]).code, "bad_receipt")
        for lent in (receipt(other), receipt(self.update(0, attempt=1))): # a MAC on another's receipt
            changed = raw[:6] + base64.b64decode(lent)[6:]
            self.assertEqual(self.uploads(update, receipts=[b64(changed)]).code, "bad_receipt")
        of_zeros = oracle.receipt_mac(bytes(32), update.scope(self.helper.hash), int.from_bytes(raw[2:6], "big"))
        for mac in (bytes(16), of_zeros): # none, or one of a key that anybody has
            self.assertEqual(self.uploads(update, receipts=[b64(raw[:6] + mac)]).code, "bad_receipt")
        for receipts in ([], [b64(raw[:-1])], [b64(raw + b"\0")], [{"hub": 1}]):
            self.assertEqual(self.uploads(update, receipts=receipts).code, "bad_request")
        self.assertEqual(self.uploads(update, announcement=b64(bytes(32))).code, "wrong_announcement")
        self.give_up()

    def give_up(self):
        """Ends the round without a release: the helper keeps silent from now on."""
        self.helper.lies["freeze"] = lambda honest: (409, b"?")
        number = 0
        while self.outcome_now()["state"] == "open":
            update = self.update(number)
            grant = self.uploads(update)
            if grant.status == 200:
                self.put(update, grant)
            number += 1
            if number == QUORUM + 2:
                break
        self.assertEqual(self.outcome()["state"], "void")

    def outcome_now(self):
        return self.stage.ask("operator", "GET", f"/v1/tasks/default/admin/rounds/{self.number}").json()

    def test_one_certificate_twice(self):
        self.open_round()
        self.current()
        update = self.update(0)
        first = self.uploads(update)
        self.assertEqual(first.status, 200)
        # The same certificate on another connection: the same attempt, and a later one.
        self.assertEqual(self.uploads(update).code, "bad_attempt")
        later = self.update(0, attempt=1)
        second = self.upload(later)
        self.assertEqual(self.put(update, first).code, "superseded")
        self.assertEqual(self.put(later, second).code, "already_counted")
        status = self.stage.ask("device-000", "GET", self.upload_path(second) + "?wait_ms=20000")
        self.assertEqual(status.json()["state"], "committed")
        self.assertEqual(self.uploads(self.update(0, attempt=2)).code, "already_counted")
        # Another device's upload is none of its business.
        stranger = self.update(1)
        self.assertEqual(self.put(stranger, second).code, "not_found")
        self.assertEqual(self.stage.ask("device-001", "GET", self.upload_path(second)).code, "not_found")
        self.assertEqual(self.stage.ask("device-000", "PUT", self.upload_path(second) + "/share",
                                        bytes(64)).code, "already_counted")
        self.give_up()

    def test_shares_of_another_length(self):
        self.open_round()
        self.current()
        update = self.update(0)
        grant = self.uploads(update)
        for length in (1, self.helper.layout.share_bytes - 1, self.helper.layout.share_bytes + 64):
            self.assertEqual(self.stage.ask("device-000", "PUT", self.upload_path(grant) + "/share",
                                            bytes(length)).code, "bad_request")
        self.assertEqual(self.put(update, grant).status, 202)
        self.give_up()

    def test_replays_of_an_earlier_round(self):
        self.voids("refused", freeze=lambda honest: (409, b"?"))
        update = self.update(0)
        old = {"announcement": b64(self.helper.hash), "attempt": 0, "transport": "http2",
               "receipts": [self.helper.receipt(update)]}
        self.helper.lies.clear()
        self.open_round()
        self.current()
        path = f"/v1/tasks/default/rounds/{self.number}/uploads"
        self.assertEqual(self.stage.ask("device-000", "POST", path, old).code, "wrong_announcement")
        old["announcement"] = b64(self.helper.hash)
        self.assertEqual(self.stage.ask("device-000", "POST", path, old).code, "bad_receipt")
        path = f"/v1/tasks/default/rounds/{self.number - 1}/uploads"
        self.assertEqual(self.stage.ask("device-000", "POST", path, old).code, "wrong_round")
        self.give_up()


class LostAudit(Scene, unittest.TestCase):
    """The lead is killed, and what it kept of the round for audits is gone when it starts again."""

    def lose(self, step, state):
        self.helper.lies[step] = lambda honest: None
        if self.stage.ask("operator", "GET", "/v1/tasks/default").json()["released_devices"]:
            self.stage.resume()
        answer = self.stage.ask("operator", "POST", "/v1/tasks/default/admin/rounds", {"audit_hours": 1})
        self.assertEqual(answer.status, 200, answer.body)
        type(self).number = answer.json()["round"]
        self.current()
        for number in range(QUORUM):
            self.upload(self.update(number))
        limit = time.monotonic() + 60
        while self.outcome(0)["state"] != state or step not in self.asked():
            self.assertLess(time.monotonic(), limit)
            time.sleep(0.05)
        self.stage.process.kill()
        self.stage.process.wait()
        shutil.rmtree(f"{self.work.name}/data/tasks/default/audit")
        self.helper.lies.clear()
        self.stage.start(PROGRAMS[1])
        end = self.outcome()
        self.assertEqual(end["state"], "void", end)
        self.assertIn("internal: what this hub kept of the round for audits (audit in the task's folder) is gone",
                      end["reason"])
        with open(self.stage.log, encoding="utf-8") as f:
            self.assertIn("audit.lost task=default round=", f.read())
        return end

    def test_before_anything_was_opened(self):
        """The devices are free to come again."""
        self.assertNotIn("opened", self.lose("freeze", "committing"))
        self.check_statement()

    def test_once_openings_were_asked_for(self):
        """No second commitment, and no word that nothing was opened."""
        for step, state in (("open", "opening"), ("reveal", "revealing")):
            self.assertIs(self.lose(step, state)["opened"], True)
            self.check_statement()


class Impostor(unittest.TestCase):
    def test_another_hub_in_the_helpers_place(self):
        with tempfile.TemporaryDirectory(prefix="millrace-liar-") as work:
            stage = Stage(*PROGRAMS, work, LEAD)
            helper = Helper(stage)
            for stem in ("hub-2", "device-000"):
                server = Server(stage.ports[1], stage.pki, stem, helper.answer)
                number = stage.ask("operator", "POST", "/v1/tasks/default/admin/rounds").json()["round"]
                end = stage.ask("operator", "GET", f"/v1/tasks/default/admin/rounds/{number}?wait_ms=30000").json()
                self.assertEqual(end["state"], "void")
                self.assertIn("we do not accept its certificate", end["reason"])
                server.close()
            self.assertEqual(helper.asked, [])
            self.assertEqual(stage.released(), stage.initial)
            # A device of a CA that nobody knows gets no word in.
            make_identities(PROGRAMS[0], f"{work}/foreign", 1, 1)
            stranger = Client(stage.ports[LEAD], f"{work}/foreign", "device-000", ca_pki=stage.pki)
            self.addCleanup(stranger.close)
            with self.assertRaises((ssl.SSLError, ConnectionError)):
                stranger.ask("GET", "/v1/tasks/default/rounds/current")
            self.assertEqual(stage.stop(), 0)


def f32(x):
    return struct.unpack("<f", struct.pack("<f", x))[0]


def next_model(lanes, weight):
    """Section 12, from a model of zeros, with rate 1, weight_max 10 and scale 100."""
    factor = f32(10.0 / (100.0 * weight))
    parent = model_file()
    values = [f32(lane * factor) for lane in lanes[:DIMENSION]]
    return parent[:-4 * DIMENSION] + struct.pack(f"<{DIMENSION}f", *values)


class Truth(Scene):
    """A first round, whose helper knows the next model."""

    def truth(self, *numbers):
        """The next model's hash, of these devices' updates."""
        updates = [self.update(number) for number in numbers]
        lanes = [sum(column) for column in zip(*(u.q for u in updates))]
        model = next_model(lanes, sum(u.trailer[1] for u in updates))
        return 200, self.helper.model(oracle.sha256(model))


class HonestHelper(Truth, unittest.TestCase):
    def test_the_same_steps_without_a_lie(self):
        """Or the lies above would prove nothing."""
        before = len(self.stage.released())
        end = self.run_round(reveal=lambda honest: self.truth(*range(QUORUM)))
        self.assertEqual(end["state"], "published", end)
        self.assertEqual(len(self.stage.released()), before + 2)


class UnsoundUploads(Truth, unittest.TestCase):
    def metric(self, name):
        text = self.stage.ask("operator", "GET", "/metrics").body.decode()
        return sum(float(line.rpartition(" ")[2]) for line in text.splitlines() if line.startswith(name))

    def test_uploads_that_do_not_count_one(self):
        """A wrong seed does not void the round for everybody: whose it is is known at once, and it is left out."""
        self.helper.lies["reveal"] = lambda honest: self.truth(0, 1, 2, 3)
        self.open_round()
        self.current()
        wrong_seed = self.update(4)
        wrong_seed.seed = bytes(32) # another one than its receipt is for
        twice = self.update(5, trailer=[2, 5] + [0] * 14)
        for update, spoilt in ((self.update(4), wrong_seed), (twice, twice)):
            share = spoilt.share(self.helper.layout, self.helper.hash)
            grant = self.uploads(update)
            self.assertEqual(grant.status, 200, grant.body)
            stem = f"device-{update.number:03d}"
            answer = self.stage.ask(stem, "PUT", self.upload_path(grant) + "/share", share)
            self.assertEqual((answer.status, answer.json()), (200, {"state": "refused", "reason": "unsound"}))
            self.assertEqual(self.stage.ask(stem, "GET", self.upload_path(grant)).json()["reason"], "unsound")
            self.assertEqual(self.stage.ask(stem, "PUT", self.upload_path(grant) + "/share", share).code, "closed")
        # A helper that lies about the mask makes an honest device's upload unsound: not the sum.
        update = self.update(0)
        grant = self.uploads(update, receipts=[self.helper.receipt(update, mask=1)])
        self.assertEqual(self.put(update, grant).json()["reason"], "unsound")
        self.upload(self.update(0, attempt=1))
        for number in range(1, QUORUM):
            self.upload(self.update(number))
        end = self.outcome()
        self.assertEqual((end["state"], end["included"], end["unsound"]), ("published", QUORUM, 3), end)
        self.assertEqual(self.metric("millrace_uploads_unsound_total"), 3)
        self.assertEqual(self.metric("millrace_upload_http2_unsound_total"), 3)


if __name__ == "__main__":
    PROGRAMS = sys.argv[1:3]
    unittest.main(argv=sys.argv[:1] + sys.argv[3:], verbosity=1)
