#!/usr/bin/env python3
"""The installed library: exports exactly what its one header marks, and is small when stripped.

usage: test_library.py HEADER LIBRARY NM STRIP MAX_BYTES (0 = any size)
"""

import os
import re
import subprocess
import sys
import tempfile


def main():
    header, library, nm, strip, limit = sys.argv[1:]
    with open(header, encoding="utf-8") as f:
        text = f.read()
    if re.search(r'#include\s+"', text):
        print("the installed header includes another of ours: it must stand alone")
        return 1
    marked = set(re.findall(r"^MRE_API\b[^;(]*?(\w+)\(", text, re.MULTILINE))
    out = subprocess.run([nm, "-D", "--defined-only", library], check=True, capture_output=True,
                         text=True).stdout
    exported = {line.split()[-1].split("@")[0] for line in out.splitlines()}
    if marked != exported:
        print("marked but not exported:", sorted(marked - exported))
        print("exported but not marked:", sorted(exported - marked))
        return 1
    with tempfile.TemporaryDirectory() as folder:
        stripped = os.path.join(folder, "stripped.so")
        subprocess.run([strip, "-o", stripped, library], check=True)
        size = os.path.getsize(stripped)
    print(f"{len(exported)} symbols, {size} bytes stripped")
    if 0 < int(limit) <= size:
        print(f"that is not under {limit}")
        return 1
    return 0


sys.exit(main())
