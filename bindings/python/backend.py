"""Builds the wheel (PEP 517): the tree's own Meson build for the module, and Python's zipfile for the wheel.

    pip wheel --no-build-isolation --no-deps bindings/python
    pip wheel … --config-settings cross=config/cross/aarch64.ini bindings/python
    pip wheel --no-deps --config-settings libraries=carried bindings/python

The second makes a wheel for another machine; Python's headers for that one have to be there (libpython3-dev:arm64). Several
files, parted by commas, are taken as Meson takes them. The third puts the libraries into it (carried.py). `./run wheel` does
all of this with the packages that it needs.

Not meson-python, since that of Debian 12 (0.12, with Meson 1.0) cannot tag a module of the limited API: it would make a
wheel of one Python only, and put the whole tree's libraries and programs into it. What a wheel is takes less to write
down than to turn off. Needs what ./run build needs, and python3-dev.
"""

import base64
import configparser
import hashlib
import os
import re
import shutil
import subprocess
import sysconfig
import tempfile
import tomllib
import zipfile

import carried

HERE = os.path.dirname(os.path.abspath(__file__))
ROOT = os.path.dirname(os.path.dirname(HERE))
MODULE = "bindings/python/millrace/_core.abi3.so"
MESON = ("--buildtype=release", "-Dappliance=disabled", "-Dtests=false", "-Dpython=enabled")
WHEN = (1980, 1, 1, 0, 0, 0)  # of every file: the same sources make the same wheel
SETTINGS = {"build": None, "cross": None, "libraries": ("system", "carried")}


def project():
    with open(os.path.join(HERE, "pyproject.toml"), "rb") as f:
        return tomllib.load(f)["project"]


def version():
    with open(os.path.join(ROOT, "meson.build"), encoding="utf-8") as f:
        return re.search(r"version: '([^']+)'", f.read()).group(1)


def info():
    """The folder in the wheel with what is known of it."""
    return f"millrace-{version()}.dist-info"


class Target:
    """The machine that the wheel is for: this one, or that of Meson's cross files."""

    def __init__(self, config_settings=None):
        self.settings = config_settings or {}
        for name, value in self.settings.items():
            if name not in SETTINGS:
                raise RuntimeError(f"--config-settings {name}=…: there are {', '.join(SETTINGS)}")
            if SETTINGS[name] and value not in SETTINGS[name]:
                raise RuntimeError(f"--config-settings {name}={value}: {' or '.join(SETTINGS[name])}")
        self.carries = self.settings.get("libraries") == "carried"
        self.cross = [os.path.abspath(path) for path in self.settings.get("cross", "").split(",") if path]
        about = configparser.ConfigParser()
        if len(about.read(self.cross, encoding="utf-8")) != len(self.cross):
            raise RuntimeError(f"cross: {', '.join(self.cross)}: not all of them can be read")
        self.strip = about.get("binaries", "strip", fallback="'strip'").strip("'")
        self.platform = f"linux_{about.get('host_machine', 'cpu_family').strip(chr(39))}" if self.cross else \
            re.sub(r"\W", "_", sysconfig.get_platform())
        self.machine = self.platform.partition("_")[2]

    def tag(self):
        return "cp311-abi3-" + self.platform

    def meson(self):
        return [*MESON, *(word for path in self.cross for word in ("--cross-file", path))]


def metadata():
    about = project()
    with open(os.path.join(HERE, about["readme"]), encoding="utf-8") as f:
        text = f.read()
    needs = "".join(f"Requires-Dist: {one}\n" for one in about["dependencies"])
    return (f"Metadata-Version: 2.1\nName: {about['name']}\nVersion: {version()}\nSummary: {about['description']}\n"
            f"License: {about['license']['text']}\nRequires-Python: {about['requires-python']}\n{needs}"
            f"Description-Content-Type: text/markdown\n\n{text}")


def about_wheel(target):
    return f"Wheel-Version: 1.0\nGenerator: millrace\nRoot-Is-Purelib: false\nTag: {target.tag()}\n"


def run(*command):
    """Without the paths by which pip hides the system's packages from Python: Meson is one of these."""
    environment = {name: value for name, value in os.environ.items() if name != "PYTHONPATH"}
    done = subprocess.run(command, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True,
                          check=False, env=environment)
    if done.returncode != 0:
        raise RuntimeError(f"{' '.join(command)}\n{done.stdout[-4000:]}")


def built_module(build, target):
    """The module's bytes, built there and stripped."""
    if not os.path.exists(os.path.join(build, "build.ninja")):
        run("meson", "setup", build, ROOT, *target.meson())
    run("ninja", "-C", build, MODULE)
    with tempfile.NamedTemporaryFile(prefix="millrace-", suffix=".so") as stripped: # others may use this build, too
        run(target.strip, "-o", stripped.name, os.path.join(build, MODULE))
        return stripped.read()


def contents(build, target):
    """{name in the wheel: bytes}."""
    files = {}
    package = os.path.join(HERE, "millrace")
    for name in sorted(os.listdir(package)):
        if name.endswith((".py", ".pyi", ".typed")):
            with open(os.path.join(package, name), "rb") as f:
                files[f"millrace/{name}"] = f.read()
    files["millrace/_core.abi3.so"] = built_module(build, target)
    with open(os.path.join(ROOT, "LICENSE"), "rb") as f:
        files[f"{info()}/licenses/LICENSE"] = f.read()
    return files


def digest(data):
    return base64.urlsafe_b64encode(hashlib.sha256(data).digest()).rstrip(b"=").decode()


def write_wheel(path, files, target):
    files = {**files, f"{info()}/METADATA": metadata().encode(), f"{info()}/WHEEL": about_wheel(target).encode()}
    record = "".join(f"{name},sha256={digest(data)},{len(data)}\n" for name, data in files.items())
    files[f"{info()}/RECORD"] = (record + f"{info()}/RECORD,,\n").encode()
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED, compresslevel=9) as wheel:
        for name, data in files.items():
            entry = zipfile.ZipInfo(name, WHEN)
            entry.compress_type = zipfile.ZIP_DEFLATED
            entry.external_attr = (0o755 if name.endswith(".so") else 0o644) << 16
            wheel.writestr(entry, data)


# --- the hooks that pip calls ----------------------------------------------------------------------

def get_requires_for_build_wheel(config_settings=None):
    return carried.REQUIRES if Target(config_settings).carries else []


def prepare_metadata_for_build_wheel(metadata_directory, config_settings=None):
    os.makedirs(os.path.join(metadata_directory, info()))
    for name, text in (("METADATA", metadata()), ("WHEEL", about_wheel(Target(config_settings)))):
        with open(os.path.join(metadata_directory, info(), name), "w", encoding="utf-8") as f:
            f.write(text)
    return info()


def build_wheel(wheel_directory, config_settings=None, metadata_directory=None):
    """`--config-settings build=FOLDER`: builds there, and finds there what it built before."""
    target = Target(config_settings)
    name = f"millrace-{version()}-{target.tag()}.whl"
    with tempfile.TemporaryDirectory(prefix="millrace-wheel-") as scratch:
        build = os.path.abspath(target.settings.get("build", os.path.join(scratch, "build")))
        if not target.carries:
            write_wheel(os.path.join(wheel_directory, name), contents(build, target), target)
            return name
        carried.check_tools() # before what takes minutes
        files = contents(build, target)
        libraries = carried.sources(os.path.join(build, MODULE), target.machine)
        files[f"{info()}/sboms/carried.cdx.json"] = carried.bill(libraries, target.machine, version())
        write_wheel(os.path.join(scratch, name), {**files, **carried.licences(libraries, info())}, target)
        os.mkdir(os.path.join(scratch, "carried"))
        made = carried.repair(os.path.join(scratch, name), libraries, os.path.join(scratch, "carried"))
        return os.path.basename(shutil.move(made, os.path.join(wheel_directory, os.path.basename(made))))


def build_sdist(sdist_directory, config_settings=None):
    raise RuntimeError("there is no sdist of the package alone: the module is built from the whole source tree")
