"""Looks for what a device must not show in everything that a hub has on its disk.

A vector is looked for as it would lie there if anybody had written it down: every run of 16 bytes of
it, as lanes of 8, 16, 24 and 32 bits, or as floats. Runs that say little (fewer than five different bytes)
are left out. The same search has to find what is known to be there; else it proves nothing.
"""

import os

import numpy as np

RUN = 16
MIX = np.array([0x9E3779B97F4A7C15, 0xC2B2AE3D27D4EB4F], np.uint64)
PART = 1 << 22


def runs(data):
    """A 64-bit number for each 16 bytes in a row of `data`, at every offset."""
    if len(data) < RUN:
        return np.empty(0, np.uint64)
    rows = np.lib.stride_tricks.sliding_window_view(np.frombuffer(data, np.uint8), 8)
    words = np.ascontiguousarray(rows).view("<u8")[:, 0]
    return words[:-8] * MIX[0] ^ words[8:] * MIX[1]


def telling(data, step):
    """Those of `data` that begin at a multiple of `step` and say enough."""
    places = range(0, len(data) - RUN + 1, step)
    chosen = [at for at in places if len(set(data[at:at + RUN])) >= 5]
    return runs(data)[chosen] if chosen else np.empty(0, np.uint64)


def forms_of_lanes(lanes):
    """What whole numbers may look like in a file: bytes, step."""
    wide = np.asarray(lanes, "<i4")
    rows = wide.view(np.uint8).reshape(-1, 4)
    return [(rows[:, :width].tobytes(), width) for width in (1, 2, 3, 4)]


def needles(lanes=(), floats=()):
    """Of so many vectors, a sorted array to look for."""
    found = [telling(data, step) for vector in lanes for data, step in forms_of_lanes(vector)]
    found += [telling(np.asarray(vector, "<f4").tobytes(), 4) for vector in floats]
    return np.unique(np.concatenate(found)) if found else np.empty(0, np.uint64)


def hits(sought, path):
    """How many places of the file are among `sought`."""
    found = 0
    with open(path, "rb") as f:
        before = b""
        while data := f.read(PART):
            here = runs(before + data)
            at = np.searchsorted(sought, here)
            found += int((sought[np.minimum(at, len(sought) - 1)] == here).sum()) if len(sought) else 0
            before = data[-(RUN - 1):]
    return found


def files(folder):
    return sorted(os.path.join(place, name) for place, _, names in os.walk(folder) for name in names
                  if os.path.isfile(os.path.join(place, name)))


def search(sought, folder):
    """(files, bytes, places found) in everything under `folder`."""
    paths = files(folder)
    return len(paths), sum(os.path.getsize(path) for path in paths), sum(hits(sought, path) for path in paths)
