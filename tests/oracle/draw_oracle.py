"""The draw, written from docs/wire-format.md, section 11, alone."""

import millrace_oracle as oracle
from millrace_oracle import be16, be32, hmac_sha256, label, require, sha256

PLEDGE, VALUE, CLIENT, SIGNATURE = 96, 32, 16, 64


def value_hash(announcement_hash, hub, value):
    return sha256(label("millrace draw value") + announcement_hash + be16(hub) + value)


def pledge_text(announcement_hash, hub, hashed):
    return label("millrace draw pledge") + announcement_hash + be16(hub) + hashed


def pledge(announcement_hash, hub, value, private):
    hashed = value_hash(announcement_hash, hub, value)
    return hashed + oracle.sign(private, pledge_text(announcement_hash, hub, hashed))


def list_hash(announcement_hash, pledges, listed):
    return sha256(label("millrace draw list") + announcement_hash + b"".join(p[:32] for p in pledges) + listed)


def list_text(announcement_hash, hashed):
    return label("millrace draw") + announcement_hash + hashed


def list_encode(announcement_hash, pledges, clients, lead_private):
    """What the lead asks every helper with."""
    listed = be32(len(clients)) + b"".join(sorted(clients))
    hashed = list_hash(announcement_hash, pledges, listed)
    return b"".join(pledges) + listed + oracle.sign(lead_private, list_text(announcement_hash, hashed))


def list_decode(data, terms, announcement_hash):
    """(pledges, clients, hash) of a list whose every signature holds."""
    hubs = terms["hubs"]
    rest = oracle.Rest(data)
    pledges = [rest.take(PLEDGE) for _ in hubs]
    for hub, one in zip(hubs, pledges):
        text = pledge_text(announcement_hash, hub["index"], one[:32])
        require(oracle.verify(hub["public_key"], one[32:], text), "pledge")
    count = rest.take(4)
    number = int.from_bytes(count, "big")
    require(1 <= number <= (terms["admitted_max"] or terms["cohort_max"]), "count")
    clients = [rest.take(CLIENT) for _ in range(number)]
    require(all(a < b for a, b in zip(clients, clients[1:])), "order")
    hashed = list_hash(announcement_hash, pledges, count + b"".join(clients))
    require(oracle.verify(hubs[0]["public_key"], rest.take(SIGNATURE), list_text(announcement_hash, hashed)), "lead")
    require(not rest.data, "bytes left over")
    return pledges, clients, hashed


def drawn(hashed, values, clients, places):
    """Those of the clients that the values draw, rising."""
    seed = sha256(label("millrace draw seed") + hashed + b"".join(values))
    lots = sorted((hmac_sha256(seed, label("millrace draw lot") + client), client) for client in clients)
    return sorted(client for _, client in lots[:places])
