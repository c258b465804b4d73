"""A second, independent implementation of releases and deltas (docs/wire-format.md, sections 17 and
18), written from that page alone: what a device says of them, by name."""

import json
import math
import struct

from millrace_oracle import (Refused, be16, be32, be64, ctr_stream, label, lanes_of, require, sha256,
                             sign, verify)

WORD = 144
SKEW_S = 300
SEGMENT = 32768
GROUP_LANES = 2**20


class Reader:
    def __init__(self, data, at=0):
        self.data = data
        self.at = at

    def take(self, length):
        require(length <= len(self.data) - self.at, "cut short")
        self.at += length
        return self.data[self.at - length:self.at]

    def number(self, length):
        return int.from_bytes(self.take(length), "big")


# --- 17 releases ---------------------------------------------------------------------------------


def manifest_encode(m):
    return (b"MRRL" + be16(m.get("magic_version", 1)) + be64(m["round"]) + be32(m["step"]) + m["target_hash"] +
            be64(m["target_bytes"]) + m["base_hash"] + m["announcement_hash"] + be32(m["included"]) +
            struct.pack(">f", m["epsilon"]) + be64(m["not_before"]) + be64(m["expires"]) +
            be32(m["client_min"]) + bytes([m["format"], m["block_log2"], len(m["task"])]) +
            m["task"].encode() + b"".join(m["blocks"]))


def manifest_decode(data):
    r = Reader(data)
    require(r.take(4) == b"MRRL" and r.number(2) == 1, "no release")
    m = {"round": r.number(8), "step": r.number(4), "target_hash": r.take(32), "target_bytes": r.number(8),
         "base_hash": r.take(32), "announcement_hash": r.take(32), "included": r.number(4)}
    raw = r.take(4)
    m["epsilon"] = struct.unpack(">f", raw)[0]
    m["not_before"], m["expires"] = r.number(8), r.number(8)
    m["client_min"], m["format"], m["block_log2"] = r.number(4), r.number(1), r.number(1)
    name = r.take(r.number(1))
    require(m["round"] < 2**53 and (m["round"], m["step"]) != (0, 0), "version")
    require(math.isfinite(m["epsilon"]) and raw[0] < 128, "epsilon")
    require(m["expires"] > m["not_before"], "times")
    require(m["format"] == 1 and 16 <= m["block_log2"] <= 30, "format")
    count = -(-m["target_bytes"] // 2**m["block_log2"])
    require(1 <= count <= 8192, "blocks")
    require(1 <= len(name) <= 32 and name[0:1] != b"-" and
            all(c in b"abcdefghijklmnopqrstuvwxyz0123456789-" for c in name), "task")
    m["task"] = name.decode()
    m["blocks"] = [r.take(32) for _ in range(count)]
    require(r.at == len(data), "longer than it says")
    return m


def latest_text(release_hash, hub, issued, valid, fraction):
    return (label("millrace latest release") + release_hash + be16(hub) + be64(issued) + be32(valid) +
            be16(fraction))


def word(private, hub, manifest, issued, valid=86400, fraction=10000):
    release_hash = sha256(manifest)
    return (be16(hub) + sign(private, label("millrace release") + release_hash) + be64(issued) + be32(valid) +
            be16(fraction) + sign(private, latest_text(release_hash, hub, issued, valid, fraction)))


def signed_release(manifest, words):
    return be32(len(manifest)) + manifest + bytes([len(words)]) + b"".join(words)


def signed_decode(data):
    r = Reader(data)
    manifest = r.take(r.number(4))
    count = r.number(1)
    require(count <= 5 and len(data) - r.at == count * WORD, "length")
    words = []
    for _ in range(count):
        w = Reader(r.take(WORD))
        words.append({"hub": w.number(2), "signature": w.take(64), "issued": w.number(8), "valid": w.number(4),
                      "fraction": w.number(2), "latest": w.take(64)})
        require(words[-1]["fraction"] <= 10000 and words[-1]["valid"] <= 604800, "word")
    require(all(a["hub"] < b["hub"] for a, b in zip(words, words[1:])), "order")
    m = manifest_decode(manifest)
    m["hash"], m["words"] = sha256(manifest), words
    return m


def support(answers, release_hash, case):
    """How many pinned hubs have signed it, and the fractions of fresh words, the largest first."""
    signed, fractions = 0, []
    for hub, key in case["hubs"]:
        mine = [w for a in answers if a["hash"] == release_hash for w in a["words"] if w["hub"] == hub and
                verify(bytes.fromhex(key), w["signature"], label("millrace release") + release_hash)]
        fresh = [w for w in mine
                 if w["issued"] - SKEW_S <= case["now"] <= w["issued"] + w["valid"] + SKEW_S and
                 verify(bytes.fromhex(key), w["latest"],
                        latest_text(release_hash, hub, w["issued"], w["valid"], w["fraction"]))]
        signed += bool(mine)
        if fresh:
            fractions.append(max(fresh, key=lambda w: w["issued"])["fraction"])
    return signed, sorted(fractions, reverse=True)


def version(m):
    return (m["round"], m["step"])


def judge(case):
    answers = []
    for text in case["answers"]:
        try:
            answers.append(signed_decode(bytes.fromhex(text)))
        except Refused:
            pass
    if case["answers"] and not answers:
        return "malformed"
    mine = [a for a in answers if a["task"] == case["task"]]
    if not mine:
        return "wrong_task" if answers else "unsigned"
    for need in (case["threshold"], 1):
        good = [a for a in mine if support(mine, a["hash"], case)[0] >= need]
        if not good:
            continue
        best = max(good, key=version)
        if any(version(a) == version(best) and a["hash"] != best["hash"] and support(mine, a["hash"], case)[0]
               for a in mine):
            return "forked"
        if need == case["threshold"]:
            return judge_signed(best, support(mine, best["hash"], case)[1], case)
    return "unsigned"


def epsilon(rho, delta):
    """What a release says of its round's rho (in 2^-40) at that delta (a float32's value): docs/wire-format.md, 17."""
    if rho == 0:
        return 0.0
    m, e = math.frexp(delta)
    z = (1 - m) / (1 + m)
    total = 0.0
    for i in reversed(range(20)):
        total = total * (z * z) + 1.0 / (2 * i + 1)
    x = math.ldexp(rho, -40)
    value = x + 2 * math.sqrt(x * (2 * z * total - e * float.fromhex("0x1.62e42fefa39efp-1")))
    bits = struct.pack("<f", value)
    if struct.unpack("<f", bits)[0] < value:
        bits = struct.pack("<I", struct.unpack("<I", bits)[0] + 1)
    return struct.unpack("<f", bits)[0]


def share(release_hash, client_id):
    """Which part of the devices a client is in, of 10,000."""
    return int.from_bytes(sha256(label("millrace roll-out") + release_hash + client_id)[:8], "big") % 10000


def judge_signed(m, fractions, case):
    floor = tuple(case["floor"][:2])
    faults = (
        ("older", version(m) < floor),
        ("replaced", version(m) == floor and m["hash"].hex() != case["floor"][2]),
        ("expired", case["now"] > m["expires"]),
        ("frozen", len(fractions) < case["threshold"]),
        ("not_yet", m["not_before"] > case["now"]),
        ("client_too_old", m["client_min"] > case["client"]),
        ("too_large", m["target_bytes"] > case["bytes_max"]),
    )
    for name, holds in faults:
        if holds:
            return name
    return "held_back" if share(m["hash"], bytes.fromhex(case["client_id"])) >= fractions[case["threshold"] - 1] else "taken"


# --- 18 deltas -----------------------------------------------------------------------------------


def f32(x):
    try:
        return struct.unpack("<f", struct.pack("<f", x))[0]
    except OverflowError:
        return math.inf if x > 0 else -math.inf


def signed_of(code):
    return code >> 1 if code % 2 == 0 else -(code >> 1) - 1


def read_coded(data, count, coders):
    """Form 2 has two coders, form 4 sixteen, and so many low bits of each integer."""
    r = Reader(data)
    low = r.number(1) if coders == 16 else None
    require(low is None or low <= 25, "low bits")
    tokens = r.number(1)
    require(1 <= tokens <= 128, "table")
    frequencies = []
    for _ in range(tokens):
        f = r.number(1)
        frequencies.append(f if f < 128 else (f - 128) * 256 + r.number(1))
    require(sum(frequencies) == 4096, "table")
    slots = [(token, f, offset) for token, f in enumerate(frequencies) for offset in range(f)]
    states = [r.number(4) for _ in range(coders)]
    words = r.number(4)
    require(words % 2 == 0, "words")
    words = Reader(r.take(words))
    bits = int.from_bytes(r.data[r.at:], "little")
    left = 8 * (len(r.data) - r.at)
    out = []
    for i in range(count):
        state = states[i % coders]
        token, f, offset = slots[state % 4096]
        state = f * (state // 4096) + offset
        if state < 2**16:
            state = state << 16 | words.number(2)
        states[i % coders] = state
        if low is not None:
            require(left >= low, "bits")
            out.append(token << low | bits % 2**low)
            bits >>= low
            left -= low
            continue
        if token < 16:
            out.append(token)
            continue
        high = 4 + (token - 16) // 4
        require(left >= high - 2, "bits")
        rest = bits % 2**(high - 2)
        bits >>= high - 2
        left -= high - 2
        out.append(2**high + (token - 16) % 4 * 2**(high - 2) + rest)
    require(states == coders * [2**16] and words.at == len(words.data) and left < 8 and bits == 0, "left over")
    return out


def read_short(r, count):
    order = r.number(1)
    require(order <= 31, "order")
    bits = int.from_bytes(r.data[r.at:], "little")
    left = 8 * (len(r.data) - r.at)

    def take(n):
        nonlocal bits, left
        require(left >= n, "bits")
        value = bits % 2**n
        bits >>= n
        left -= n
        return value

    out = []
    for _ in range(count):
        zeros = 0
        while take(1) == 0:
            zeros += 1
            require(zeros <= 32, "zeros")
        high = 2**zeros + take(zeros) - 1
        out.append(high << order | take(order))
        require(out[-1] < 2**32, "too large")
    padding = left % 8
    require(take(padding) == 0, "left over")
    r.at = len(r.data) - left // 8
    return out


def read_segment(r, count):
    kind = r.number(1)
    if kind == 0:
        return [r.number(4)] * count
    if kind == 1:
        return [r.number(4) for _ in range(count)]
    if kind == 3:
        return read_short(r, count)
    require(kind in (2, 4), "kind")
    data = r.take(r.number(4))
    require(len(data) + 4 < 1 + 4 * SEGMENT, "segment too long")
    return read_coded(data, count, 2 if kind == 2 else 16)


def read_integers(r, count):
    out = []
    while len(out) < count:
        out += read_segment(r, min(SEGMENT, count - len(out)))
    return out


def hadamard(block):
    h = 1
    while h < len(block):
        for start in range(0, len(block), 2 * h):
            for i in range(start, start + h):
                a, b = block[i], block[i + h]
                block[i], block[i + h] = f32(a + b), f32(a - b)
        h *= 2
    factor = f32(1.0 / math.sqrt(float(len(block))))
    return [f32(x * factor) for x in block]


def apply_step(r, values, trained):
    """trained: the places of the values that rounds train."""
    factor = struct.unpack(">f", r.take(4))[0]
    rotation, lanes = r.number(1), r.number(4)
    key, counter = r.take(16), r.take(16)
    require(rotation <= 16, "rotation")
    require(lanes == lanes_of(len(trained), rotation), "lanes of another model")
    block = 2**rotation
    columns = lanes // block
    group = min(columns, GROUP_LANES // block)
    codes = read_integers(r, lanes)
    signs = ctr_stream(key, counter, 0, lanes // 8) if rotation else bytes(lanes // 8)
    for first in range(0, columns, group):
        width = min(group, columns - first)
        part, codes = codes[:width * block], codes[width * block:]
        for b in range(width):
            column = [f32(f32(signed_of(c)) * factor) for c in part[b::width]]
            for place, update in enumerate(hadamard(column) if rotation else column):
                lane = place * columns + first + b
                if lane < len(trained):
                    sign, at = signs[lane // 8] >> lane % 8 & 1, trained[lane]
                    values[at] = f32(values[at] + (-update if sign else update))


def rank(bits):
    return bits ^ 0x7fffffff if bits >> 31 else bits


def apply_changes(r, values):
    left, at = r.number(4), 0
    words = [struct.unpack("<I", struct.pack("<f", v))[0] for v in values]
    while left:
        count = min(SEGMENT, left)
        gaps, codes = read_segment(r, count), read_segment(r, count)
        for gap, code in zip(gaps, codes):
            at += gap
            require(at < len(words), "beyond the last value")
            words[at] = rank((rank(words[at]) + signed_of(code)) % 2**32)
            at += 1
        left -= count
    return words


def trained_of(header):
    """Section 12, "Who trains a tensor": the places of the others' values, in file order."""
    names = json.loads(header)
    texts = names.pop("__metadata__", {})
    patterns = [p for m in ("frozen", "personal") for p in texts.get(f"millrace.{m}", "").split(",") if p]
    places = []
    for name, tensor in sorted(names.items(), key=lambda item: item[1]["data_offsets"][0]):
        if not any(name.startswith(p[:-1]) if p.endswith("*") else name == p for p in patterns):
            begin, end = tensor["data_offsets"]
            places += range(begin // 4, end // 4)
    return places


def values_of(base):
    length = 8 + struct.unpack("<Q", base[:8])[0]
    return length, [v for v, in struct.iter_unpack("<f", base[length:])], trained_of(base[8:length])


def delta_apply(delta, base, case):
    """The target's bytes; Refused, or the name of the fault."""
    r = Reader(delta)
    require(r.take(4) == b"MRDL" and r.number(2) == 2, "no delta")
    base_hash, target_hash, size, kind, header = r.take(32), r.take(32), r.number(8), r.number(1), r.number(4)
    require(kind in (1, 2) and header <= 2**20 + 8, "kind or header")
    head = r.take(header)
    if base_hash.hex() != case["base_hash"]:
        return "wrong_base"
    if target_hash.hex() != case["target_hash"]:
        return "wrong_target"
    if not 0 < size <= case["bytes_max"]:
        return "too_large"
    length, values, trained = values_of(base)
    head = head or base[:length]
    require(size == len(head) + 4 * len(values), "size")
    if kind == 1:
        steps = r.number(1)
        require(1 <= steps <= 16, "steps")
        for _ in range(steps):
            apply_step(r, values, trained)
        body = struct.pack(f"<{len(values)}f", *values)
    else:
        words = apply_changes(r, values)
        body = struct.pack(f"<{len(words)}I", *words)
    require(r.at == len(delta), "bytes follow")
    return head + body


def apply(case):
    try:
        made = delta_apply(bytes.fromhex(case["delta"]), bytes.fromhex(case["base"]), case)
    except Refused:
        return "malformed"
    if isinstance(made, str):
        return made
    return "taken" if sha256(made).hex() == case["target_hash"] else "wrong_target"


def verdict(case):
    return apply(case) if "delta" in case else judge(case)


def to_line(case):
    return json.dumps(case, separators=(",", ":"))
