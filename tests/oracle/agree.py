#!/usr/bin/env python3
"""Compares the C code with the oracle, byte for byte, over random cases.

usage: agree.py WIRE_VECTORS [--seed N] [--cases N] [--spec wire-format.md --refusals refusals.def]

Prints the seed; the same seed gives the same cases (or set MR_SEED). Exit 0 only if every byte of every
case agrees; 77 if the `cryptography` package is missing.
"""

import argparse
import json
import os
import random
import re
import shlex
import struct
import subprocess
import sys

try:
    import draw_oracle as draw
    import metric_oracle as metric
    import millrace_oracle as oracle
    import quantiser_oracle as quantiser
except ImportError as missing:
    print(f"skipped: {missing}; install python3-cryptography")
    sys.exit(77)


class Disagreement(Exception):
    pass


def float_bits(rng):
    if rng.random() < 0.1:
        return rng.choice([0x00800000, 0x7F7FFFFF, 0x3F800000])
    value = rng.choice([1.0, 1000.0, 0.001]) * (rng.random() + 0.01)
    return int.from_bytes(struct.pack(">f", value), "big")


def random_task(rng):
    first = "abcdefghijklmnopqrstuvwxyz0123456789"
    length = rng.choice([0, 31, rng.randint(0, 31)])
    return (rng.choice(first) + "".join(rng.choice(first + "-") for _ in range(length))).encode()


def random_optimiser(rng):
    """Bits of what each kind has; +0 for the rest."""
    kind = rng.randrange(4)
    one = 0x3F800000
    beta1 = 0 if kind == 0 else rng.choice([0, 0x3F666666, one - 1, rng.randrange(0x30000000, one)])
    beta2 = tau = 0
    if kind > 1:
        beta1 = rng.choice([0, 0x3F666666, rng.randrange(0x30000000, 0x3F333333)])
        beta2 = rng.choice([0x3F7D70A4, one - 1, rng.randrange(0x3F550000, one)])
        tau = rng.choice([0x3A83126F, 0x20000000, rng.randrange(0x20000000, 0x5F000000)])
    return {"optimiser": kind | rng.choice([0, 0, 4, 8]) << 4, "learning_rate_bits": float_bits(rng), "beta1_bits": beta1, "beta2_bits": beta2,
            "tau_bits": tau}


def random_announcement(rng, signing):
    ring_bits = rng.choice(oracle.RING_WIDTHS)
    rotation = rng.choice([0, 0, 0, 1, 5, 6, 7, 9])
    levels = rng.choice([127, 127, 1, rng.randint(1, 127)])
    headroom = rng.choice([4, 4, 64, rng.randint(4, 64)])
    ring_max = oracle.ring_clients_max(ring_bits, levels, headroom)
    if ring_max < 2:
        levels, ring_max = 1, oracle.ring_clients_max(ring_bits, 1, headroom)
    if ring_max < 2:
        headroom, ring_max = 4, oracle.ring_clients_max(ring_bits, 1, 4)
    cohort_max = rng.choice([2, ring_max, rng.randint(2, ring_max)])
    cohort_min = rng.choice([2, cohort_max, rng.randint(2, cohort_max)])
    weight_most = (2**32 - 1) // cohort_max
    helpers = sorted(rng.sample(range(65536), len(signing) - 1))
    lead = rng.choice([i for i in (0, 65535, rng.randrange(65536), 7) if i not in helpers])
    alphabet = "abcdefghijklmnopqrstuvwxyz0123456789.-"
    training = rng.choice(["", '{"epochs":1}', "x" * 1023, '{"a":"%s"}' % ("~ " * rng.randint(0, 99))])
    a = {
        "round": rng.choice([1, 2**53 - 1, rng.randint(1, 2**53 - 1)]),
        "deadline_unix_ms": rng.choice([1, 1900000000000, rng.randint(1, 2**62)]),
        "dimension": rng.choice([1, 63, 64, 65, rng.randint(1, 300), rng.randint(1, 900)]),
        "ring_bits": ring_bits,
        "rotation_log2": rotation,
        "levels": levels,
        "headroom": headroom,
        "seal": 1,
        "noise_kind": 0,
        "chunk_bytes": rng.choice([64, 128, 1216, 1408, 8896, 64 * rng.randint(1, 139)]),
        "cohort_min": cohort_min,
        "cohort_max": cohort_max,
        "quorum": rng.choice([0, cohort_min, cohort_max, rng.randint(cohort_min, cohort_max)]),
        "admitted_max": rng.choice([0, cohort_max + 1, cohort_max + rng.randint(1, 99), 2**32 - 1]),
        "weight_max": rng.choice([1, weight_most, rng.randint(1, min(100, weight_most))]),
        "scale_bits": float_bits(rng),
        "clip_norm_bits": float_bits(rng),
        "step_max_bits": float_bits(rng),
        "audit_hours": rng.choice([0, 1, 168, 2160, rng.randint(0, 2160)]),
        **random_optimiser(rng),
        "model_values": rng.choice([0, 0, 901, 2**30, rng.randint(901, 2**30)]),
        "model_hash": rng.randbytes(32),
        "rotation_seed": rng.randbytes(32),
        "task": random_task(rng),
        "training": training.encode(),
        "hubs": [
            {
                "index": index,
                "public_key": oracle.public_key(private),
                "name": "".join(
                    rng.choice(alphabet) for _ in range(rng.choice([1, 63, rng.randint(1, 63)]))
                ).encode(),
            }
            for index, private in zip([lead] + helpers, signing)
        ],
        "privacy": None,
        **metric.random_metrics(rng),
    }
    return with_noise(rng, a) if rng.random() < 0.4 else a


def with_noise(rng, a):
    """The same round with noise; as it was where the ring or the budget holds none."""
    least, most = 64, 2**50
    privacy = {
        "model_sigma2": rng.choice([64, rng.randint(64, 10**6), rng.randint(64, 2**40)]),
        "norms_sigma2": rng.choice([0, least, rng.randint(least, most)]),
        "weight_sigma2": rng.choice([least, rng.randint(least, 2**20)]) if a["weight_max"] > 1 else 0,
        "budget": 2**52,
        "horizon_s": rng.choice([0, 2592000, 2**32 - 1]),
        "delta_bits": rng.choice([0x00800000, 0x358637BD, 0x3F000000]),
        "honest": 0,
        "metrics_sigma2": rng.choice([0, 64, rng.randint(2**30, 2**36)]) if a["metrics"] else 0,
        "pool": random_task(rng),
    }
    if a["kind"] == 2:
        privacy["model_sigma2"] = privacy["norms_sigma2"] = 0
        privacy["metrics_sigma2"] = privacy["metrics_sigma2"] or 2**33
    noised = dict(a, noise_kind=rng.choice([1, 2]), privacy=privacy, scale_bits=rng.choice([0x3F800000, 0x42C80000]),
                  clip_norm_bits=0x3F800000, cohort_max=max(2, a["cohort_max"] // rng.choice([2, 100])))
    noised["cohort_min"] = min(noised["cohort_min"], noised["cohort_max"])
    noised["weight_max"] = min(noised["weight_max"], 2**20)
    if noised["noise_kind"] == 2:
        privacy["honest"] = rng.randint(2, min(noised["cohort_min"], 5000))
    if noised["weight_max"] == 1:
        privacy["weight_sigma2"] = 0
    privacy["rho"] = oracle.rho_of(noised, oracle.Layout(noised).lanes)
    privacy["budget"] = rng.choice([min(privacy["rho"], 2**52), 2**52])
    try:
        oracle.announcement_check(noised)
    except oracle.Refused:
        return a
    return noised


def mutant(rng, data):
    """data with something wrong, most of the time."""
    kind = rng.randrange(6)
    at = rng.randrange(len(data))
    if kind == 0:
        return data[:at]
    if kind == 1:
        return data + rng.randbytes(rng.randint(1, 40))
    if kind == 2:
        return data[:at] + rng.randbytes(1) + data[at + 1 :]
    if kind == 3:
        return data[:at] + data[at + 1 :]
    if kind == 4:
        return data
    return data[:at] + bytes([data[at] ^ 1 << rng.randrange(8)]) + data[at + 1 :]


# (offset, bytes) of the announcement's numbers, and what a field is set to to test its rule.
NUMBERS = [(4, 2), (6, 8), (14, 8), (22, 4), (26, 1), (27, 1), (28, 1), (29, 2), (31, 4), (35, 4),
           (39, 4), (43, 4), (47, 4), (115, 1), (116, 1), (117, 1), (118, 4), (122, 2), (124, 4), (128, 4), (153, 1)]
EDGES = [0, 1, 2, 3, 4, 8, 16, 17, 24, 25, 32, 64, 65, 1023, 1024, 2160, 2161, 8896, 8960, 16513, 16514,
         4227330, 4227331, 2**30, 2**30 + 1, 2**32 - 1, 2**53 - 1, 2**53, 2**64 - 1,
         63, 2**40, 2**50, 2**50 + 1, 2**52, 0x00800000, 0x007FFFFF, 0x7F7FFFFF, 0x7F800000, 0x7FC00000, 0x80000000, 0xBF800000]


def edge(rng, canonical):
    """A canonical announcement with one number set to an edge of some rule."""
    training_length = (155 + canonical[154], 2)
    places = NUMBERS + [training_length]
    if canonical[28]:
        training = int.from_bytes(canonical[training_length[0]:][:2], "big")
        noise = training_length[0] + 2 + training
        places = places + 2 * [(noise + 8 * i, 8) for i in range(5)]
        places = places + 2 * [(noise + 40, 4), (noise + 44, 4), (noise + 48, 4), (noise + 52, 1)]
    at, size = rng.choice(places)
    value = rng.choice(EDGES) % 2 ** (8 * size)
    return canonical[:at] + value.to_bytes(size, "big") + canonical[at + size :]


def random_client(rng, layout, helpers, weight_max):
    q = [rng.choice([-127, 127, 0, 1, -1, rng.randint(-127, 127)]) for _ in range(layout.lanes)]
    trailer = [1, rng.randint(1, weight_max)] + [rng.randint(0, 2**20 - 1) for _ in range(4)]
    return {
        "id": rng.randbytes(16),
        "attempt": rng.randint(0, 7),
        "q": q,
        "trailer": (trailer + [0] * 10 + [rng.getrandbits(32) for _ in range(16)])[: layout.trailer_lanes],
        "seeds": [rng.randbytes(32) for _ in range(helpers)],
        "ephemerals": [rng.randbytes(32) for _ in range(helpers)],
    }


def most_listed(a):
    return min(30, a["admitted_max"] or a["cohort_max"])


def random_case(rng):
    signing = [rng.randbytes(32) for _ in range(rng.choice([2, 2, 3, 5]))]
    a = random_announcement(rng, signing)
    layout = oracle.Layout(a)
    clients = [
        random_client(rng, layout, len(signing) - 1, a["weight_max"])
        for _ in range(rng.choice([1, 2, 3, 3, 5]))
    ]
    return {
        "cpu_mask": rng.choice(["all", "all", "scalar"]),
        "signing": signing,
        "seals": [rng.randbytes(32) for _ in signing],
        "announcement": a,
        "clients": clients,
        "secret": rng.randbytes(32),
        "upload_id": rng.randbytes(8),
        "nonces": [rng.randbytes(32) for _ in signing],
        "salts": [rng.randbytes(32) for _ in clients],
        "model_hash": rng.randbytes(32),
        "draw_values": [rng.randbytes(32) for _ in signing],
        "draw_clients": sorted(rng.randbytes(16) for _ in range(rng.randint(1, most_listed(a)))),
        "draw_places": rng.randint(1, 40),
        "ack": {
            "state": rng.randint(1, 4),
            "reason": rng.randint(0, 5),
            "received": rng.getrandbits(32),
            "window": rng.getrandbits(32),
            "base": rng.getrandbits(32),
            "bitmap": rng.randbytes(32),
            "number": rng.choice([0, 1, 2**32 - 1, rng.getrandbits(32)]),
        },
    }


def scope_of(a, announcement_hash, client, hub):
    return oracle.scope(
        a["task"], announcement_hash, client["id"], hub["index"], client["attempt"]
    )


def answer_seeds(case, out, a, layout, announcement_hash):
    """The first client's seeds and their receipts."""
    first = case["clients"][0]
    out["seed_requests"], out["answers"], out["receipts"] = [], [], []
    helpers = list(zip(a["hubs"], case["signing"], case["seals"]))[1:]
    for (hub, private, seal), seed, ephemeral in zip(helpers, first["seeds"], first["ephemerals"]):
        covered = scope_of(a, announcement_hash, first, hub)
        request = oracle.seed_request(
            announcement_hash, first["attempt"], covered, seed, oracle.x25519_public(seal), ephemeral
        )
        parts = oracle.receipt_parts(layout, request, seed, covered)
        mac = oracle.receipt_mac(oracle.receipt_key(private, announcement_hash), covered, parts[0])
        out["seed_requests"].append(request)
        out["answers"].append(oracle.receipt_answer(hub["index"], parts, mac))
        out["receipts"].append(oracle.receipt(hub["index"], parts[0], mac))
    # The count lane opens to 1 with the masks that the receipts say.
    masks = sum(int.from_bytes(receipt[2:6], "big") for receipt in out["receipts"])
    if (layout.read(out["shares"][0])[1][0] + masks) % 2**32 != 1:
        raise Disagreement("the oracle's own count lane is wrong")


def counted_leaves(case, out, a, announcement_hash, at):
    """Section 16: (client, leaf) of the hub at that position, in order."""
    leaves = []
    for client, share, salt in zip(case["clients"], out["shares"], case["salts"]):
        covered = scope_of(a, announcement_hash, client, a["hubs"][at])
        if at == 0:
            counted = oracle.share_hash(covered, share)
        else:
            counted, salt = oracle.seed_hash(covered, client["seeds"][at - 1]), bytes(32)
        leaves.append((client["id"], oracle.counted_leaf(client["id"], client["attempt"], salt, counted)))
    return sorted(leaves)


def answer_exchange(case, out, a, layout, announcement_hash):
    """Sections 10 to 12."""
    signing = case["signing"]
    answer_seeds(case, out, a, layout, announcement_hash)
    out["set"] = oracle.included_encode({c["id"]: c["attempt"] for c in case["clients"]})
    out["set_hash"] = oracle.included_hash(announcement_hash, out["set"])
    out["noise"] = [
        b"".join([seed, hashed, *keys])
        for seed, hashed, keys in (
            oracle.noise_seed(private, announcement_hash, out["set_hash"], hub["index"])
            for hub, private in zip(a["hubs"], signing)
        )
    ]
    out["commitments"], out["paths"] = [], []
    for at, (hub, private, nonce, result) in enumerate(zip(a["hubs"], signing, case["nonces"], out["results"])):
        leaves = counted_leaves(case, out, a, announcement_hash, at)
        order = [client for client, _ in leaves].index(case["clients"][0]["id"])
        leaves = [leaf for _, leaf in leaves]
        out["paths"].append(b"".join(oracle.tree_path(order, leaves)))
        value = oracle.commitment_value(
            announcement_hash, out["set_hash"], hub["index"], nonce, result
        )
        out["commitments"].append(
            oracle.commitment(announcement_hash, hub["index"], value, private, oracle.tree_root(leaves))
        )
    text = oracle.model_text(announcement_hash, out["set_hash"], case["model_hash"])
    out["model_signature"] = oracle.sign(signing[0], text)
    out["void_signature"] = oracle.sign(signing[0], oracle.void_text(announcement_hash, "lead_gone: tired"))
    out["unopened_signature"] = oracle.sign(signing[0], oracle.unopened_text(announcement_hash))


def answer_draw(rng, case, out, a, announcement_hash):
    """The draw of section 11; adds changed lists to the case."""
    values, clients = case["draw_values"], case["draw_clients"]
    out["pledges"] = [draw.pledge(announcement_hash, hub["index"], value, private)
                      for hub, value, private in zip(a["hubs"], values, case["signing"])]
    out["list"] = draw.list_encode(announcement_hash, out["pledges"], clients, case["signing"][0])
    pledges, listed, hashed = draw.list_decode(out["list"], a, announcement_hash)
    if pledges != out["pledges"] or listed != clients:
        raise Disagreement("the oracle does not read the list that it wrote")
    out["drawn"] = draw.drawn(hashed, values, clients, case["draw_places"])
    case["list_mutants"] = [mutant(rng, out["list"]) for _ in range(4)]
    out["list_mutants"] = verdicts(lambda data: draw.list_decode(data, a, announcement_hash), case["list_mutants"])


def answer_uploads(case, out, a, layout, announcement_hash):
    """Sections 7 to 9, for the first client's share."""
    first = case["clients"][0]
    keys = oracle.upload_keys(oracle.upload_ekm(case["secret"], scope_of(a, announcement_hash, first, a["hubs"][0])))
    out["keys"] = b"".join(keys["up"] + keys["down"])
    upload_id = int.from_bytes(case["upload_id"], "big")
    out["datagrams"] = [
        oracle.datagram_seal(
            keys["up"], oracle.CHUNK, upload_id, a["round"], first["attempt"], number,
            layout.chunk(out["shares"][0], number),
        )
        for number in range(layout.chunks)
    ]
    ack = case["ack"]
    payload = oracle.ack_encode(
        *(ack[name] for name in ("state", "reason", "received", "window", "base", "bitmap"))
    )
    out["ack"] = oracle.datagram_seal(
        keys["down"], oracle.ACK, upload_id, a["round"], first["attempt"], ack["number"], payload
    )
    return keys


def answer_shares(case, out, a, layout, announcement_hash):
    """Sections 4 to 6."""
    masks = [
        [
            oracle.mask_bytes(layout, seed, scope_of(a, announcement_hash, c, hub))
            for hub, seed in zip(a["hubs"][1:], c["seeds"])
        ]
        for c in case["clients"]
    ]
    out["shares"] = [
        oracle.lead_share(layout, c["q"], c["trailer"], m) for c, m in zip(case["clients"], masks)
    ]
    out["results"] = [oracle.add_up(layout, out["shares"])] + [
        oracle.add_up(layout, [m[j] for m in masks]) for j in range(len(a["hubs"]) - 1)
    ]
    out["total"] = oracle.add_up(layout, out["results"])
    out["rotation"] = oracle.rotation_signs(a["rotation_seed"], a["round"], 160)
    # The point of it all: what comes out is the sum of what went in; narrow rings these lanes go round.
    half = 2 ** (layout.ring_bits - 1)
    main, trailer = oracle.centred(layout, out["total"])
    if main != [
        (sum(lane) + half) % (2 * half) - half for lane in zip(*(c["q"] for c in case["clients"]))
    ]:
        raise Disagreement("the oracle's own sum is wrong")
    if trailer != [sum(lane) % 2**32 for lane in zip(*(c["trailer"] for c in case["clients"]))]:
        raise Disagreement("the oracle's own trailer is wrong")


def random_quantiser(rng):
    def clip():
        return quantiser.f32(rng.choice([1.0, 0.5, 4.0, rng.uniform(0.001, 100)]))

    def counts():
        some = [rng.choice([0, 0, 1, rng.randint(0, 300)]) for _ in range(quantiser.BINS)]
        return some if sum(some) else [1] + some[1:]

    clips = [clip()] * 3 if rng.random() < 0.7 else [clip() for _ in range(3)]
    rounds = [(counts(), clips[i % 3]) for i in range(rng.randint(0, 5))]
    ring_bits = rng.choice(oracle.RING_WIDTHS)
    clip_norm = rng.choice([clips[0], rounds[-1][1] if rounds else clips[0]])
    return {
        "ring_bits": ring_bits, "cohort_max": rng.choice([2, 30, 258, rng.randint(2, 40000)]),
        "headroom": rng.choice([1, 2, rng.randint(1, 64)]), "lanes": 64 * rng.randint(1, 2**20),
        "dimension": rng.choice([1, 64, 1000, rng.randint(1, 2**20), rng.randint(1, 2**30)]),
        "clip_norm": clip_norm, "rounds": rounds, "silent": rng.choice([0, 0, 1, rng.randint(0, 9)]),
        "norm": rng.choice([0.0, clip_norm * 2.0 ** -rng.randint(0, 9), rng.uniform(0, clip_norm)]),
    }


def answer_quantiser(rng, case, out, layout):
    case["vector"] = struct.pack(
        f"<{layout.lanes}f", *(rng.gauss(0, 1) for _ in range(layout.lanes)))
    out["rotated"] = quantiser.rotated_bytes(case["announcement"], case["vector"])
    q = case["quantiser"] = random_quantiser(rng)
    levels = quantiser.levels(q["ring_bits"], q["cohort_max"], q["headroom"])
    out["quantiser"] = {
        "levels": levels, "rotation_log2": quantiser.rotation_log2(q["dimension"]),
        "bin": quantiser.norm_bin(q["norm"], q["clip_norm"]),
        "scale": quantiser.scale(levels, q["lanes"], q["cohort_max"], q["clip_norm"], q["rounds"],
                                 q["silent"]) if levels else 0.0,
    }


def agrees(want, got):
    """The rule's scale is a matter of libm's last bit; the other numbers are exact."""
    return want == got or (
        set(want) == set(got) and all(want[k] == got[k] for k in want if k != "scale")
        and abs(want["scale"] - got["scale"]) <= 1e-6 * want["scale"])


def verdicts(function, mutants):
    taken = []
    for data in mutants:
        try:
            function(data)
            taken.append(True)
        except oracle.Refused:
            taken.append(False)
    return taken


def opened(key, mutants):
    payloads = []
    for data in mutants:
        try:
            payloads.append(oracle.datagram_open(key, data)[-1])
        except oracle.Refused:
            payloads.append(None)
    return payloads


def opened_seeds(case, a, announcement_hash):
    first = case["clients"][0]
    covered = scope_of(a, announcement_hash, first, a["hubs"][1])
    seeds = []
    for data in case["sealed"]:
        try:
            seeds.append(oracle.seed_request_open(data, covered, case["seals"][1]))
        except oracle.Refused:
            seeds.append(None)
    if seeds[0] != first["seeds"][0]:
        raise Disagreement("the oracle does not open what it sealed")
    return seeds


def signed_envelope(case, out):
    lead, *helpers = case["signing"]
    signed = []
    for private, seal in zip(helpers, case["seals"][1:]):
        seal_key = oracle.x25519_public(seal)
        text = oracle.announcement_text(out["hash"], seal_key)
        signed.append((seal_key, oracle.sign(private, text)))
    lead_signature = oracle.sign(lead, oracle.announcement_text(out["hash"]))
    return oracle.envelope(out["announcement"], lead_signature, signed)


def answer(rng, case):
    """What the oracle says; adds the mutants, which depend on it, to the case."""
    a = case["announcement"]
    layout = oracle.Layout(a)
    out = {"announcement": oracle.announcement_encode(a)}
    if oracle.announcement_decode(out["announcement"]) != a:
        raise Disagreement("the oracle does not read what it wrote")
    out["hash"] = oracle.sha256(out["announcement"])
    out["fields"] = dict(
        a, lanes=layout.lanes, share_bytes=layout.share_bytes, chunks=layout.chunks, metric_lanes=metric.middle_lanes(a)
    )
    out["envelope"] = signed_envelope(case, out)
    answer_shares(case, out, a, layout, out["hash"])
    keys = answer_uploads(case, out, a, layout, out["hash"])
    answer_exchange(case, out, a, layout, out["hash"])
    answer_draw(rng, case, out, a, out["hash"])
    answer_quantiser(rng, case, out, layout)
    case["announcement_mutants"] = [mutant(rng, out["announcement"]) for _ in range(6)]
    case["announcement_mutants"] += [edge(rng, out["announcement"]) for _ in range(12)]
    case["envelope_mutants"] = [mutant(rng, out["envelope"]) for _ in range(3)]
    sealed = rng.choice(out["datagrams"])
    case["datagram_mutants"] = [mutant(rng, sealed) for _ in range(4)]
    first_request = out["seed_requests"][0]
    case["sealed"] = [first_request] + [mutant(rng, first_request) for _ in range(4)]
    out["announcement_mutants"] = verdicts(oracle.announcement_decode, case["announcement_mutants"])
    out["envelope_mutants"] = verdicts(oracle.envelope_open, case["envelope_mutants"])
    out["datagram_mutants"] = opened(keys["up"], case["datagram_mutants"])
    out["sealed"] = opened_seeds(case, a, out["hash"])
    return out


def plain(value):
    """For JSON: bytes as hex; names and training are text in the C answer."""
    if isinstance(value, bytes):
        return value.hex()
    if isinstance(value, dict):
        return {
            k: v.decode() if k in ("name", "task", "training", "pool") else plain(v) for k, v in value.items()
        }
    if isinstance(value, list):
        return [plain(v) for v in value]
    return value


def question(case, canonical):
    clients = [
        dict(c, q=bytes(x % 256 for x in c["q"]), trailer=c["trailer"]) for c in case["clients"]
    ]
    return json.dumps(plain(dict(case, announcement=canonical, clients=clients)))


def compare(want, got):
    """The first difference, as text; None when all agree."""
    if set(want) != set(got):
        return f"members {sorted(set(want) ^ set(got))} on one side only"
    for name, value in want.items():
        if name == "quantiser" and agrees(value, got[name]):
            continue
        if got[name] != value:
            return f"{name}:\n  oracle {json.dumps(value)[:2000]}\n  C      {json.dumps(got[name])[:2000]}"
    return None


def check_refusals(spec, table):
    """Section 14 of the page lists exactly the codes and statuses of the C table."""
    with open(table) as file:
        have = re.findall(r'^MR_REFUSAL\(\w+, (\d+), "(\w+)", "(.*)"\)', file.read(), re.M)
    with open(spec) as file:
        said = re.findall(r"^\| `(\w+)` \| (\d+) \| (.*) \|$", file.read(), re.M)
    if sorted(have) != sorted((status, code, text) for code, status, text in said) or not have:
        raise Disagreement(f"{spec} and {table} list different refusals")


def run(arguments):
    if arguments.spec:
        check_refusals(arguments.spec, arguments.refusals)
    rng = random.Random(arguments.seed)
    taken = {"announcement_mutants": 0, "envelope_mutants": 0, "datagram_mutants": 0, "sealed": 0}
    # In a cross build meson names the emulator.
    command = shlex.split(os.environ.get("MESON_EXE_WRAPPER", "")) + [arguments.wire_vectors]
    with subprocess.Popen(
        command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as tool:
        for number in range(arguments.cases):
            case = random_case(rng)
            want = answer(rng, case)
            try:
                tool.stdin.write(question(case, want["announcement"]) + "\n")
                tool.stdin.flush()
            except BrokenPipeError:
                pass
            line = tool.stdout.readline()
            if not line:
                raise Disagreement(f"case {number}: {arguments.wire_vectors} gave no answer")
            difference = compare(plain(want), json.loads(line))
            if difference:
                raise Disagreement(f"case {number}: {difference}")
            for name in taken:
                taken[name] += sum(bool(v) for v in want[name])
        tool.stdin.close()
        if tool.wait() != 0:
            raise Disagreement(f"{arguments.wire_vectors} ended with {tool.returncode}")
    print(f"{arguments.cases} cases agree; changed inputs taken by both: {taken}")


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("wire_vectors", help="the C tool")
    parser.add_argument("--seed", type=int, default=int(os.environ.get("MR_SEED", "0")))
    parser.add_argument("--cases", type=int, default=1000)
    parser.add_argument("--spec")
    parser.add_argument("--refusals")
    arguments = parser.parse_args()
    arguments.seed = arguments.seed or random.SystemRandom().randrange(1, 2**32)
    print(f"seed {arguments.seed}", flush=True)
    try:
        run(arguments)
    except Disagreement as why:
        print(f"DISAGREE (seed {arguments.seed}): {why}")
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
