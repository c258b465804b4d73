"""Frames of a belt with parts on it, and the small network that finds them.

The parts are real handwritten digits (UCI, CC BY 4.0: demo/data); the frames around them are put together: a belt of CELLS by CELLS
places, noise, scratches, light that differs from robot to robot. A place holds nothing or one part, a pixel off its middle.

The network looks at each place: a 3x3 convolution, mean pooling, a dense layer (the backbone), and the detection head, which says
for each place "nothing" or which part. The backbone's weights are int8 times a step, trained so (quantise.py), and frozen; what is
trained here is the head.
"""

import gzip
import os

import numpy as np

import layers
import quantise

DATA = os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "data", "digits.csv.gz")
CELLS, SIDE = 3, 8
NOTHING = 0  # class of an empty place; digit d is class d + 1
PARTS = 8  # digits 0 to 7
NEW = 7  # the part that the network has never seen
CLASSES = PARTS + 1
FILTERS, FEATURES = 16, 48
BACKBONE = ("conv.weight", "conv.bias", "dense.weight", "dense.bias")
HEAD = ("head.weight", "head.bias")
# Which of the digits are whose.
MAKERS, ROBOTS, JUDGES = slice(0, 750), slice(750, 1300), slice(1300, None)


def digits(part):
    """{digit: images [n, 8, 8], 0 to 1}."""
    with gzip.open(DATA, "rt", encoding="ascii") as f:
        rows = np.array([line.split(",") for line in f.read().split() if line[0].isdigit()], np.float32)[part]
    return {d: rows[rows[:, -1] == d, :-1].reshape(-1, SIDE, SIDE) / 16 for d in range(PARTS)}


class Camera:
    """What a robot sees of `pool`: its own light and noise."""

    def __init__(self, number, pool):
        self.random = np.random.default_rng((23, number))
        self.pool = pool
        self.light, self.noise = self.random.uniform(0.7, 1.1), self.random.uniform(0.03, 0.10)

    def frame(self, parts, share_new=0.0):
        """A frame's places [9, 8, 8] and what is in each, one of `parts` or nothing; of the parts so many are NEW."""
        random, side = self.random, CELLS * SIDE
        image = self.noise * random.normal(size=(side + 2, side + 2))
        for _ in range(random.integers(0, 3)):  # scratches
            image[random.integers(0, side), random.integers(0, side):] += random.uniform(0.1, 0.4)
        kinds = np.zeros(CELLS * CELLS, int)
        for place in np.flatnonzero(random.random(CELLS * CELLS) < 0.6):
            digit = NEW if random.random() < share_new else int(random.choice(parts))
            kinds[place] = digit + 1
            down, right = (SIDE * np.array(divmod(place, CELLS)) + random.integers(0, 3, 2))
            shown = self.pool[digit][random.integers(len(self.pool[digit]))]
            image[down:down + SIDE, right:right + SIDE] += self.light * shown
        inner = image[1:-1, 1:-1].reshape(CELLS, SIDE, CELLS, SIDE).transpose(0, 2, 1, 3)
        return inner.reshape(-1, SIDE, SIDE).astype(np.float32), kinds

    def frames(self, count, parts=tuple(range(PARTS)), share_new=0.0):
        shown = [self.frame(parts, share_new) for _ in range(count)]
        return np.concatenate([s[0] for s in shown]), np.concatenate([s[1] for s in shown])


def look(weights, places):
    """(features [N, FEATURES], cache) of places [N, 8, 8]."""
    seen = np.lib.stride_tricks.sliding_window_view(places, (3, 3), axis=(1, 2))
    seen = np.ascontiguousarray(seen).reshape(len(places), 36, 9)
    out, positive = layers.relu(seen @ weights["conv.weight"].T + weights["conv.bias"])
    pooled = out.reshape(-1, 3, 2, 3, 2, FILTERS).mean((2, 4)).reshape(len(places), -1)
    deep, cache = layers.dense(pooled, weights["dense.weight"], weights["dense.bias"])
    deep, above = layers.relu(deep)
    return deep, (seen, positive, cache, above)


def head_gradients(weights, features, kinds):
    """Mean loss, and the gradients of the head."""
    out, seen = layers.dense(features, weights["head.weight"], weights["head.bias"])
    loss, error = layers.cross_entropy(out, kinds)
    error, by_weight, by_bias = layers.dense_back(error, weights["head.weight"], seen)
    return loss, {"head.weight": by_weight, "head.bias": by_bias}, error


def gradients(weights, places, kinds):
    """Of all tensors; for the makers."""
    deep, (seen, positive, cache, above) = look(weights, places)
    loss, found, error = head_gradients(weights, deep, kinds)
    error, found["dense.weight"], found["dense.bias"] = layers.dense_back(layers.relu_back(error, above),
                                                                          weights["dense.weight"], cache)
    error = error.reshape(-1, 3, 1, 3, 1, FILTERS) / 4
    error = np.broadcast_to(error, (len(places), 3, 2, 3, 2, FILTERS)).reshape(len(places), 36, FILTERS) * positive
    found["conv.weight"] = np.tensordot(error, seen, ((0, 1), (0, 1)))
    found["conv.bias"] = error.sum((0, 1))
    return loss, found


def first_model(seed=11):
    random = np.random.default_rng(seed)
    return {name: value.astype(np.float32) for name, value in {
        "conv.weight": random.normal(0, 0.4, (FILTERS, 9)), "conv.bias": np.zeros(FILTERS),
        "dense.weight": random.normal(0, 0.15, (FEATURES, 9 * FILTERS)), "dense.bias": np.zeros(FEATURES),
        "head.weight": random.normal(0, 0.2, (CLASSES, FEATURES)), "head.bias": np.zeros(CLASSES)}.items()}


def pretrained(steps=900):
    """What the robots' maker delivers: it knows all parts but NEW, and its backbone is on the grid of int8."""
    camera, weights, adam = Camera(9999, digits(MAKERS)), first_model(), layers.Adam(0.005)
    places, kinds = camera.frames(600, tuple(d for d in range(PARTS) if d != NEW))
    for name in HEAD:  # its row for the new part is added when there is one
        weights[name] = weights[name][:NEW + 1]
    grid = {"conv.weight", "dense.weight"}
    for _ in range(steps):
        chosen = camera.random.integers(0, len(places), 64)
        adam.step(weights, gradients(quantise.on_grid(weights, grid), places[chosen], kinds[chosen])[1])
    weights = quantise.on_grid(weights, grid)
    for name in HEAD:
        weights[name] = np.concatenate([weights[name], 0 * weights[name][:1]])
    return weights


def judge(weights, places, kinds):
    """Shares: of the new part's places that are found, of all others that are right, of others that are taken for the new part."""
    said = layers.dense(look(weights, places)[0], weights["head.weight"], weights["head.bias"])[0].argmax(1)
    new = kinds == NEW + 1
    return (float((said[new] == NEW + 1).mean()), float((said[~new] == kinds[~new]).mean()),
            float((said[~new] == NEW + 1).mean()))
