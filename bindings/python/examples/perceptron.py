"""What qat.py and distil.py share: a perceptron with one hidden layer in numpy, and digits as CSV (64 features, the class last)."""

import numpy


def read(path):
    rows = numpy.loadtxt(path, delimiter=",", dtype=numpy.float32, ndmin=2)
    return rows[:, :-1] / 16, rows[:, -1].astype(int)


def new(hidden, inputs=64, classes=10, seed=1):
    random = numpy.random.default_rng(seed)
    return {"hidden.weight": random.normal(0, inputs**-0.5, (hidden, inputs)).astype(numpy.float32),
            "hidden.bias": numpy.zeros(hidden, numpy.float32),
            "out.weight": random.normal(0, hidden**-0.5, (classes, hidden)).astype(numpy.float32),
            "out.bias": numpy.zeros(classes, numpy.float32)}


def forward(weights, x):
    hidden = numpy.maximum(x @ weights["hidden.weight"].T + weights["hidden.bias"], 0)
    return hidden @ weights["out.weight"].T + weights["out.bias"], hidden


def softmax(logits):
    p = numpy.exp(logits - logits.max(axis=1, keepdims=True))
    return p / p.sum(axis=1, keepdims=True)


def gradients(weights, x, wanted, warmth=1.0):
    """Of the cross-entropy of softmax(logits / warmth) with the probabilities `wanted`: (mean loss, gradients)."""
    logits, hidden = forward(weights, x)
    p = softmax(logits / warmth)
    loss = float(-(wanted * numpy.log(numpy.maximum(p, 1e-12))).sum(axis=1).mean())
    error = warmth * (p - wanted) / len(x) # times warmth squared, as Hinton and others have it
    back = (error @ weights["out.weight"]) * (hidden > 0)
    return loss, {"hidden.weight": back.T @ x, "hidden.bias": back.sum(axis=0),
                  "out.weight": error.T @ hidden, "out.bias": error.sum(axis=0)}


def accuracy(weights, x, y):
    return float((forward(weights, x)[0].argmax(axis=1) == y).mean())


def epochs(task, x, step):
    """Calls step(rows, rate) for each batch that the round's training JSON asks for; the mean of the last epoch's losses."""
    plan = {"epochs": 5, "batch": 16, "learning_rate": 0.2, **task.training}
    random, losses = numpy.random.default_rng(task.seed), [0.0]
    for _ in range(plan["epochs"]):
        order = random.permutation(len(x))
        losses = [step(order[at:at + plan["batch"]], plan["learning_rate"]) for at in range(0, len(x), plan["batch"])]
    return float(numpy.mean(losses))
