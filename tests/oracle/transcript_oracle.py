"""A second, independent reader of transcripts, written from docs/wire-format.md, section 15, alone.

usage: transcript_oracle.py DEVICE_JSON FILE...     (public keys come from the device's file)

Reads every record of every file, checks chain and signatures, commitments and openings, and prints one
line of JSON: how many records of each kind there are, by hub. Exit 0 only if all of it holds.
"""

import json
import sys

import draw_oracle as draw
import millrace_oracle as oracle
from millrace_oracle import be16, be32, be64, label, require, sha256

KINDS = ["", "announced", "signed", "admitted", "set", "committed", "opened", "model", "void", "listed", "drawn", "debited",
         "recovered", "heard"]
HASH, SIGNATURE, KEY = 32, 64, 32


def make_crc_table():
    table = []
    for byte in range(256):
        for _ in range(8):
            byte = byte >> 1 ^ (0xC96C5795D7870F42 if byte & 1 else 0)
        table.append(byte)
    return table


CRC = make_crc_table()


def crc64(data):
    crc = 2**64 - 1
    for byte in data:
        crc = CRC[(crc ^ byte) & 255] ^ crc >> 8
    return crc ^ 2**64 - 1


class Reader:
    def __init__(self, data):
        self.data = data
        self.at = 0

    def take(self, length):
        require(self.at + length <= len(self.data), "cut off")
        self.at += length
        return self.data[self.at - length:self.at]

    def number(self, length):
        return int.from_bytes(self.take(length), "big")

    def rest(self):
        return self.take(len(self.data) - self.at)


def entries_of(data):
    """The whole entries of a file; a torn end is left out."""
    require(data[:8] == b"MRAPPEN1", "no such file")
    at, found = 8, []
    while at + 12 <= len(data):
        length = int.from_bytes(data[at:at + 4], "big")
        end = at + 4 + length
        if end + 8 > len(data) or int.from_bytes(data[end:end + 8], "big") != crc64(data[at:end]):
            break
        found.append(data[at + 4:end])
        at = end + 8
    return found


def holds(key, text, signature):
    return oracle.verify(key, signature, text)


def owner_bytes(hub, key, task):
    return be16(hub) + key + bytes([len(task)]) + task


def read_header(entry, keys):
    reader = Reader(entry)
    require(reader.take(4) == b"MRTR" and reader.number(2) == 2, "no transcript of this version")
    hub, key = reader.number(2), reader.take(KEY)
    task = reader.take(reader.number(1))
    number, sequence, before = reader.number(4), reader.number(8), reader.take(HASH)
    signature = reader.rest()
    require(keys[hub] == key, "another key")
    text = label("millrace transcript begins") + sha256(label("millrace transcript file") + entry[:-SIGNATURE])
    require(holds(key, text, signature), "the head is not signed")
    if number == 1:
        require(sequence == 1 and before == sha256(label("millrace transcript") + owner_bytes(hub, key, task)),
                "not the chain's beginning")
    return {"hub": hub, "key": key, "task": task, "number": number, "sequence": sequence, "before": before}


class Round:
    def __init__(self, canonical):
        self.terms = oracle.announcement_decode(canonical)
        self.hash = sha256(canonical)
        self.keys = {hub["index"]: hub["public_key"] for hub in self.terms["hubs"]}
        self.set_hash = None
        self.commitments = {}
        self.listed = self.drawn = None
        self.noise = None

    def signatures(self, reader, text):
        for _ in range(reader.number(1)):
            hub = reader.number(2)
            require(holds(self.keys[hub], text, reader.take(SIGNATURE)), "a signature does not hold")
        require(not reader.rest(), "too long")

    def announcement_signatures(self, reader):
        for _ in range(reader.number(1)):
            hub, seal_key = reader.number(2), reader.take(32)
            is_lead = hub == self.terms["hubs"][0]["index"]
            text = label("millrace announcement") + self.hash + (b"" if is_lead else seal_key)
            require(holds(self.keys[hub], text, reader.take(SIGNATURE)), "a signature does not hold")
        require(not reader.rest(), "too long")

    def take(self, kind, reader, owner):
        if kind == "signed":
            self.announcement_signatures(reader)
            return
        require(reader.take(HASH) == self.hash, "of other terms")
        if kind == "set":
            data = reader.rest()
            self.set_hash = sha256(label("millrace included set") + self.hash + data)
            if self.terms["admitted_max"]:
                members = [data[at:at + 16] for at in range(4, len(data), 20)]
                require(self.drawn is not None and set(members) <= set(self.drawn), "a set that was not drawn")
        elif kind == "listed":
            self.listed = draw.list_decode(reader.rest(), self.terms, self.hash)
        elif kind == "drawn":
            pledges, clients, hashed = self.listed
            values = [reader.take(32) for _ in pledges]
            require(not reader.rest(), "too long")
            for hub, pledge, value in zip(self.terms["hubs"], pledges, values):
                require(draw.value_hash(self.hash, hub["index"], value) == pledge[:32], "another value")
            self.drawn = draw.drawn(hashed, values, clients, self.terms["cohort_max"])
        elif kind == "committed":
            hub, value, root = reader.number(2), reader.take(HASH), reader.take(HASH)
            signature = reader.take(SIGNATURE)
            require(self.terms["audit_hours"] or root == bytes(HASH), "a root where nothing is kept")
            text = label("millrace committed") + self.hash + be16(hub) + value + root
            require(holds(self.keys[hub], text, signature), "a commitment is not signed")
            require(self.commitments.setdefault(hub, value) == value, "two commitments")
        elif kind == "opened":
            hub, nonce, result_hash = reader.number(2), reader.take(32), reader.take(HASH)
            paid = self.terms["noise_kind"] == 0 or self.noise is not None
            require(paid or hub != owner, "opened before the debit")
            value = sha256(label("millrace commitment") + self.hash + self.set_hash + be16(hub) + nonce + result_hash)
            require(self.commitments[hub] == value, "an opening of something else")
        elif kind == "debited":
            require(self.terms["noise_kind"] != 0, "a debit of a round without noise")
            require(reader.take(HASH) == self.set_hash, "a debit for another set")
            require(reader.number(8) == self.terms["privacy"]["rho"], "a debit of something else")
            require(reader.number(8) >= 1 and len(reader.take(HASH)) == HASH, "no ledger")
            noise = reader.take(HASH)
            require(self.noise in (None, noise) and not reader.rest(), "noise drawn twice")
            self.noise = noise
        elif kind == "model":
            require(reader.take(HASH) == self.set_hash, "of another set")
            model = reader.take(HASH)
            self.signatures(reader, label("millrace model") + self.hash + self.set_hash + model)
        elif kind == "void":
            opened, ordered = reader.number(1), reader.number(1)
            signature = reader.take(SIGNATURE) if ordered else b""
            text = label("millrace void") + self.hash + sha256(reader.rest())
            lead = self.terms["hubs"][0]["public_key"]
            require(opened < 2 and (not ordered or holds(lead, text, signature)), "an order is not signed")


def read_record(entry, head, sequence, key):
    reader = Reader(entry)
    found, kind = reader.number(8), reader.number(1)
    number, _unix_ms, before = reader.number(8), reader.number(8), reader.take(HASH)
    require(found == sequence and before == head and 0 < kind < len(KINDS), "it does not follow")
    head = sha256(label("millrace transcript record") + entry[:-SIGNATURE])
    require(holds(key, label("millrace transcript head") + head, entry[-SIGNATURE:]), "it is not signed")
    return KINDS[kind], number, entry[reader.at:-SIGNATURE], head


def take_of_hub(kind, reader, task, keys):
    """A record of the hub itself and of no round."""
    if kind == "recovered":
        reader.take(24)
        return
    hub, rest = reader.number(2), reader.take(3 * 8 + HASH)
    text = label("millrace transcript stands") + bytes([len(task)]) + task + be16(hub) + rest
    require(holds(keys[hub], text, reader.take(SIGNATURE)) and not reader.rest(), "a standing is not signed")


def read_chain(files, keys):
    counts, current = {}, None
    head, sequence = files[0][0]["before"], files[0][0]["sequence"]
    for header, records in files:
        require(header["before"] == head and header["sequence"] == sequence, "files do not follow")
        for entry in records:
            kind, number, body, head = read_record(entry, head, sequence, header["key"])
            sequence += 1
            counts[kind] = counts.get(kind, 0) + 1
            if kind in ("recovered", "heard"):
                take_of_hub(kind, Reader(body), header["task"], keys)
                continue
            if kind == "announced":
                current = Round(body)
            else:
                current.take(kind, Reader(body), header["hub"])
            require(current.terms["round"] == number, "a record of another round")
    return counts


def main():
    with open(sys.argv[1], encoding="utf-8") as f:
        keys = {hub["index"]: bytes.fromhex(hub["public_key"]) for hub in json.load(f)["hubs"]}
    chains = {}
    for path in sys.argv[2:]:
        with open(path, "rb") as f:
            entries = entries_of(f.read())
        header = read_header(entries[0], keys)
        chains.setdefault((header["task"], header["hub"]), []).append((header, entries[1:]))
    told = {}
    for (_, hub), files in sorted(chains.items()):
        files.sort(key=lambda file: file[0]["number"])
        told[hub] = read_chain(files, keys)
    print(json.dumps(told, sort_keys=True))


if __name__ == "__main__":
    main()
