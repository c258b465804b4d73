"""JAX: a pytree of arrays as a model of Millrace, and back.

A leaf's name is its path in the tree, such as "layers/0/kernel"; leaves of floating point take part, and of these only what the
model file names. The rest of the tree, counters and keys for random numbers among it, stays on the device as it is.
"""

from __future__ import annotations

import typing

import jax
import numpy

from . import _tensors

if typing.TYPE_CHECKING:
    import os
    from ._client import Task, Train


def _name(path: tuple) -> str:
    return "/".join(str(getattr(key, "key", getattr(key, "idx", getattr(key, "name", key)))) for key in path)


def shared(tree: typing.Any, only: typing.Callable[[str], bool] = lambda name: True) -> dict[str, typing.Any]:
    """The leaves that can take part, by name."""
    leaves, _ = jax.tree_util.tree_flatten_with_path(tree)
    named = [(_name(path), leaf) for path, leaf in leaves]
    chosen = {name: leaf for name, leaf in named if jax.numpy.issubdtype(jax.numpy.result_type(leaf), jax.numpy.floating) and only(name)}
    if len(chosen) != sum(name in chosen for name, _ in named):
        raise ValueError("two leaves of the tree have the same name: a dict's keys have a slash, or a number as a text")
    return chosen


def save(tree: typing.Any, path: str | os.PathLike, only: typing.Callable[[str], bool] = lambda name: True) -> None:
    """Writes the first model of a federation."""
    _tensors.save({name: numpy.asarray(leaf, dtype="<f4") for name, leaf in shared(tree, only).items()}, path)


def put(tree: typing.Any, weights: _tensors.Weights) -> typing.Any:
    """The tree with the weights in their leaves' places, each of the type and on the device of the leaf that was there."""
    own = shared(tree)
    missing = weights.keys() - own.keys()
    if missing:
        raise ValueError(f"the tree has no {_tensors.listed(missing)}: it is another model than the federation's")

    def leaf_of(path, leaf):
        name = _name(path)
        if name not in weights:
            return leaf
        if weights[name].shape != jax.numpy.shape(leaf):
            raise ValueError(f"{name}: the federation's has the shape {weights[name].shape}, the tree's {jax.numpy.shape(leaf)}")
        # A copy: on a CPU, JAX takes memory of numpy's as its own, and this is the library's until the round is over.
        return jax.numpy.array(_tensors.shortened(weights[name], jax.numpy.result_type(leaf)))
    return jax.tree_util.tree_map_with_path(leaf_of, tree)


def get(tree: typing.Any, weights: _tensors.Weights) -> _tensors.Weights:
    """The tree's leaves of the weights' names, copied into them. Where a leaf's type is shorter (float16, bfloat16) the weights,
    as put() had them, move by what training changed: that the tree rounds the model is no part of it."""
    own = shared(tree)
    for name, values in weights.items():
        _tensors.follow(values, numpy.asarray(own[name]))
    return weights


def trainer(tree: typing.Any, fit: typing.Callable[[typing.Any, Task], tuple[typing.Any, int, dict[str, float]]]) -> Train:
    """A training function for Client.run: fit(tree, task) gets the tree with the federation's weights, and returns the one it
    has trained, with (examples, metrics with "loss"). Leaves that do not take part go on from round to round."""
    state = [tree]

    def train(weights: _tensors.Weights, task: Task):
        state[0], examples, metrics = fit(put(state[0], weights), task)
        return get(state[0], weights), examples, metrics
    return train
