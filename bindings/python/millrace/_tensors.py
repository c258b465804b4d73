"""Dicts of arrays to flat vectors and back, and safetensors files. numpy is imported as it is needed."""

from __future__ import annotations

import typing

if typing.TYPE_CHECKING:
    import os
    import numpy

    Weights = dict[str, numpy.ndarray]

LISTED_MAX = 5  # names that a message shows


def unflatten(tensors: list[tuple], values: bytearray) -> Weights:
    """{name: array}, each a writable view of `values`, which the arrays keep alive."""
    import numpy
    flat = numpy.frombuffer(values, dtype=numpy.float32)
    return {name: flat[offset:offset + count].reshape(shape) for name, shape, offset, count in tensors}


def shortened(values: numpy.ndarray, dtype: typing.Any) -> numpy.ndarray:
    """A copy in that number type. A finite value beyond the type's largest number becomes that one, not infinity, of which no
    training makes a change that could be sent."""
    import numpy
    with numpy.errstate(over="ignore"):
        short = values.astype(dtype)
    beyond = numpy.isinf(short) & numpy.isfinite(values)
    if beyond.any():
        bits = f"u{short.itemsize}"
        largest = (numpy.array(numpy.inf, short.dtype).view(bits) - 1).astype(bits).view(short.dtype) # in IEEE's order
        short[beyond & (values > 0)] = largest
        short[beyond & (values < 0)] = -largest
    return short


def follow(values: numpy.ndarray, trained: numpy.ndarray) -> None:
    """The values become what training made of them, in place. Where its type is shorter, which was given shortened(values), they
    move by what it changed: that the type rounds the model is no part of it."""
    if trained.dtype.itemsize < values.itemsize:
        values += trained.astype(values.dtype) - shortened(values, trained.dtype).astype(values.dtype)
    else:
        values[...] = trained


def given_as(weights: Weights, dtype: typing.Any) -> Weights:
    """The weights in another number type, as copies; None: themselves."""
    return weights if dtype is None else {name: shortened(values, dtype) for name, values in weights.items()}


def taken_as(weights: Weights, trained: Weights, dtype: typing.Any) -> Weights:
    """What training made of given_as(weights, dtype), for these weights: they move by what training changed, so that the
    rounding of the model to `dtype` is no part of it. None: what training made."""
    import numpy
    if dtype is None or not hasattr(trained, "items"):
        return trained

    def moved(name: str, values: numpy.ndarray) -> numpy.ndarray:
        base, new = weights.get(name), numpy.asarray(values).astype(numpy.float32)
        return new if base is None or base.shape != new.shape else base + (new - shortened(base, dtype).astype(numpy.float32))

    return {name: moved(name, values) for name, values in trained.items()}


def listed(names) -> str:
    names = sorted(names)
    more = len(names) - LISTED_MAX
    return ", ".join(names[:LISTED_MAX]) + (f" and {more} more" if more > 0 else "")


def flatten(tensors: list[tuple], weights: Weights) -> list[tuple]:
    """[(offset, array of float32)] of what a training function returned; says what does not fit the model."""
    import numpy
    if not hasattr(weights, "keys"):
        raise TypeError(f"train has to return its weights as a dict of arrays, not {type(weights).__name__}")
    wanted = {name for name, _, _, _ in tensors}
    missing, foreign = wanted - weights.keys(), weights.keys() - wanted
    if missing or foreign:
        raise ValueError("the weights are not those of the model: "
                         + "; ".join(part for part in (missing and f"missing {listed(missing)}",
                                                       foreign and f"not in the model {listed(foreign)}") if part))
    parts = []
    for name, shape, offset, _ in tensors:
        array = numpy.asarray(weights[name])
        if array.shape != shape:
            raise ValueError(f"{name}: the model has the shape {shape}, train returned {array.shape}")
        if array.dtype.kind not in "fiu":
            raise TypeError(f"{name}: numbers are needed, not {array.dtype}")
        parts.append((offset, numpy.ascontiguousarray(array, dtype="<f4").reshape(-1)))
    return parts


def save(weights: Weights, path: str | os.PathLike, *, frozen: typing.Iterable[str] = (),
         personal: typing.Iterable[str] = (), installed_as: str | None = None) -> None:
    """Writes a model as hubs take it: safetensors, F32, tensors in the order of the dict. Arrays of other number types
    are converted. A federation's first model is made so.

    frozen: tensors that nobody trains; personal: tensors of which each device trains its own, which never leaves it.
    Names, or what they begin with and "*". Neither costs a byte of a round.

    installed_as: "float16" or "bfloat16": devices install the models that come of it for applications in that type."""
    import json
    import numpy
    header, arrays, at = {}, [], 0
    texts = {f"millrace.{part}": ",".join(names) for part, names in (("frozen", frozen), ("personal", personal))}
    if installed_as not in (None, "float32", "float16", "bfloat16"):
        raise ValueError(f"installed_as: float32, float16 or bfloat16, not {installed_as!r}")
    texts["millrace.installed_as"] = "" if installed_as in (None, "float32") else installed_as
    if any(texts.values()):
        header["__metadata__"] = {name: text for name, text in texts.items() if text}
    for name, value in weights.items():
        array = numpy.ascontiguousarray(value, dtype="<f4")
        header[name] = {"dtype": "F32", "shape": list(numpy.shape(value)), "data_offsets": [at, at + array.nbytes]}
        at += array.nbytes
        arrays.append(array)
    text = json.dumps(header, separators=(",", ":")).encode()
    text += b" " * (-len(text) % 8)
    with open(path, "wb") as f:
        f.write(len(text).to_bytes(8, "little") + text)
        for array in arrays:
            f.write(array.tobytes())


def load(path: str | os.PathLike) -> Weights:
    """Reads a model that is safetensors in F32, such as one that a round has made, or in F16 or BF16, such as one that was
    installed so. The arrays are float32."""
    import json
    import numpy
    kinds = {"F32": "<f4", "F16": "<f2", "BF16": "<u2"}
    weights = {}
    with open(path, "rb") as f:
        header = json.loads(f.read(int.from_bytes(f.read(8), "little")))
        data = f.tell()
        header.pop("__metadata__", None)
        for name, entry in header.items():
            if entry["dtype"] not in kinds:
                raise ValueError(f"{path}: {name} is {entry['dtype']}, only {', '.join(kinds)} are read")
            begin, end = entry["data_offsets"]
            kind = numpy.dtype(kinds[entry["dtype"]])
            f.seek(data + begin)
            values = numpy.fromfile(f, kind, (end - begin) // kind.itemsize)
            if entry["dtype"] == "BF16": # the upper half of a float32
                values = (values.astype("<u4") << 16).view("<f4")
            weights[name] = values.astype("<f4", copy=False).reshape(entry["shape"])
    return weights
