#!/usr/bin/python3
"""The units for systemd, by systemd's own tools: they can be loaded, and what they leave open is little.

    test_units.py ROOT MILLRACE_EDGE
"""

import os
import re
import shutil
import subprocess
import sys
import tempfile
import unittest

ROOT, EDGE = map(os.path.abspath, sys.argv[1:3])
UNITS = {"config/millrace-hub.service": "config/millrace.sysusers",
         "config/edge/millrace-edge@.service": "config/edge/millrace-edge.sysusers"}
EXPOSURE_MAX = {"config/millrace-hub.service": 30, "config/edge/millrace-edge@.service": 20}  # tenths, as systemd rates them


def read(path):
    with open(os.path.join(ROOT, path), encoding="utf-8") as f:
        return f.read()


def settings(unit):
    return re.findall(r"(?m)^(\w+)=(.*)$", read(unit))


class Units(unittest.TestCase):
    def analyze(self, *words):
        done = subprocess.run(["systemd-analyze", *words], stdin=subprocess.DEVNULL, capture_output=True, text=True, check=False)
        self.assertEqual(done.returncode, 0, done.stdout[-2000:] + done.stderr)
        return done.stderr

    def test_systemd_takes_them(self):
        for unit in UNITS:
            with self.subTest(unit=unit), tempfile.TemporaryDirectory(prefix="millrace-units-") as folder:
                path = os.path.join(folder, os.path.basename(unit))
                with open(path, "w", encoding="utf-8") as f: # a program that is there: the one of the unit is not installed
                    f.write(re.sub(r"(?m)^ExecStart=\S+", f"ExecStart={EDGE}", read(unit)))
                self.assertEqual(self.analyze("verify", "--man=no", path), "")
                self.analyze("security", "--offline=true", f"--threshold={EXPOSURE_MAX[unit]}", path)

    def test_their_users_are_made(self):
        for unit, users in UNITS.items():
            (user,), (group,) = ([value for key, value in settings(unit) if key == name] for name in ("User", "Group"))
            self.assertEqual([line.split()[1] for line in read(users).splitlines() if line.startswith("u ")], [user], unit)
            self.assertEqual(user, group)

    def test_options_are_the_programs(self):
        """What the edge's unit calls exists, and the page says where its files are."""
        unit, page = "config/edge/millrace-edge@.service", read("docs/edge-client.md")
        called = dict(settings(unit))["ExecStart"].split()
        self.assertEqual(called[:2], ["/usr/local/bin/millrace-edge", "run"])
        said = subprocess.run([EDGE, "help"], capture_output=True, text=True, check=True).stdout
        for word in called:
            if word.startswith("--"):
                self.assertIn(f"  {word} ", said)
        for key, value in settings(unit):
            if key in ("WorkingDirectory", "EnvironmentFile", "RestartPreventExitStatus"):
                self.assertIn(value.lstrip("-").replace("%i", "NAME"), page, key)


if __name__ == "__main__":
    if shutil.which("systemd-analyze") is None:
        print("skipped: no systemd-analyze; install systemd")
        sys.exit(77)
    unittest.main(argv=sys.argv[:1], verbosity=2)
