"""What a wheel's module needs of the machine that it is installed on, as auditwheel looks at it, with binutils alone."""

import os
import re
import subprocess
import zipfile

# Debian 12's, and every distribution's with OpenSSL 3; and the C library's own.
LIBRARIES = {"libssl.so.3", "libcrypto.so.3", "libnghttp2.so.14", "libjansson.so.4", "libm.so.6", "libc.so.6",
             "ld-linux-x86-64.so.2", "ld-linux-aarch64.so.1"}
GLIBC_MAX = (2, 36)  # Debian 12's
OF_THE_STABLE_ABI = {"_Py_Dealloc", "_Py_NoneStruct", "_Py_TrueStruct", "_Py_FalseStruct"}
EXPORTS = {"PyInit__core"}


def _said(tool, *words):
    return subprocess.run([tool, *words], check=True, capture_output=True, text=True,
                          env={**os.environ, "LC_ALL": "C"}).stdout


def faults_of_module(path, readelf):
    """What is wrong with it, a text each."""
    dynamic, symbols = _said(readelf, "--dynamic", path), _said(readelf, "--dyn-syms", "--wide", path)
    needed = set(re.findall(r"\(NEEDED\).*\[(.+)\]", dynamic))
    faults = [f"it needs {name}" for name in sorted(needed - LIBRARIES)]
    if re.search(r"\((RPATH|RUNPATH|TEXTREL)\)", dynamic):
        faults.append("it has a path of libraries of the machine that built it, or relocations in its code")
    newest = max(tuple(map(int, version.split("."))) for version in re.findall(r"GLIBC_([\d.]+)", symbols))
    if newest > GLIBC_MAX:
        faults.append(f"it needs glibc {newest}")
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
