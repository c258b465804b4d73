"""The layers that the scenarios' small models are made of, in numpy: forward passes, and backward
passes by hand. Checked against finite differences in tests/unit/demo/test_layers.py.

A forward pass returns what it computed and a cache; the backward pass takes the gradient of the loss
by that, and the cache, and returns gradients by the inputs and by the parameters. Arrays are
[examples, …]; nothing is kept between calls.
"""

import numpy as np


def dense(x, weight, bias):
    """x [N, I], weight [O, I], bias [O]: [N, O]."""
    return x @ weight.T + bias, x


def dense_back(error, weight, x):
    """By x, weight and bias."""
    return error @ weight, error.T @ x, error.sum(0)


def relu(x):
    return np.maximum(x, 0), x > 0


def relu_back(error, positive):
    return error * positive


def windows(x, width, stride):
    """x [N, C, L]: views [N, places, C, width]."""
    views = np.lib.stride_tricks.sliding_window_view(x, width, axis=2)[:, :, ::stride]
    return views.transpose(0, 2, 1, 3)


def conv1d(x, weight, bias, stride=1):
    """x [N, C, L], weight [F, C, K], bias [F], no padding: [N, F, (L - K) // stride + 1]."""
    seen = np.ascontiguousarray(windows(x, weight.shape[2], stride))
    seen = seen.reshape(len(x), seen.shape[1], -1)
    out = seen @ weight.reshape(len(weight), -1).T + bias
    return out.transpose(0, 2, 1), (seen, x.shape, stride)


def conv1d_back(error, weight, cache):
    """By x, weight and bias."""
    seen, shape, stride = cache
    error = error.transpose(0, 2, 1)
    flat = weight.reshape(len(weight), -1)
    by_weight = np.tensordot(error, seen, ((0, 1), (0, 1))).reshape(weight.shape)
    by_seen = (error @ flat).reshape(len(error), error.shape[1], weight.shape[1], weight.shape[2])
    by_x = np.zeros(shape, error.dtype)
    for place in range(weight.shape[2]):
        end = place + stride * (error.shape[1] - 1) + 1
        by_x[:, :, place:end:stride] += by_seen[:, :, :, place].transpose(0, 2, 1)
    return by_x, by_weight, error.sum((0, 1))


def sigmoid(x):
    return 1 / (1 + np.exp(-x))


def gru(x, inner, outer, bias):
    """A gated recurrent unit over x [N, T, I] from zeros; its last state [N, H].

    inner [3H, H], outer [3H, I], bias [3H]: of the update gate z, the reset gate r, the candidate c,
        h' = (1 - z) * h + z * tanh(outer_c x + inner_c (r * h) + bias_c)
    (Cho et al. 2014)."""
    size = inner.shape[1]
    state = np.zeros((len(x), size), x.dtype)
    steps = []
    given = x @ outer.T + bias
    for t in range(x.shape[1]):
        gates = sigmoid(given[:, t, :2 * size] + state @ inner[:2 * size].T)
        z, r = gates[:, :size], gates[:, size:]
        kept = r * state
        c = np.tanh(given[:, t, 2 * size:] + kept @ inner[2 * size:].T)
        steps.append((state, z, r, kept, c))
        state = state + z * (c - state)
    return state, (x, steps)


def gru_back(error, inner, cache):
    """By inner, outer and bias; `error` is by the last state."""
    x, steps = cache
    size = inner.shape[1]
    by_inner = np.zeros_like(inner)
    by_given = np.empty((x.shape[1], len(x), 3 * size), x.dtype)
    for t in reversed(range(x.shape[1])):
        state, z, r, kept, c = steps[t]
        by_c = error * z * (1 - c * c)
        by_kept = by_c @ inner[2 * size:]
        by_z = error * (c - state) * z * (1 - z)
        by_r = by_kept * state * r * (1 - r)
        by_gates = np.concatenate([by_z, by_r], 1)
        by_given[t, :, :2 * size], by_given[t, :, 2 * size:] = by_gates, by_c
        by_inner[:2 * size] += by_gates.T @ state
        by_inner[2 * size:] += by_c.T @ kept
        error = error * (1 - z) + by_kept * r + by_gates @ inner[:2 * size]
    by_given = by_given.transpose(1, 0, 2)
    return by_inner, np.tensordot(by_given, x, ((0, 1), (0, 1))), by_given.sum((0, 1))


def cross_entropy(logits, labels, weights=None):
    """Mean loss of softmax, and the gradient by the logits [N, classes]; `weights` [N] of examples, mean 1."""
    shifted = logits - logits.max(1, keepdims=True)
    p = np.exp(shifted)
    p /= p.sum(1, keepdims=True)
    rows = np.arange(len(labels))
    each = np.ones(len(labels), logits.dtype) if weights is None else weights
    loss = float(-(each * np.log(np.maximum(p[rows, labels], 1e-12))).mean())
    p[rows, labels] -= 1
    return loss, p * (each / len(labels))[:, None]


class Adam:
    """Kingma, Ba 2015; for models that are made before a federation begins."""

    def __init__(self, rate=0.01):
        self.rate, self.count, self.first, self.second = rate, 0, {}, {}

    def step(self, weights, gradients):
        self.count += 1
        for name, gradient in gradients.items():
            first = self.first[name] = 0.9 * self.first.get(name, 0) + 0.1 * gradient
            second = self.second[name] = 0.999 * self.second.get(name, 0) + 0.001 * gradient**2
            size = self.rate * np.sqrt(1 - 0.999**self.count) / (1 - 0.9**self.count)
            weights[name] -= (size * first / (np.sqrt(second) + 1e-8)).astype(weights[name].dtype)
