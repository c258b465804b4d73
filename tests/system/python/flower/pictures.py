"""Pictures of 8 x 8 pixels in ten classes, made by a generator: each a class's own pattern, moved by up to a pixel, in noise.

Devices have different numbers of them."""

import numpy

CLASSES, SIDE = 10, 8
NOISE = 0.9
TEST_ROWS = 4000


def pictures(seed, count):
    patterns = numpy.random.default_rng(7).normal(0, 1, (CLASSES, SIDE + 2, SIDE + 2))
    chance = numpy.random.default_rng(seed)
    y = chance.integers(0, CLASSES, count)
    down, right = chance.integers(0, 3, count), chance.integers(0, 3, count)
    x = numpy.stack([patterns[c, d:d + SIDE, r:r + SIDE] for c, d, r in zip(y, down, right)])
    return (x + chance.normal(0, NOISE, x.shape)).astype(numpy.float32), y


def load_data(partition_id, num_partitions):
    """A device's own."""
    return pictures(100 + partition_id, 200 + 400 * partition_id // num_partitions)


def test_data():
    return pictures(99, TEST_ROWS)
