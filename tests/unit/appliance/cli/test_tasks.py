#!/usr/bin/python3
"""Commands about tasks and rounds, against a hub that answers from a table. test_tasks.py MILLRACE"""

import json
import signal
import sys
import unittest

import fixture

MILLRACE = None
FakeHub = fixture.fake_hub()


def task(name, role="lead", **more):
    return {"task": name, "role": role, "hubs": [0, 1], "round": 7, "state": "open", "model": "ab" * 32,
            "devices": {"admitted": 3, "committed": 2}, **more}


class WithHub(fixture.WithFolder):
    tasks = ("digits",)

    def setUp(self):
        super().setUp()
        code, _, err = fixture.run(MILLRACE, "pki", "init", "--dir", self.path("pki"), "--host", "127.0.0.1")
        self.assertEqual(code, 0, err)
        self.hub = self.start()

    def start(self, port=0):
        hub = FakeHub(self.path("pki"), port, {name: task(name) for name in self.tasks})
        self.addCleanup(hub.stop)
        return hub

    def command(self, *words):
        return [MILLRACE, *words, "--hub", f"127.0.0.1:{self.hub.port}", "--hub-index", "0",
                "--ca", self.path("pki", "ca.pem"), "--cert", self.path("pki", "operator.pem"),
                "--key", self.path("pki", "operator.key")]

    def call(self, *words):
        return fixture.run(*self.command(*words))

    def json(self, *words):
        code, out, err = self.call(*words, "--json")
        self.assertEqual((code, err), (0, ""))
        self.assertEqual(out.count("\n"), 1)
        return json.loads(out)

    def follow(self, *words):
        follower = fixture.Follower(*self.command("round", "watch", *words))
        self.addCleanup(follower.end, signal.SIGKILL)
        return follower


class OneTask(WithHub):
    def test_it_is_found(self):
        self.hub.change("digits", 7, state="open")
        self.assertEqual(self.json("round", "list")["rounds"][0]["round"], 7)
        self.assertEqual(self.json("round", "show", "7")["state"], "open")
        self.assertEqual(self.json("round", "open", "--quorum", "3"), {"round": 8})
        self.assertEqual(self.hub.asked[-1], ("/v1/tasks/digits/admin/rounds", b'{"quorum":3}'))

    def test_a_named_task_is_not_asked_for(self):
        self.assertEqual(self.json("round", "list", "--task", "digits")["rounds"], [])
        self.assertEqual([path for path, _ in self.hub.asked], ["/v1/tasks/digits/admin/rounds"])

    def test_list_and_show(self):
        self.assertEqual(self.json("task", "list"), {"tasks": [task("digits")]})
        out = self.call("task", "list")[1].split("\n")
        self.assertEqual(out[0].split(), ["task", "role", "hubs", "round", "state", "model", "admitted",
                                          "committed"])
        self.assertEqual(out[1].split(), ["digits", "lead", "0", "1", "7", "open", "ab" * 6, "3", "2"])
        for words in (["task", "show"], ["task", "show", "digits"], ["task", "show", "--task", "digits"]):
            self.assertEqual(self.json(*words)["policy"]["quorum"], 2)
        self.assertRegex(self.call("task", "show")[1], r"(?m)^  cohort_min +2$")

    def test_a_paused_task_is_called_so(self):
        self.hub.tasks["digits"]["paused"] = "4 devices wait: millrace task resume digits"
        self.hub.change("digits", 7, state="void", reason="below_cohort_minimum: x")
        out = self.call("task", "list")[1].split("\n")
        self.assertEqual(out[1].split()[:6], ["digits", "lead", "0", "1", "7", "paused"])
        self.assertNotIn("wait", out[0] + out[1])
        self.assertIn("4 devices wait", self.call("task", "show")[1])
        code, _, err = self.call("round", "show", "7", "--wait")
        self.assertEqual(code, 6)
        self.assertIn("task digits is paused: 4 devices wait: millrace task resume digits", err)
        del self.hub.tasks["digits"]["paused"]
        self.assertNotIn("paused", self.call("round", "show", "7", "--wait")[2])

    def test_an_unknown_task(self):
        for words in (["task", "show", "faces"], ["round", "list", "--task", "faces"]):
            code, _, err = self.call(*words)
            self.assertEqual(code, 4)
            self.assertIn("no_task", err)

    def test_a_name_that_is_none(self):
        for name in ("", "-a", "A", "a/b", "a" * 33, "a?b"):
            code, _, err = self.call("round", "list", f"--task={name}")
            self.assertEqual(code, 2, name)
            self.assertIn("cannot be a task", err)


class SeveralTasks(WithHub):
    tasks = ("digits", "faces", "voices")

    def test_the_command_says_which_there_are(self):
        for words in (["round", "list"], ["round", "show", "7"], ["round", "open"], ["round", "watch"],
                      ["task", "show"]):
            code, out, err = self.call(*words)
            self.assertEqual((code, out), (2, ""))
            self.assertIn("digits, faces, voices", err)
            self.assertIn("--task digits", err)

    def test_each_has_its_rounds(self):
        self.hub.change("faces", 3, state="open")
        self.assertEqual(len(self.json("round", "list", "--task", "faces")["rounds"]), 1)
        self.assertEqual(len(self.json("round", "list", "--task", "digits")["rounds"]), 0)


    def test_rows_of_a_lead_and_of_a_helper(self):
        """Their members differ: what one has not is "-", in its own column."""
        del self.hub.tasks["digits"]["devices"]["committed"]
        self.hub.tasks["digits"].update(role="helper", state="")
        self.hub.tasks["faces"]["note"] = None
        head, digits, faces, voices = (line.split() for line in self.call("task", "list")[1].splitlines())
        self.assertEqual(head, ["task", "role", "hubs", "round", "state", "model", "admitted", "note", "committed"])
        self.assertEqual(digits[:2] + digits[5:], ["helper" if w == "role" else w for w in
                                                   ["digits", "role", "-", "ab" * 6, "3", "-", "-"]])
        self.assertEqual([faces[-2:], voices[-2:]], [["-", "2"], ["-", "2"]])


class NoTask(WithHub):
    tasks = ()

    def test_the_command_says_so(self):
        self.assertIn("serves no task", self.call("task", "list")[1])
        code, _, err = self.call("round", "list")
        self.assertEqual(code, 4)
        self.assertIn("serves no task: add one to tasks:", err)


class Tables(WithHub):
    def test_rows_with_different_members(self):
        rows = [{"round": 1, "state": "void", "opened_unix_ms": 1700000000000, "reason": "other_hub"},
                {"round": 2, "state": "published", "opened_unix_ms": 1700000000000, "model": "cd" * 32,
                 "means": {"loss": 0.5}, "reason": None},
                {"round": 3, "state": {"odd": 1}, "committed": 4, "ended_unix_ms": 0}]
        for order in (rows, rows[::-1]):
            self.hub.rounds["digits"] = order
            code, out, err = self.call("round", "list")
            self.assertEqual((code, err), (0, ""))
            head, *lines = [line.split() for line in out.splitlines()]
            self.assertEqual(sorted(head), ["committed", "ended", "model", "opened", "reason", "round", "state"])
            cells = {line[head.index("round")]: dict(zip(head, line)) for line in lines}
            self.assertEqual((cells["1"]["reason"], cells["1"]["model"], cells["1"]["committed"]),
                             ("other_hub", "-", "-"))
            self.assertEqual((cells["2"]["reason"], cells["2"]["model"]), ("-", "cd" * 6))
            self.assertEqual((cells["3"]["state"], cells["3"]["opened"], cells["3"]["ended"]), ("-", "-", "-"))
            self.assertEqual(cells["1"]["opened"], "2023-11-14T22:13:20Z")

    def test_more_columns_than_fit(self):
        self.hub.rounds["digits"] = [{f"m{i}": i for i in range(100)}, {f"n{i}": i for i in range(100)}]
        self.assertEqual(self.call("round", "list")[0], 0)

    def test_no_control_characters_reach_the_terminal(self):
        self.hub.rounds["digits"] = [{"round": 1, "state": "a\x1b[31m\u009b31mb\n\u00fc", "\x1bkey": 1}]
        out = self.call("round", "list")[1]
        self.assertEqual([c for c in out if ord(c) < 32 and c != "\n" or 127 <= ord(c) < 160], [])
        self.assertEqual(out.count("\n"), 2)
        self.assertIn("\u00fc", out)

    def test_numbers_on_one_line(self):
        self.hub.change("digits", 7, state="published", metrics={"weight": 9, "norms": [0, 2, 1.5], "none": []})
        code, out, _ = self.call("round", "show", "7")
        self.assertEqual(code, 0)
        self.assertRegex(out, r"(?m)^  norms +0 2 1\.5\n  none")

    def test_no_rounds(self):
        self.assertEqual(self.call("round", "list")[:2], (0, "no round yet\n"))


class Watch(WithHub):
    def test_a_round_to_its_end(self):
        self.hub.change("digits", 7, state="open", quorum=2, admitted=0, committed=0, opened_unix_ms=1000)
        watch = self.follow("--once")
        line = watch.until("round 7")
        self.assertRegex(line, r"^round 7  open +[\d.]+ s  admitted 0  committed 0 of 2\n$")
        self.hub.change("digits", 7, admitted=1)
        watch.until("admitted 1")
        self.hub.change("digits", 7, state="published", committed=2, included=2, ended_unix_ms=3500)
        self.assertRegex(watch.until("published"), r" 2\.5 s  admitted 1  committed 2 of 2  included 2\n$")
        self.assertEqual(watch.end(), 0)
        self.assertEqual(watch.rest(), [])

    def test_a_void_round(self):
        """It is over when its state says so: the lead knows the time before it has written down the reason."""
        self.hub.change("digits", 7, state="closing", opened_unix_ms=1000, ended_unix_ms=1500)
        watch = self.follow("--once")
        watch.until("closing")
        self.hub.change("digits", 7, state="void", reason="below_cohort_minimum")
        self.assertIn("reason below_cohort_minimum", watch.until("void"))
        self.assertEqual(watch.end(), 6)

    def test_one_round_after_the_other(self):
        watch = self.follow("--json")
        watch.until("no round yet", "stderr")
        self.hub.change("digits", 7, state="open", means={"loss": 1}, uploads=[{"client_id": "00"}])
        first = json.loads(watch.until("{"))
        self.assertEqual((first["round"], first["state"], first["means"]), (7, "open", {"loss": 1}))
        self.assertNotIn("uploads", first)
        self.hub.change("digits", 7, state="done")
        self.assertEqual(json.loads(watch.until("{"))["state"], "done")
        watch.until("waiting for the next round", "stderr")
        self.hub.change("digits", 9, state="void", opened_unix_ms=1000, ended_unix_ms=1500)
        last = json.loads(watch.until("{"))
        self.assertEqual((last["round"], last["state"], last["since_open_ms"]), (9, "void", 500))
        self.assertEqual(watch.end(signal.SIGINT), -signal.SIGINT)

    def test_the_round_that_is_named(self):
        for number in (5, 6, 7):
            self.hub.change("digits", number, state="published")
        watch = self.follow("--round", "5")
        self.assertEqual([watch.until("round")[:7] for _ in range(3)], ["round 5", "round 6", "round 7"])
        watch.end(signal.SIGTERM)
        code, _, err = self.call("round", "watch", "--round", "4")
        self.assertEqual(code, 4)
        self.assertIn("no_round", err)

    def test_a_restart_of_the_hub(self):
        self.hub.change("digits", 7, state="open", committed=1)
        watch = self.follow("--once")
        watch.until("committed 1")
        self.hub.stop()
        watch.until("waiting for the hub", "stderr")
        again = self.start(self.hub.port)
        again.change("digits", 7, state="open", committed=1)
        watch.until("the hub answers again", "stderr")
        again.change("digits", 7, state="published", committed=2)
        self.assertIn("published", watch.until("round 7")) # no line for what was told before
        self.assertEqual(watch.end(), 0)

    def test_a_round_that_a_restart_lost(self):
        self.hub.change("digits", 7, state="open")
        watch = self.follow()
        watch.until("round 7")
        self.hub.stop()
        watch.until("waiting for the hub", "stderr")
        again = self.start(self.hub.port)
        again.change("digits", 8, state="open")
        watch.until("going on with the next round", "stderr")
        watch.until("round 8")
        watch.end(signal.SIGTERM)

    def test_a_hub_that_was_never_there(self):
        self.hub.stop()
        code, out, err = self.call("round", "watch")
        self.assertEqual((code, out), (3, ""), err)


if __name__ == "__main__":
    MILLRACE = sys.argv[1]
    unittest.main(argv=sys.argv[:1], verbosity=1)
