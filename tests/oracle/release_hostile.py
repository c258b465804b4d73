#!/usr/bin/env python3
"""Hostile releases and deltas, each refused by its name: release_hostile.py VERDICTS

The C code (tests/unit/wire/release_verdicts.c) and the oracle must both say the name that stands beside
the case. Then random damage to good ones: both must say the same.
"""

import argparse
import os
import random
import shlex
import struct
import subprocess
import sys

import release_oracle as oracle
from millrace_oracle import be16, be32, be64, ctr_stream, public_key, sha256

NOW = 1_800_000_000
DAY = 86400
KEYS = [bytes([0x40 + i]) * 32 for i in range(3)]
THIEF = bytes([0x77]) * 32
CLIENT = bytes(range(16))
NOTHING = [0, 0, "00" * 32]


# --- releases ------------------------------------------------------------------------------------


def manifest(**changes):
    m = {"round": 7, "step": 0, "target_hash": sha256(b"target"), "target_bytes": 3_000_000,
         "base_hash": sha256(b"base"), "announcement_hash": sha256(b"announcement"), "included": 30,
         "epsilon": 0.5, "not_before": 0, "expires": NOW + 90 * DAY, "client_min": 0, "format": 1,
         "block_log2": 20, "task": "digits", "blocks": [sha256(bytes([i])) for i in range(3)]}
    m.update(changes)
    return oracle.manifest_encode(m)


def word(hub, data, issued=NOW - 100, **more):
    return oracle.word(more.pop("key", KEYS[hub]), hub, data, issued, **more)


def signed(data, words):
    return oracle.signed_release(data, words)


def both(data, **more):
    """What two hubs answer."""
    return [signed(data, [word(0, data, **more)]), signed(data, [word(1, data, **more)])]


def case(answers, **changes):
    hubs = changes.pop("hubs", 2)
    made = {"answers": [a.hex() for a in answers], "task": "digits",
            "hubs": [[i, public_key(KEYS[i]).hex()] for i in range(hubs)], "threshold": 2, "now": NOW,
            "client": 0x000100, "bytes_max": 2**40, "client_id": CLIENT.hex(), "floor": NOTHING}
    made.update(changes)
    return made


def put(data, at, value):
    return data[:at] + value + data[at + len(value):]


def spliced(of, onto):
    """The word of one manifest beside another."""
    return signed(onto, [word(0, of)]), signed(onto, [word(1, onto)])


def releases():
    good = manifest()
    older, other = manifest(round=6), manifest(included=31)
    stale = {"issued": NOW - 3 * DAY}
    old_word = word(0, older)
    yield "taken", case(both(good))
    yield "taken", case([signed(good, [word(0, good), word(1, good)])])
    yield "taken", case(both(good), hubs=3)
    yield "taken", case(both(good), floor=[7, 0, sha256(good).hex()])
    yield "taken", case(both(good) + both(older))
    # TUF's classes
    yield "older", case(both(older), floor=[7, 0, sha256(good).hex()])
    yield "older", case(both(manifest(step=1)), floor=[7, 2, sha256(good).hex()])
    yield "replaced", case(both(other), floor=[7, 0, sha256(good).hex()])
    yield "frozen", case(both(good, **stale))
    yield "frozen", case([signed(good, [word(0, good)]), signed(good, [word(1, good, **stale)])])
    yield "frozen", case(both(good, issued=NOW + DAY)) # a clock that runs ahead vouches for nobody
    yield "expired", case(both(manifest(expires=NOW - 1)))
    yield "not_yet", case(both(manifest(not_before=NOW + 3600)))
    yield "wrong_task", case(both(manifest(task="other")))
    yield "unsigned", case(spliced(older, good))
    yield "frozen", case([signed(good, [word(0, good)[:66] + old_word[66:]]), both(good)[1]])
    yield "forked", case([both(good)[0], both(other)[1]])
    yield "forked", case(both(good) + [signed(other, [word(0, other)])])
    # keys
    yield "unsigned", case([both(good)[0]])
    yield "unsigned", case([both(good)[0], both(good)[0]]) # one hub, twice
    yield "unsigned", case([both(good)[0], signed(good, [word(1, good, key=THIEF)])])
    yield "unsigned", case([both(good)[0], signed(good, [word(2, good)])]) # a hub that is not pinned
    yield "unsigned", case([signed(good, [put(word(0, good), 0, be16(1))]), both(good)[0]])
    yield "unsigned", case([signed(good, [])])
    # sizes
    yield "malformed", case(both(manifest(target_bytes=2**32 + 3_000_000)))
    yield "malformed", case(both(manifest(target_bytes=2**63)))
    yield "malformed", case(both(manifest(target_bytes=0, blocks=[])))
    yield "malformed", case(both(manifest(target_bytes=2**20 * 9000, blocks=[bytes(32)] * 9000)))
    yield "too_large", case(both(manifest(target_bytes=3 * 2**30, blocks=[bytes(32)] * 3072)), bytes_max=2**31)
    yield "malformed", case([both(good)[0] + b"\0"])
    yield "malformed", case([put(both(good)[0], 0, be32(2**32 - 1))])
    yield "malformed", case([put(both(good)[0], 4 + len(good), bytes([200]))])
    # forms
    yield "malformed", case([signed(good, [word(1, good), word(0, good)])])
    yield "malformed", case([signed(good, [word(0, good), word(0, good)])])
    yield "malformed", case(both(manifest(round=2**53)))
    yield "malformed", case(both(manifest(round=0)))
    yield "malformed", case(both(manifest(task="Digits")))
    yield "malformed", case(both(manifest(epsilon=-1.0)))
    yield "malformed", case(both(manifest(epsilon=float("inf"))))
    yield "malformed", case(both(manifest(block_log2=31)))
    yield "malformed", case(both(good, valid=30 * DAY))
    yield "malformed", case(both(good, fraction=10001))
    yield "client_too_old", case(both(manifest(client_min=0x010000)))
    yield "held_back", case(both(good, fraction=0))
    yield "held_back", case([both(good)[0], signed(good, [word(1, good, fraction=0)])])
    for cut in (0, 4, 5, 100, len(good), len(both(good)[0]) - 1):
        yield "malformed", case([both(good)[0][:cut]])


# --- deltas --------------------------------------------------------------------------------------


def model(values):
    header = b'{"w":{"dtype":"F32","shape":[%d],"data_offsets":[0,%d]}}' % (len(values), 4 * len(values))
    header += b" " * (-(8 + len(header)) % 64)
    return struct.pack("<Q", len(header)) + header + struct.pack(f"<{len(values)}f", *values)


def coded(codes):
    """One segment by the coder."""
    tokens = []
    bits, used = 0, 0
    for u in codes:
        high = u.bit_length() - 1
        token = u if u < 16 else 16 + 4 * (high - 4) + (u >> high - 2 & 3)
        tokens.append(token)
        if u >= 16:
            bits |= u % 2**(high - 2) << used
            used += high - 2
    return segment(2, b"", tokens, bits.to_bytes((used + 7) // 8, "little"))


def split(codes, low=4):
    """The same by sixteen coders."""
    bits = sum(u % 2**low << i * low for i, u in enumerate(codes))
    return segment(4, bytes([low]), [u >> low for u in codes], bits.to_bytes((low * len(codes) + 7) // 8, "little"))


def segment(kind, head, tokens, bits):
    """Tables are not as good as the C code's: a reader must not care."""
    coders = 2 if kind == 2 else 16
    seen = sorted(set(tokens))
    frequencies = [0] * (max(seen) + 1)
    for token in seen:
        frequencies[token] = 4096 // len(seen)
    frequencies[seen[-1]] += 4096 - sum(frequencies)
    states, words = coders * [2**16], []
    for i in range(len(tokens) - 1, -1, -1):
        f, start, state = frequencies[tokens[i]], sum(frequencies[:tokens[i]]), states[i % coders]
        if state >= f << 20:
            words.append(state & 0xffff)
            state >>= 16
        states[i % coders] = state // f * 4096 + state % f + start
    table = bytes([len(frequencies)]) + b"".join(
        bytes([f]) if f < 128 else bytes([128 + f // 256, f % 256]) for f in frequencies)
    body = (head + table + b"".join(be32(s) for s in states) + be32(2 * len(words)) +
            b"".join(be16(w) for w in reversed(words)) + bits)
    return bytes([kind]) + be32(len(body)) + body


def longer(made):
    """With a byte that nobody needs."""
    return made[:1] + be32(len(made) - 4) + made[5:] + b"\0"


def plain(codes):
    return b"\1" + b"".join(be32(u) for u in codes)


def delta(base, target, kind, body, size=None, header=b""):
    return (b"MRDL" + be16(2) + sha256(base) + sha256(target) + be64(len(target) if size is None else size) +
            bytes([kind]) + be32(len(header)) + header + body)


class Deltas:
    def __init__(self, seed):
        rng = random.Random(seed)
        self.values = [oracle.f32(rng.gauss(0, 0.1)) for _ in range(130)]
        self.base = model(self.values)
        self.codes = [rng.choice((0, 1, 2, 3, 40, 900)) for _ in range(192)]
        self.key, self.counter = rng.randbytes(16), rng.randbytes(16)
        self.body = b"\1" + self.step(6, coded(self.codes))
        self.target = self.made(1, self.body)
        self.changes = be32(2) + plain([3, 100]) + plain([9, 2**31 + 5])
        self.changed = self.made(2, self.changes)

    def step(self, rotation, integers, lanes=192, factor=0.001):
        return struct.pack(">f", factor) + bytes([rotation]) + be32(lanes) + self.key + self.counter + integers

    def made(self, kind, body):
        data = delta(self.base, b"?" * len(self.base), kind, body)
        return oracle.delta_apply(data, self.base, {"base_hash": data[6:38].hex(), "target_hash": data[38:70].hex(),
                                                    "bytes_max": 2**30})

    def case(self, data, target=None, **changes):
        made = {"base": self.base.hex(), "delta": data.hex(), "base_hash": sha256(self.base).hex(),
                "target_hash": sha256(target or self.target).hex(), "bytes_max": 10_000}
        made.update(changes)
        return made

    def cases(self):
        good = delta(self.base, self.target, 1, self.body)
        changes = delta(self.base, self.changed, 2, self.changes)
        first = 83 + 1

        def sums(body, **more):
            return self.case(delta(self.base, self.target, 1, body, **more))

        def edit(body):
            return self.case(delta(self.base, self.changed, 2, body), self.changed)

        yield "taken", self.case(good)
        yield "taken", sums(b"\1" + self.step(6, plain(self.codes)))
        yield "taken", sums(b"\1" + self.step(6, split(self.codes)))
        yield "taken", sums(b"\1" + self.step(6, split(self.codes, 9)))
        yield "taken", edit(self.changes)
        yield "taken", edit(be32(2) + coded([3, 100]) + plain([9, 2**31 + 5]))
        yield "wrong_base", self.case(good, base_hash=sha256(b"another").hex())
        yield "wrong_target", self.case(good, self.changed)
        yield "wrong_target", self.case(put(good, first, struct.pack(">f", 0.002)))
        yield "wrong_target", sums(b"\2" + 2 * self.step(6, coded(self.codes)))
        yield "wrong_target", self.case(put(changes, len(changes) - 1, b"\7"), self.changed)
        # bombs
        yield "too_large", sums(self.body, size=2**40)
        yield "too_large", sums(self.body, size=2**31 + 5)
        yield "too_large", sums(self.body, size=0)
        yield "malformed", sums(self.body, size=len(self.target) + 4)
        yield "malformed", self.case(put(good, first + 5, be32(2**32 - 1)))
        yield "malformed", self.case(put(good, 79, be32(2**32 - 1)))
        yield "malformed", edit(be32(2**32 - 1) + (b"\0" + be32(0)) * 200)
        yield "malformed", sums(b"\xff" + self.step(6, b"\0" + be32(0)) * 255)
        yield "malformed", sums(b"\0")
        # overlap, and beyond the end
        yield "malformed", edit(be32(2) + plain([3, 127]) + plain([9, 5]))
        yield "malformed", edit(be32(2) + plain([3, 2**32 - 4]) + plain([9, 5]))
        yield "malformed", edit(be32(131) + b"\0" + be32(0) + b"\0" + be32(0))
        # forms
        yield "malformed", self.case(put(good, 0, b"MRDX"))
        yield "malformed", self.case(put(good, 4, be16(1)))
        yield "malformed", self.case(put(good, 78, b"\3"))
        yield "malformed", self.case(good + b"\0")
        yield "malformed", sums(b"\1" + self.step(17, coded(self.codes)))
        yield "malformed", sums(b"\1" + self.step(6, coded(self.codes), lanes=128))
        yield "malformed", sums(b"\1" + self.step(6, coded(self.codes[:128]), lanes=128))
        yield "malformed", sums(b"\1" + self.step(6, b"\3" + coded(self.codes)[1:]))
        yield "malformed", sums(b"\1" + self.step(6, put(coded(self.codes), 1, be32(2**32 - 1))))
        yield "malformed", sums(b"\1" + self.step(6, put(coded(self.codes), 5, b"\0")))
        yield "malformed", sums(b"\1" + self.step(6, longer(coded(self.codes))))
        sixteen = split(self.codes)
        yield "malformed", sums(b"\1" + self.step(6, longer(sixteen)))
        yield "malformed", sums(b"\1" + self.step(6, put(sixteen, 5, b"\32")))
        yield "malformed", sums(b"\1" + self.step(6, put(sixteen, 5, b"\5")))
        yield "malformed", sums(b"\1" + self.step(6, sixteen[:1] + be32(len(sixteen) - 6) + sixteen[5:-1]))
        yield "malformed", sums(b"\1" + self.step(6, b"\5" + sixteen[1:]))
        for cut in (0, 5, 82, 83, first + 10, first + 41, first + 60, len(good) - 1):
            yield "malformed", self.case(good[:cut])


# --- both sides ----------------------------------------------------------------------------------


def damaged(rng, text):
    data = bytearray.fromhex(text)
    for _ in range(rng.choice((1, 1, 2, 5))):
        at = rng.randrange(len(data) + 1)
        if at < len(data) and rng.random() < 0.7:
            data[at] ^= 1 << rng.randrange(8)
        else:
            data[at:at + rng.choice((1, 4))] = rng.randbytes(rng.choice((0, 1, 4)))
    return bytes(data).hex()


def bounded(case_):
    """A delta whose size nobody has bounded is none that a device applies."""
    return "delta" not in case_ or len(case_["delta"]) < 166 or int(case_["delta"][140:156], 16) <= 10_000 or \
        case_["bytes_max"] <= 10_000


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("verdicts")
    parser.add_argument("--seed", type=int, default=random.randrange(2**32))
    parser.add_argument("--damaged", type=int, default=300)
    arguments = parser.parse_args()
    print(f"seed {arguments.seed}", flush=True)
    rng = random.Random(arguments.seed)
    known = list(releases()) + list(Deltas(arguments.seed).cases())
    cases = [(name, made) for name, made in known]
    for _ in range(arguments.damaged):
        made = dict(rng.choice(known)[1])
        if "delta" in made:
            made["delta"] = damaged(rng, made["delta"]) if made["delta"] else ""
        else:
            made["answers"] = [damaged(rng, a) if a and rng.random() < 0.6 else a for a in made["answers"]]
        if bounded(made):
            cases.append((None, made))
    command = shlex.split(os.environ.get("MESON_EXE_WRAPPER", "")) + [arguments.verdicts] # another machine's program
    told = subprocess.run(command, input="".join(oracle.to_line(c) + "\n" for _, c in cases),
                          stdout=subprocess.PIPE, text=True, check=True).stdout.split()
    wrong = 0
    if len(told) != len(cases):
        print(f"{len(told)} verdicts of {len(cases)}")
        return 1
    for (name, made), got in zip(cases, told):
        said = oracle.verdict(made)
        if got != said or name not in (None, said):
            print(f"should be {name}, the C code says {got}, the oracle {said}: {oracle.to_line(made)[:2000]}")
            wrong += 1
    names = {}
    for name, _ in known:
        names[name] = names.get(name, 0) + 1
    print(f"{len(known)} known cases {names}, {len(cases) - len(known)} damaged ones: {wrong} differ")
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main())
