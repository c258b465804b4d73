"""Training that knows it will be rounded, and a model of int8 from it.

    python3 qat.py train device.json data.csv [--bits 8] [--float] [--rounds N]
    python3 qat.py export model.safetensors OUT.npz data.csv [--bits 8]

The weights that a device computes with lie on the grid of so many bits, from the first round on; the gradient is applied to the
float weights (straight-through). --float trains as ever. `export` writes int8 weights, a step for each row, and int32 biases, and
compares: the float model, and the exported one computed in whole numbers alone."""

import argparse
import os

import millrace
import numpy
import perceptron


def grid(weight, bits):
    """(whole numbers as int8, the step of each row)."""
    levels = 2 ** (bits - 1) - 1
    step = numpy.maximum(numpy.abs(weight).max(axis=1, keepdims=True), 1e-8) / levels
    return numpy.round(weight / step).astype(numpy.int8), step


def rounded(weights, bits):
    """The same, as floats on the grid."""
    found = dict(weights)
    for name in ("hidden.weight", "out.weight"):
        whole, step = grid(weights[name], bits)
        found[name] = whole * step.astype(numpy.float32)
    return found


def trainer(path, bits):
    """bits: of the grid; None: floats."""
    x, y = perceptron.read(path)
    wanted = numpy.eye(10, dtype=numpy.float32)[y]

    def train(weights, task):
        def step(rows, rate):
            loss, found = perceptron.gradients(rounded(weights, bits) if bits else weights, x[rows], wanted[rows])
            for name, gradient in found.items():
                weights[name] -= rate * gradient
            return loss
        loss = perceptron.epochs(task, x, step)
        return weights, len(x), {"loss": loss}

    return train


def export(weights, path, x, bits):
    """`x`: examples by which the hidden layer's range is chosen; pixels are 0..16."""
    (first, first_step), (last, last_step) = (grid(weights[f"{name}.weight"], bits) for name in ("hidden", "out"))
    hidden_step = numpy.percentile(perceptron.forward(rounded(weights, bits), x)[1], 99.9) / 255
    numpy.savez(path, hidden=first, hidden_bias=numpy.round(weights["hidden.bias"] / (first_step[:, 0] / 16)).astype(numpy.int32),
                hidden_scale=(first_step[:, 0] / 16 / hidden_step).astype(numpy.float32), out=last,
                out_bias=numpy.round(weights["out.bias"] / (last_step[:, 0] * hidden_step)).astype(numpy.int32),
                out_scale=last_step[:, 0].astype(numpy.float32))


def infer(model, pixels):
    """Classes of pixels 0..16: products and sums are whole numbers; a scale stands between the layers, and one before the argmax."""
    sums = pixels.astype(numpy.int32) @ model["hidden"].T.astype(numpy.int32) + model["hidden_bias"]
    hidden = numpy.clip(numpy.round(sums * model["hidden_scale"]), 0, 255).astype(numpy.int32)
    return ((hidden @ model["out"].T.astype(numpy.int32) + model["out_bias"]) * model["out_scale"]).argmax(axis=1)


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n", maxsplit=1)[0])
    parser.add_argument("what", choices=("train", "export"))
    parser.add_argument("files", nargs="+")
    parser.add_argument("--bits", type=int, default=8, choices=range(2, 9))
    parser.add_argument("--float", action="store_true")
    parser.add_argument("--rounds", type=int, default=1)
    given = parser.parse_args()
    if given.what == "train":
        config, data = given.files
        with millrace.Client(config) as client:
            client.run(trainer(data, None if given.float else given.bits), rounds=given.rounds, patience=60, on_round=print)
        return
    source, target, data = given.files
    weights, (x, y) = millrace.load(source), perceptron.read(data)
    export(weights, target, x, given.bits)
    with numpy.load(target) as model:
        found = float((infer(model, numpy.round(x * 16)) == y).mean())
    print(f"{os.path.getsize(target)} bytes; accuracy {perceptron.accuracy(weights, x, y):.4f} in float,"
          f" {found:.4f} in whole numbers of {given.bits} bits")


if __name__ == "__main__":
    main()
