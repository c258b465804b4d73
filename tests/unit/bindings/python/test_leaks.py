#!/usr/bin/python3
"""No block and no reference is lost: under ASan, whose leak checker reads the process; and under a debug Python, which counts
every reference. Each runs rounds that go well and rounds that fail, in an interpreter of its own.

    test_leaks.py asan LIBASAN PACKAGE EXTENSION
    test_leaks.py debug PACKAGE EXTENSION FOLDER

The debug Python is python3-dbg where that is installed, or the one that MILLRACE_DEBUG_PYTHON names, or Debian's package (37 MB),
fetched once and unpacked in FOLDER: installing it would bring all of Python up to date with it.
"""

import os
import re
import shutil
import subprocess
import sys
import tempfile

HERE = os.path.dirname(os.path.abspath(__file__))
OURS = ("bindings/python/core/", "edge-client/", "wire/", "transport/", "base/", "kernels/")
TIMES = 10

# What a device does; `fake` prepares each round. Exceptions of every place where C calls Python and back. Of the module
# alone, without numpy, whose own references a debug Python would count by halves.
ROUNDS = """
import gc, sys
sys.path.insert(0, sys.argv[1])
import fixture
millrace, fake = fixture.load(*sys.argv[2:4])

def good(task, values):
    return [(0, memoryview(values).cast("f"))], 10, 0.5, {}, {}

def attempt(function, *arguments):
    try:
        return function(*arguments)
    except (ArithmeticError, LookupError, TypeError, ValueError, millrace.Error):
        return None

def raise_in_progress(progress):
    if progress.phase == "pulling":
        raise LookupError("enough")

def prepare():
    return fixture.device_json(fake.begin(3, 16, 1))

BAD = (lambda task, values: 1 / 0, lambda task, values: None, lambda task, values: ([], 0, 0.5, {}, {}),
       lambda task, values: ([], 1 << 70, 0.5, {}, {}), lambda task, values: ([], 1, float("inf"), {}, {}),
       lambda task, values: ([(0, bytes(400))], 1, 0.5, {}, {}), lambda task, values: ([(0, None)], 1, 0.5, {}, {}),
       lambda task, values: ([0], 1, 0.5, {}, {}), lambda task, values: (0, 1, 0.5, {}, {}), lambda task, values: ([("a", values)], 1, 0.5, {}, {}))

def play():
    with millrace.Client(prepare(), on_progress=lambda p: None) as client:
        assert client._core.round(1, good)["result"] == "committed"
        attempt(client.check)
        client.cancel()
        client.on_progress(None)
    config = prepare()
    with millrace.Client(config, connections=millrace.Connections()) as client:
        assert client._core.round(1, good)["result"] == "committed"
        assert len(millrace.read_state(config).counted) == 1
    assert len(millrace.reset_state(config, finished=0).counted) == 1
    attempt(sys.modules["millrace._core"].Client.open, config, None, -1, None, None, 0, (), 0, 0, 7) # no capsule
    attempt(millrace.read_state, "/nowhere/device.json")
    attempt(lambda: millrace.reset_state(config, finished="seven"))
    for train in BAD:
        with millrace.Client(prepare()) as client:
            attempt(client._core.round, 1, train)
    with millrace.Client(prepare(), on_progress=raise_in_progress) as client:
        attempt(client._core.round, 1, good)
    attempt(millrace.Client, "/nowhere/device.json")
PREPARED = 3 + len(BAD)
"""

LEAK = """
prepare()
for _ in range(3):
    play()
fake.end()
"""

COUNT = f"""
def growth(function, count):
    for _ in range(3):
        function()
    gc.collect()
    before = count()
    for _ in range({TIMES}):
        function()
    gc.collect()
    return count() - before
print("references", min(growth(play, sys.gettotalrefcount) - PREPARED * growth(prepare, sys.gettotalrefcount) for _ in range(2)))
fake.end()
"""


def run(python, script, package, extension, **environment):
    return subprocess.run([python, "-c", ROUNDS + script, HERE, package, extension], stdin=subprocess.DEVNULL, text=True,
                          capture_output=True, check=False, env={**os.environ, "PYTHONDONTWRITEBYTECODE": "1", **environment})


def asan(preload, package, extension):
    """Blocks that nothing points to at the end, and that our code has got."""
    with tempfile.TemporaryDirectory() as folder:
        done = run(sys.executable, LEAK, package, extension, PYTHONMALLOC="malloc", LD_PRELOAD=preload,
                   ASAN_OPTIONS=f"detect_leaks=1:exitcode=0:fast_unwind_on_malloc=0:log_path={folder}/leaks")
        said = "".join(open(f"{folder}/{name}", encoding="utf-8").read() for name in os.listdir(folder))
    assert done.returncode == 0, done.stderr[-3000:]
    assert "LeakSanitizer has encountered a fatal error" not in said + done.stderr, said[-2000:]
    leaks = [leak for leak in re.split(r"\n(?=(?:Direct|Indirect) leak of)", said) if any(f"{place}" in leak for place in OURS)]
    print(f"leaks of our code: {len(leaks)}")
    assert not leaks, leaks[0][:3000]


def unpacked(folder):
    """The debug Python of Debian's package, in that folder."""
    name = f"python{sys.version_info.major}.{sys.version_info.minor}-dbg"
    python = os.path.join(folder, "root", "usr", "bin", name)
    if os.path.exists(python):
        return python
    try:
        os.makedirs(folder, exist_ok=True)
        with tempfile.TemporaryDirectory(prefix="millrace-dbg-") as fetched:
            subprocess.run(["apt-get", "download", "--quiet", name], cwd=fetched, check=True, capture_output=True, text=True, timeout=120)
            (package,) = os.listdir(fetched)
            subprocess.run(["dpkg-deb", "--extract", package, f"{folder}/new"], cwd=fetched, check=True, capture_output=True, text=True)
        os.rename(f"{folder}/new", f"{folder}/root")
    except (OSError, ValueError, subprocess.SubprocessError) as error:
        print(f"skipped: no debug Python (python3-dbg, or name one with MILLRACE_DEBUG_PYTHON), and Debian's cannot be had: "
              f"{str(getattr(error, 'stderr', '') or error)[-300:]}")
        sys.exit(77)
    return python


def debug(package, extension, folder):
    python = os.environ.get("MILLRACE_DEBUG_PYTHON") or shutil.which("python3-dbg") or unpacked(os.path.abspath(folder))
    done = run(python, COUNT, package, extension)
    assert done.returncode == 0, done.stderr[-3000:] # a debug Python aborts where it counts below zero
    lost = int(re.search(r"references (-?\d+)", done.stdout).group(1))
    print(f"{TIMES} times the rounds leave {lost} references behind")
    assert lost < TIMES // 2, "a reference is lost every time"


if __name__ == "__main__":
    {"asan": asan, "debug": debug}[sys.argv[1]](*sys.argv[2:])
