"""The rules of millrace.litert, beside numpy: weights go in and out bit by bit, a step is what its formula says, and what the
model file does not name stays.

    litert_rules.py MODEL.tflite    (one of litert_model.py's)"""

import os
import sys
import tempfile

import millrace
import millrace.litert
import numpy
from ai_edge_litert.interpreter import Interpreter


def step_of(weights, x, y, rate):
    """(loss, weights after one step) of softmax regression."""
    logits = x @ weights["weight"].T + weights["bias"]
    logs = logits - numpy.log(numpy.exp(logits).sum(axis=1, keepdims=True))
    error = (numpy.exp(logs) - y) * rate / len(x)
    return -(y * logs).sum() / len(x), {"weight": weights["weight"] - error.T @ x, "bias": weights["bias"] - error.sum(axis=0)}


def refused(call, text):
    try:
        call()
    except ValueError as error:
        assert text in str(error), error
    else:
        raise AssertionError(f"nobody said: {text}")


def main():
    interpreter, chance = Interpreter(sys.argv[1]), numpy.random.default_rng(5)
    shapes = {name: about["shape"] for name, about in interpreter.get_signature_runner("restore").get_input_details().items()}
    classes, features = shapes["weight"]
    weights = {name: chance.normal(size=shape).astype(numpy.float32) for name, shape in shapes.items()}
    seen = {}

    def fit(given, _task):
        seen.update(millrace.litert.shared(given))
        x, y = chance.normal(size=(7, features)).astype(numpy.float32), numpy.eye(classes, dtype=numpy.float32)[numpy.arange(7) % classes]
        loss = given.get_signature_runner("train")(x=x, y=y, rate=numpy.float32(0.5))["loss"]
        wanted_loss, wanted = step_of(seen, x, y, 0.5)
        assert abs(loss - wanted_loss) < 1e-5, (loss, wanted_loss)
        seen["after"] = wanted
        return 7, {"loss": float(loss)}

    train = millrace.litert.trainer(interpreter, fit)
    trained, _, _ = train({name: values.copy() for name, values in weights.items()}, None)
    for name, values in weights.items():
        assert numpy.array_equal(seen[name], values), name
        assert numpy.abs(trained[name] - seen["after"][name]).max() < 1e-5, name
    with tempfile.TemporaryDirectory() as folder:
        path = os.path.join(folder, "head.safetensors")
        millrace.litert.save(interpreter, path, only=lambda name: name == "bias")
        alone = millrace.load(path)
    assert list(alone) == ["bias"] and numpy.array_equal(alone["bias"], trained["bias"])
    alone["bias"] = alone["bias"] + 1
    millrace.litert.put(interpreter, alone)
    now = millrace.litert.shared(interpreter)
    assert numpy.array_equal(now["weight"], trained["weight"]) and numpy.array_equal(now["bias"], alone["bias"])
    refused(lambda: millrace.litert.put(interpreter, {"foreign": alone["bias"]}), 'takes no foreign')
    refused(lambda: millrace.litert.put(interpreter, {"bias": alone["bias"][:1]}), "the shape (1,)")


if __name__ == "__main__":
    main()
