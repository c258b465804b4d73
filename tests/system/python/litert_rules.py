"""The rules of millrace.litert, beside numpy: weights go in and out bit by bit, a step is what its formula says, what the
model file does not name stays, and no copy of all weights is made on the way.

    litert_rules.py MODEL.tflite    (one of litert_model.py's)"""

import ctypes
import os
import sys
import tempfile

import litert_model
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


class Plain:
    """An interpreter as one of another release: nothing of it that is not its interface."""

    class Runner:
        __slots__ = ("get_input_details", "get_output_details", "run")

        def __init__(self, runner):
            self.get_input_details, self.get_output_details, self.run = runner.get_input_details, runner.get_output_details, runner

        def __call__(self, **inputs):
            return self.run(**inputs)

    def __init__(self, interpreter):
        self.get_signature_runner = lambda name: self.Runner(interpreter.get_signature_runner(name))


def peak_bytes(function):
    """The most that was resident while it ran, beyond what was before."""
    def resident(name):
        with open("/proc/self/status", encoding="ascii") as f:
            (line,) = [line for line in f if line.startswith(name + ":")]
        return int(line.split()[1]) * 1024
    with open("/proc/self/clear_refs", "w", encoding="ascii") as f:
        f.write("5")
    before = resident("VmRSS")
    function()
    return resident("VmHWM") - before


def no_copies(interpreter, features, classes):
    """Weights go in and out, and no second set of them is there meanwhile."""
    ctypes.CDLL(None).mallopt(-3, 65536) # M_MMAP_THRESHOLD: what is given back is resident no more
    weights = {"weight": numpy.ones((classes, features), numpy.float32), "bias": numpy.ones(classes, numpy.float32)}
    size = weights["weight"].nbytes

    def in_and_out(given):
        millrace.litert.put(given, weights)
        for values in weights.values():
            values[...] = 0
        millrace.litert.get(given, weights)

    in_and_out(interpreter) # LiteRT's own memory for its signatures, which it keeps
    peak, plain = (peak_bytes(lambda given=given: in_and_out(given)) for given in (interpreter, Plain(interpreter)))
    assert all((values == 1).all() for values in weights.values())
    assert peak < 0.2 * size, (peak, size)
    assert plain > 0.8 * size, ("copies are not seen here", plain, size)


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
    refused(lambda: millrace.litert.get(interpreter, {"foreign": alone["bias"]}), 'gives no foreign')
    millrace.litert.put(Plain(interpreter), {"bias": weights["bias"]})
    now = millrace.litert.shared(Plain(interpreter))
    assert numpy.array_equal(now["weight"], trained["weight"]) and numpy.array_equal(now["bias"], weights["bias"])
    no_copies(Interpreter(model_content=litert_model.model_of(500_000, 10)), 500_000, 10)


if __name__ == "__main__":
    main()
