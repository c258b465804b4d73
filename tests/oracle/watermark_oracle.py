"""Section 19 of docs/wire-format.md, watermarks, as Python: a verifier that shares no code with the C one."""

import json
import math
import struct

from conventions import be16, ctr_stream, hmac_sha256, label, require, sha256


def part_hash(part):
    return sha256(label("millrace watermark part") + part)


def join(parts):
    require(2 <= len(parts) <= 5, "parts")
    require(len(set(parts)) == len(parts), "a part twice")
    return hmac_sha256(bytes(32), label("millrace watermark key") + be16(len(parts)) + b"".join(sorted(parts)))


def signs(key, name, count):
    stream = hmac_sha256(key, label("millrace watermark signs") + sha256(name.encode()))
    bits = int.from_bytes(ctr_stream(stream[:16], stream[16:], 0, (count + 7) // 8), "little")
    return [-1 if bits >> i & 1 else 1 for i in range(count)]


def personal(name, patterns):
    return any(name.startswith(p[:-1]) if p.endswith("*") else name == p for p in patterns if p)


def tensors(file):
    """Name and F32 values of each tensor that a mark is in."""
    length = int.from_bytes(file[:8], "little")
    header, data = json.loads(file[8:8 + length]), file[8 + length:]
    patterns = header.get("__metadata__", {}).get("millrace.personal", "").split(",")
    for name, tensor in header.items():
        if name == "__metadata__" or len(tensor["shape"]) < 2 or personal(name, patterns):
            continue
        require(tensor["dtype"] == "F32", "dtype")
        first, end = tensor["data_offsets"]
        values = struct.unpack(f"<{(end - first) // 4}f", data[first:end])
        if any(values):
            yield name, values


def score(file, parts):
    """In standard deviations, and how many values it is of."""
    key, total, count = join(parts), 0.0, 0
    for name, values in tensors(file):
        rms = math.sqrt(math.fsum(v * v for v in values) / len(values))
        total += math.fsum(s * v for s, v in zip(signs(key, name, len(values)), values)) / rms
        count += len(values)
    require(count, "nothing to mark")
    return total / math.sqrt(count), count


def false_positive(sigma):
    return math.erfc(sigma / math.sqrt(2)) / 2
