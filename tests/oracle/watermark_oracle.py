"""Section 20 of docs/wire-format.md, watermarks, as Python: shares no code with the C one."""

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


def named(name, patterns):
    return any(name.startswith(p[:-1]) if p.endswith("*") else name == p for p in patterns if p)


def tensors(file):
    """Name, F32 values, offset in the file and whether rounds train it, of each tensor that a mark is in."""
    length = int.from_bytes(file[:8], "little")
    header, data = json.loads(file[8:8 + length]), file[8 + length:]
    metadata = header.get("__metadata__", {})
    personal, frozen = (metadata.get(f"millrace.{part}", "").split(",") for part in ("personal", "frozen"))
    for name, tensor in sorted(header.items(), key=lambda item: item[1].get("data_offsets", [0])[0]):
        if name == "__metadata__" or len(tensor["shape"]) < 2 or named(name, personal):
            continue
        require(tensor["dtype"] == "F32", "dtype")
        first, end = tensor["data_offsets"]
        values = struct.unpack(f"<{(end - first) // 4}f", data[first:end])
        if any(values):
            yield name, values, 8 + length + first, not named(name, frozen)


def score(file, parts):
    """In standard deviations, and how many values it is of."""
    key, total, count = join(parts), 0.0, 0
    for name, values, _, _ in tensors(file):
        rms = math.sqrt(math.fsum(v * v for v in values) / len(values))
        total += math.fsum(s * v for s, v in zip(signs(key, name, len(values)), values)) / rms
        count += len(values)
    require(count, "nothing to mark")
    return total / math.sqrt(count), count


def keep(file, parts, strength):
    """The model that a round with that watermark makes of a stepped one. Sums in file order, in binary64."""
    key, found = join(parts), []
    for name, values, at, trained in tensors(file):
        energy = total = 0.0
        stream = signs(key, name, len(values))
        for sign, value in zip(stream, values):
            total += sign * value
            energy += value * value
        rms = math.sqrt(energy / len(values))
        found.append((values, stream, at, trained, rms, total / rms / len(values)))
    n = float(sum(len(values) for values, *_ in found))

    def reached(moved):
        total = 0.0
        for values, _, _, trained, _, mean in found:
            by = moved if trained else 0.0
            total += float(len(values)) * (mean + by) / math.sqrt(1 + 2 * by * mean + by * by)
        return total / math.sqrt(n)

    if not found or reached(0) >= 0.8 * strength or reached(1) < strength:
        return file
    low, high = 0.0, 1.0
    for _ in range(60):
        middle = (low + high) / 2
        low, high = (middle, high) if reached(middle) < strength else (low, middle)
    out = bytearray(file)
    for values, stream, at, trained, rms, _ in found:
        if trained:
            moved = [value + sign * high * rms for sign, value in zip(stream, values)]
            out[at:at + 4 * len(values)] = struct.pack(f"<{len(values)}f", *moved)
    return bytes(out)


def false_positive(sigma):
    return math.erfc(sigma / math.sqrt(2)) / 2
