"""The private demo's yardstick, in numpy: the same training with a trusted server's noise, or none.

Federated averaging in full batches, as the built-in trainer does it where a batch holds a whole
dataset; each update is clipped to `clip`, and the server adds noise to their sum. Nothing of
Millrace is used: no ring, no rounding, no rotation.
"""

import glob
import json
import os
import struct

import numpy as np

FEATURE_SCALE = 1 / 16  # as the trainer's default


def write_zeros(path, layers):
    """A model of zeros (safetensors); right for one layer, which has no symmetry to break."""
    header, at = {}, 0
    for number, (width, out) in enumerate(zip(layers, layers[1:]), 1):
        for name, shape in ((f"fc{number}.weight", [out, width]), (f"fc{number}.bias", [out])):
            size = 4 * int(np.prod(shape))
            header[name] = {"dtype": "F32", "shape": shape, "data_offsets": [at, at + size]}
            at += size
    text = json.dumps(header, separators=(",", ":"))
    text += " " * (-(8 + len(text)) % 64)
    with open(path, "wb") as f:
        f.write(struct.pack("<Q", len(text)) + text.encode() + bytes(at))


def read_examples(path):
    table = np.loadtxt(path, delimiter=",", ndmin=2)
    return table[:, :-1] * FEATURE_SCALE, table[:, -1].astype(int)


class Cohort:
    """All devices' examples as one array, padded with examples of weight 0."""

    def __init__(self, folder, layers):
        shards = [read_examples(path) for path in
                  sorted(glob.glob(os.path.join(folder, "device-*.csv")))]
        longest = max(len(labels) for _, labels in shards)
        self.layers = layers
        self.features = np.zeros((len(shards), longest, layers[0]))
        self.labels = np.zeros((len(shards), longest, layers[-1]))
        self.weights = np.zeros((len(shards), longest, 1))
        for i, (features, labels) in enumerate(shards):
            self.features[i, :len(labels)] = features
            self.labels[i, np.arange(len(labels)), labels] = 1
            self.weights[i, :len(labels)] = 1 / len(labels)
        self.held_out = read_examples(os.path.join(folder, "held-out.csv"))

    def split(self, vectors):
        """(weight, bias) of each layer, of vectors [..., dimension]."""
        at = 0
        for width, out in zip(self.layers, self.layers[1:]):
            weight = vectors[..., at:at + width * out]
            at += width * out
            yield weight.reshape(*vectors.shape[:-1], out, width), vectors[..., None, at:at + out]
            at += out

    def forward(self, vectors, values):
        """The values of all layers, logits last."""
        found = [values]
        for weight, bias in self.split(vectors):
            values = np.matmul(found[-1], np.swapaxes(weight, -1, -2)) + bias
            found.append(np.maximum(values, 0))
        found[-1] = values
        return found

    def gradient(self, vectors, members):
        values = self.forward(vectors, self.features[members])
        logits = np.exp(values[-1] - values[-1].max(-1, keepdims=True))
        error = logits / logits.sum(-1, keepdims=True) - self.labels[members]
        error *= self.weights[members]
        found = []
        for number, (weight, _) in reversed(list(enumerate(self.split(vectors)))):
            flat = np.matmul(np.swapaxes(error, -1, -2), values[number])
            found = [flat.reshape(len(vectors), -1), error.sum(1)] + found
            error = np.matmul(error, weight) * (values[number] > 0)
        return np.concatenate(found, 1)

    def updates(self, model, members, trainer):
        vectors = np.repeat(model[None], len(members), 0)
        for _ in range(trainer["epochs"]):
            vectors -= trainer["learning_rate"] * self.gradient(vectors, members)
        return vectors - model

    def accuracy(self, model):
        features, labels = self.held_out
        return float((self.forward(model, features)[-1].argmax(-1) == labels).mean())

    def train(self, rounds, trainer, clip, deviation=0.0, seed=0):
        """Accuracy after each round; `rounds` has the members of each, `deviation` is that of the
        noise on each value of the sum of the clipped updates."""
        random = np.random.default_rng(seed)
        model = np.zeros(sum((a + 1) * b for a, b in zip(self.layers, self.layers[1:])))
        found = []
        for members in rounds:
            updates = self.updates(model, members, trainer)
            norms = np.linalg.norm(updates, axis=1, keepdims=True)
            total = (updates * np.minimum(1, clip / np.maximum(norms, 1e-12))).sum(0)
            model = model + (total + deviation * random.normal(size=total.shape)) / len(members)
            found.append(self.accuracy(model))
        return found


def many(cohort, rounds, trainer, clip, deviation, times):
    """Accuracies [times, rounds] with as many draws of the noise."""
    return np.array([cohort.train(rounds, trainer, clip, deviation, seed)
                     for seed in range(times)])
