"""Two real hubs on loopback and Python's devices of one task, for the tests of the package."""

import os
import sys

HERE = os.path.dirname(os.path.abspath(__file__))
ROOT = os.path.dirname(os.path.dirname(os.path.dirname(HERE)))
sys.path.insert(0, os.path.join(ROOT, "demo"))
from federation import Federation  # noqa: E402 pylint: disable=wrong-import-position

TRAINING = {"rotation_log2": "auto", "scale": "auto", "clip_norm": 3.0, "weight_max": 100, "trainer": {"epochs": 1}}
FEATURES, CLASSES = 8, 3


class Scene(Federation):
    """Hubs that run, with a model of zeros: weight [3, 8] and bias [3]. A context manager. `model`: other arrays, or a
    function that writes the file."""

    def __init__(self, build, work, devices, quorum, model=None, **parts):
        super().__init__(build, work, devices, TRAINING)
        self.quorum = quorum # 0: no hub runs
        self.model, self.parts = model, parts
        os.makedirs(work, exist_ok=True)

    deadline_ms = 60000

    def round_options(self):
        return {**super().round_options(), "deadline_ms": self.deadline_ms}

    def __enter__(self):
        import millrace
        import numpy
        self.make_identities()
        model = f"{self.work}/initial.safetensors"
        zeros = {"weight": numpy.zeros((CLASSES, FEATURES)), "bias": numpy.zeros(CLASSES)}
        if callable(self.model):
            self.model(model)
        else:
            millrace.save(self.model or zeros, model, **self.parts)
        if self.quorum:
            self.start_hubs(self.quorum, 2, model)
        return self

    def __exit__(self, *_):
        self.stop()

    def open_round(self, *words):
        return self.operator(0, "round", "open", *words)["round"]

    def device(self, number):
        """The path of its device.json."""
        return self.device_json(f"{number:03d}", self.pki, 0, number)

    def python(self):
        """The environment of a process that has the package."""
        return {**os.environ, "PYTHONPATH": os.path.join(self.build, "bindings", "python"),
                "PYTHONDONTWRITEBYTECODE": "1"}


def rows(number, count=30):
    """Features and classes of a device; a line tells the classes apart."""
    import numpy
    random = numpy.random.default_rng(number)
    y = numpy.arange(count) % CLASSES
    x = random.normal(0, 0.3, (count, FEATURES)).astype(numpy.float32)
    x[numpy.arange(count), y] += 2
    return x, y
