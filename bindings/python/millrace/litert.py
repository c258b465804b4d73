"""LiteRT (TensorFlow Lite): a model that can be trained on the device, as a model of Millrace, and back.

The model's weights are variables that its signatures share. Two of these are needed: one without inputs whose outputs are the weights
by name ("save"), and one that takes them by the same names ("restore"). They are what LiteRT's guide to training on devices has, with
arrays in place of a file's name. How the model is trained, most often by a signature "train", is the caller's.

Variables of floating point take part, and of these only what the model file names; the others stay on the device.

A runner of LiteRT's hands out a signature's results all at once, as copies. Here they are read where the interpreter has them,
through members that are private to its package; where these are not as they were, the copies are taken: that costs one more model
in memory, and nothing else.
"""

from __future__ import annotations

import contextlib
import typing

import numpy

from . import _tensors

if typing.TYPE_CHECKING:
    import os
    from ai_edge_litert.interpreter import Interpreter
    from ._client import Task, Train


def _run(runner: typing.Any, inputs: _tensors.Weights) -> dict[str, numpy.ndarray]:
    """Runs a signature, and leaves its results in the interpreter. Empty, or copies of the results where the runner makes them
    all the same."""
    with contextlib.suppress(AttributeError):
        runner._outputs = () # those that it would copy; the runner is ours alone
    return runner(**inputs)


def _view(interpreter: Interpreter, runner: typing.Any, index: int) -> numpy.ndarray | None:
    """The interpreter's own memory of one result, until it is called again; None: it cannot be had."""
    try:
        inside = interpreter._interpreter
        return inside.tensor(inside, index, runner._subgraph_index)
    except (AttributeError, TypeError):
        return None


def _read(interpreter: Interpreter, signature: str, use: typing.Callable[[str, numpy.ndarray], None]) -> None:
    """Runs a signature without inputs, and calls use(name, array) for one result after another. It must not keep the array."""
    runner = interpreter.get_signature_runner(signature)
    details = runner.get_output_details()
    copies = _run(runner, {})
    for name, about in details.items():
        value = copies[name] if name in copies else _view(interpreter, runner, about["index"])
        if value is None:
            copies = interpreter.get_signature_runner(signature)()
            value = copies[name]
        use(name, value)


def shared(interpreter: Interpreter, only: typing.Callable[[str], bool] = lambda name: True, *,
           save: str = "save") -> _tensors.Weights:
    """The variables that can take part, by name: of floating point, and wanted by `only`. Copies."""
    found: _tensors.Weights = {}

    def take(name: str, value: numpy.ndarray) -> None:
        if numpy.issubdtype(value.dtype, numpy.floating) and only(name):
            found[name] = value.copy()
    _read(interpreter, save, take)
    return found


def save(interpreter: Interpreter, path: str | os.PathLike, only: typing.Callable[[str], bool] = lambda name: True) -> None:
    """Writes the first model of a federation: the variables as they are."""
    _tensors.save(shared(interpreter, only), path)


def _given(values: numpy.ndarray, dtype: typing.Any) -> numpy.ndarray:
    return values if values.dtype == dtype else _tensors.shortened(values, dtype)


def put(interpreter: Interpreter, weights: _tensors.Weights, *, save: str = "save", restore: str = "restore") -> None:
    """Copies the weights into the variables of their names. The others keep what they have."""
    runner = interpreter.get_signature_runner(restore)
    wanted = runner.get_input_details()
    missing = weights.keys() - wanted.keys()
    if missing:
        raise ValueError(f'the signature "{restore}" takes no {_tensors.listed(missing)}: it is another model than the federation\'s')
    for name, values in weights.items():
        if tuple(wanted[name]["shape"]) != values.shape:
            raise ValueError(f"{name}: the federation's has the shape {values.shape}, the interpreter's {tuple(wanted[name]['shape'])}")
    kept: _tensors.Weights = {}

    def keep(name: str, value: numpy.ndarray) -> None:
        if name not in weights:
            kept[name] = value.copy()
    # A model whose variables were never set cannot be asked for them: only for those that the federation has not.
    if len(weights) < len(wanted):
        _read(interpreter, save, keep)
    _run(runner, {name: _given(weights[name], about["dtype"]) if name in weights else kept[name]
                  for name, about in wanted.items()})


def get(interpreter: Interpreter, weights: _tensors.Weights, *, save: str = "save") -> _tensors.Weights:
    """The variables of the weights' names, copied into them."""
    missing = set(weights)

    def take(name: str, value: numpy.ndarray) -> None:
        if name in missing:
            _tensors.follow(weights[name], value)
            missing.discard(name)
    _read(interpreter, save, take)
    if missing:
        raise ValueError(f'the signature "{save}" gives no {_tensors.listed(missing)}: it is another model than the federation\'s')
    return weights


def trainer(interpreter: Interpreter, fit: typing.Callable[[Interpreter, Task], tuple[int, dict[str, float]]], *,
            save: str = "save", restore: str = "restore") -> Train:
    """A training function for Client.run: the weights go into the interpreter's variables, fit(interpreter, task) trains them
    and returns (examples, metrics with "loss"), the weights come out. `save`, `restore`: the two signatures' names."""
    def train(weights: _tensors.Weights, task: Task):
        put(interpreter, weights, save=save, restore=restore)
        examples, metrics = fit(interpreter, task)
        return get(interpreter, weights, save=save), examples, metrics
    return train
