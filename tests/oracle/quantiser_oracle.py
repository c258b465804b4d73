"""The quantiser of docs/wire-format.md section 4, written from that page alone: the rule for the
announced numbers, the interleaved rotation to the bit, the bins of norms."""

import math
import struct

import millrace_oracle as oracle

BINS = 9


def f32(x):
    """Rounded to binary32. One addition or multiplication of two of them, done in binary64 first, rounds
    to the same value."""
    return struct.unpack("<f", struct.pack("<f", x))[0]


def levels(ring_bits, cohort_max, headroom):
    return min(127, (2 ** (ring_bits - 1) - 1) // (headroom * cohort_max))


def rotation_log2(dimension):
    for r in range(16, 6, -1):
        blocks = -(-dimension // 2**r) | 1
        if (blocks * 2**r - dimension) * 32 <= dimension:
            return r
    return 6


def first_range(levels_, cohort_max):
    return min(4.0, max(1.5, 1.3 + 0.35 * math.log2(levels_ * math.sqrt(cohort_max))))


def norm_bin(norm, clip_norm):
    for j in range(BINS):
        if norm <= clip_norm * 2.0 ** (j - 8):
            return j
    return BINS - 1


def remember(rounds):
    """The norm memory after rounds of (counts, clip_norm)."""
    memory, clip = [0.0] * BINS, None
    for counts, clip_norm in rounds:
        if clip_norm != clip:
            memory, clip = [0.0] * BINS, clip_norm
        memory = [0.7 * m + c for m, c in zip(memory, counts)]
    return memory


def saturation(z):
    density = math.exp(-z * z / 2) / math.sqrt(2 * math.pi)
    return math.sqrt(max(0.0, (1 + z * z) * math.erfc(z / math.sqrt(2)) - 2 * z * density))


def expected_error(reach, kept, norms, levels_):
    rounding = lost = 0.0
    for count, norm in zip(kept, norms):
        s = levels_ * norm / (4 * reach)
        rounding += count * (1 / 6 if s > 0.4 else 0.8 * s - s * s)
        lost += count * norm * saturation(4 * reach / norm)
    return (4 * reach / levels_) ** 2 * rounding + lost**2


def reach(levels_, clip_norm, rounds, silent):
    """M; `rounds` as for remember, `silent` round numbers since the last of them."""
    memory = remember(rounds)
    edge = rounds[-1][1]
    kept = [c if c > 0.02 * sum(memory) else 0.0 for c in memory]
    scaled = [c * sum(rounds[-1][0]) / sum(kept) for c in kept]
    norms = [min(edge * 2.0 ** (j - 8) * 2**-0.25, clip_norm) for j in range(BINS)]
    grid = [clip_norm * 2.0 ** (-i / 4) for i in range(40, -1, -1)]
    best = min(grid, key=lambda m: expected_error(m, scaled, norms, levels_))
    return min(clip_norm, best * 2.0 ** min(silent, 100))


def scale(levels_, lanes, cohort_max, clip_norm, rounds, silent):
    if not rounds:
        return f32(levels_ * math.sqrt(lanes) / (first_range(levels_, cohort_max) * clip_norm))
    return f32(levels_ * math.sqrt(lanes) / (4 * reach(levels_, clip_norm, rounds, silent)))


def rotate(values, log2, signs):
    """Step 3 on a vector that is padded already: signs, then the interleaved transform."""
    x = [-v if signs[i // 8] >> i % 8 & 1 else v for i, v in enumerate(values)]
    blocks = len(x) >> log2
    for stage in range(log2):
        apart = blocks << stage
        for i in range(len(x)):
            if i // apart % 2 == 0:
                a, b = x[i], x[i + apart]
                x[i], x[i + apart] = f32(a + b), f32(a - b)
    factor = f32(1 / math.sqrt(2**log2))
    return [f32(v * factor) for v in x]


def rotated_bytes(a, vector):
    """`vector`: little-endian floats of all lanes, before step 3; the same after it."""
    count = len(vector) // 4
    values = struct.unpack(f"<{count}f", vector)
    if a["rotation_log2"] and a["kind"] != 2:
        signs = oracle.rotation_signs(a["rotation_seed"], a["round"], -(-count // 128) * 16)
        values = rotate(values, a["rotation_log2"], signs)
    return struct.pack(f"<{count}f", *values)
