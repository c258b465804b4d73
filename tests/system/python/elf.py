"""What a wheel's module needs of the machine that it is installed on, as auditwheel looks at it, with binutils alone."""

import os
import re
import subprocess
import zipfile

C_LIBRARY = {"libm.so.6", "libc.so.6", "ld-linux-x86-64.so.2", "ld-linux-aarch64.so.1"}
# Debian 12's, and every distribution's with OpenSSL 3.
OTHERS = {"libssl.so.3", "libcrypto.so.3", "libnghttp2.so.14", "libjansson.so.4"}
BESIDE = "millrace.libs"  # the folder of a wheel's own libraries
GLIBC_MAX = (2, 36)  # Debian 12's
OF_THE_STABLE_ABI = {"_Py_Dealloc", "_Py_NoneStruct", "_Py_TrueStruct", "_Py_FalseStruct"}
EXPORTS = {"PyInit__core"}


def _said(tool, *words):
    return subprocess.run([tool, *words], check=True, capture_output=True, text=True,
                          env={**os.environ, "LC_ALL": "C"}).stdout


def newest_glibc(path, readelf):
    """Of the versions of its symbols."""
    return max(tuple(map(int, version.split(".")))
               for version in re.findall(r"GLIBC_([\d.]+)", _said(readelf, "--dyn-syms", "--wide", path)))


def faults_of_links(path, readelf, others, paths):
    """What is wrong with what it is linked with beside the C library: no more than `others`, looked for in `paths` alone."""
    dynamic = _said(readelf, "--dynamic", path)
    needed = set(re.findall(r"\(NEEDED\).*\[(.+)\]", dynamic))
    faults = [f"it needs {name}" for name in sorted(needed - C_LIBRARY - others)]
    searched = set(re.findall(r"\((?:RPATH|RUNPATH)\).*\[(.+)\]", dynamic))
    if searched != paths or "(TEXTREL)" in dynamic:
        faults.append(f"it looks for libraries in {sorted(searched)}, or has relocations in its code")
    newest = newest_glibc(path, readelf)
    if newest > GLIBC_MAX:
        faults.append(f"it needs glibc {newest}")
    return faults


def faults_of_module(path, readelf, others=frozenset(OTHERS), paths=frozenset()):
    """What is wrong with it, a text each."""
    symbols = _said(readelf, "--dyn-syms", "--wide", path)
    faults = faults_of_links(path, readelf, others, paths)
    rows = [line.split() for line in symbols.splitlines() if re.match(r"\s+\d+:", line)]
    given = {row[7] for row in rows if len(row) > 7 and row[4] == "GLOBAL" and row[6] != "UND"}
    if given != EXPORTS:
        faults.append(f"it exports {sorted(given)}")
    private = {row[7] for row in rows if len(row) > 7 and row[6] == "UND" and row[7].startswith("_Py")
               and not row[7].endswith("_SizeT")} # what PY_SSIZE_T_CLEAN makes of public names
    faults += [f"it uses {name}, which is Python's own" for name in sorted(private - OF_THE_STABLE_ABI)]
    return faults


def faults_of_wheel(wheel, folder, readelf):
    with zipfile.ZipFile(wheel) as f:
        return faults_of_module(f.extract("millrace/_core.abi3.so", folder), readelf)


def faults_of_carried(folder, readelf):
    """Of an unpacked wheel with its libraries inside: all of them are there, are found there, and need no others."""
    inside = set(os.listdir(os.path.join(folder, BESIDE)))
    faults = faults_of_module(os.path.join(folder, "millrace", "_core.abi3.so"), readelf, inside, {f"$ORIGIN/../{BESIDE}"})
    for name in sorted(inside):
        path = os.path.join(folder, BESIDE, name)
        links = set(re.findall(r"\(NEEDED\).*\[(.+)\]", _said(readelf, "--dynamic", path))) & inside
        faults += [f"{name}: {fault}" for fault in faults_of_links(path, readelf, inside, {"$ORIGIN"} if links else set())]
    carried = {re.sub(r"-[0-9a-f]{8}(\.so\.\d+).*", r"\1", name) for name in inside}
    if carried != OTHERS:
        faults.append(f"it carries {sorted(carried)}")
    return faults
