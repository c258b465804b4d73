#!/usr/bin/python3
"""The first inputs of the fuzz targets, made by the oracle: seeds.py FOLDER

What a fuzzer would need long to find by itself: a valid announcement, bodies, a model file, HTTP/2
requests. The committed corpora grew from these.
"""

import base64
import json
import os
import struct
import sys

HERE = os.path.dirname(os.path.abspath(__file__))
sys.path.insert(0, os.path.join(HERE, "..", "oracle"))

import millrace_oracle as oracle
import release_hostile as hostile


def signed(canonical, keys):
    """The envelope that the lead and one helper signed."""
    hash32, seal_key = oracle.sha256(canonical), oracle.x25519_public(bytes([9]) * 32)
    lead = oracle.sign(keys[0], oracle.announcement_text(hash32))
    return oracle.envelope(canonical, lead, [(seal_key, oracle.sign(keys[1], oracle.announcement_text(hash32, seal_key)))])


def signed_terms(admitted_max=0):
    """(canonical bytes, signed envelope) of a round of two hubs."""
    keys = [bytes([i + 1]) * 32 for i in range(2)]
    hubs = [{"index": i, "public_key": oracle.public_key(key), "name": b"h%d" % i}
            for i, key in enumerate(keys)]
    canonical = oracle.announcement_encode(dict(
        round=7, deadline_unix_ms=1, dimension=60, ring_bits=16, rotation_log2=0, noise_kind=0,
        chunk_bytes=1408, cohort_min=2, cohort_max=60, weight_max=1000, scale_bits=0x447A0000, levels=127,
        headroom=4, seal=1, step_max_bits=0x3F800000, audit_hours=168, quorum=0, admitted_max=admitted_max,
        optimiser=0, learning_rate_bits=0x3F800000, beta1_bits=0, beta2_bits=0, tau_bits=0, model_values=0, kind=0, metrics=[],
        clip_norm_bits=0x3F800000, model_hash=bytes(32), rotation_seed=bytes(32), task=b"default",
        training=b"", hubs=hubs))
    return canonical, signed(canonical, keys)


def commit_logs():
    """In the layout of appliance/round/lead/commit_state.h; the target adds the checksum."""
    canonical, envelope = signed_terms()
    proposed = oracle.envelope(canonical, b"", [])
    for phase, terms, count in ((1, proposed, 0), (2, envelope, 0), (2, envelope, 3), (3, envelope, 2)):
        entries = b"".join(bytes([i]) * 16 + oracle.be32(i) + oracle.be64(77 + i) + bytes([i + 9]) * 20 for i in range(count))
        total = bytes(192) if count else b""
        head = b"MRCOMMT6" + struct.pack("<QIIIIIIQ", 5, phase, 4, 1000, len(terms), count, 0, len(total))
        yield b"\0" + head + bytes(32 + 4 * 32) + terms + entries + total
    _, envelope = signed_terms(admitted_max=70) # whose set is drawn
    for known, listed in ((1, 0), (1, 3), (3, 3)):
        clients = b"".join(bytes([i]) * 16 for i in range(listed))
        said = bytes(128) * 2 + oracle.be32(known) + oracle.be32(listed) + clients
        head = b"MRCOMMT6" + struct.pack("<QIIIIIIQ", 5, 2, 4, 1000, len(envelope), 0, 500, 0)
        yield b"\0" + head + bytes(32 + 4 * 32) + envelope + said


def journals():
    """In the layout of appliance/round/helper/journal_state.h."""
    canonical, _ = signed_terms()
    entry = b"".join([bytes([1]) * 16, oracle.be32(0), bytes([9]) * 20, bytes([2]) * 32, bytes([5]) * 32])
    other = bytes([3]) * 16 + oracle.be32(1) + bytes([8]) * 20 + bytes([4]) * 32 + bytes([6]) * 32
    both = [oracle.commitment(oracle.sha256(canonical), i, bytes(32), bytes([i + 1]) * 32) for i in range(2)]

    def snapshot(phase, entries, tail=b"", listed=b""):
        seal = bytes([7]) * 32 + (bytes([8]) * 64 if phase == 1 else b"") + oracle.be32(len(listed)) + listed
        seal += bytes([9]) * 64 if listed and phase > 1 else b""
        return (bytes([phase]) + oracle.be16(len(canonical)) + canonical + seal +
                oracle.be32(len(entries)) + b"".join(entries) + tail)

    admitting, frozen = snapshot(1, [entry]), snapshot(2, [entry, other], both[0] + bytes(68))
    opened = snapshot(3, [entry, other], b"".join(both) + bytes(68))
    done = snapshot(4, [entry[:20], other[:20]], b"".join(both) + bytes(100) + bytes(192))
    seed, commitments = b"\1" + other, b"\2" + b"".join(both)
    listed, drawn = b"\3" + oracle.be32(7) + b"the one", snapshot(2, [entry, other], both[0] + bytes(68), b"the one")
    for plain, records in ((admitting, seed + listed), (snapshot(1, [entry], b"", b"the one"), seed), (drawn, commitments), (admitting, b""), (admitting, seed), (frozen, commitments), (opened, b""), (done, b"")):
        yield b"\0" + oracle.be16(len(records)) + plain + records
        units = b"".join(oracle.be16(len(unit)) + unit for unit in (plain, records) if unit)
        yield b"\2" + units


def announcements():
    hubs = [{"index": i, "public_key": bytes([i + 1]) * 32, "name": b"hub-%d" % i} for i in range(3)]
    terms = dict(
        round=7, deadline_unix_ms=1, dimension=1000, ring_bits=16, rotation_log2=0, noise_kind=0,
        chunk_bytes=1408, cohort_min=2, cohort_max=60, weight_max=1000, scale_bits=0x447A0000, levels=127,
        headroom=4, seal=1, step_max_bits=0x3F800000, audit_hours=0, quorum=0, admitted_max=0,
        optimiser=0, learning_rate_bits=0x3F800000, beta1_bits=0, beta2_bits=0, tau_bits=0, model_values=0, kind=0, metrics=[],
        clip_norm_bits=0x3F800000, model_hash=bytes(32), rotation_seed=bytes(32), task=b"default",
        training=b"{}", hubs=hubs)
    accuracy = [{"name": b"accuracy", "low_bits": 0, "high_bits": 0x3F800000}]
    for change in ({}, {"kind": 2, "metrics": accuracy}, {"ring_bits": 24, "rotation_log2": 6}, {"ring_bits": 32, "hubs": hubs[:2]}):
        canonical = oracle.announcement_encode(dict(terms, **change))
        yield b"\0" + canonical
        yield b"\2\xff" + canonical
        yield b"\2\0" + canonical
    keys = [bytes([i + 1]) * 32 for i in range(2)]
    pair = [dict(hub, public_key=oracle.public_key(key)) for hub, key in zip(hubs, keys)]
    canonical = oracle.announcement_encode(dict(terms, hubs=pair))
    yield b"\1" + signed(canonical, keys)


def messages():
    def b64(count):
        return base64.b64encode(bytes(range(count))).decode()

    seed_request = bytes(range(32)) + oracle.be32(1) + bytes(range(80))
    bodies = (
        seed_request,
        bytes(range(38)),
        {"announcement": b64(32), "attempt": 0, "transport": "udp", "receipts": [b64(22)]},
        {"upload": "0300000100000007", "udp_host": "127.0.0.1", "udp_port": 9443, "window": 64},
        {"state": "refused", "reason": "idle"},
        {"hub": 1, "seal_key": b64(32), "signature": b64(64), "receipt_key": b64(32), "pledge": ""},
        {"hub": 1, "model": b64(32), "signature": b64(64)},
        {"code": "busy", "message": "come back", "retry_after_ms": 1000},
        seed_request,
    )
    for kind, body in enumerate(bodies):
        text = body if isinstance(body, bytes) else json.dumps(body, separators=(",", ":")).encode()
        yield bytes([kind]) + text
    yield b"\x090300000100000007"
    for state, model, reason, unopened in (("published", "ab" * 32, "", ""), ("void", "", "below cohort minimum", ""),
                                           ("void", "", "below cohort minimum", b64(64)), ("under_way", "", "", "")):
        end = {"state": state, "model": model, "reason": reason, "unopened": unopened,
               "warning": "rounding cost the update 12.9 %" if state == "published" else ""}
        yield b"\x0a" + json.dumps(end, separators=(",", ":")).encode()
    hubs = [{"index": i, "name": f"hub-{i}", "public_key": b64(32)} for i in range(2)]
    yield b"\x0b" + json.dumps({"hub": 1, "hubs": hubs}, separators=(",", ":")).encode()
    order = {"reason": "lead_gone: tired", "announcement": b64(32), "signature": b64(64)}
    yield b"\x0c" + json.dumps(order, separators=(",", ":")).encode()
    proof = {"hub": 1, "index": 2, "count": 5, "salt": b64(32), "path": [b64(32)] * 3, "commitments": [b64(130)] * 2}
    yield b"\x0d" + json.dumps(proof, separators=(",", ":")).encode()


def exchanges():
    entries = {bytes([i]) * 16: i % 8 for i in range(5)}
    yield b"\0" + oracle.included_encode(entries)
    yield b"\0" + oracle.included_encode({})
    yield b"\1" + oracle.commitment(bytes(32), 1, bytes(32), bytes([7]) * 32)
    for uri in (b"device:" + b"0a" * 16, b"hub:65535", b"operator:anna-1"):
        yield b"\2urn:millrace:" + uri


def datagrams():
    yield oracle.datagram_seal((bytes(16), bytes(12)), oracle.CHUNK, 5, 7, 1, 3, bytes(64))
    yield oracle.datagram_seal((bytes(16), bytes(12)), oracle.ACK, 5, 7, 1, 3, bytes(48))
    yield oracle.ack_encode(1, 0, 3, 64, 2, bytes(32))
    yield oracle.ack_encode(4, 1, 3, 0, 2, bytes(32))


def models():
    def model(header, count):
        text = json.dumps(header, separators=(",", ":")).encode()
        return struct.pack("<Q", len(text)) + text + bytes(4 * count)

    def tensor(shape, begin, end):
        return {"dtype": "F32", "shape": shape, "data_offsets": [begin, end]}

    yield model({"w": tensor([2, 3], 0, 24), "b": tensor([2], 24, 32)}, 8)
    yield model({"__metadata__": {"a": "b"}, "x": tensor([], 0, 4)}, 1)
    yield model({"b": tensor([2], 4, 12), "a": tensor([1, 1, 1], 0, 4)}, 3)


def configs():
    with open(os.path.join(HERE, "..", "..", "config", "hub.yaml"), "rb") as f:
        sample = f.read()
    lines = [line for line in sample.split(b"\n") if line.strip() and not line.lstrip().startswith(b"#")]
    yield b"\n".join(lines)
    keys = [line for line in sample.split(b"\n") if line.strip()[:2] == b"# " and b":" in line]
    yield b"\n".join(lines + [b"log_level: debug"]) + b"\n"
    yield sample[:4000] if not keys else b"\n".join(lines)


def frame(kind, flags, stream, payload=b""):
    """In the form of h2_feed.h."""
    assert len(payload) < 0xF0
    return bytes([kind, flags, stream, len(payload)]) + payload


DATA, HEADERS, RST_STREAM, SETTINGS, PING, GOAWAY, WINDOW_UPDATE, CONTINUATION = 0, 1, 3, 4, 6, 7, 8, 9
END_STREAM, END_HEADERS = 1, 4
ASIDE = b"\xff\0"


def literal(index, text):
    name = bytes([index]) if index < 15 else bytes([15, index - 15])
    return name + bytes([len(text)]) + text


def request(method, path, length=None):
    block = b"\x87" + literal(2, method) + literal(4, path) + literal(1, b"h")
    return block if length is None else block + literal(28, b"%d" % length)


def to_server():
    upload = b"/v1/tasks/default/rounds/7/uploads/0300000100000007?wait_ms=5"
    whole = END_STREAM | END_HEADERS
    yield b"\0" + frame(HEADERS, whole, 1, request(b"GET", upload))
    yield b"\0" + frame(HEADERS, END_HEADERS, 1, request(b"POST", b"/e", 20)) + frame(
        DATA, END_STREAM, 1, bytes(20))
    yield b"\0" + frame(HEADERS, END_HEADERS, 1, request(b"PUT", b"/e")) + frame(
        DATA, 0, 1, bytes(90)) + frame(DATA, 0, 1, bytes(90)) + frame(DATA, END_STREAM, 1)
    yield b"\0" + frame(HEADERS, whole, 1, request(b"GET", b"/h")) + frame(
        HEADERS, whole, 3, request(b"GET", b"/h")) + ASIDE + frame(RST_STREAM, 0, 3, bytes(4)) + ASIDE
    yield b"\0" + frame(HEADERS, whole, 1, request(b"GET", b"/b")) + frame(
        WINDOW_UPDATE, 0, 0, struct.pack(">I", 1 << 20)) + frame(
        WINDOW_UPDATE, 0, 1, struct.pack(">I", 1 << 20)) + frame(
        HEADERS, whole, 3, request(b"DELETE", b"/e")) + frame(
        HEADERS, whole, 5, request(b"POST", b"/o")) + frame(HEADERS, whole, 7, request(b"GET", b"/no"))
    block = request(b"POST", b"/e", 9)
    yield b"\0" + frame(HEADERS, 0, 1, block[:9]) + frame(CONTINUATION, END_HEADERS, 1, block[9:]) + frame(
        DATA, END_STREAM, 1, bytes(9)) + frame(PING, 0, 0, bytes(8)) + frame(
        SETTINGS, 0, 0, struct.pack(">HI", 4, 10)) + frame(GOAWAY, 0, 0, bytes(8))
    head = struct.pack(">I", len(block) << 8)[:3] + bytes([HEADERS, whole]) + struct.pack(">I", 1)
    yield b"\1" + head + block


def to_client():
    ok = b"\x88"
    yield b"\0" + frame(SETTINGS, 0, 0) + frame(SETTINGS, 1, 0) + frame(
        HEADERS, END_HEADERS, 1, ok + literal(28, b"5")) + frame(DATA, END_STREAM, 1, b"hello") + ASIDE + frame(
        HEADERS, END_HEADERS | END_STREAM, 3, ok) + ASIDE
    yield b"\0" + frame(SETTINGS, 0, 0) + frame(
        HEADERS, END_HEADERS, 1, literal(8, b"409") + literal(28, b"9999"))
    yield b"\0" + frame(SETTINGS, 0, 0, struct.pack(">HI", 4, 100)) + frame(
        RST_STREAM, 0, 1, struct.pack(">I", 7)) + ASIDE + frame(
        HEADERS, END_HEADERS, 3, ok) + frame(GOAWAY, 0, 0, bytes(8)) + ASIDE
    yield b"\1" + bytes([0, 0, 0, SETTINGS, 0, 0, 0, 0, 0]) + bytes(
        [0, 0, 1, HEADERS, 5, 0, 0, 0, 1]) + ok


def acks():
    yield bytes([0, 16, 0, 20, 2, 0x40, 1, 0, 3]) + struct.pack(">I", 16) + b"\3" + bytes(4)
    yield bytes([7, 8, 0, 8, 1, 200, 200, 5, 5, 2, 0x50, 1, 0, 9]) + struct.pack(
        ">I", 64) + b"\x09" + bytes(4) + bytes([0, 60])
    yield bytes([29, 64, 0, 63, 3, 0x30]) + oracle.ack_encode(3, 0, 3, 64, 2, bytes(32))
    yield bytes([3, 0, 1, 255, 255, 5, 5, 1, 255, 255, 5])


def sessions():
    admit, revoke, fold, settle, draw = 0, 1, 3, 4, 5
    yield bytes([0, admit, 0, 15, 0, 255, fold, 0, draw, 255, settle, 0x80, draw, 255])
    yield bytes([3, admit, 0, admit, 1, 15, 0, 3, 15, 1, 255, 8, 0, 3, 13, 0, 1, fold, 0, draw, 20])
    yield bytes([1, admit, 2, 8, 2, 0, 10, 2, 1, 40, 3, 8, 2, 1, 11, 2, 2, 9, 12, 2, 2, 3, 4, revoke, 2, 8, 2, 2])
    yield bytes([2, admit, 3, 15, 3, 9, 2, 255, 2, 255, 2, 255, 2, 255, 2, 255, 8, 3, 9, 14, 1, 3, 1, 2, 3, 6, 0])


def tables():
    """In the form of fuzz_csv.c: bytes a read, where one fails, the file."""
    row, other = b"1.0,-2.5,7", b"3e2,0.0,0"
    for end in (b"\n", b"\r\n", b"\r", b"\n\r"):
        yield b"\2\xff\xff" + row + end + other + end
    yield b"\0\0\3" + b"\xef\xbb\xbf" + b'"1","2","3"\r\n" 4 ", +5.,06'
    yield b"\3\0\x0c" + row + b"\n\n" + other
    for bad in (b"x,y,class\n", b"1;2;3\n", b"1,2\n1,2,3\n", b"1,nan,3\n", b"1,0x1p3,3", b"1,1e39,3", b"1,2,65536", b'1,"2\n",3',
                b'1,"2"3,4', b'1,2"3"', b"\xff\xfe1\0", b"1,2\0", b",,\n", b"1,2,\n", b"1_0,2", b"1,2\n\x1a"):
        yield b"\7\xff\xff" + bad


def signed_releases():
    good = hostile.manifest()
    yield from hostile.both(good)
    yield hostile.signed(good, [hostile.word(0, good), hostile.word(1, good)])
    yield hostile.signed(good, [])
    yield hostile.signed(hostile.manifest(target_bytes=5, blocks=[bytes(32)], step=3), [])


def key_statements():
    keys = [bytes([n]) * 32 for n in range(4)]
    for task, hub, signers in ((b"digits", 1, [0, 1, 2]), (b"a", 0, [0, 1]), (b"b" * 32, 2, [])):
        said = (b"MRNK" + oracle.be16(1) + oracle.be32(1) + oracle.be16(hub) + oracle.public_key(keys[hub]) +
                oracle.public_key(keys[3]) + bytes([len(task)]) + task)
        held = oracle.sign(keys[3], oracle.label("millrace next key held") + oracle.sha256(said))
        words = b"".join(oracle.be16(n) + oracle.sign(keys[n], oracle.label("millrace next key") + oracle.sha256(said))
                         for n in signers)
        yield oracle.be16(len(said)) + said + held + bytes([len(signers)]) + words


def deltas():
    """A byte for the kind, then the body for a model of 1,000 values (fuzz_delta.c)."""
    made = hostile.Deltas(1)
    for rotation in (0, 6, 10):
        lanes = oracle.lanes_of(1000, rotation)
        codes = [i * i % 701 for i in range(lanes)]
        yield b"\0\1" + made.step(rotation, hostile.coded(codes), lanes=lanes)
    lanes = oracle.lanes_of(1000, 6)
    yield b"\0\2" + 2 * made.step(6, hostile.plain(range(lanes)), lanes=lanes)
    yield b"\1" + hostile.be32(3) + hostile.plain([3, 100, 0]) + hostile.plain([9, 2**31 + 5, 7])
    yield b"\1" + hostile.be32(40) + b"\0" + hostile.be32(3) + hostile.coded([i * 77 for i in range(40)])
    yield hostile.coded([i * i * i for i in range(300)])


MAKERS = {
    "ack": acks, "announcement": announcements, "commit_log": commit_logs, "config": configs, "csv": tables, "datagram": datagrams, "delta": deltas,
    "exchange": exchanges, "h2_client": to_client, "h2_server": to_server, "journal": journals, "key_chain": key_statements, "messages": messages, "release": signed_releases,
    "safetensors": models, "sessions": sessions,
}


def main(folder):
    for target, maker in MAKERS.items():
        os.makedirs(os.path.join(folder, target), exist_ok=True)
        for number, data in enumerate(maker()):
            with open(os.path.join(folder, target, "seed-%02d" % number), "wb") as f:
                f.write(data)


if __name__ == "__main__":
    main(sys.argv[1])
