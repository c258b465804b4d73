"""Next keys of hubs (docs/wire-format.md, section 19), from the text alone."""

from millrace_oracle import Refused, label, require, sha256, verify
from release_oracle import Reader


def decode(data):
    """One signed statement; it must be all of the bytes."""
    r = Reader(data)
    canonical = r.take(r.number(2))
    held = r.take(64)
    words = [(r.number(2), r.take(64)) for _ in range(r.number(1))]
    require(r.at == len(data), "longer than it says")
    require(all(a[0] < b[0] for a, b in zip(words, words[1:])), "order")
    c = Reader(canonical)
    require(c.take(4) == b"MRNK" and c.number(2) == 1, "magic")
    found = {"number": c.number(4), "hub": c.number(2), "old": c.take(32), "new": c.take(32)}
    found["task"] = c.take(c.number(1)).decode()
    require(c.at == len(canonical) and found["number"] > 0, "length")
    return {**found, "hash": sha256(canonical), "held": held, "words": words}


def judge(data, task, keys, threshold, number):
    """`keys`: by hub index. By which name a device refuses the statement, or "taken"."""
    try:
        s = decode(data)
    except Refused:
        return "malformed"
    signed = {hub for hub, signature in s["words"] if hub in keys and
              verify(keys[hub], signature, label("millrace next key") + s["hash"])}
    for fault, holds in (
            ("wrong_task", s["task"] != task),
            ("passed", s["number"] <= number),
            ("skipped", s["number"] > number + 1),
            ("unknown_hub", s["hub"] not in keys),
            ("wrong_key", keys.get(s["hub"]) != s["old"]),
            ("known_key", s["new"] in keys.values()),
            ("not_held", not verify(s["new"], s["held"], label("millrace next key held") + s["hash"])),
            ("not_own", s["hub"] not in signed),
            ("too_few", len(signed) < threshold)):
        if holds:
            return fault
    return "taken"
