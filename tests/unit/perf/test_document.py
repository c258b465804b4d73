#!/usr/bin/python3
"""What ./run bench makes of its programs' figures. Nothing here measures anything."""

import contextlib
import io
import json
import os
import subprocess
import sys
import tempfile
import unittest

ROOT = os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "..", "..")
sys.path.insert(0, os.path.join(ROOT, "perf"))

import bench
import document
import write_performance
from benches import BENCHES

MACHINE = {"cpu": "a CPU", "kernel": "a kernel", "compiler": "a compiler", "revision": "abc",
           "date": "2024-01-01"}


def figure(name="b.rate", samples=(10, 11, 9, 10, 10, 12, 8), better="higher", **more):
    return {"name": name, "unit": "GB/s", "better": better, "samples": list(samples), **more}


def program(*figures, name="b", checked=True):
    return {"bench": name, "checked": checked, "context": {}, "figures": list(figures)}


def merged(*figures, quick=False):
    summary = document.summarise(program(*figures), quick)
    return document.merge(MACHINE, quick, [summary], [], [])


class Summaries(unittest.TestCase):
    def test_median_and_spread(self):
        of = document.summarise(program(figure()), False)["figures"][0]
        self.assertEqual(of["median"], 10)
        self.assertAlmostEqual(of["spread"], 1.4826)  # deviations 0 0 0 1 1 2 2

    def test_a_wild_sample_moves_neither(self):
        of = document.summarise(program(figure(samples=[10] * 8 + [9000])), False)["figures"][0]
        self.assertEqual((of["median"], of["spread"]), (10, 0))

    def test_what_nobody_checked_is_refused(self):
        with self.assertRaisesRegex(document.BadDocument, "not checked"):
            document.summarise(program(figure(), checked=False), False)

    def test_few_samples_are_refused_in_a_full_run_only(self):
        with self.assertRaisesRegex(document.BadDocument, "7 or more"):
            document.summarise(program(figure(samples=[1, 2, 3])), False)
        document.summarise(program(figure(samples=[1, 2, 3])), True)
        document.summarise(program(figure(samples=[1], better="neither")), False)

    def test_no_samples_or_no_numbers(self):
        for samples in ([], ["fast"], [float("nan")]):
            with self.assertRaisesRegex(document.BadDocument, "no samples"):
                document.summarise(program(figure(samples=samples)), True)

    def test_which_way_is_better_must_be_said(self):
        with self.assertRaisesRegex(document.BadDocument, "which way"):
            document.summarise(program(figure(better="more")), False)


class Merging(unittest.TestCase):
    def test_a_name_is_unique(self):
        one = document.summarise(program(figure(), name="one"), False)
        two = document.summarise(program(figure(), name="two"), False)
        with self.assertRaisesRegex(document.BadDocument, "one and in two"):
            document.merge(MACHINE, False, [one, two], [], [])
        with self.assertRaisesRegex(document.BadDocument, "unique"):
            merged(figure(), figure())

    def test_verdicts(self):
        for better, target, expected in (("higher", 10, "met"), ("higher", 10.1, "short"),
                                         ("lower", 10, "met"), ("lower", 9.9, "short"),
                                         ("neither", 99, ""), ("higher", None, "")):
            asked = {} if target is None else {"target": target}
            of = merged(figure(better=better, **asked))["benches"][0]["figures"][0]
            self.assertEqual(document.verdict(of), expected, (better, target))


class Comparing(unittest.TestCase):
    def change(self, before, after):
        return [(name, kind) for name, kind, _ in document.compare(merged(*before),
                                                                   merged(*after))]

    def test_the_same_run_has_not_changed(self):
        self.assertEqual(self.change([figure()], [figure()]), [])

    def test_slower_and_faster_by_what_is_better(self):
        low, high = figure(samples=[10.0] * 7), figure(samples=[12.0] * 7)
        self.assertEqual(self.change([low], [high]), [("b.rate", "faster")])
        self.assertEqual(self.change([high], [low]), [("b.rate", "slower")])
        low, high = ({**f, "better": "lower"} for f in (low, high))
        self.assertEqual(self.change([low], [high]), [("b.rate", "slower")])
        self.assertEqual(self.change([high], [low]), [("b.rate", "faster")])

    def test_within_the_noise_nothing_changed(self):
        noisy = figure(samples=[8, 9, 10, 11, 12, 10, 10])
        moved = figure(samples=[7, 8, 9, 10, 11, 9, 9])
        self.assertEqual(self.change([noisy], [moved]), [])

    def test_the_spread_of_both_counts(self):
        still, shaky = figure(samples=[10.0] * 7), figure(samples=[3, 5, 7, 8, 9, 11, 13])
        self.assertEqual(self.change([still], [shaky]), [])
        self.assertEqual(self.change([shaky], [still]), [])

    def test_below_the_floor_nothing_changed(self):
        self.assertEqual(self.change([figure(samples=[100.0] * 7)],
                                     [figure(samples=[95.5] * 7)]), [])
        self.assertEqual(self.change([figure(samples=[100.0] * 7)],
                                     [figure(samples=[94.5] * 7)]), [("b.rate", "slower")])

    def test_what_only_describes_is_not_judged(self):
        self.assertEqual(self.change([figure(samples=[1.0] * 7, better="neither")],
                                     [figure(samples=[9.0] * 7, better="neither")]), [])

    def test_gone_and_new(self):
        self.assertEqual(self.change([figure(name="b.old")], [figure(name="b.new")]),
                         [("b.old", "gone"), ("b.new", "new")])

    def test_another_format_is_refused(self):
        with self.assertRaisesRegex(document.BadDocument, "format"):
            document.compare({"benches": []}, merged(figure()))


class Command(unittest.TestCase):
    def setUp(self):
        self.room = tempfile.TemporaryDirectory()
        self.addCleanup(self.room.cleanup)

    def path(self, name, text, mode=0o644):
        path = os.path.join(self.room.name, name)
        os.makedirs(os.path.dirname(path), exist_ok=True)
        with open(path, "w", encoding="utf-8") as f:
            f.write(text)
        os.chmod(path, mode)
        return path

    def compare(self, *figures):
        paths = [self.path(f"{i}.json", json.dumps(merged(f))) for i, f in enumerate(figures)]
        done = subprocess.run([sys.executable, os.path.join(ROOT, "perf", "bench.py"), "compare",
                               *paths], capture_output=True, text=True, check=False)
        return done.returncode, done.stdout

    def test_compare_ends_with_1_when_something_got_slower(self):
        low, high = figure(samples=[10.0] * 7), figure(samples=[20.0] * 7)
        code, text = self.compare(high, low)
        self.assertEqual(code, 1)
        self.assertIn("slower  b.rate: 20 -> 10 GB/s (-50.0%)", text)
        code, text = self.compare(low, high)
        self.assertEqual(code, 0)
        self.assertIn("0 slower, 1 faster", text)

    def test_programs_that_are_missing_skip_or_fail(self):
        of = BENCHES[0]
        build = self.room.name
        self.assertEqual(bench.run_one(of, build, False)[0], "skipped")
        for text, kind, reason in (("echo no such PMU >&2; exit 77", "skipped", "no such PMU"),
                                   ("echo wrong sum >&2; exit 1", "failed", "wrong sum"),
                                   ("exit 0", "failed", "figures.json")):
            self.path(of.program, f"#!/bin/sh\n{text}\n", 0o755)
            got, why = bench.run_one(of, build, False)
            self.assertEqual(got, kind)
            self.assertIn(reason, why)

    def test_a_program_that_does_it_right(self):
        figures = json.dumps(program(figure(), name="kernels"))
        self.path(BENCHES[0].program, f"#!/bin/sh\ncat >\"$2\" <<'X'\n{figures}\nX\n", 0o755)
        kind, summary = bench.run_one(BENCHES[0], self.room.name, False)
        self.assertEqual((kind, summary["figures"][0]["median"]), ("done", 10))
        with contextlib.redirect_stdout(io.StringIO()) as printed:
            bench.print_table(document.merge(MACHINE, False, [summary], [], []))
        self.assertIn("b.rate", printed.getvalue())

    def test_the_page_holds_every_figure_and_reason(self):
        of = merged(figure(target=9), figure(name="b.far", target=99))
        of["benches"][0]["bench"] = "kernels"
        of["skipped"] = [{"bench": "ingest", "reason": "no such build"}]
        page = write_performance.page(of, ["targets.svg"])
        for text in ("b.rate", "b.far", "met", "short", "no such build", "targets.svg", "a CPU"):
            self.assertIn(text, page)


if __name__ == "__main__":
    unittest.main()
