#!/usr/bin/env python3
"""A list of what ships, as CycloneDX 1.5 JSON: sbom.py BUILD [FILE]

Our programs and the library with their hashes, and every shared library that they are linked with, with the
package, version and hash of the one on this machine. No network; the same build gives the same list (its time is
SOURCE_DATE_EPOCH, or that of the last commit).
"""

import hashlib
import json
import os
import re
import subprocess
import sys
import time
import uuid

import elf

SHIPPED = (("appliance/millrace-hub", "application"), ("appliance/cli/millrace", "application"),
           ("edge-client/millrace-edge", "application"), ("edge-client/libmillrace-edge.so", "library"))
ROOT = os.path.abspath(os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "..", ".."))


def output(*command):
    try:
        done = subprocess.run(command, cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True,
                              check=False)
    except OSError: # not there
        return ""
    return done.stdout.strip() if done.returncode == 0 else ""


def sha256(path):
    with open(path, "rb") as f:
        return hashlib.sha256(f.read()).hexdigest()


def version(build):
    with open(os.path.join(build, "meson-info", "intro-projectinfo.json"), encoding="utf-8") as f:
        return json.load(f)["version"]


def loaded(path):
    """name -> file of each library that the loader would take, those of libraries included."""
    lines = output("ldd", path).splitlines()
    pairs = (re.match(r"\s*(\S+) => (/\S+)", line) for line in lines)
    return {found.group(1): os.path.realpath(found.group(2)) for found in pairs if found}


def package_of(path):
    """(package, version) of Debian, or empty."""
    for name in (path, path.replace("/usr", "", 1)):
        owner = output("dpkg-query", "-S", name).split(":")[0]
        if owner:
            return owner, output("dpkg-query", "-W", "-f", "${Version}\n", owner).split("\n")[0]
    return "", ""


def library(name, path, direct):
    package, package_version = package_of(path)
    component = {"type": "library", "bom-ref": f"lib:{name}", "name": package or name,
                 "version": package_version or "unknown", "scope": "required",
                 "hashes": [{"alg": "SHA-256", "content": sha256(path)}],
                 "properties": [{"name": "millrace:soname", "value": name},
                                {"name": "millrace:linked", "value": "directly" if direct else "by another"}]}
    if package:
        component["purl"] = f"pkg:deb/debian/{package}@{package_version}"
    return component


def make(build):
    ours, libraries, depends, number = [], {}, [], version(build)
    for name, kind in SHIPPED:
        path = os.path.join(build, name)
        if not os.path.exists(path):
            continue
        needed = elf.Elf(path).needed()
        found = {so: file for so, file in loaded(path).items() if not file.startswith(os.path.realpath(build))}
        for so, file in found.items():
            direct = so in needed or (so in libraries and libraries[so][1])
            libraries[so] = (file, direct)
        ours.append({"type": kind, "bom-ref": f"millrace:{os.path.basename(name)}",
                     "name": os.path.basename(name), "version": number,
                     "licenses": [{"license": {"id": "Apache-2.0"}}],
                     "hashes": [{"alg": "SHA-256", "content": sha256(path)}]})
        depends.append({"ref": ours[-1]["bom-ref"],
                        "dependsOn": sorted(f"lib:{so}" for so in needed if so in found)})
    components = ours + [library(so, *libraries[so]) for so in sorted(libraries)]
    content = json.dumps(components, sort_keys=True)
    epoch = int(os.environ.get("SOURCE_DATE_EPOCH") or output("git", "log", "-1", "--format=%ct") or 0)
    return {"bomFormat": "CycloneDX", "specVersion": "1.5", "version": 1,
            "serialNumber": f"urn:uuid:{uuid.uuid5(uuid.NAMESPACE_URL, content)}",
            "metadata": {"timestamp": time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(epoch)),
                         "component": {"type": "application", "bom-ref": "millrace", "name": "millrace",
                                       "version": number}},
            "components": components,
            "dependencies": [{"ref": "millrace", "dependsOn": [c["bom-ref"] for c in ours]}] + depends}


def main(arguments):
    if len(arguments) not in (1, 2):
        sys.exit(__doc__)
    text = json.dumps(make(arguments[0]), indent=2) + "\n"
    if len(arguments) == 2:
        with open(arguments[1], "w", encoding="utf-8") as f:
            f.write(text)
    else:
        sys.stdout.write(text)


if __name__ == "__main__":
    main(sys.argv[1:])
