"""Flower's NumPyClient as a device of Millrace: nothing in the client changes, and flwr need not be installed.

    millrace.flower.start_numpy_client("device.json", client=FlowerClient())

A client is whatever has fit(parameters, config), as NumPyClient does. Its list of arrays is the model's tensors in the
order of the model file, which is the order of get_parameters() where save() has written it. `config` holds the round's
training JSON, and server_round.
"""

from __future__ import annotations

import typing

from . import _tensors
from ._client import Client

if typing.TYPE_CHECKING:
    import os
    from ._client import Task
    from ._outcome import Outcome


def save(client: typing.Any, path: str | os.PathLike, names: typing.Sequence[str] | None = None) -> None:
    """Writes the federation's first model from the client's get_parameters(); tensors are called 0, 1, 2, … or as in
    `names`."""
    arrays = client.get_parameters({})
    _tensors.save(dict(zip(names or [f"{i:04d}" for i in range(len(arrays))], arrays, strict=True)), path)


def _loss_of(client: typing.Any, parameters: list, config: dict, metrics: dict) -> float:
    """fit() need not return one; then evaluate() has the loss of what was trained, on this device's own data."""
    for name in ("loss", "train_loss"):
        if name in metrics:
            return float(metrics[name])
    if not hasattr(client, "evaluate"):
        raise ValueError('the round wants the training loss: return it from fit() as metrics["loss"], or have evaluate()')
    return float(client.evaluate(parameters, config)[0])


def trainer(client: typing.Any):
    """A training function for Client.run, from a NumPyClient."""
    def train(weights: _tensors.Weights, task: Task):
        config = {**task.training, "server_round": task.round}
        trained, examples, metrics = client.fit(list(weights.values()), config)
        if len(trained) != len(weights):
            raise ValueError(f"fit() returned {len(trained)} arrays, the model has {len(weights)}")
        loss = _loss_of(client, trained, config, metrics)
        return dict(zip(weights, trained)), examples, {**metrics, "loss": loss}
    return train


def start_numpy_client(config: str | os.PathLike, client: typing.Any, *, rounds: int | None = None,
                       **options: typing.Any) -> list[Outcome]:
    """Takes part with a NumPyClient; the rest as Client.run()."""
    with Client(config) as device:
        return device.run(trainer(client), rounds, **options)
