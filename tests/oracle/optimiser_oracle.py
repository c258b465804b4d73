"""Server optimisers (docs/wire-format.md, section 12), in floats of 32 bits: the exact result of each operation on
two of them is rounded once, since a double holds it, or lies nearer to it than any tie does."""

import math
import struct

from conventions import be32, f32, f32_of, positive_normal, require


def optimiser_check(a):
    """Section 3: what a kind does not use is +0."""
    one = 0x3F800000  # bits of 1: floats from +0 on are in order of their bits
    kind = a["optimiser"] & 15
    require(kind in range(4), "optimiser")
    require(a["optimiser"] >> 4 in (0, 4, 8), "requantise")
    require(positive_normal(a["learning_rate_bits"]), "learning_rate")
    require(a["beta1_bits"] < (one if kind else 1), "beta1")
    if kind < 2:
        require(a["beta2_bits"] == 0 and a["tau_bits"] == 0, "beta2, tau")
        return
    beta1, beta2, tau = (f32_of(a[name]) for name in ("beta1_bits", "beta2_bits", "tau_bits"))
    require(0x3F000000 <= a["beta2_bits"] < one and f32(beta1 * beta1) < beta2, "beta2")
    require(positive_normal(a["tau_bits"]), "tau")
    require(2.0**-126 <= tau * tau < 2.0**128 - 2.0**103 and f32(tau * tau) >= 2.0**-126, "tau")


def optimiser_state(kind, tau_bits, count):
    """Section 12, "Server optimisers": (m, v) of a task that begins."""
    tau = f32_of(tau_bits)
    return [0.0] * count, [f32(tau * tau)] * count if kind > 1 else []


def optimiser_step(a, state, update):
    """(next state, step) of the mean update `update`."""
    kind = a["optimiser"] & 15
    rate, beta1, beta2, tau = (
        f32_of(a[name]) for name in ("learning_rate_bits", "beta1_bits", "beta2_bits", "tau_bits")
    )
    if kind == 0:
        return state, update
    old_m, old_v = state
    if kind == 1:
        m = [f32(f32(beta1 * m) + u) for m, u in zip(old_m, update)]
        return (m, []), [f32(rate * x) for x in m]
    rest1, rest2 = f32(1 - beta1), f32(1 - beta2)
    m = [f32(f32(beta1 * m) + f32(rest1 * u)) for m, u in zip(old_m, update)]
    v = []
    for old, u in zip(old_v, update):
        square = f32(u * u)
        by = f32(rest2 * square)
        if kind == 2:
            v.append(f32(f32(beta2 * old) + by))
        else:
            v.append(f32(old - by) if old > square else f32(old + by) if old < square else old)
    step = [f32(f32(rate * x) / f32(f32(math.sqrt(y)) + tau)) for x, y in zip(m, v)]
    return (m, v), step


def optimiser_state_file(kind, state):
    m, v = state
    head = b"MROS" + bytes([1, kind, 0, 0]) + be32(len(m))
    return head.ljust(64, b"\0") + struct.pack(f"<{len(m) + len(v)}f", *m, *v)
