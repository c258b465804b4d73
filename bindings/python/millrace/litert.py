"""LiteRT (TensorFlow Lite): a model that can be trained on the device, as a model of Millrace, and back.

The model's weights are variables that its signatures share. Two of these are needed: one without inputs whose outputs are the weights
by name ("save"), and one that takes them by the same names ("restore"). They are what LiteRT's guide to training on devices has, with
arrays in place of a file's name. How the model is trained, most often by a signature "train", is the caller's.

Variables of floating point take part, and of these only what the model file names; the others stay on the device.
"""

from __future__ import annotations

import typing

import numpy

from . import _tensors

if typing.TYPE_CHECKING:
    import os
    from ai_edge_litert.interpreter import Interpreter
    from ._client import Task, Train


def shared(interpreter: Interpreter, only: typing.Callable[[str], bool] = lambda name: True, *,
           save: str = "save") -> _tensors.Weights:
    """The variables that can take part, by name: of floating point, and wanted by `only`. Copies."""
    variables = interpreter.get_signature_runner(save)()
    return {name: value for name, value in variables.items() if numpy.issubdtype(value.dtype, numpy.floating) and only(name)}


def save(interpreter: Interpreter, path: str | os.PathLike, only: typing.Callable[[str], bool] = lambda name: True) -> None:
    """Writes the first model of a federation: the variables as they are."""
    _tensors.save(shared(interpreter, only), path)


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
    # A model whose variables were never set cannot be asked for them: only for those that the federation has not.
    kept = {} if len(weights) == len(wanted) else interpreter.get_signature_runner(save)()
    runner(**{name: weights[name].astype(about["dtype"], copy=False) if name in weights else kept[name]
              for name, about in wanted.items()})


def get(interpreter: Interpreter, weights: _tensors.Weights, *, save: str = "save") -> _tensors.Weights:
    """The variables of the weights' names, copied into them."""
    own = shared(interpreter, save=save)
    for name, values in weights.items():
        values[...] = own[name]
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
