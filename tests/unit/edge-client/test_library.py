#!/usr/bin/env python3
"""The installed library: exports exactly what its one header marks, and what of it is loaded is small.

usage: test_library.py HEADER LIBRARY NM STRIP MAX_BYTES (0 = any size)
"""

import os
import re
import struct
import subprocess
import sys
import tempfile


def loaded(path):
    """Bytes of a 64-bit ELF file's loaded segments. Between two of them the file may have a hole of up to a page, which
    is 64 KiB on AArch64."""
    with open(path, "rb") as f:
        elf = f.read()
    order = "<" if elf[5] == 1 else ">"
    at, = struct.unpack_from(order + "Q", elf, 32)
    size, count = struct.unpack_from(order + "HH", elf, 54)
    heads = [struct.unpack_from(order + "IIQQQQ", elf, at + size * i) for i in range(count)]
    return sum(head[5] for head in heads if head[0] == 1)


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
        size = loaded(stripped)
        print(f"{len(exported)} symbols, {size} bytes are loaded, {os.path.getsize(stripped)} in the stripped file")
    if 0 < int(limit) <= size:
        print(f"that is not under {limit}")
        return 1
    return 0


sys.exit(main())
