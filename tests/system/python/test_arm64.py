#!/usr/bin/python3
"""The wheel for AArch64, built on this machine and run under qemu-user: what it needs, the tests of its module, and a round in
which a device of AArch64 and one of this machine add up.

    MILLRACE_ARM64=DIR test_arm64.py BUILD

Python and numpy for AArch64 are Debian's packages, 18 MB, unpacked into a folder and not installed: so it is done only where
MILLRACE_ARM64 names one, and ends with 77 elsewhere and where they cannot be had."""

import json
import os
import re
import shutil
import subprocess
import sys
import tempfile
import unittest

BUILD = sys.argv[1]
sys.path.insert(0, os.path.join(BUILD, "bindings", "python"))
import elf  # noqa: E402 pylint: disable=wrong-import-position
import pypi  # noqa: E402 pylint: disable=wrong-import-position
from scene import ROOT, Scene  # noqa: E402 pylint: disable=wrong-import-position

sys.path.append(os.path.join(ROOT, "bindings", "python"))
import carried  # noqa: E402 pylint: disable=wrong-import-position

PACKAGES = ("python3.11-minimal", "libpython3.11-minimal", "libpython3.11-stdlib", "libpython3.11-dev", "python3-numpy", "libblas3",
            "liblapack3", "libgfortran5", "libstdc++6", "libexpat1", "zlib1g", "libffi8")
TOOLS = ("qemu-aarch64-static", "aarch64-linux-gnu-gcc", "aarch64-linux-gnu-readelf", "apt-get", "dpkg-deb", "meson", "ninja")
LIBS = "usr/lib/aarch64-linux-gnu"
WHEEL_MAX, CARRIED_MAX = 1 << 20, 8 << 20
PIP_WHEEL = ("-m", "pip", "wheel", "--quiet", "--no-index", "--no-build-isolation", "--no-deps")
WAIT_S = 600  # an emulator, on a machine that is busy with something else
CORE = f"""
import sys, unittest
sys.path.insert(0, "{ROOT}/tests/unit/bindings/python")
import test_core
del test_core.Rounds.test_asyncio, test_core.Rounds.test_asyncio_of_many # qemu-user 7.2 hangs in asyncio.run() with any call on a thread, without our module too
unittest.main(test_core, argv=["test_core.py", "Rounds", "Wrong", "Cancelled", "Files"])
"""
VECTORS = f"{ROOT}/tests/unit/bindings/python/test_vectors.py"
DEVICE = """
import platform, sys, millrace
def train(weights, task):
    for values in weights.values():
        values += 0.05
    return weights, 10, {"loss": 1.0}
print(platform.machine(), flush=True)
with millrace.Client(sys.argv[1]) as client:
    for outcome in client.run(train, 1, patience=60):
        print(outcome, flush=True)
"""


def unpacked(folder):
    """The folder with those packages, as a root of its own."""
    root = os.path.join(folder, "root")
    if os.path.exists(os.path.join(folder, "ready")):
        return root
    missing = [tool for tool in TOOLS if shutil.which(tool) is None]
    if missing:
        pypi.skip(f"no {', '.join(missing)}: ./run test installs what the pass aarch64 needs")
    os.makedirs(folder, exist_ok=True)
    try:
        subprocess.run(["apt-get", "download", "--quiet", *(f"{name}:arm64" for name in PACKAGES)], cwd=folder, check=True,
                       capture_output=True, text=True, timeout=500)
        for name in sorted(os.listdir(folder)):
            if name.endswith("_arm64.deb"):
                subprocess.run(["dpkg-deb", "--extract", os.path.join(folder, name), root], check=True, capture_output=True)
    except (OSError, subprocess.SubprocessError) as error:
        pypi.skip(f"Debian's packages for arm64 cannot be had (dpkg --add-architecture arm64; apt-get update): "
             f"{str(getattr(error, 'stderr', '') or error)[-300:]}")
    with open(f"{root}/{LIBS}/pkgconfig/python-3.11.pc", encoding="utf-8") as f:
        about = re.sub(r"(?m)^prefix=.*$", f"prefix={root}/usr", f.read())
    with open(f"{root}/python3.pc", "w", encoding="utf-8") as f: # where a cross build finds the headers
        f.write(re.sub(r"(?m)^Cflags:.*$", r"\g<0> -I${prefix}/include", about))
    with open(f"{root}/python.ini", "w", encoding="utf-8") as f:
        f.write(f"[properties]\npkg_config_libdir = '{root}:/usr/lib/aarch64-linux-gnu/pkgconfig:/usr/share/pkgconfig'\n")
    with open(os.path.join(folder, "ready"), "w", encoding="utf-8"):
        return root


class Patient(Scene):
    deadline_ms = 1000 * WAIT_S


class Arm64(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.folder = cls.enterClassContext(tempfile.TemporaryDirectory(prefix="millrace-arm64-"))
        cls.build = os.path.join(BUILD, "python-arm64")
        done = subprocess.run(
            [sys.executable, *PIP_WHEEL, "--config-settings", f"build={cls.build}", "--config-settings", f"cross={CROSS}",
             "--wheel-dir", cls.folder, f"{ROOT}/bindings/python"], stdin=subprocess.DEVNULL, capture_output=True, text=True, check=False)
        assert done.returncode == 0, done.stderr[-3000:] + done.stdout[-3000:]
        (cls.wheel,) = [f"{cls.folder}/{name}" for name in os.listdir(cls.folder) if name.endswith(".whl")]
        shutil.unpack_archive(cls.wheel, f"{cls.folder}/site", "zip")

    def arm64(self, *command, site=None, **environment):
        """`site`: of a package that needs no library of the machine's."""
        libs = f"{ROOT_ARM64}/{LIBS}:{ROOT_ARM64}/lib/aarch64-linux-gnu"
        if site is None:
            libs += ":/usr/lib/aarch64-linux-gnu:/lib/aarch64-linux-gnu"
        blas = "".join(f":{ROOT_ARM64}/{LIBS}/{name}" for name in ("blas", "lapack"))
        guest = {"LD_LIBRARY_PATH": libs + blas, "PYTHONHOME": f"{ROOT_ARM64}/usr", "PYTHONDONTWRITEBYTECODE": "1",
                 "PYTHONPATH": f"{site or f'{self.folder}/site'}:{ROOT_ARM64}/usr/lib/python3/dist-packages", **environment}
        words = [word for pair in guest.items() for word in ("-E", "=".join(pair))]
        process = subprocess.Popen(["qemu-aarch64-static", "-L", "/usr/aarch64-linux-gnu", *words,
                                    f"{ROOT_ARM64}/usr/bin/python3.11", *command], text=True, stdin=subprocess.DEVNULL,
                                   stdout=subprocess.PIPE, stderr=subprocess.PIPE)
        self.addCleanup(process.kill)
        return process

    def test_what_it_needs(self):
        self.assertRegex(os.path.basename(self.wheel), r"^millrace-[\d.]+-cp311-abi3-linux_aarch64\.whl$")
        print(f"the wheel has {os.path.getsize(self.wheel)} bytes")
        self.assertLessEqual(os.path.getsize(self.wheel), WHEEL_MAX)
        self.assertEqual(elf.faults_of_wheel(self.wheel, self.folder, "aarch64-linux-gnu-readelf"), [])

    def fake(self):
        """The module over a fake federation."""
        module = "tests/unit/bindings/python/fake_core.so"
        for command in (["meson", "configure", self.build, "-Dtests=true"], ["ninja", "-C", self.build, module]):
            done = subprocess.run(command, capture_output=True, text=True, check=False, stdin=subprocess.DEVNULL)
            self.assertEqual(done.returncode, 0, done.stdout[-3000:] + done.stderr)
        return f"{self.build}/{module}"

    def must(self, process):
        out, err = process.communicate(timeout=WAIT_S)
        self.assertEqual(process.returncode, 0, out + err)
        return out

    def test_carried(self):
        """The form with its libraries inside, where no others of this architecture can be found."""
        try:
            python = pypi.interpreter("MILLRACE_AUDITWHEEL", carried.REQUIRES)
        except pypi.Missing as reason:
            self.skipTest(str(reason))
        folder = f"{self.folder}/carried"
        done = subprocess.run([python, *PIP_WHEEL, "--config-settings", "libraries=carried",
                               "--config-settings", f"build={self.build}", "--config-settings", f"cross={CROSS}", "--wheel-dir", folder,
                               f"{ROOT}/bindings/python"], stdin=subprocess.DEVNULL, capture_output=True, text=True, check=False)
        self.assertEqual(done.returncode, 0, done.stderr[-3000:] + done.stdout[-3000:])
        (name,) = os.listdir(folder)
        print(f"{name} has {os.path.getsize(f'{folder}/{name}')} bytes")
        self.assertRegex(name, r"^millrace-[\d.]+-cp311-abi3-manylinux_\d+_\d+_aarch64\.whl$")
        self.assertLessEqual(os.path.getsize(f"{folder}/{name}"), CARRIED_MAX)
        site = f"{folder}/site"
        shutil.unpack_archive(f"{folder}/{name}", site, "zip")
        self.assertEqual(elf.faults_of_carried(site, "aarch64-linux-gnu-readelf"), [])
        with Patient(BUILD, f"{folder}/federation", 2, 2) as scene:
            scene.open_round()
            devices = [self.arm64("-c", DEVICE, scene.device(0), site=site),
                       subprocess.Popen([sys.executable, "-c", DEVICE, scene.device(1)], env=scene.python(), text=True,
                                        stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.PIPE)]
            self.addCleanup(lambda: [device.kill() for device in devices])
            for out, err in [device.communicate(timeout=WAIT_S) for device in devices]:
                self.assertIn("committed, then published", out, err)

    def test_of_the_module(self):
        """tests/unit/bindings/python/test_core.py, by the other machine's Python; but for what counts over many rounds."""
        self.must(self.arm64("-c", CORE, f"{self.folder}/site", self.fake()))

    def test_vectors(self):
        """100 shares of that machine's Python and C, beside the oracle's on this one."""
        file = f"{self.folder}/vectors"
        self.must(self.arm64(VECTORS, f"{self.folder}/site", self.fake(), "--to", file))
        done = subprocess.run([sys.executable, VECTORS, "--from", file, f"{ROOT}/tests/oracle"], capture_output=True, text=True,
                              stdin=subprocess.DEVNULL, check=False)
        if done.returncode == 77:
            self.skipTest(done.stdout)
        self.assertEqual(done.returncode, 0, done.stdout + done.stderr)
        self.assertIn("100 shares of 100 cases are the same", done.stdout)

    def test_a_round_of_both(self):
        with Patient(BUILD, f"{self.folder}/federation", 2, 2) as scene:
            scene.open_round()
            devices = [self.arm64("-c", DEVICE, scene.device(0)),
                       subprocess.Popen([sys.executable, "-c", DEVICE, scene.device(1)], env=scene.python(), text=True,
                                        stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.PIPE)]
            self.addCleanup(lambda: [device.kill() for device in devices])
            said = [device.communicate(timeout=WAIT_S) for device in devices]
            for out, err in said:
                self.assertIn("committed, then published", out, err)
            self.assertTrue(said[0][0].startswith("aarch64\n"))
            shown = scene.operator(0, "round", "show", "1", "--wait")
            self.assertEqual((shown["state"], shown["devices"] if "devices" in shown else 2), ("published", 2), json.dumps(shown))


if __name__ == "__main__":
    if not os.environ.get("MILLRACE_ARM64"):
        pypi.skip("MILLRACE_ARM64 names no folder for Python's packages for AArch64")
    ROOT_ARM64 = unpacked(os.path.abspath(os.environ["MILLRACE_ARM64"]))
    CROSS = f"{ROOT}/config/cross/aarch64.ini,{ROOT_ARM64}/python.ini"
    unittest.main(argv=sys.argv[:1], verbosity=2, warnings="ignore")
