"""scikit-learn: linear models with partial_fit (SGDClassifier, Perceptron, PassiveAggressiveClassifier, SGDRegressor).

coef_ and intercept_ are the model. The counter of steps, t_, by which learning rates fall, stays on the device.
"""

from __future__ import annotations

import typing

import numpy

from . import _tensors

if typing.TYPE_CHECKING:
    import os
    from ._client import Task

NAMES = ("coef", "intercept")


def save(path: str | os.PathLike, features: int, classes: int, names: tuple[str, str] = NAMES) -> None:
    """Writes a first model of zeros. `classes`: how many; for two, and for a regressor (1), there is one row."""
    rows = classes if classes > 2 else 1
    _tensors.save({names[0]: numpy.zeros((rows, features)), names[1]: numpy.zeros(rows)}, path)


def _begin(estimator: typing.Any, x: numpy.ndarray, y: numpy.ndarray, classes: typing.Any) -> None:
    """Makes coef_ and intercept_, with the shapes that all classes need, without keeping what it learns of one row."""
    if classes is None:
        estimator.partial_fit(x[:1], y[:1])
    else:
        estimator.partial_fit(x[:1], y[:1], classes=classes)


def trainer(estimator: typing.Any, x: numpy.ndarray, y: numpy.ndarray, *, classes: typing.Any = None, epochs: int = 1,
            loss: typing.Callable[[typing.Any], float] | None = None, names: tuple[str, str] = NAMES):
    """A training function for Client.run. The estimator's random_state becomes the round's. `classes` are all that the
    federation knows, the same on each device; None for regressors. `loss(estimator)` measures after training; without it the loss is 1 - estimator.score(x, y)."""
    def train(weights: _tensors.Weights, task: Task):
        if not hasattr(estimator, "coef_"):
            _begin(estimator, x, y, classes)
        random = numpy.random.RandomState(task.seed % 2**32) # the estimator shuffles: rows in an order are a copy of them
        estimator.set_params(random_state=random)
        estimator.coef_[...] = weights[names[0]].reshape(estimator.coef_.shape)
        estimator.intercept_[...] = weights[names[1]]
        for _ in range(epochs):
            estimator.partial_fit(x, y)
        weights[names[0]][...] = estimator.coef_.reshape(weights[names[0]].shape)
        weights[names[1]][...] = estimator.intercept_
        score = float(estimator.score(x, y))
        return weights, len(x), {"loss": loss(estimator) if loss else 1 - score, "score": score}
    return train
