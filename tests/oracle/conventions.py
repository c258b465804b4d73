"""Section 1 of docs/wire-format.md, as Python: what the other modules of the oracle build on."""

import hashlib
import hmac
import struct

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey
from cryptography.hazmat.primitives.ciphers import Cipher, algorithms, modes
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

TASK_ALPHABET = frozenset(b"abcdefghijklmnopqrstuvwxyz0123456789-")


class Refused(Exception):
    """The bytes are not what the format allows; the text says why."""


def require(condition, why):
    if not condition:
        raise Refused(why)


# --- 1 conventions -------------------------------------------------------------------------------


def be16(x):
    return struct.pack(">H", x)


def be32(x):
    return struct.pack(">I", x)


def be64(x):
    return struct.pack(">Q", x)


def label(text):
    raw = text.encode("ascii")
    return bytes([len(raw)]) + raw


def sha256(data):
    return hashlib.sha256(data).digest()


def hmac_sha256(key, data):
    return hmac.new(key, data, hashlib.sha256).digest()


def f32_of(bits):
    return struct.unpack(">f", bits.to_bytes(4, "big"))[0]


def f32(value):
    return struct.unpack("<f", struct.pack("<f", value))[0]


def ctr_stream(key, counter, start, length):
    """Bytes [start, start + length) of the AES-CTR stream; start is a multiple of 16."""
    assert start % 16 == 0
    block = (int.from_bytes(counter, "big") + start // 16) % 2**128
    encryptor = Cipher(algorithms.AES(key), modes.CTR(block.to_bytes(16, "big"))).encryptor()
    return encryptor.update(bytes(length))


def public_key(private):
    key = Ed25519PrivateKey.from_private_bytes(private).public_key()
    return key.public_bytes(Encoding.Raw, PublicFormat.Raw)


def sign(private, text):
    return Ed25519PrivateKey.from_private_bytes(private).sign(text)


def verify(public, signature, text):
    try:
        Ed25519PublicKey.from_public_bytes(public).verify(signature, text)
        return True
    except (InvalidSignature, ValueError):
        return False


def positive_normal(bits):
    exponent = bits >> 23 & 0xFF
    return bits >> 31 == 0 and 0 < exponent < 255


def task_check(task):
    """A task's name, as bytes."""
    require(1 <= len(task) <= 32 and TASK_ALPHABET.issuperset(task) and task[:1] != b"-", "task")
