#!/usr/bin/python3
"""The scenarios' layers against finite differences, and what they compute against the plain formula.

    test_layers.py DEMO
"""

import os
import sys
import unittest

try:
    import numpy as np
except ImportError:
    print("skipped: no numpy; install python3-numpy")
    sys.exit(77)

sys.path.insert(0, os.path.join(sys.argv[1], "scenarios"))
import layers  # noqa: E402 pylint: disable=wrong-import-position

STEP = 1e-6


def slope(function, values):
    """d function / d values by central differences; `values` is changed and put back."""
    found = np.empty_like(values)
    for at in np.ndindex(values.shape):
        kept = values[at]
        values[at] = kept + STEP
        above = function()
        values[at] = kept - STEP
        found[at] = (above - function()) / (2 * STEP)
        values[at] = kept
    return found


class Layers(unittest.TestCase):
    def setUp(self):
        self.random = np.random.default_rng(1)

    def normal(self, *shape):
        return self.random.normal(size=shape)

    def compare(self, function, gradients, values):
        """`gradients` of sum(out * weight) by each of `values`."""
        for gradient, value in zip(gradients, values):
            self.assertEqual(gradient.shape, value.shape)
            np.testing.assert_allclose(gradient, slope(function, value), rtol=1e-5, atol=1e-7)

    def test_dense(self):
        x, weight, bias, by = self.normal(4, 3), self.normal(2, 3), self.normal(2), self.normal(4, 2)
        back = layers.dense_back(by, weight, layers.dense(x, weight, bias)[1])
        self.compare(lambda: (layers.dense(x, weight, bias)[0] * by).sum(), back, (x, weight, bias))

    def test_relu(self):
        x, by = self.normal(4, 3), self.normal(4, 3)
        self.compare(lambda: (layers.relu(x)[0] * by).sum(), [layers.relu_back(by, layers.relu(x)[1])], [x])

    def test_conv1d(self):
        for length, stride in ((9, 1), (10, 2), (11, 3)):
            x, weight, bias = self.normal(3, 2, length), self.normal(4, 2, 3), self.normal(4)
            out, cache = layers.conv1d(x, weight, bias, stride)
            by = self.normal(*out.shape)
            self.assertEqual(out.shape[2], (length - 3) // stride + 1)
            for f, place in ((0, 0), (3, out.shape[2] - 1)):
                seen = x[1, :, place * stride:place * stride + 3]
                self.assertAlmostEqual(out[1, f, place], (seen * weight[f]).sum() + bias[f])
            self.compare(lambda: (layers.conv1d(x, weight, bias, stride)[0] * by).sum(),
                         layers.conv1d_back(by, weight, cache), (x, weight, bias))

    def test_gru(self):
        size, inputs = 3, 2
        x, inner, outer, bias = (self.normal(4, 5, inputs), self.normal(3 * size, size), self.normal(3 * size, inputs),
                                 self.normal(3 * size))
        by = self.normal(4, size)
        state, cache = layers.gru(x, inner, outer, bias)
        self.compare(lambda: (layers.gru(x, inner, outer, bias)[0] * by).sum(), layers.gru_back(by, inner, cache),
                     (inner, outer, bias))
        h = np.zeros(size)
        for given in x[0]:
            a = outer @ given + bias
            z = layers.sigmoid(a[:size] + inner[:size] @ h)
            r = layers.sigmoid(a[size:2 * size] + inner[size:2 * size] @ h)
            h = (1 - z) * h + z * np.tanh(a[2 * size:] + inner[2 * size:] @ (r * h))
        np.testing.assert_allclose(state[0], h)

    def test_cross_entropy(self):
        logits, labels = self.normal(5, 3), np.array([0, 1, 2, 1, 0])
        for weights in (None, np.array([2, 1, 1, 0.5, 0.5])):
            loss, gradient = layers.cross_entropy(logits, labels, weights)
            self.compare(lambda: layers.cross_entropy(logits, labels, weights)[0], [gradient], [logits])
        self.assertGreater(loss, 0)

    def test_adam_goes_down(self):
        weights, adam = {"w": np.array([3.0, -2.0])}, layers.Adam(0.1)
        for _ in range(200):
            adam.step(weights, {"w": 2 * weights["w"]})
        self.assertLess(np.abs(weights["w"]).max(), 0.1)


if __name__ == "__main__":
    unittest.main(argv=sys.argv[:1])
