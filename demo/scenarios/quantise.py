"""Weights on a grid of int8, and training that knows of it.

A tensor is symmetric, one step for the whole of it: w = step * q, q from -127 to 127. `fake` puts floats on that grid and leaves
them floats. Training with fake quantisation computes with `fake(w)` and applies the gradient to w itself, as if rounding had
slope one (straight-through; Jacob and others, CVPR 2018).
"""

import numpy as np

LEVELS = 127


def step_of(weight, levels=LEVELS):
    return max(float(np.abs(weight).max()), 1e-8) / levels


def to_int(weight, levels=LEVELS):
    """(q as int8, step)."""
    step = step_of(weight, levels)
    return np.clip(np.round(weight / step), -levels, levels).astype(np.int8), np.float32(step)


def fake(weight, levels=LEVELS):
    q, step = to_int(weight, levels)
    return q.astype(np.float32) * step


def on_grid(weights, names, levels=LEVELS):
    """`weights` with those of `names` on the grid."""
    return {name: fake(value, levels) if name in names else value for name, value in weights.items()}
