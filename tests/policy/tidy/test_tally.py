#!/usr/bin/python3
"""The count at the end of `./run test` is right, and nothing that failed is lost in it."""

import json
import os
import shutil
import subprocess
import sys
import tempfile
import unittest

TALLY = os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "..", "tally.py")


def program(name, result, stdout="", stderr=""):
    return {"name": name, "result": result, "stdout": stdout, "stderr": stderr}


class Tally(unittest.TestCase):
    def setUp(self):
        self.dir = tempfile.mkdtemp(prefix="millrace-tally-")

    def tearDown(self):
        shutil.rmtree(self.dir)

    def tally(self, programs, notes=""):
        with open(os.path.join(self.dir, "native.json"), "w", encoding="utf-8") as f:
            f.writelines(json.dumps(p) + "\n" for p in programs)
        with open(os.path.join(self.dir, "native.notes"), "w", encoding="utf-8") as f:
            f.write(notes)
        done = subprocess.run([sys.executable, TALLY, self.dir, "native"], stdout=subprocess.PIPE,
                              text=True, check=False)
        return done.returncode, done.stdout.splitlines()

    def test_cases_of_a_program_count_one_by_one(self):
        out = "[ RUN      ] test_a\n[       OK ] test_a\n[ RUN      ] test_b\n[       OK ] test_b\n"
        self.assertEqual(self.tally([program("x", "OK", out), program("y", "OK")]),
                         (0, ["3 passed, 0 failed, 0 skipped"]))

    def test_a_failed_case_fails_all_and_shows_its_log(self):
        code, lines = self.tally([program(
            "x", "FAIL", "[       OK ] test_a\n[  FAILED  ] test_b\n", "a.c:7: 1 != 2\n"
            "[  FAILED  ] test_b\n")])
        self.assertEqual((code, lines[-1]), (1, "1 passed, 1 failed, 0 skipped"))
        self.assertIn("FAILED native/x: test_b", lines[0])
        self.assertTrue(any("1 != 2" in line for line in lines))

    def test_the_cause_is_shown_above_a_long_report(self):
        code, lines = self.tally([program(
            "x", "FAIL", "", "ERROR: the state did not come\n" + "a frame\n" * 100)])
        self.assertIn("ERROR: the state did not come", lines[0])
        self.assertLess(len(lines), 70)

    def test_a_program_that_died_after_good_cases_has_failed(self):
        for result in ("FAIL", "TIMEOUT", "ERROR", "INTERRUPT", "UNEXPECTEDPASS"):
            code, lines = self.tally([program("x", result, "[       OK ] test_a\n")])
            self.assertEqual((code, lines[-1]), (1, "1 passed, 1 failed, 0 skipped"), result)

    def test_a_skip_says_why(self):
        code, lines = self.tally([program("x", "SKIP", "no io_uring here\n"), program("y", "OK")])
        self.assertEqual((code, lines), (0, ["skipped native/x: no io_uring here",
                                             "1 passed, 0 failed, 1 skipped"]))

    def test_a_skipped_case_says_why(self):
        out = ("[       OK ] test_a\n[ RUN      ] test_b\nno counters here\n[  SKIPPED ] test_b\n"
               "[  PASSED  ] 1 test(s).\n[  SKIPPED ] 1 test(s), listed below:\n"
               "[  SKIPPED ] test_b\n\n 1 SKIPPED TEST(S)\n")
        code, lines = self.tally([program("x", "OK", out)])
        self.assertEqual((code, lines), (0, ["skipped native/x: test_b: no counters here",
                                             "1 passed, 0 failed, 1 skipped"]))

    def test_notes_count(self):
        code, lines = self.tally([], "PASS\tformat\tx\nFAIL\tbuild\tsee log\n")
        self.assertEqual((code, lines[-1]), (1, "1 passed, 1 failed, 0 skipped"))

    def turns(self, *turns):
        for number, programs in enumerate(turns):
            with open(os.path.join(self.dir, f"turn-{number}.json"), "w", encoding="utf-8") as f:
                f.writelines(json.dumps(p) + "\n" for p in programs)
        done = subprocess.run([sys.executable, TALLY, "--turns", self.dir] +
                              [f"turn-{number}" for number in range(len(turns))],
                              stdout=subprocess.PIPE, text=True, check=False)
        return done.returncode, done.stdout.splitlines()

    def test_of_several_turns_each_test_counts_once(self):
        good, bad = "[       OK ] test_a\n[       OK ] test_b\n", "[       OK ] test_a\n[  FAILED  ] test_b\n"
        code, lines = self.turns(
            [program("s / x", "OK", good), program("s / y", "OK"), program("s / z", "SKIP", "no z\n")],
            [program("s / x", "FAIL", bad, "a.c:7: 1 != 2\n"), program("s / y", "TIMEOUT"),
             program("s / z", "SKIP", "no z\n")],
            [program("s / x", "FAIL", bad), program("s / y", "OK"), program("s / z", "SKIP", "no z\n")])
        self.assertEqual((code, lines[-1]), (1, "1 passed, 2 failed, 1 skipped"))
        self.assertEqual(lines[0], "skipped s / z: no z")
        log = f"{self.dir}/failures/x.turn-1.log"
        self.assertEqual(lines[1:4], ["FAILED s / x: test_b: in 2 of 3 turns", f"    {log}",
                                      f"    {self.dir}/failures/x.turn-2.log"])
        self.assertIn("FAILED s / y: TIMEOUT: in 1 of 3 turns", lines)
        with open(log, encoding="utf-8") as f:
            self.assertIn("1 != 2", f.read())
        self.assertEqual(self.turns([program("x", "OK", good)], [program("x", "OK", good)]),
                         (0, ["2 passed, 0 failed, 0 skipped"]))

    def test_nothing_at_all_is_a_failure(self):
        self.assertEqual(self.tally([]), (1, ["0 passed, 0 failed, 0 skipped"]))


if __name__ == "__main__":
    unittest.main(verbosity=1)
