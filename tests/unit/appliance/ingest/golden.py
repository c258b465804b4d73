#!/usr/bin/env python3
"""Writes golden.pcap: frames of every kind for the port that test_pcap.c opens, one of each.

The verdict on each is its first column; test_pcap.c holds the same counts, written by hand.
usage: golden.py golden.pcap
"""

import struct
import sys

HUB_MAC = bytes.fromhex("027063617000")  # what net_pcap gives its first port
MAC = bytes.fromhex("020000000002")
HUB4, DEVICE4 = bytes([192, 0, 2, 1]), bytes([192, 0, 2, 2])
HUB6 = bytes.fromhex("fd" + "00" * 14 + "01")
DEVICE6 = bytes.fromhex("fd" + "00" * 14 + "02")
PORT = 9443
UDP, TCP, ICMP, ICMP6, HOP_BY_HOP, FRAGMENT = 17, 6, 1, 58, 0, 44


def ethernet(kind, rest, to=HUB_MAC, sender=MAC, vlan=()):
    tags = b"".join(struct.pack(">HH", 0x8100, tag) for tag in vlan)
    return to + sender + tags + struct.pack(">H", kind) + rest


def checksum(head):
    total = sum(struct.unpack(f">{len(head) // 2}H", head))
    while total >> 16:
        total = (total & 0xffff) + (total >> 16)
    return ~total & 0xffff


def v4(protocol, rest, flags=0x4000, options=b"", total=None, spoil=0):
    words = 5 + len(options) // 4
    total = 4 * words + len(rest) if total is None else total
    head = struct.pack(">BBHHHBBH", 0x40 | words, 0, total, 7, flags, 64, protocol, 0)
    head += DEVICE4 + HUB4 + options
    return head[:10] + struct.pack(">H", checksum(head) ^ spoil) + head[12:] + rest


def v6(protocol, rest, to=HUB6):
    return struct.pack(">IHBB", 6 << 28, len(rest), protocol, 255) + DEVICE6 + to + rest


def udp(payload, port=PORT, source=5000, length=None):
    return struct.pack(">HHHH", source, port, 8 + len(payload) if length is None else length,
                       0) + payload


def datagram(magic=0x4d52, version=1, kind=1, flags=0, length=100, more=0):
    """An upload's datagram of an upload that nobody admitted; what is sealed in it is zeros."""
    return struct.pack(">HBBHHQQII", magic, version, kind, flags, length, 0x0000000100000001, 7, 1,
                       0) + bytes(100 + 16 + more)


def ip4(payload, **how):
    return ethernet(0x0800, v4(UDP, udp(payload), **how))


def frames():
    arp = struct.pack(">HHBBH", 1, 0x0800, 6, 4, 1) + MAC + DEVICE4 + bytes(6) + HUB4
    ping = struct.pack(">BBHHH", 8, 0, 0xf7fd, 1, 1)
    whole = datagram()
    first = struct.pack(">BBHI", UDP, 0, 1, 9)  # IPv6 fragment header: first, more to come
    later = struct.pack(">BBHI", UDP, 0, 64 << 3 | 1, 9)
    options = struct.pack(">BBBBI", UDP, 0, 1, 4, 0)  # hop by hop: padding
    # what no port of uploads concerns: the kernel's, and this port has no way to it
    yield "no_kernel", ethernet(0x0806, arp, to=b"\xff" * 6)
    yield "no_kernel", ethernet(0x0806, arp)
    yield "no_kernel", ethernet(0x0800, v4(ICMP, ping))
    yield "no_kernel", ethernet(0x86dd, v6(ICMP6, bytes(24)), to=bytes.fromhex("3333ff000001"))
    yield "no_kernel", ethernet(0x86dd, v6(ICMP6, bytes(24)))
    yield "no_kernel", ethernet(0x0800, v4(TCP, bytes(20)))
    yield "no_kernel", ethernet(0x0800, v4(UDP, udp(whole, port=53)))
    yield "no_kernel", ethernet(0x86dd, v6(UDP, udp(whole, port=53)))
    yield "no_kernel", ethernet(0x0800, v4(UDP, udp(whole), flags=64))  # a later fragment
    yield "no_kernel", ethernet(0x86dd, v6(FRAGMENT, later + udp(whole)))
    yield "no_kernel", ethernet(0x0800, v4(UDP, udp(whole)), vlan=(7, 8))  # two tags
    yield "no_kernel", ethernet(0x88cc, bytes(46))  # LLDP
    # datagrams for the upload port, of which none belongs to an upload
    yield "unknown_upload", ip4(whole)
    yield "unknown_upload", ethernet(0x0800, v4(UDP, udp(whole)), vlan=(7,))
    yield "unknown_upload", ethernet(0x86dd, v6(UDP, udp(whole)))
    yield "unknown_upload", ethernet(0x86dd, v6(UDP, udp(whole)), vlan=(7,))
    yield "unknown_upload", ip4(whole) + bytes(20)  # padded, as short frames are
    yield "truncated", ip4(b"hello")
    yield "truncated", ip4(b"")
    yield "truncated", ip4(datagram(length=101))
    yield "oversized", ip4(datagram(more=1))
    yield "bad_magic", ip4(datagram(magic=0x4d53))
    yield "bad_version", ip4(datagram(version=2))
    yield "bad_type", ip4(datagram(kind=9))
    yield "bad_type", ip4(datagram(kind=2))  # an ACK: for devices
    yield "bad_flags", ip4(datagram(flags=1))
    # frames that are wrong in themselves
    yield "fragment", ip4(whole, flags=0x2000)
    yield "fragment", ethernet(0x86dd, v6(FRAGMENT, first + udp(whole)))
    yield "options", ip4(whole, options=bytes([1, 1, 1, 0]))
    yield "options", ethernet(0x86dd, v6(HOP_BY_HOP, options + udp(whole)))
    yield "bad_checksum", ip4(whole, spoil=1)
    yield "malformed", ip4(whole, total=2000)
    yield "malformed", ethernet(0x0800, v4(UDP, udp(whole, length=2000)))
    yield "malformed", ethernet(0x0800, v4(UDP, udp(whole, length=7)))
    yield "malformed", ethernet(0x0800, v4(UDP, udp(whole, source=0)))
    yield "malformed", ethernet(0x0800, v4(UDP, udp(whole)), sender=b"\x01" + MAC[1:])
    yield "malformed", ip4(whole)[:40]  # captured in part
    yield "malformed", ethernet(0x0800, v4(UDP, udp(whole)))[:30]
    yield "malformed", ethernet(0x0800, b"\x65" + v4(UDP, udp(whole))[1:])
    yield "malformed", HUB_MAC + MAC
    yield "other_mac", ethernet(0x0800, v4(UDP, udp(whole)), to=MAC)
    yield "split", ip4(bytes(3000))


def main():
    with open(sys.argv[1], "wb") as out:
        out.write(struct.pack("<IHHiIII", 0xa1b2c3d4, 2, 4, 0, 0, 65535, 1))
        for second, (_, frame) in enumerate(frames()):
            out.write(struct.pack("<IIII", second, 0, len(frame), len(frame)) + frame)


if __name__ == "__main__":
    main()
