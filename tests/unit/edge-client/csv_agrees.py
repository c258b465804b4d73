#!/usr/bin/env python3
"""The data reader against Python's csv module and float(), on files as people's tools leave them.

usage: csv_agrees.py CSV_READER [--seed N] [--files N] [--keep FOLDER]

Each file is written as spreadsheets, loggers and failing disks write: all kinds of line ends, byte order
marks, quotes, headers, decimal commas, gaps, files that are cut, filled with zeros or flipped. The reader
either gives what Python gives, bit for bit, or refuses and names the line. What is sound must be taken, so that a
reader that refuses everything fails too; a read that fails must be refused. Prints the seed; the same seed
gives the same files (or set MR_SEED). --keep writes the first file that disagrees there.
"""

import argparse
import csv
import io
import os
import random
import re
import shlex
import struct
import subprocess
import sys
import tempfile

BATCH = 2000
ENDS = ("\n", "\r\n", "\r", "\n\r", "\r\r\n", "\n\n", "\r\n\r\n")
ODD_NUMBERS = ("nan", "inf", "-inf", "Infinity", "1_000", "0x10", "0x1p3", "1,5", "", " ", "1e", "e5", ".", "+", "-",
               "1.2.3", "1e5e5", "--1", "1 2", "\u0661", "1e39", "-3.5e38", "1d5", "1f", "NaN(1)", "#N/A", "TRUE",
               "1\u00a0", "\x0b1", "1\x1a", "'1", "1;2", "1\t2", "$5", "50%", "12:30", "2021-01-01")
ODD_LABELS = ("3.0", "-1", "-0", "65536", "4294967296", "1e2", "", "cat", "3_0", "+-3", "99999999999999999999", "0b1")


# --- what Python reads ----------------------------------------------------------------------------------------------

def reference(data):
    """(rows of f32 bytes, labels), or None where csv, float() or int() refuse, or it is no table of examples."""
    try:
        text = data.decode("utf-8-sig")
        rows = [row for row in csv.reader(io.StringIO(text, newline="")) if row]
        features = [struct.pack(f"<{len(row) - 1}f", *map(float, row[:-1])) for row in rows]
        labels = [int(row[-1]) for row in rows]
    except (ValueError, OverflowError, csv.Error):
        return None
    if not rows or len(rows[0]) < 2 or any(len(row) != len(rows[0]) for row in rows):
        return None
    if any(label < 0 or label > 65535 for label in labels):
        return None
    return features, labels


# --- the files ------------------------------------------------------------------------------------------------------

def number(rng):
    """A number in the plain form, as one of many writers prints it."""
    value = rng.choice((0.0, 1.0, -1.0, rng.uniform(-1, 1), rng.gauss(0, 1e3), 10 ** rng.uniform(-45, 38)))
    text = rng.choice((repr(value), "%.3f" % value, "%g" % value, "%e" % value, "%d" % value, "%.30f" % value, "%G" % value,
                       "%+f" % value, "%.0f." % value, "000" + "%d" % abs(value), "%.17g" % value))
    if rng.random() < 0.05:
        text = rng.choice((".5", "-.25", "5.", "1e-400", "-0", "1E+05", "3.4028235e38", "1e-45", "7e-46", "0" * 300 + "1",
                           "0." + "0" * 50 + "1", "16777217", "1.00000017881393432617187499", "1.000000178813934326171875"))
    return text


def label(rng):
    return rng.choice((str(rng.randrange(10)), str(rng.randrange(65536)), "+7", "007", "65535"))


def sound_field(rng, text, style):
    if style["blank"] and rng.random() < 0.5:
        text = rng.choice((" ", "", "\t", "  ")) + text + rng.choice((" ", "", "\t"))
    quote = style["quote"] == "all" or (style["quote"] == "some" and rng.random() < 0.3)
    return f'"{text}"' if quote else text


def sound_table(rng):
    """Rows of fields that the reader must take, with how they are to be written."""
    style = {"blank": rng.random() < 0.2, "quote": rng.choice(("none", "none", "none", "all", "some")), "end": rng.choice(ENDS),
             "mixed": rng.random() < 0.1, "last": rng.random() < 0.7, "mark": rng.random() < 0.1}
    columns = rng.choice((1, 2, 3, 4, rng.randint(1, 12), rng.randint(1, 70)))
    rows = rng.choice((1, 2, 3, rng.randint(1, 30), rng.randint(1, 200) if columns < 8 else 5))
    table = [[sound_field(rng, number(rng), style) for _ in range(columns)] + [sound_field(rng, label(rng), style)]
             for _ in range(rows)]
    return table, style


def write(rng, table, style, separator=","):
    parts = []
    for i, row in enumerate(table):
        end = rng.choice(ENDS) if style["mixed"] else style["end"]
        parts.append(separator.join(row) + (end if i + 1 < len(table) or style["last"] else ""))
    return (b"\xef\xbb\xbf" if style["mark"] else b"") + "".join(parts).encode()


def odd_cell(rng, table):
    row = rng.choice(table)
    at = rng.randrange(len(row))
    row[at] = rng.choice(ODD_LABELS if at == len(row) - 1 else ODD_NUMBERS)
    if rng.random() < 0.2:
        row[at] = rng.choice(('"{}', '{}"', '"{}"x', ' "{}"', '"{}""', '""{}', '"{}\n"', '"\n{}"')).format(rng.choice(("1", "")))


def odd_row(rng, table):
    at = rng.randrange(len(table))
    row = table[at]
    what = rng.randrange(8)
    if what == 0:
        row.append("")
    elif what == 1:
        del row[rng.randrange(len(row))]
    elif what == 2:
        row.insert(rng.randrange(len(row) + 1), number(rng))
    elif what == 3:
        table.insert(0, [f"x{i}" for i in range(len(row) - 1)] + ["class"])
    elif what == 4:
        table.append([""] * len(row))
    elif what == 5:
        table.insert(at, [rng.choice(("# comment", " ", "\t", '""', "0", "\x1a", "total"))])
    elif what == 6:
        table[at] = [field.replace(".", ",") for field in row]
    else:
        table.insert(at, [])


def damage(rng, data):
    """As disks, cables and interrupted programs do it."""
    what = rng.randrange(8)
    at = rng.randrange(len(data) + 1)
    if what == 0:
        return data[:at]
    if what == 1:
        return data[:at] + bytes(rng.choice((1, 16, 512, len(data) - at)))
    if what == 2 and data:
        at = rng.randrange(len(data))
        return data[:at] + bytes([data[at] ^ 1 << rng.randrange(8)]) + data[at + 1:]
    if what == 3:
        return data[:at] + data[at + rng.choice((1, 2, 64, 512)):]
    if what == 4:
        return data[:at] + data[max(0, at - rng.choice((1, 5, 512))):]
    if what == 5:
        return data[:at] + rng.choice((b"\r", b"\n", b'"', b",", b"\0", b"\x80", b"\xef\xbb\xbf", b" ", b"-", b".", b"e",
                                       b"\x0c", b"\xe2\x80\xa8", b"\xc2\x85", b"\x1e")) + data[at:]
    if what == 6:
        return data.decode("utf-8", "replace").encode(rng.choice(("utf-16", "utf-16-le", "utf-32", "utf-7")))
    return data + rng.choice((b"\x1a", b"\0", b",", b"\n,\n", b'"', b"\n\xff\xfe", b" ", b"\n \n"))


def make_file(rng):
    """(bytes, whether it must be taken)."""
    table, style = sound_table(rng)
    kind = rng.random()
    if kind < 0.4:
        return write(rng, table, style), True
    if kind < 0.6:
        odd_cell(rng, table)
    elif kind < 0.75:
        odd_row(rng, table)
    data = write(rng, table, style, rng.choice(("; ", ";", "\t", "|", " ,")) if 0.75 <= kind < 0.8 else ",")
    for _ in range(rng.choice((1, 1, 2)) if kind >= 0.8 else 0):
        data = damage(rng, data)
    return data, False


# --- the reader -----------------------------------------------------------------------------------------------------

def read_answer(out):
    if out.read(1) == b"\1":
        return None, out.read(struct.unpack("<I", out.read(4))[0]).decode()
    count, columns = struct.unpack("<II", out.read(8))
    features = [out.read(4 * columns) for _ in range(count)]
    return (features, list(struct.unpack(f"<{count}H", out.read(2 * count)))), ""


def run_batch(program, files):
    with tempfile.TemporaryFile() as source, tempfile.TemporaryFile() as target:
        for data, chunk, fail_at, _ in files:
            source.write(struct.pack("<IIi", len(data), chunk, fail_at) + data)
        source.seek(0)
        wrapper = shlex.split(os.environ.get("MESON_EXE_WRAPPER", "")) # another machine's program
        subprocess.run(wrapper + [program], stdin=source, stdout=target, check=True)
        target.seek(0)
        return [read_answer(target) for _ in files]


def complaint(data, fail_at, must_take, got, text):
    """What is wrong with the answer, or None."""
    if got is None:
        lines = data.count(b"\n") + data.count(b"\r") + 1
        named = re.match(r"file: line (\d+): .", text)
        if not (named and 1 <= int(named.group(1)) <= lines) and text != "file: no examples in it: a device needs at least one":
            return f"refused without a line of the file: {text}"
        if must_take and fail_at < 0:
            return f"sound, but refused: {text}"
        return None
    if fail_at >= 0:
        return "a read failed, and the file was taken"
    wanted = reference(data)
    if wanted is None:
        return "taken, but Python refuses it"
    return None if got == wanted else f"read as {got}, not as {wanted}"


def judge(program, files):
    """(files taken, refused, the first complaint with its file)."""
    taken = 0
    for (data, _, fail_at, must_take), (got, text) in zip(files, run_batch(program, files)):
        wrong = complaint(data, fail_at, must_take, got, text)
        if wrong:
            return taken, (wrong, data)
        taken += got is not None
    return taken, None


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("program")
    parser.add_argument("--seed", type=int, default=int(os.environ.get("MR_SEED", random.SystemRandom().randrange(2**32))))
    parser.add_argument("--files", type=int, default=100000)
    parser.add_argument("--keep")
    words = parser.parse_args()
    print(f"seed {words.seed}")
    rng = random.Random(words.seed)
    done = taken = 0
    while done < words.files:
        files = []
        for _ in range(min(BATCH, words.files - done)):
            data, must_take = make_file(rng)
            fail_at = rng.randrange(len(data) + 1) if rng.random() < 0.05 else -1
            files.append((data, rng.choice((1, 2, 3, 7, 64, 4096, 1 << 20)), fail_at, must_take))
        more, wrong = judge(words.program, files)
        if wrong:
            print(f"{wrong[0]}\n{wrong[1][:2000]!r}")
            if words.keep:
                with open(os.path.join(words.keep, "disagrees.csv"), "wb") as f:
                    f.write(wrong[1])
            return 1
        done += len(files)
        taken += more
    print(f"{done} files: {taken} read as Python reads them, {done - taken} refused")
    return 0 if taken * 4 > done else 1


sys.exit(main())
