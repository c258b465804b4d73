"""Compares a round's opened secure sum with the plain sum of the vectors the devices dumped.

The hub wrote which devices are in (`rounds/N.json`) and the opened ring sum (`rounds/N.sum`); each
device wrote its vector before masking. Here they are added up in plain integers.
"""

import array
import json
import os
import struct
import sys

HEADER = struct.Struct("<8sQIIII16s32s")
TRAILER_LANES = 16


class Check:
    """Outcome of one comparison: `included` holds client ids in hex."""

    def __init__(self, included, share_bytes, detail):
        self.included = included
        self.share_bytes = share_bytes
        self.detail = detail
        self.equal = detail == ""


def little_endian(values):
    if sys.byteorder == "big":
        values.byteswap()
    return values


def read_dump(path, number, client, attempt):
    """One device's (lanes, trailer); the header must say what the file name says."""
    with open(path, "rb") as f:
        data = f.read()
    magic, round_, attempt_, _, lanes, _, client_, _ = HEADER.unpack_from(data)
    if (magic, round_, attempt_, client_.hex()) != (b"MRDUMP01", number, attempt, client):
        raise ValueError(f"{path}: its header names another upload")
    at = HEADER.size
    q = array.array("b", data[at:at + lanes])
    trailer = little_endian(array.array("I", data[at + lanes:at + lanes + 4 * TRAILER_LANES]))
    return q, trailer


def unpack(region, ring_bits):
    """Lanes of that width; eight of them are whole bytes."""
    lanes = []
    for at in range(0, len(region), ring_bits):
        eight = int.from_bytes(region[at:at + ring_bits], "little")
        lanes += [eight >> (ring_bits * i) & (2**ring_bits - 1) for i in range(8)]
    return lanes


def compare(hub_dir, task, dumps, number):
    rounds = os.path.join(hub_dir, "tasks", task, "rounds")
    with open(os.path.join(rounds, f"{number}.json"), encoding="utf-8") as f:
        record = json.load(f)
    members = [(m["client_id"], m["attempt"]) for m in record["uploads"]]
    with open(os.path.join(rounds, f"{number}.sum"), "rb") as f:
        packed = f.read()
    secure = unpack(packed[:-4 * TRAILER_LANES], record["ring_bits"])
    secure_trailer = little_endian(array.array("I", packed[-4 * TRAILER_LANES:]))
    plain = [0] * len(secure)
    plain_trailer = [0] * TRAILER_LANES
    for client, attempt in members:
        path = os.path.join(dumps, f"{client}-{task}-r{number}-a{attempt}.bin")
        q, trailer = read_dump(path, number, client, attempt)
        if len(q) != len(plain):
            raise ValueError(f"{path}: {len(q)} lanes, the sum has {len(plain)}")
        plain = [a + b for a, b in zip(plain, q)]
        plain_trailer = [a + b for a, b in zip(plain_trailer, trailer)]
    differing = sum(a % 2**record["ring_bits"] != b for a, b in zip(plain, secure))
    differing += sum(a % 2**32 != b for a, b in zip(plain_trailer, secure_trailer))
    detail = f"{differing} lanes differ" if differing else ""
    return Check([client for client, _ in members], len(packed), detail)
