#!/usr/bin/python3
"""How perf/hub_cpu.py accounts for a hub's threads. Nothing here measures anything."""

import glob
import os
import re
import sys
import unittest

ROOT = os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "..", "..")
sys.path.insert(0, os.path.join(ROOT, "perf"))

import hub_cpu


def cost(**ticks):
    """A Cost of process 0: role -> (whole seconds, user ticks, system ticks)."""
    made = hub_cpu.Cost.__new__(hub_cpu.Cost)
    made.whole = {(0, role): whole for role, (whole, _, _) in ticks.items()}
    made.user = {(0, role): user / hub_cpu.TICKS for role, (_, user, _) in ticks.items()}
    made.system = {(0, role): system / hub_cpu.TICKS for role, (_, _, system) in ticks.items()}
    return made


class Roles(unittest.TestCase):
    def test_every_name_in_the_source(self):
        names = set()
        for path in glob.glob(f"{ROOT}/appliance/**/*.c", recursive=True):
            with open(path, encoding="utf-8") as f:
                text = f.read()
            opens = r"(?:mr_job_thread_open|pthread_setname_np)\("
            names |= set(re.findall(opens + r'[^;{]*?"([^"]+)"', text))
            names |= set(re.findall(r'snprintf\(name, sizeof name, "([^"]+)"[^;]*;\s*(?:if \()?' + opens, text))
        self.assertGreaterEqual({name.rstrip("%u") for name in names},
                                {"endings", "lead", "helper", "peer-", "mr-upload-"})
        for name in names:
            hub_cpu.role_of(name)

    def test_an_unknown_name_is_told(self):
        with self.assertRaisesRegex(ValueError, "stranger"):
            hub_cpu.role_of("stranger")


class Shares(unittest.TestCase):
    def test_own_split(self):
        shares = hub_cpu.user_shares([cost(peers=(1, 15, 5), compute=(1, 100, 0)),
                                      cost(peers=(1, 15, 5))])
        self.assertAlmostEqual(shares[0, "peers"], 0.75)
        self.assertAlmostEqual(shares[0, "compute"], 1.0)

    def test_too_few_ticks_for_one(self):
        """One tick, in the kernel: nobody would say that the thread has no user time."""
        shares = hub_cpu.user_shares([cost(peers=(0.02, 0, 1), compute=(1, 60, 39))])
        self.assertAlmostEqual(shares[0, "peers"], 0.6)
        user, system = hub_cpu.split(cost(peers=(0.02, 0, 1)), shares)
        self.assertAlmostEqual(user[0, "peers"], 0.012)
        self.assertAlmostEqual(system[0, "peers"], 0.008)

    def test_none_at_all(self):
        self.assertEqual(hub_cpu.user_shares([cost(peers=(0.001, 0, 0))]), {(0, "peers"): 1.0})


if __name__ == "__main__":
    unittest.main()
