"""One adapter's training round beside the same training without it: what perf/adapters_bench.py runs, a process each.

usage: adapters_steps.py PACKAGE NAME SAMPLES steps|memory; prints one line of JSON: [bare, adapted] of each sample, in seconds
or bytes, and the model's bytes.

The package's own code runs, from the model's bytes that the module hands over to the arrays that it takes back; in place of
the module there is one that copies as it does, so that no C is in the time nor in the memory. Exit code 77: the framework
is missing."""

import json
import os
import sys
import time

STEPS, BATCH = 32, 32  # of a round: one epoch of 1,024 rows
ROWS_SKLEARN = 100  # a row is a step of each class's own: as much work as 32 steps of a network
INPUTS, HIDDEN, CLASSES = 1024, 1024, 50
PARAMETERS = INPUTS * HIDDEN + HIDDEN + HIDDEN * CLASSES + CLASSES


class Module:
    """Calls the package's training function as bindings/python/core/training.c does."""

    def __init__(self, weights):
        import numpy
        self.tensors, at = [], 0
        for name, values in weights.items():
            self.tensors.append((name, values.shape, at, values.size))
            at += values.size
        self.vector = numpy.concatenate([values.astype("<f4").reshape(-1) for values in weights.values()])
        self.taken = []

    def round(self, _wait_ms, trained):
        fields = {"name": "default", "round": 1, "seed": 1, "training": "{}", "cancel_fd": -1, "tensors": self.tensors,
                  "kind": "training", "metrics": {}}
        parts, examples, loss, *_ = trained(fields, bytearray(memoryview(self.vector).cast("B")))
        self.taken = [(at, array.size, float(array.reshape(-1)[0])) for at, array in parts]
        return {"result": "committed", "round": 1, "examples": examples, "loss": loss}


def client_of(millrace, module):
    client = millrace.Client.__new__(millrace.Client)
    client._core, client._dtype = module, None
    return client


# --- what is trained ---------------------------------------------------------------------------


def pytorch(millrace):
    import millrace.torch
    import torch
    torch.set_num_threads(1)
    torch.manual_seed(1)
    net = torch.nn.Sequential(torch.nn.Linear(INPUTS, HIDDEN), torch.nn.ReLU(), torch.nn.Linear(HIDDEN, CLASSES))
    x, y = torch.randn(STEPS * BATCH, INPUTS), torch.randint(0, CLASSES, (STEPS * BATCH,))
    optimiser = torch.optim.SGD(net.parameters(), lr=0.01)

    def fit(module, _task):
        for batch in torch.arange(len(x)).split(BATCH):
            optimiser.zero_grad()
            loss = torch.nn.functional.cross_entropy(module(x[batch]), y[batch])
            loss.backward()
            optimiser.step()
        return len(x), {"loss": loss.item()}

    module = Module({name: tensor.numpy() for name, tensor in millrace.torch.shared(net).items()})
    return lambda: fit(net, None), millrace.torch.trainer(net, fit), module


def jax_tree(millrace):
    import jax
    import millrace.jax
    import numpy
    random = numpy.random.default_rng(1)
    tree = {"w1": jax.numpy.array(random.normal(0, 0.03, (INPUTS, HIDDEN)), "float32"), "b1": jax.numpy.zeros(HIDDEN),
            "w2": jax.numpy.array(random.normal(0, 0.03, (HIDDEN, CLASSES)), "float32"), "b2": jax.numpy.zeros(CLASSES)}
    x = jax.numpy.array(random.normal(0, 1, (STEPS, BATCH, INPUTS)), "float32")
    y = jax.nn.one_hot(random.integers(0, CLASSES, (STEPS, BATCH)), CLASSES)

    @jax.value_and_grad
    def loss_of(params, x, y):
        return -(jax.nn.log_softmax(jax.nn.relu(x @ params["w1"] + params["b1"]) @ params["w2"] + params["b2"]) * y).mean()

    @jax.jit
    def step(params, x, y):
        loss, slopes = loss_of(params, x, y)
        return jax.tree_util.tree_map(lambda value, slope: value - 0.01 * slope, params, slopes), loss

    def fit(params, _task):
        for at in range(STEPS):
            params, loss = step(params, x[at], y[at])
        return params, STEPS * BATCH, {"loss": float(loss)}

    module = Module({name: numpy.asarray(leaf) for name, leaf in millrace.jax.shared(tree).items()})
    return lambda: jax.block_until_ready(fit(tree, None)[0]), millrace.jax.trainer(tree, fit), module


def sklearn(millrace):
    import millrace.sklearn
    import numpy
    from sklearn.linear_model import SGDClassifier
    classes, features = 100, PARAMETERS // 100
    random = numpy.random.default_rng(1)
    x, y = random.normal(0, 1, (ROWS_SKLEARN, features)).astype(numpy.float32), numpy.arange(ROWS_SKLEARN) % classes
    estimators = [SGDClassifier(loss="log_loss", learning_rate="constant", eta0=0.01) for _ in range(2)]
    for estimator in estimators:
        estimator.partial_fit(x, y, classes=range(classes))
    module = Module({"coef": numpy.zeros((classes, features)), "intercept": numpy.zeros(classes)})
    return lambda: estimators[0].partial_fit(x, y), millrace.sklearn.trainer(estimators[1], x, y, classes=range(classes)), module


def litert(millrace):
    """Softmax regression, as tests/system/python/litert_model.py writes it: a step of the file's own signature."""
    import millrace.litert
    import numpy
    from ai_edge_litert.interpreter import Interpreter
    sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "tests", "system", "python"))
    import litert_model
    classes, features = 100, PARAMETERS // 100
    interpreter, random = Interpreter(model_content=litert_model.model_of(features, classes), num_threads=1), numpy.random.default_rng(1)
    x = random.normal(0, 0.1, (STEPS, BATCH, features)).astype(numpy.float32)
    y = numpy.eye(classes, dtype=numpy.float32)[random.integers(0, classes, (STEPS, BATCH))]
    first = {"weight": numpy.zeros((classes, features), numpy.float32), "bias": numpy.zeros(classes, numpy.float32)}
    millrace.litert.put(interpreter, first)

    def fit(interpreter, _task):
        step = interpreter.get_signature_runner("train")
        for at in range(STEPS):
            loss = step(x=x[at], y=y[at], rate=numpy.float32(0.01))["loss"]
        return STEPS * BATCH, {"loss": float(loss)}

    return lambda: fit(interpreter, None), millrace.litert.trainer(interpreter, fit), Module(first)


class Perceptron:
    """A network in numpy, for Flower's apps: its steps are matrix products, as a framework's are."""

    def __init__(self):
        import numpy
        random = numpy.random.default_rng(1)
        self.model = [random.normal(0, 0.03, shape).astype(numpy.float32)
                      for shape in ((INPUTS, HIDDEN), (HIDDEN,), (HIDDEN, CLASSES), (CLASSES,))]
        self.x = random.normal(0, 1, (STEPS * BATCH, INPUTS)).astype(numpy.float32)
        self.y = numpy.eye(CLASSES, dtype=numpy.float32)[random.integers(0, CLASSES, STEPS * BATCH)]

    def train(self, model):
        for at in range(0, len(self.x), BATCH):
            x, y = self.x[at:at + BATCH], self.y[at:at + BATCH]
            hidden = (x @ model[0] + model[1]).clip(0)
            error = (hidden @ model[2] + model[3] - y) / BATCH
            back = (error @ model[2].T) * (hidden > 0)
            for values, gradient in zip(model, (x.T @ back, back.sum(axis=0), hidden.T @ error, error.sum(axis=0))):
                values -= 0.01 * gradient
        return model


def flower(millrace):
    """The framework's own: the app called with a message, as a SuperNode does."""
    import logging
    import millrace.flower
    from flwr.app import ArrayRecord, Message, MetricRecord, RecordDict
    from flwr.clientapp import ClientApp
    logging.getLogger("flwr").setLevel(logging.ERROR)
    net, app = Perceptron(), ClientApp()

    @app.train()
    def train(message, context):
        del context
        model = net.train(message.content["arrays"].to_numpy_ndarrays())
        return Message(RecordDict({"arrays": ArrayRecord(model), "metrics": MetricRecord(
            {"loss": 1.0, "num-examples": len(net.x)})}), reply_to=message)

    asked = millrace.flower._App(app, 1, {}, {})
    sent = dict(zip(map(str, range(4)), (values.copy() for values in net.model)))

    def bare():
        asked.ask("train", millrace.flower._content(sent, {"server-round": 1}))
    return bare, millrace.flower.app_trainer(app), Module(sent)


SUBJECTS = {"torch": pytorch, "jax": jax_tree, "sklearn": sklearn, "flower": flower, "litert": litert}


# --- measuring ---------------------------------------------------------------------------------


def cpu_s(function):
    began = time.process_time()
    function()
    return time.process_time() - began


def peak_bytes(function):
    """The most that was resident while it ran."""
    with open("/proc/self/clear_refs", "w", encoding="ascii") as f:
        f.write("5")
    function()
    with open("/proc/self/status", encoding="ascii") as f:
        (line,) = [line for line in f if line.startswith("VmHWM:")]
    return int(line.split()[1]) * 1024


def main():
    package, name, samples = sys.argv[1], sys.argv[2], int(sys.argv[3])
    sys.path.insert(0, package)
    import millrace
    try:
        bare, train, module = SUBJECTS[name](millrace)
    except ModuleNotFoundError as error:
        if error.name.startswith("millrace"):
            raise # the build is not whole
        print(f"skipped: {error}", file=sys.stderr)
        return 77
    client = client_of(millrace, module)

    def adapted():
        client._round(train, 1, None)

    for function in (bare, adapted):
        function() # first touch
    measure = {"steps": cpu_s, "memory": peak_bytes}[sys.argv[4]]
    pairs = [(measure(bare), measure(adapted)) for _ in range(samples)]
    assert module.taken, "nothing came back"
    print(json.dumps({"pairs": pairs, "model_bytes": module.vector.nbytes}))
    return 0


if __name__ == "__main__":
    os.environ.setdefault("FLWR_TELEMETRY_ENABLED", "0")
    sys.exit(main())
