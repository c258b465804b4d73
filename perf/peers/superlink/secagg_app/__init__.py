"""What both sides know."""

import numpy as np

CLIP = 1.0
LEVELS = 256  # 8 bits: quantization_range
MODULUS = 1 << 16  # holds 255 summands of 8 bits: modulus_range
WEIGHT = 100  # every device has it, and it is max_weight: no precision is lost to the weighting


def device_vector(device, values):
    """Whole quantisation levels, so that stochastic rounding leaves them alone."""
    levels = (np.arange(values, dtype=np.int64) * 7 + device * 31) % (LEVELS + 1)
    return (levels * (2 * CLIP / LEVELS) - CLIP).astype(np.float32)
