"""Where a hub's transcript stands, written from docs/wire-format.md, section 15, alone."""

from millrace_oracle import be16, be64, label, require, sign, verify


def standing_sign(task, key, hub, epoch, sequence, number, head):
    """Where a hub's transcript stands, signed (section 15)."""
    parts = be16(hub) + be64(epoch) + be64(sequence) + be64(number) + head
    return parts + sign(key, standing_text(task, parts))


def standing_text(task, parts):
    return label("millrace transcript stands") + bytes([len(task)]) + task + parts


def standing_open(task, public, standing):
    """(hub, epoch, sequence, round, head) of a standing whose signature holds."""
    require(len(standing) == 122 and verify(public, standing[-64:], standing_text(task, standing[:-64])), "a standing")
    numbers = [int.from_bytes(standing[at:at + 8], "big") for at in (2, 10, 18)]
    return (int.from_bytes(standing[:2], "big"), *numbers, standing[26:58])
