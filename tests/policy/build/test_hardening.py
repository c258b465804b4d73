#!/usr/bin/env python3
"""Reads what was built for what the compiler was asked to put in: test_hardening.py OPTIONS FILE...

  --cc COMPILER   to build a program without any of it, which must be found out
  --weak=OPTION   more that takes it away
  --fortify       the build is optimised and has no sanitizer: _FORTIFY_SOURCE is on
"""

import argparse
import os
import re
import subprocess
import sys
import tempfile

import elf

# A landing pad for indirect jumps as a function's first instruction: endbr64; bti c or paciasp.
LANDING = {elf.EM_X86_64: (b"\xf3\x0f\x1e\xfa",),
           elf.EM_AARCH64: (b"\x5f\x24\x03\xd5", b"\x3f\x23\x03\xd5")}
# What leaves no other trace: GCC records its options with the debug information.
RECORDED = ("-fstack-protector-strong", "-fstack-clash-protection", "-ftrivial-auto-var-init=pattern")

WEAK = """
#include <stdio.h>
#include <string.h>
int main(int argc, char **argv)
{
    char line[64];
    (void)argc;
    strcpy(line, argv[0]);
    puts(line);
    return 0;
}
"""


def complaints(path, fortify):
    """What is missing in one file."""
    file = elf.Elf(path)
    imported = {name.split("@")[0] for name, _, defined in file.symbols() if not defined}
    if file.type != elf.ET_DYN:
        yield "not position-independent"
    if ".so" not in os.path.basename(path) and not file.dynamic_flags(elf.DT_FLAGS_1) & elf.DF_1_PIE:
        yield "no PIE"
    if file.segment(elf.PT_GNU_RELRO) is None:
        yield "no RELRO"
    if not (file.dynamic_flags(elf.DT_FLAGS) & elf.DF_BIND_NOW or
            file.dynamic_flags(elf.DT_FLAGS_1) & elf.DF_1_NOW):
        yield "RELRO is not full: symbols are bound lazily"
    stack = file.segment(elf.PT_GNU_STACK)
    if stack is None or stack[1] & elf.PF_X:
        yield "the stack is executable"
    for segment in file.segments:
        if segment[0] == elf.PT_LOAD and segment[1] & 3 == 3:
            yield "a segment is writable and executable"
    if "__stack_chk_fail" not in imported:
        yield "no stack protector"
    if fortify and not any(re.fullmatch(r"__\w+_chk", name) for name in imported):
        yield "no call is fortified"
    yield from unprotected(file)
    yield from unrecorded(file)


def unprotected(file):
    """Entry points without a landing pad. The tree's own names are hidden: what is left is exported."""
    entries = {name: address for name, address, defined in file.symbols()
               if defined and re.fullmatch(r"main|mre_\w+", name)}
    if not entries:
        yield "no entry point of ours to look at"
    for name, address in entries.items():
        if file.machine in LANDING and file.code_at(address, 4) not in LANDING[file.machine]:
            yield f"{name} begins without a landing pad"


def unrecorded(file):
    producers = [text for text in re.findall(rb"GNU C[^\0]*", file.section(".debug_str"))]
    if not producers:
        yield "no record of the compiler's options"
    for option in RECORDED:
        if not any(option.encode() in text for text in producers):
            yield f"nothing was compiled with {option}"


def weak_program(compiler, folder, flags):
    source, program = os.path.join(folder, "weak.c"), os.path.join(folder, "weak")
    with open(source, "w", encoding="ascii") as f:
        f.write(WEAK)
    subprocess.run([*compiler, "-g", "-O2", "-U_FORTIFY_SOURCE", "-no-pie", "-fno-stack-protector",
                    *flags, "-Wl,-z,norelro", "-Wl,-z,lazy", "-Wl,-z,execstack", "-w",
                    "-o", program, source], check=True)
    return program


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--cc", required=True)
    parser.add_argument("--weak", action="append", default=[])
    parser.add_argument("--fortify", action="store_true")
    parser.add_argument("files", nargs="+")
    asked = parser.parse_args()
    bad = 0
    for path in asked.files:
        for complaint in complaints(path, asked.fortify):
            print(f"{path}: {complaint}")
            bad += 1
    with tempfile.TemporaryDirectory() as folder:
        found = list(complaints(weak_program(asked.cc.split(), folder, asked.weak), True))
    for must in ("not position-independent", "no RELRO", "RELRO is not full", "the stack is executable",
                 "no stack protector", "no call is fortified", "landing pad", "nothing was compiled"):
        if not any(must in complaint for complaint in found):
            print(f"a program without it was not found out: {must}")
            bad += 1
    print(f"{len(asked.files)} files, {bad} complaints")
    return 1 if bad else 0


if __name__ == "__main__":
    sys.exit(main())
