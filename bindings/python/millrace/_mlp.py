"""A small trainer in numpy, for a first try: a multi-layer perceptron on a CSV file, as the built-in one of C."""

from __future__ import annotations

import numpy


def read_csv(path: str) -> tuple[numpy.ndarray, numpy.ndarray]:
    """Features and classes: the last number of each line is its class."""
    try:
        rows = numpy.loadtxt(path, delimiter=",", dtype=numpy.float32, ndmin=2)
    except ValueError as error:
        raise ValueError(f"{path}: {error} (numbers with commas between are needed, as many in each line)") from None
    classes = rows[:, -1]
    if rows.shape[0] < 1 or rows.shape[1] < 2 or not (numpy.isfinite(rows).all() and (classes == classes.astype("u2")).all()):
        raise ValueError(f"{path}: each line needs features and then its class, a whole number from 0 on")
    return rows[:, :-1], classes.astype(numpy.int64)


def layers_of(weights: dict) -> list[tuple[str, str]]:
    """(weight, bias) names, layers in order."""
    names = list(weights)
    pairs = [(name, f"{name[:-len('weight')]}bias") for name in names if name.endswith("weight")]
    if not pairs or {n for pair in pairs for n in pair} != set(names):
        raise ValueError("the model is no perceptron: its tensors have to be NAME.weight and NAME.bias")
    return pairs


def check_fit(path: str, features: numpy.ndarray, classes: numpy.ndarray, first: numpy.ndarray, last: numpy.ndarray) -> None:
    if features.shape[1] != first.shape[1]:
        raise ValueError(f"{path}: {features.shape[1]} features and a class in each line; the model takes {first.shape[1]} features")
    if classes.max() >= last.shape[0]:
        raise ValueError(f"{path}: a class {classes.max()}; the model knows {last.shape[0]}, from 0 on")


def forward(weights: dict, layers: list, x: numpy.ndarray) -> list[numpy.ndarray]:
    """Each layer's input, and last the logits."""
    values = [x]
    for i, (weight, bias) in enumerate(layers):
        x = x @ weights[weight].T + weights[bias]
        if i + 1 < len(layers):
            x = numpy.maximum(x, 0)
        values.append(x)
    return values


def step(weights: dict, layers: list, x: numpy.ndarray, y: numpy.ndarray, rate: float) -> float:
    """One step of gradient descent on a batch, in place; its mean loss."""
    values = forward(weights, layers, x)
    logits = values[-1] - values[-1].max(axis=1, keepdims=True)
    p = numpy.exp(logits)
    p /= p.sum(axis=1, keepdims=True)
    rows = numpy.arange(len(y))
    loss = float(-numpy.log(numpy.maximum(p[rows, y], 1e-12)).mean())
    p[rows, y] -= 1
    back = p / len(y)
    for i in reversed(range(len(layers))):
        weight, bias = layers[i]
        gradient, below = back.T @ values[i], back @ weights[weight]
        weights[bias] -= rate * back.sum(axis=0)
        weights[weight] -= rate * gradient
        back = below * (values[i] > 0)
    return loss


def accuracy(weights: dict, x: numpy.ndarray, y: numpy.ndarray) -> float:
    return float((forward(weights, layers_of(weights), x)[-1].argmax(axis=1) == y).mean())


def trainer(path: str):
    """A training function for that file; the round's training JSON may hold epochs, batch, learning_rate and
    feature_scale, with the defaults of the built-in trainer."""
    features, classes = read_csv(path)

    def train(weights: dict, task):
        plan = {"epochs": 5, "batch": 16, "learning_rate": 0.05, "feature_scale": 0.0625, **task.training}
        layers, random = layers_of(weights), numpy.random.default_rng(task.seed)
        check_fit(path, features, classes, weights[layers[0][0]], weights[layers[-1][0]])
        x, loss = features * numpy.float32(plan["feature_scale"]), 0.0
        for _ in range(plan["epochs"]):
            order, losses = random.permutation(len(x)), []
            for at in range(0, len(x), plan["batch"]):
                chosen = order[at:at + plan["batch"]]
                losses.append(step(weights, layers, x[chosen], classes[chosen], plan["learning_rate"]) * len(chosen))
            loss = sum(losses) / len(x)
        return weights, len(x), {"loss": loss, "accuracy": accuracy(weights, x, classes)}

    return train
