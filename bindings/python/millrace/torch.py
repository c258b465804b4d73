"""PyTorch: a module's state_dict as a model of Millrace, and back.

What takes part is what the model file names; everything else of the module stays on the device. So a personal head,
frozen layers, or all but the adapters of LoRA are left out by leaving them out of the file (`only` of save()).

The rule for buffers: those of floating point, such as BatchNorm's running mean and variance, are averaged like
parameters. Whole-number buffers, such as num_batches_tracked, stay on the device.
"""

from __future__ import annotations

import typing

import torch

from . import _tensors

if typing.TYPE_CHECKING:
    import os
    from ._client import Task


SHORT = (torch.float16, torch.bfloat16)


def shared(module: torch.nn.Module, only: typing.Callable[[str], bool] = lambda name: True) -> dict[str, torch.Tensor]:
    """The tensors that can take part: of floating point, and wanted by `only`. They are the module's own."""
    return {name: tensor for name, tensor in module.state_dict().items()
            if tensor.is_floating_point() and only(name)}


def save(module: torch.nn.Module, path: str | os.PathLike, only: typing.Callable[[str], bool] = lambda name: True) -> None:
    """Writes the first model of a federation."""
    _tensors.save({name: tensor.detach().float().cpu().numpy() for name, tensor in shared(module, only).items()}, path)


def _shortened(values: torch.Tensor, dtype: torch.dtype) -> torch.Tensor:
    """In a module's type; where that is shorter, what is beyond its largest number becomes that one, not infinity."""
    if dtype not in SHORT:
        return values
    largest = torch.finfo(dtype).max
    return values.clamp(-largest, largest).to(dtype)


def put(module: torch.nn.Module, weights: _tensors.Weights) -> None:
    """Copies the weights into the module, on whichever device and of whichever type its tensors are."""
    own = shared(module)
    missing = weights.keys() - own.keys()
    if missing:
        raise ValueError(f"the module has no {_tensors.listed(missing)}: it is another model than the federation's")
    with torch.no_grad():
        for name, values in weights.items():
            if own[name].shape != values.shape:
                raise ValueError(f"{name}: the federation's has the shape {values.shape}, the module's "
                                 f"{tuple(own[name].shape)}")
            own[name].copy_(_shortened(torch.from_numpy(values), own[name].dtype))


def get(module: torch.nn.Module, weights: _tensors.Weights) -> _tensors.Weights:
    """The module's tensors of the weights' names, copied into them: no memory beyond theirs. Where the module's type is
    shorter (float16, bfloat16) the weights, as put() had them, move by what training changed: that the module rounds the
    model is no part of it."""
    own = shared(module)
    with torch.no_grad():
        for name, values in weights.items():
            base, tensor = torch.from_numpy(values), own[name]
            if tensor.dtype in SHORT:
                base.add_(tensor.float().cpu() - _shortened(base, tensor.dtype).float())
            else:
                base.copy_(tensor)
    return weights


def trainer(module: torch.nn.Module,
            fit: typing.Callable[[torch.nn.Module, Task], tuple[int, dict[str, float]]]):
    """A training function for Client.run: the weights go into the module, fit(module, task) trains it and returns
    (examples, metrics with "loss"), the weights come out."""
    def train(weights: _tensors.Weights, task: Task):
        put(module, weights)
        examples, metrics = fit(module, task)
        return get(module, weights), examples, metrics
    return train
