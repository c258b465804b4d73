#!/usr/bin/env python3
"""Computes tests/vectors/share.json with the oracle.

usage: share_vectors.py [--check share.json]

Writes the vectors to stdout; with --check, compares them with a file instead. Exit 0 if they agree, 1 if
not; 77 if the `cryptography` package is missing.
"""

import json
import sys

try:
    import millrace_oracle as oracle
except ImportError as missing:
    print(f"skipped: {missing}; install python3-cryptography")
    sys.exit(77)

RISING = bytes(range(32))
HASH = b"\xa5" * 32
CLIENT = b"\x43" * 16
TASK = b"digits-1"


def stream(hub, attempt, length):
    """(key, counter, the mask's first bytes)."""
    key, counter = oracle.mask_key(RISING, oracle.scope(TASK, HASH, CLIENT, hub, attempt))
    return key, counter, oracle.ctr_stream(key, counter, 0, length)


def masks():
    key, counter, mask = stream(1, 0, 2048)
    _, _, long_mask = stream(2, 7, 1048576)
    return {
        "mask": {
            "seed": RISING.hex(),
            "task": TASK.decode(),
            "announcement_hash": HASH.hex(),
            "client_id": CLIENT.hex(),
            "hub_index_be16": 1,
            "attempt_be32": 0,
            "hmac_input": "len8(label)|label|len8(task)|task|announcement_hash|client_id|hub_index|attempt",
            "label": "millrace mask",
            "key_hex": key.hex(),
            "counter_hex": counter.hex(),
            "first16": mask[:16].hex(),
            "sha256_of_2048": oracle.sha256(mask).hex(),
        },
        "mask_long": {
            "hub_index_be16": 2,
            "attempt_be32": 7,
            "sha256_of_1048576": oracle.sha256(long_mask).hex(),
        },
    }


def counter_carry():
    counter = bytes(8) + b"\xff" * 7 + b"\xfe"
    return {
        "key": RISING[:16].hex(),
        "counter": counter.hex(),
        "keystream64": oracle.ctr_stream(RISING[:16], counter, 0, 64).hex(),
    }


def upload_aead():
    chunk, plaintext = 5, bytes(64)
    key, iv = oracle.upload_keys(RISING)["up"]
    sealed = oracle.AESGCM(key).encrypt(oracle.nonce(iv, chunk), plaintext, RISING)
    return {
        "ekm": RISING.hex(),
        "key": key.hex(),
        "iv": iv.hex(),
        "chunk": chunk,
        "nonce": oracle.nonce(iv, chunk).hex(),
        "aad": RISING.hex(),
        "plaintext": plaintext.hex(),
        "ciphertext": sealed[:-16].hex(),
        "tag": sealed[-16:].hex(),
    }


def share_of(ring_bits):
    """200 lanes that count from −100, less the mask of `masks`: the packed lanes and the lead's share."""
    layout = oracle.Layout({"ring_bits": ring_bits, "chunk_bytes": 1408, "rotation_log2": 0, "dimension": 200, "kind": 0,
                            "metrics": []})
    q = list(range(-100, 100)) + [0] * (layout.lanes - 200)
    trailer = list(range(1, 17))
    mask = oracle.mask_bytes(layout, RISING, oracle.scope(TASK, HASH, CLIENT, 1, 0))
    lifted = layout.write(q, trailer)
    share = oracle.lead_share(layout, q, trailer, [mask])
    return {
        "share_bytes": layout.share_bytes,
        "lifted_first16": lifted[:16].hex(),
        "sha256_of_lifted": oracle.sha256(lifted).hex(),
        "share_first16": share[:16].hex(),
        "share_last16": share[-16:].hex(),
        "sha256_of_share": oracle.sha256(share).hex(),
    }


def vectors():
    return masks() | {f"share_w{w}": share_of(w) for w in oracle.RING_WIDTHS} | {
        "ctr_carry_64bit": counter_carry(),
        "upload_aead": upload_aead(),
        "ring": {
            "w8_max_clients_int8": oracle.ring_clients_max(8, headroom=1),
            "w10": oracle.ring_clients_max(10, headroom=1),
            "w12": oracle.ring_clients_max(12, headroom=1),
            "w16_max_clients_int8": oracle.ring_clients_max(16, headroom=1),
            "w24": oracle.ring_clients_max(24, headroom=1),
            "w32": oracle.ring_clients_max(32, headroom=1),
        },
    }


def main():
    if sys.argv[1:2] != ["--check"]:
        print(json.dumps(vectors(), indent=1))
        return 0
    with open(sys.argv[2]) as file:
        agree = json.load(file) == vectors()
    print("agree" if agree else f"{sys.argv[2]} differs: write it anew with {sys.argv[0]}")
    return 0 if agree else 1


if __name__ == "__main__":
    sys.exit(main())
