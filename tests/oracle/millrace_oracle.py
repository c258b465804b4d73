"""A second, independent implementation of docs/wire-format.md, for comparing with the C code.

Written from that page alone. Python integers for every lane, `cryptography` for the primitives; slow
and plain on purpose. Section numbers refer to docs/wire-format.md.
"""

import json
import math
import struct

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PrivateKey, X25519PublicKey
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDFExpand
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat


from conventions import (Refused, be16, be32, be64, ctr_stream, f32, f32_of, hmac_sha256, label, positive_normal,
                         public_key, require, sha256, sign, task_check, verify)
from metric_oracle import metrics_check, metrics_decode, metrics_encode
from optimiser_oracle import optimiser_check
from noise_oracle import adders, noise_seed, noise_tail, privacy_check, privacy_decode, privacy_encode, rho_of

# For whoever imports this module alone.
__all__ = ["Refused", "noise_seed", "public_key", "rho_of", "verify"]

# --- 3 announcement ------------------------------------------------------------------------------

NAME_ALPHABET = frozenset(b"abcdefghijklmnopqrstuvwxyz0123456789.-")
FIXED = struct.Struct(">4sHQQIBBBHIIIII32s32sBBBIHIIBIIIIIB")  # the floats as their bits
FIELDS = (
    "magic version round deadline_unix_ms dimension ring_bits rotation_log2 noise_kind chunk_bytes "
    "cohort_min cohort_max weight_max scale_bits clip_norm_bits model_hash rotation_seed levels "
    "headroom seal step_max_bits audit_hours quorum admitted_max optimiser "
    "learning_rate_bits beta1_bits beta2_bits tau_bits model_values kind"
).split()


LEVELS_MAX = 127
RING_WIDTHS = (8, 10, 12, 16, 24, 32)


def ring_clients_max(ring_bits, levels=LEVELS_MAX, headroom=4):
    return (2 ** (ring_bits - 1) - 1) // (headroom * levels)


def announcement_check(a):
    """Leaves out the key "privacy" where it says None."""
    a = {"privacy": None} | a
    require(1 <= a["round"] < 2**53, "round")
    require(1 <= a["deadline_unix_ms"] < 2**64, "deadline_unix_ms")
    require(1 <= a["dimension"] <= 2**30, "dimension")
    require(a["model_values"] == 0 or a["dimension"] < a["model_values"] <= 2**30, "model_values")
    metrics_check(a)
    require(a["ring_bits"] in RING_WIDTHS, "ring_bits")
    require(0 <= a["rotation_log2"] <= 16, "rotation_log2")
    require(a["chunk_bytes"] % 64 == 0 and 64 <= a["chunk_bytes"] <= 8896, "chunk_bytes")
    require(a["cohort_min"] >= 2, "cohort_min")
    require(a["cohort_min"] <= a["cohort_max"], "cohort_max")
    require(1 <= a["levels"] <= LEVELS_MAX, "levels")
    require(4 <= a["headroom"] <= 64, "headroom")
    require(a["quorum"] == 0 or a["cohort_min"] <= a["quorum"] <= a["cohort_max"], "quorum")
    require(a["admitted_max"] == 0 or a["admitted_max"] > a["cohort_max"], "admitted_max")
    require(positive_normal(a["scale_bits"]), "scale")
    require(positive_normal(a["clip_norm_bits"]), "clip_norm")
    require(a["weight_max"] >= 1, "weight_max")
    privacy_check(a, Layout(a).lanes)
    room = ring_clients_max(a["ring_bits"], 1, a["headroom"]) - noise_tail(a, "model_sigma2")
    require(a["cohort_max"] * a["levels"] <= room, "cohort_max")
    require(a["seal"] == 1, "seal")
    weights = a["cohort_max"] * a["weight_max"] + 2 * noise_tail(a, "weight_sigma2")
    require(weights < 2**32, "weight_max")
    require(positive_normal(a["step_max_bits"]), "step_max")
    require(0 <= a["audit_hours"] <= 2160, "audit_hours")
    optimiser_check(a)
    require(len(a["model_hash"]) == 32 and len(a["rotation_seed"]) == 32, "hashes")
    task_check(a["task"])
    require(len(a["training"]) <= 1023, "training")
    require(all(0x20 <= c <= 0x7E for c in a["training"]), "training")
    hubs = a["hubs"]
    require(2 <= len(hubs) <= 5, "hub_count")
    indices = [hub["index"] for hub in hubs]
    require(len(set(indices)) == len(indices), "hub index twice")
    require(indices[1:] == sorted(indices[1:]), "hub order")
    require(len({hub["public_key"] for hub in hubs}) == len(hubs), "hub key twice")
    for hub in hubs:
        require(1 <= len(hub["name"]) <= 63 and NAME_ALPHABET.issuperset(hub["name"]), "hub name")
    watermark_check(a)


def watermark_check(a):
    """The key "watermark" is left out, or None, where the round marks nothing."""
    mark = a.get("watermark")
    if mark is None:
        return
    require(a["kind"] != 2, "watermark")
    require(8 <= mark["strength"] <= 1000, "watermark's strength")
    hashes = mark["part_hashes"]
    require(len(hashes) == len(a["hubs"]) == len(set(hashes)), "watermark's parts")
    require(all(len(part) == 32 for part in hashes), "watermark's part")


def announcement_encode(a):
    announcement_check(a)
    values = dict(a, magic=b"MRAN", version=10)
    out = FIXED.pack(*(values[name] for name in FIELDS))
    out += bytes([len(a["task"])]) + a["task"]
    out += be16(len(a["training"])) + a["training"] + privacy_encode(a.get("privacy"))
    out += metrics_encode(a)
    out += bytes([len(a["hubs"])])
    for hub in a["hubs"]:
        out += be16(hub["index"]) + hub["public_key"] + bytes([len(hub["name"])]) + hub["name"]
    if a.get("watermark"):
        out += be16(a["watermark"]["strength"]) + b"".join(a["watermark"]["part_hashes"])
    return out


class Rest:
    """What is left of an input."""

    def __init__(self, data):
        self.data = data

    def take(self, count):
        require(len(self.data) >= count, "cut short")
        head, self.data = self.data[:count], self.data[count:]
        return head


def announcement_decode(data):
    rest = Rest(data)
    a = dict(zip(FIELDS, FIXED.unpack(rest.take(FIXED.size))))
    require(a.pop("magic") == b"MRAN", "magic")
    require(a.pop("version") == 10, "version")
    a["task"] = rest.take(rest.take(1)[0])
    a["training"] = rest.take(int.from_bytes(rest.take(2), "big"))
    a["privacy"] = privacy_decode(rest) if a["noise_kind"] else None
    a["metrics"] = metrics_decode(rest)
    a["hubs"] = []
    for _ in range(rest.take(1)[0]):
        index, key, n = struct.unpack(">H32sB", rest.take(35))
        a["hubs"].append({"index": index, "public_key": key, "name": rest.take(n)})
    if rest.data:
        a["watermark"] = {"strength": int.from_bytes(rest.take(2), "big"),
                          "part_hashes": [rest.take(32) for _ in a["hubs"]]}
    require(not rest.data, "bytes left over")
    announcement_check(a)
    return a


def announcement_text(announcement_hash, seal_key=b""):
    """What a hub signs: the lead the hash, a helper its seal key behind it."""
    return label("millrace announcement") + announcement_hash + seal_key


def proposal(canonical, lead_private):
    """What a lead asks a helper to sign."""
    return canonical + sign(lead_private, announcement_text(sha256(canonical)))


def envelope(canonical, lead_signature, helpers):
    """helpers: (seal key, signature) in list order."""
    return be16(len(canonical)) + canonical + lead_signature + b"".join(k + s for k, s in helpers)


def envelope_open(data):
    """(announcement, hash, seal keys of the helpers) of an envelope whose every signature holds."""
    rest = Rest(data)
    canonical = rest.take(int.from_bytes(rest.take(2), "big"))
    a = announcement_decode(canonical)
    announcement_hash = sha256(canonical)
    seal_keys = []
    for position, hub in enumerate(a["hubs"]):
        seal_key = rest.take(32) if position else b""
        signature = rest.take(64)
        text = announcement_text(announcement_hash, seal_key)
        require(verify(hub["public_key"], signature, text), "signature")
        seal_keys += [seal_key] if position else []
    require(not rest.data, "bytes left over")
    return a, announcement_hash, seal_keys


# --- 4 sign stream, 5 share bytes, 6 masks -------------------------------------------------------

TRAILER_LANES, METRIC_LANES = 16, 16


def rotation_signs(rotation_seed, round_number, length):
    m = hmac_sha256(rotation_seed, label("millrace rotation") + be64(round_number))
    return ctr_stream(m[:16], m[16:], 0, length)


def lanes_of(count, rotation_log2):
    """L: an odd number of blocks where there is a rotation."""
    unit = max(64, 2**rotation_log2)
    return (-(-count // unit) | (rotation_log2 > 0)) * unit


class Layout:
    def __init__(self, a):
        self.ring_bits = a["ring_bits"]
        self.chunk_bytes = a["chunk_bytes"]
        trains = a["kind"] != 2
        self.lanes = lanes_of(a["dimension"], a["rotation_log2"]) if trains else 64
        self.trailer_lanes = TRAILER_LANES + (METRIC_LANES if a["metrics"] else 0)
        self.main_bytes = self.lanes * self.ring_bits // 8
        self.share_bytes = self.main_bytes + 4 * self.trailer_lanes
        self.chunks = -(-self.share_bytes // self.chunk_bytes)

    def chunk(self, share, number):
        return share[number * self.chunk_bytes : (number + 1) * self.chunk_bytes]

    def read(self, data):
        """Share bytes as (main lanes, trailer lanes)."""
        assert len(data) == self.share_bytes
        main, trailer = data[: self.main_bytes], data[self.main_bytes :]
        return (
            self.unpack(main),
            [int.from_bytes(trailer[i : i + 4], "little") for i in range(0, len(trailer), 4)],
        )

    def write(self, main, trailer):
        return self.pack(main) + b"".join((x % 2**32).to_bytes(4, "little") for x in trailer)

    # Eight lanes are whole bytes at every width: the bits of one number, the first lane lowest.

    def unpack(self, region):
        w, lanes = self.ring_bits, []
        for at in range(0, len(region), w):
            eight = int.from_bytes(region[at : at + w], "little")
            lanes += [eight >> (w * i) & (2**w - 1) for i in range(8)]
        return lanes

    def pack(self, lanes):
        w, region = self.ring_bits, bytearray()
        for at in range(0, len(lanes), 8):
            eight = sum(x % 2**w << (w * i) for i, x in enumerate(lanes[at : at + 8]))
            region += eight.to_bytes(w, "little")
        return bytes(region)


def scope(task, announcement_hash, client, hub, attempt):
    """What masks, receipts and upload keys cover; the task's name is bytes."""
    return bytes([len(task)]) + task + announcement_hash + client + be16(hub) + be32(attempt)


def mask_key(seed, covered):
    """`covered` is the scope of the seed's one use."""
    m = hmac_sha256(seed, label("millrace mask") + covered)
    return m[:16], m[16:]


def mask_bytes(layout, seed, covered):
    key, counter = mask_key(seed, covered)
    return ctr_stream(key, counter, 0, layout.share_bytes)


def lead_share(layout, q, trailer, masks):
    """x − Σ masks; q are signed integers, padding included."""
    main, tail = list(q), list(trailer)
    for mask in masks:
        mask_main, mask_tail = layout.read(mask)
        main = [x - m for x, m in zip(main, mask_main)]
        tail = [x - m for x, m in zip(tail, mask_tail)]
    return layout.write(main, tail)


def add_up(layout, vectors):
    """The lane-by-lane sum of share bytes, as share bytes."""
    main, trailer = [0] * layout.lanes, [0] * layout.trailer_lanes
    for vector in vectors:
        more_main, more_trailer = layout.read(vector)
        main = [x + y for x, y in zip(main, more_main)]
        trailer = [x + y for x, y in zip(trailer, more_trailer)]
    return layout.write(main, trailer)


def centred(layout, data):
    """The sum's main lanes as signed numbers, and its trailer."""
    main, trailer = layout.read(data)
    half, modulus = 2 ** (layout.ring_bits - 1), 2**layout.ring_bits
    return [x - modulus if x >= half else x for x in main], trailer


# --- 7 upload keys, 8 datagrams, 9 ACKs ----------------------------------------------------------


def upload_ekm(secret, covered):
    """Of the connection's secret, for the scope of one upload."""
    return HKDFExpand(SHA256(), 32, label("millrace upload") + covered).derive(secret)


def upload_keys(ekm):
    def expand(info, length):
        return HKDFExpand(SHA256(), length, info).derive(ekm)

    return {
        way: (
            expand(b"millrace %s key" % way.encode(), 16),
            expand(b"millrace %s iv" % way.encode(), 12),
        )
        for way in ("up", "down")
    }


HEADER = struct.Struct(">HBBHHQQII")
CHUNK, ACK = 1, 2


def nonce(iv, sequence):
    pad = be32(0) + be64(sequence)
    return bytes(a ^ b for a, b in zip(iv, pad))


def datagram_seal(key_iv, kind, upload_id, round_number, attempt, sequence, payload):
    header = HEADER.pack(
        0x4D52, 1, kind, 0, len(payload), upload_id, round_number, attempt, sequence
    )
    return header + AESGCM(key_iv[0]).encrypt(nonce(key_iv[1], sequence), payload, header)


def datagram_open(key_iv, data):
    """(kind, upload id, round, attempt, sequence, payload)."""
    require(len(data) >= 48, "truncated")
    header = data[:32]
    magic, version, kind, flags, length, upload_id, round_number, attempt, sequence = HEADER.unpack(
        header
    )
    require(magic == 0x4D52, "magic")
    require(version == 1, "version")
    require(kind in (CHUNK, ACK), "type")
    require(flags == 0, "flags")
    require(len(data) >= 48 + length, "truncated")
    require(len(data) <= 48 + length, "oversized")
    try:
        payload = AESGCM(key_iv[0]).decrypt(nonce(key_iv[1], sequence), data[32:], header)
    except InvalidTag:
        raise Refused("tag") from None
    return kind, upload_id, round_number, attempt, sequence, payload


ACK_FIXED = struct.Struct(">BBHIII")


def ack_encode(state, reason, received, window, base, bitmap):
    return ACK_FIXED.pack(state, reason, 0, received, window, base) + bitmap


def ack_decode(data):
    require(len(data) == 48, "length")
    state, reason, zero, received, window, base = ACK_FIXED.unpack(data[:16])
    require(1 <= state <= 4 and reason <= 5 and zero == 0, "ack")
    return state, reason, received, window, base, data[16:]


# --- HPKE: RFC 9180, base mode, DHKEM(X25519, HKDF-SHA256), HKDF-SHA256, AES-128-GCM --------------

KEM_SUITE = b"KEM" + be16(0x0020)
HPKE_SUITE = b"HPKE" + be16(0x0020) + be16(0x0001) + be16(0x0001)


def labeled_extract(suite, salt, name, ikm):
    return hmac_sha256(salt or bytes(32), b"HPKE-v1" + suite + name + ikm)


def labeled_expand(suite, prk, name, info, length):
    return HKDFExpand(SHA256(), length, be16(length) + b"HPKE-v1" + suite + name + info).derive(prk)


def x25519_public(private):
    key = X25519PrivateKey.from_private_bytes(private).public_key()
    return key.public_bytes(Encoding.Raw, PublicFormat.Raw)


def x25519(private, public):
    try:
        peer = X25519PublicKey.from_public_bytes(public)
        return X25519PrivateKey.from_private_bytes(private).exchange(peer)
    except ValueError:
        raise Refused("low order") from None


def kem_secret(dh, enc, recipient):
    prk = labeled_extract(KEM_SUITE, b"", b"eae_prk", dh)
    return labeled_expand(KEM_SUITE, prk, b"shared_secret", enc + recipient, 32)


def hpke_key(shared, info):
    """(key, base nonce)"""
    context = b"\x00" + labeled_extract(HPKE_SUITE, b"", b"psk_id_hash", b"")
    context += labeled_extract(HPKE_SUITE, b"", b"info_hash", info)
    secret = labeled_extract(HPKE_SUITE, shared, b"secret", b"")
    return (
        labeled_expand(HPKE_SUITE, secret, b"key", context, 16),
        labeled_expand(HPKE_SUITE, secret, b"base_nonce", context, 12),
    )


def hpke_seal(ephemeral, recipient, info, plain, aad=b""):
    """(enc, sealed)"""
    enc = x25519_public(ephemeral)
    key, iv = hpke_key(kem_secret(x25519(ephemeral, recipient), enc, recipient), info)
    return enc, AESGCM(key).encrypt(iv, plain, aad)


def hpke_open(private, enc, info, sealed, aad=b""):
    secret = kem_secret(x25519(private, enc), enc, x25519_public(private))
    key, iv = hpke_key(secret, info)
    try:
        return AESGCM(key).decrypt(iv, sealed, aad)
    except InvalidTag:
        raise Refused("seed") from None


# --- 10 sealed seeds and receipts, 11 between hubs, 12 model signature ---------------------------


def seed_request(announcement_hash, attempt, covered, seed, seal_key, ephemeral):
    """`covered` is the scope of the seed's one use."""
    enc, sealed = hpke_seal(ephemeral, seal_key, label("millrace seed") + covered, seed)
    return announcement_hash + be32(attempt) + enc + sealed


def seed_request_open(data, covered, private):
    require(len(data) == 116, "length")
    require(int.from_bytes(data[32:36], "big") <= 7, "attempt")
    return hpke_open(private, data[36:68], label("millrace seed") + covered, data[68:])


def count_mask(layout, seed, covered):
    """The mask's value in the first lane of the trailer."""
    key, counter = mask_key(seed, covered)
    return int.from_bytes(ctr_stream(key, counter, layout.main_bytes, 4), "little")


def receipt_parts(layout, request, seed, covered):
    """(count mask, proof) as device and helper compute them."""
    mask = count_mask(layout, seed, covered)
    return mask, hmac_sha256(seed, label("millrace receipt") + covered + sha256(request[36:]) + be32(mask))[:16]


def receipt_key(private, announcement_hash):
    """Of a helper's MACs for the lead in one round."""
    return hmac_sha256(private, label("millrace receipt key") + announcement_hash)


def receipt_mac(key, covered, mask):
    return hmac_sha256(key, label("millrace receipt mac") + covered + be32(mask))[:16]


def receipt_answer(hub, parts, mac):
    return be16(hub) + be32(parts[0]) + parts[1] + mac


def receipt(hub, mask, mac):
    """As it stands in an upload request."""
    return be16(hub) + be32(mask) + mac


def included_encode(entries):
    """entries: {client: attempt}."""
    return be32(len(entries)) + b"".join(c + be32(entries[c]) for c in sorted(entries))


def included_decode(data):
    """([(client, attempt)], bytes used)."""
    rest = Rest(data)
    count = int.from_bytes(rest.take(4), "big")
    require(len(rest.data) >= 20 * count, "cut short")
    entries = []
    for _ in range(count):
        client, attempt = struct.unpack(">16sI", rest.take(20))
        require(not entries or entries[-1][0] < client, "not strictly rising")
        entries.append((client, attempt))
    return entries, len(data) - len(rest.data)


def included_hash(announcement_hash, set_bytes):
    return sha256(label("millrace included set") + announcement_hash + set_bytes)


def sum_unsound(a, layout, main, trailer, count, rate=1.0):
    """Section 11, "The sum": the first bound that a sum of `count` devices breaks, or None. `main` is
    centred."""
    scale = f32_of(a["scale_bits"])
    if trailer[0] != count:
        return "count lane"
    tail, most = noise_tail(a, "weight_sigma2"), count * a["weight_max"]
    weight = trailer[1] - 2**32 if trailer[1] >= 2**32 - tail else trailer[1]
    if not count - tail <= weight <= most + tail:
        return "weight lane"
    if max(map(abs, main)) > a["levels"] * count + noise_tail(a, "model_sigma2"):
        return "range"
    factor = f32(rate * a["weight_max"] / (scale * min(max(weight, count), most)))
    step = math.sqrt(sum(f32(f32(lane) * factor) ** 2 for lane in main))
    own = f32_of(a["clip_norm_bits"]) * scale + math.sqrt(layout.lanes)
    noise = 0.0
    if a["noise_kind"]:
        noise = math.sqrt(a["privacy"]["model_sigma2"] * adders(a)) * (math.sqrt(layout.lanes) + 10)
    if step / factor > count * own * (1 + 2**-10) + noise:
        return "norm"
    return "step" if step > f32_of(a["step_max_bits"]) else None


def commitment_value(announcement_hash, set_hash, hub, random32, result):
    head = label("millrace commitment") + announcement_hash + set_hash + be16(hub)
    return sha256(head + random32 + sha256(result))


def commitment(announcement_hash, hub, value, private, root=bytes(32)):
    """root: zeros in a round without audit_hours."""
    text = label("millrace committed") + announcement_hash + be16(hub) + value + root
    return be16(hub) + value + root + sign(private, text)


# --- 16 audits -----------------------------------------------------------------------------------


def share_hash(covered, share):
    """covered: the scope with the lead's index."""
    return sha256(label("millrace share hash") + covered + share)


def seed_hash(covered, seed):
    return sha256(label("millrace seed hash") + covered + seed)


def counted_leaf(client, attempt, salt, counted_hash):
    salted = sha256(label("millrace counted") + salt + counted_hash)
    return sha256(b"\0" + client + be32(attempt) + salted)


def tree_root(leaves):
    """RFC 6962, section 2.1, as it is written there."""
    if len(leaves) == 1:
        return leaves[0]
    k = 1 << (len(leaves) - 1).bit_length() - 1
    return sha256(b"\1" + tree_root(leaves[:k]) + tree_root(leaves[k:]))


def tree_path(index, leaves):
    """RFC 6962, section 2.1.1."""
    if len(leaves) == 1:
        return []
    k = 1 << (len(leaves) - 1).bit_length() - 1
    if index < k:
        return tree_path(index, leaves[:k]) + [tree_root(leaves[k:])]
    return tree_path(index - k, leaves[k:]) + [tree_root(leaves[:k])]


def model_text(announcement_hash, set_hash, model_hash):
    return label("millrace model") + announcement_hash + set_hash + model_hash


def void_text(announcement_hash, reason):
    """What a lead's order to give a round up is signed over; the reason is text."""
    return label("millrace void") + announcement_hash + sha256(reason.encode())


def unopened_text(announcement_hash):
    """A hub's word that it has not opened the round and never will."""
    return label("millrace unopened") + announcement_hash


def resumed_version(model, codes=()):
    """The version without a round: the same data under another header, which names the recoveries that it ends."""
    length = int.from_bytes(model[:8], "little")
    header = json.loads(model[8:8 + length])
    header.setdefault("__metadata__", {})["millrace.resumed_from"] = ",".join([sha256(model).hex(), *codes])
    text = json.dumps(header, separators=(",", ":"), ensure_ascii=False).encode()
    text += b" " * (-(8 + len(text)) % 64)
    return len(text).to_bytes(8, "little") + text + model[8 + length:]
