#!/usr/bin/python3
"""Requests that are not quite what docs/wire-format.md says are refused with their cause, and HTTP's own
rules hold: HEAD, Allow, Retry-After.

usage: test_strict_requests.py MILLRACE MILLRACE-HUB
"""

import os
import sys
import tempfile
import unittest

from stage import Stage

PROGRAMS = []
LEAD = 0
TASK = "/v1/tasks/default"
CURRENT = TASK + "/rounds/current"

# (path, words of the refusal)
QUERIES = [
    (CURRENT + "?after=-1", "after must be a decimal number below 2^64, not '-1'"),
    (CURRENT + "?after=+1", "not '+1'"),
    (CURRENT + "?after=0x1", "not '0x1'"),
    (CURRENT + "?after=", "not ''"),
    (CURRENT + "?after", "not ''"),
    (CURRENT + "?after=1.0", "not '1.0'"),
    (CURRENT + "?after=18446744073709551616", "not '18446744073709551616'"),
    (CURRENT + "?wait_ms=99999999999999999999999", "wait_ms must be a decimal number below 2^64"),
    (CURRENT + "?after=1&after=1", "'after' stands twice"),
    (CURRENT + "?wait_ms=0&after=1&wait_ms=0", "'wait_ms' stands twice"),
    (CURRENT + "?wait_ms=0&", "member '' is unknown here: known are after wait_ms"),
    (CURRENT + "?before=1", "member 'before' is unknown"),
    (CURRENT + "?After=1", "member 'After' is unknown"),
    (CURRENT + "?wait%5fms=1", "member 'wait%5fms' is unknown"),
    (TASK + "/hubs?wait_ms=0", "takes no query"),
    (TASK + "/rounds/1/uploads/0123456789abcdef?after=0", "known are wait_ms"),
]
SEED = TASK + "/rounds/1/seed"
UPLOADS = TASK + "/rounds/1/uploads"
# (path, body, its content-type, further headers, words of the refusal)
BODIES = [
    (UPLOADS, b"{}", "application/octet-stream", [], "must be application/json, not 'application/octet-stream'"),
    (UPLOADS, b"{}", "application/x-www-form-urlencoded", [], "must be application/json"),
    (UPLOADS, b"{}", "application/jsonp", [], "must be application/json"),
    (UPLOADS, b"{}", None, [], "must be application/json, not ''"),
    (UPLOADS, b"{}", "application/json", [("content-type", "text/plain")], "and another one"),
    (UPLOADS, b"{}", "application/json", [("content-encoding", "gzip")], "without content-encoding"),
    (UPLOADS, b"{}", "application/json", [], "'announcement' is missing"),
    (UPLOADS, b"{}", "Application/JSON; charset=utf-8", [], "'announcement' is missing"),
    (UPLOADS, b'{"attempt": 0, "transport": "udp", "attempt": 0}', "application/json", [],
     "byte 44: duplicate object key near ''attempt''"),
    (UPLOADS, b'{"attempt": 0,}', "application/json", [], "line 1, byte 15: string or '}' expected"),
    (UPLOADS, b"[]", "application/json", [], "not a JSON object"),
]


class Strict(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.work = tempfile.TemporaryDirectory(prefix="millrace-strict-")
        cls.stage = Stage(*PROGRAMS, cls.work.name, LEAD)

    @classmethod
    def tearDownClass(cls):
        code = cls.stage.stop()
        cls.work.cleanup()
        assert code == 0, code

    def setUp(self):
        self.device = self.stage.client("device-000")
        self.operator = self.stage.client("operator")

    def tearDown(self):
        self.device.close()
        self.operator.close()

    def assert_refused(self, answer, says):
        self.assertEqual((answer.status, answer.code), (400, "bad_request"), says)
        self.assertIn(says, answer.json()["message"])

    def test_queries(self):
        for path, says in QUERIES:
            with self.subTest(path=path):
                self.assert_refused(self.device.ask("GET", path), says)
        for good in ("?wait_ms=0", "?after=18446744073709551615&wait_ms=0", "?wait_ms=0&after=00", "?", ""):
            self.assertEqual(self.device.ask("GET", CURRENT + good).status, 204, good)

    def test_bodies(self):
        for path, body, kind, more, says in BODIES:
            with self.subTest(body=body, kind=kind, more=more):
                self.assert_refused(self.device.ask("POST", path, body, kind, more), says)
        rounds = TASK + "/admin/rounds"
        self.assert_refused(self.operator.ask("POST", rounds, b'{"quorum": 3, "quorum": 3}', "application/json"),
                            "duplicate object key near ''quorum''")
        self.assert_refused(self.operator.ask("POST", rounds, b"quorum=3", "text/plain"), "must be application/json")

    def test_head(self):
        """The headers of GET, and not a byte of body."""
        for asks, path in ((self.operator, "/v1/tasks"), (self.operator, TASK), (self.device, TASK + "/hubs"),
                           (self.device, "/nowhere"), (self.device, CURRENT + "?after=-1"), (self.device, "/metrics"),
                           (self.device, CURRENT)):
            with self.subTest(path=path):
                whole, head = asks.ask("GET", path), asks.ask("HEAD", path)
                for answer in (whole, head):  # two answers may lie on two sides of a second
                    self.assertRegex(answer.headers.pop("date"), "GMT$")
                self.assertEqual(head.headers, whole.headers)
                self.assertEqual(head.body, b"")
                if whole.status != 204:
                    self.assertEqual(int(head.headers["content-length"]), len(whole.body))
                    self.assertGreater(len(whole.body), 0)
        model = os.path.basename(self.stage.initial[0]).partition(".")[0]
        head = self.device.ask("HEAD", f"{TASK}/models/{model}")
        self.assertEqual((head.status, head.body), (200, b""))
        self.assertEqual(int(head.headers["content-length"]), len(self.stage.model))
        # What was asked with HEAD alone.
        head = self.device.ask("HEAD", UPLOADS)
        self.assertEqual((head.status, head.body, head.headers["allow"]), (405, b"", "POST"))
        self.assertGreater(int(head.headers["content-length"]), 0)

    def test_allow(self):
        for method, path, allowed in (("DELETE", "/v1/tasks", "GET, HEAD"), ("OPTIONS", UPLOADS, "POST"),
                                      ("PUT", TASK + "/admin/rounds", "GET, HEAD, POST"),
                                      ("OBLITERATE", "/metrics", "GET, HEAD")):
            answer = self.operator.ask(method, path)
            self.assertEqual((answer.status, answer.code, answer.headers["allow"]), (405, "wrong_method", allowed))
        self.assertNotIn("allow", self.operator.ask("DELETE", "/nowhere").headers)

    def test_no_length_without_content(self):
        self.assertNotIn("content-length", self.device.ask("GET", CURRENT).headers)

    def test_retry_after(self):
        """Whole seconds, rounded up, of the same time as retry_after_ms."""
        limited = None
        for _ in range(2000):
            answer = self.device.ask("GET", CURRENT)
            if answer.status == 429:
                limited = answer
                break
        self.assertIsNotNone(limited, "2,000 requests of one device in a row were all served")
        milliseconds = limited.json()["retry_after_ms"]
        self.assertEqual(int(limited.headers["retry-after"]), -(-milliseconds // 1000))
        self.assertGreaterEqual(int(limited.headers["retry-after"]), 1)


if __name__ == "__main__":
    PROGRAMS = sys.argv[1:3]
    unittest.main(argv=sys.argv[:1] + sys.argv[3:], verbosity=1)
