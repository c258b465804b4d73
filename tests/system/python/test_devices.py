#!/usr/bin/python3
"""Python's devices against real hubs: the adapters' examples, Ctrl-C, asyncio, and devices that are killed.

    test_devices.py BUILD
"""

import asyncio
import importlib.util
import json
import os
import random
import signal
import socket
import subprocess
import sys
import tempfile
import unittest

try:
    import numpy
except ImportError:
    print("skipped: no numpy; install python3-numpy")
    sys.exit(77)

BUILD = sys.argv[1]
sys.path.insert(0, os.path.join(BUILD, "bindings", "python"))

import pypi  # noqa: E402 pylint: disable=wrong-import-position
import millrace  # noqa: E402 pylint: disable=wrong-import-position
from scene import CLASSES, FEATURES, HERE, ROOT, Scene, rows  # noqa: E402 pylint: disable=wrong-import-position

EXAMPLES = os.path.join(ROOT, "bindings", "python", "examples")
DEVICES = 6
WAIT_S = 120  # for a machine that is busy with something else
# With what it needs beside numpy, which is Debian's: 28 MB.
LITERT = ["ai-edge-litert==2.3.0", "backports.strenum==1.2.8", "flatbuffers==25.12.19", "ml_dtypes==0.6.0", "protobuf==7.36.2",
          "tqdm==4.70.1", "typing_extensions==4.16.0"]
# With Debian's numpy and scipy, for which it must not be newer: 84 MB.
JAX = ["jax==0.4.30", "jaxlib==0.4.30", "ml_dtypes==0.4.0", "opt_einsum==3.3.0"]

# A tree's leaves of 16 bits: that they round the model is no change.
SHORT_LEAVES = """
import jax, millrace.jax, numpy
tree = {"a": jax.numpy.zeros(3, "float16"), "b": jax.numpy.zeros(2, "bfloat16"), "c": jax.numpy.zeros(1), "steps": 7}
model = {"a": numpy.array([7e4, 1.0001, 0], "f4"), "b": numpy.array([1.001, -3.3], "f4"), "c": numpy.array([1.1], "f4")}

def moved(by):
    fit = lambda tree, task: (jax.tree_util.tree_map(lambda leaf: leaf + by, tree), 1, {})
    weights, _, _ = millrace.jax.trainer(tree, fit)({name: values.copy() for name, values in model.items()}, None)
    return {name: weights[name] - model[name] for name in model}

assert all((change == 0).all() for change in moved(0).values())
assert moved(-64)["a"][0] == -64 # from 65504, the largest
"""


def has(module):
    return importlib.util.find_spec(module) is not None


class WithHubs(unittest.TestCase):
    devices, quorum = 2, 2
    model, parts, trainer = None, {}, {"epochs": 1}

    @classmethod
    def setUpClass(cls):
        cls.folder = cls.enterClassContext(tempfile.TemporaryDirectory(prefix="millrace-python-"))
        cls.scene = Scene(BUILD, f"{cls.folder}/federation", cls.devices, cls.quorum, cls.model, **cls.parts)
        cls.scene.training = {**cls.scene.training, "trainer": cls.trainer}
        cls.enterClassContext(cls.scene)
        for number in range(cls.devices):
            x, y = rows(number)
            with open(cls.data(number), "w", encoding="ascii") as f:
                f.writelines(",".join(f"{v:.4f}" for v in row) + f",{label}\n" for row, label in zip(x, y))

    @classmethod
    def data(cls, number):
        return f"{cls.folder}/data-{number}.csv"

    def start(self, *command, python=sys.executable):
        process = subprocess.Popen([python, *command], env=self.scene.python(), text=True,
                                   stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.PIPE)
        self.addCleanup(self.reap, process)
        return process

    @staticmethod
    def reap(process):
        if process.poll() is None:
            process.kill()
        process.communicate()

    def device(self, number, *words):
        return self.start("-m", "millrace", "--config", self.scene.device(number), "--data", self.data(number),
                          "--rounds", "1", "--patience", "60", *words)


class Example(WithHubs):
    """Beside the package's own numpy trainer, in one round."""

    def play(self, name, *more, python=sys.executable):
        path = os.path.join(EXAMPLES, name)
        with open(path, encoding="utf-8") as f:
            self.assertLessEqual(len(f.readlines()), 40)
        self.scene.open_round()
        both = [self.start(path, self.scene.device(0), self.data(0), *more, python=python), self.device(1)]
        said = [process.communicate(timeout=WAIT_S) for process in both]
        self.assertEqual([process.returncode for process in both], [0, 0], said)
        self.assertRegex(said[0][0], "committed, then published")
        self.assertRegex(said[1][0], r"committed, published, loss \d.*, accuracy \d")


class Examples(Example):
    @unittest.skipUnless(has("torch"), "no PyTorch here: python3-torch, or torch of PyPI")
    def test_pytorch(self):
        self.play("pytorch.py")

    @unittest.skipUnless(has("scipy"), "no scipy here: python3-scipy")
    def test_jax(self):
        try:
            python = pypi.interpreter("MILLRACE_JAX", JAX, "--no-deps", otherwise=os.path.join(BUILD, "pypi-jax"),
                                      system_site_packages=True)
        except pypi.Missing as reason:
            self.skipTest(reason)
        subprocess.run([python, "-c", SHORT_LEAVES], env=self.scene.python(), check=True, timeout=WAIT_S)
        self.play("jax_tree.py", python=python)

    def test_litert(self):
        try:
            python = pypi.interpreter("MILLRACE_LITERT", LITERT, "--no-deps", otherwise=os.path.join(BUILD, "pypi-litert"),
                                      system_site_packages=True)
        except pypi.Missing as reason:
            self.skipTest(reason)
        model = f"{self.folder}/model.tflite"
        for script, *words in (("litert_model.py", str(FEATURES), str(CLASSES)), ("litert_rules.py",)):
            subprocess.run([python, os.path.join(HERE, script), *words, model], env=self.scene.python(), check=True, timeout=WAIT_S)
        self.play("litert_step.py", model, python=python)

    def test_flower(self):
        self.play("flower_client.py")

    def test_asyncio(self):
        async def both():
            async with (millrace.AsyncClient(self.scene.device(0)) as one,
                        millrace.AsyncClient(self.scene.device(1)) as other):
                return await asyncio.gather(one.run(self.nudge, 1), other.run(self.nudge, 1))
        self.scene.open_round()
        for (outcome,) in asyncio.run(both()):
            self.assertEqual((outcome.result, outcome.end.result), ("committed", "published"))

    @staticmethod
    def nudge(weights, task):
        for values in weights.values():
            values += 0.05
        return weights, 10, {"loss": 1.0}

    def test_check(self):
        device = self.start("-m", "millrace", "--config", self.scene.device(0), "--check")
        out, err = device.communicate(timeout=WAIT_S)
        self.assertEqual((device.returncode, "hubs and keys are as pinned" in out), (0, True), err)


@unittest.skipUnless(has("torch"), "no PyTorch here: python3-torch, or torch of PyPI")
class Torch(unittest.TestCase):
    """The adapter's rules, without a hub."""

    def setUp(self):
        import millrace.torch
        import torch
        self.net = torch.nn.ModuleDict({"body": torch.nn.Linear(4, 3), "bn": torch.nn.BatchNorm1d(3),
                                        "lora_a": torch.nn.Linear(4, 2, bias=False).half()})
        self.net["bn"].num_batches_tracked += 7

    def test_buffers(self):
        """Of floating point: averaged, as weights. Whole numbers: the device's own."""
        shared = millrace.torch.shared(self.net)
        self.assertEqual(set(self.net.state_dict()) - set(shared), {"bn.num_batches_tracked"})
        self.assertIn("bn.running_mean", shared)
        ones = {name: numpy.ones(tuple(tensor.shape), numpy.float32) for name, tensor in shared.items()}
        millrace.torch.put(self.net, ones)
        self.assertEqual((float(self.net["bn"].running_var.sum()), int(self.net["bn"].num_batches_tracked)), (3.0, 7))

    def test_adapters_alone(self):
        """What the file does not name is neither sent nor changed; half precision comes back as float32."""
        path = f"{self.enterContext(tempfile.TemporaryDirectory())}/lora.safetensors"
        millrace.torch.save(self.net, path, only=lambda name: "lora" in name)
        weights = millrace.load(path)
        self.assertEqual(list(weights), ["lora_a.weight"])
        before = self.net["body"].weight.clone()
        trained, _, _ = millrace.torch.trainer(self.net, self.fit)({"lora_a.weight": weights["lora_a.weight"]}, None)
        self.assertEqual((trained["lora_a.weight"].dtype, trained["lora_a.weight"].max()), (numpy.float32, 2.0))
        self.assertTrue((self.net["body"].weight == before).all())

    def test_beyond_half_precision(self):
        weights = {"lora_a.weight": numpy.array([[7e4, -7e4, 1, 0]] * 2, "<f4")}
        trained, _, _ = millrace.torch.trainer(self.net, lambda module, task: (1, {"loss": 0.0}))(
            {name: values.copy() for name, values in weights.items()}, None)
        self.assertEqual(float(self.net["lora_a"].weight.max()), 65504)
        numpy.testing.assert_array_equal(trained["lora_a.weight"], weights["lora_a.weight"])

    @staticmethod
    def fit(module, _task):
        module["lora_a"].weight.data.fill_(2)
        return 1, {"loss": 0.0}


class Linear(Example):
    """With hubs of its own: the step follows the norms that the rounds before opened."""

    @unittest.skipUnless(has("sklearn"), "no scikit-learn here: python3-sklearn")
    def test_sklearn(self):
        self.play("sklearn_linear.py")


class Divided(WithHubs):
    """A model of which one tensor is frozen and one is each device's own."""

    model = {"body": numpy.zeros(400), "encoder": numpy.arange(4000) / 4000, "head": numpy.zeros(7)}
    parts = {"frozen": ["encoder"], "personal": ["head*"]}

    def test_rounds(self):
        seen = [[], []]

        def trainer(number):
            def train(weights, task):
                self.assertEqual(task.parts, {"body": "trained", "encoder": "frozen", "head": "personal"})
                seen[number].append({name: values.copy() for name, values in weights.items()})
                return {name: values + (0.01 if name == "body" else number + 1) for name, values in weights.items()}, \
                    10, {"loss": 1.0}
            return train

        async def both():
            async with (millrace.AsyncClient(self.scene.device(0)) as one,
                        millrace.AsyncClient(self.scene.device(1)) as other):
                return await asyncio.gather(one.run(trainer(0), 1), other.run(trainer(1), 1))
        for _ in range(2):
            number = self.scene.open_round()
            for (outcome,) in asyncio.run(both()):
                self.assertEqual((outcome.result, outcome.end.result), ("committed", "published"))
                self.assertLess(outcome.share_bytes, 0.11 * 2 * 4407 + 256)
            self.scene.operator(0, "round", "show", str(number), "--wait")
        for number in range(2):
            first, second = seen[number]
            self.assertTrue((second["encoder"] == first["encoder"]).all())
            self.assertTrue((second["head"] == first["head"] + number + 1).all())
            self.assertAlmostEqual(float((second["body"] - first["body"]).mean()), 0.01, delta=0.004)

    def test_divide_command(self):
        path = f"{self.folder}/plain.safetensors"
        millrace.save(self.model, path)
        words = ["--frozen", "enc*", "--personal", "head", "--into", f"{self.folder}/divided.safetensors"]
        said = self.scene.run(self.scene.program("appliance", "cli", "millrace"), "model", "divide", path, *words,
                              "--installed-as", "float16", "--json")
        self.assertEqual(json.loads(said), {"written": words[-1], "trained": 400, "frozen": 4000, "personal": 7})
        millrace.save(self.model, path, frozen=["enc*"], personal=["head"], installed_as="float16")
        texts = []
        for name in (path, words[-1]):
            with open(name, "rb") as f:
                texts.append(json.loads(f.read(int.from_bytes(f.read(8), "little")))["__metadata__"])
        self.assertEqual(texts[0], {"millrace.frozen": "enc*", "millrace.personal": "head", "millrace.installed_as": "float16"})
        self.assertEqual(texts[1], texts[0])


class Silent(WithHubs):
    """A lead that takes connections and never says a word; requests may take an hour."""

    devices, quorum = 1, 0

    def setUp(self):
        self.listener = socket.create_server(("127.0.0.1", 0))
        self.addCleanup(self.listener.close)
        port, self.scene.ports[0] = self.scene.ports[0], self.listener.getsockname()[1]
        self.config = self.scene.device(0)
        self.scene.ports[0] = port

    def test_ctrl_c(self):
        for number, code in ((signal.SIGINT, 130), (signal.SIGTERM, -signal.SIGTERM)):
            device = self.start("-c", f"""
import millrace
try:
    with millrace.Client({self.config!r}, request_timeout_s=3600, on_progress=lambda p: print(p.phase, flush=True)) as client:
        client.run(None)
except KeyboardInterrupt:
    raise SystemExit(130)
""")
            self.assertEqual(device.stdout.readline(), "waiting\n")
            peer, _ = self.listener.accept() # it waits for a handshake
            device.send_signal(number)
            device.communicate(timeout=WAIT_S)
            self.assertEqual(device.returncode, code)
            peer.close()

    def test_says_on_what_it_waits(self):
        """Once, and not with each try; then that it gives up."""
        with open(self.data(0), encoding="ascii") as f:
            self.assertIn(",", f.readline())
        waits = self.start("-m", "millrace", "--config", self.scene.device(0), "--data", self.data(0), "--patience", "1")
        out, err = waits.communicate(timeout=WAIT_S)
        self.assertEqual((waits.returncode, out), (1, ""), err)
        self.assertRegex(err, r"^millrace: device [0-9a-f]{32} waits for a round\n"
                              r"millrace: unreachable: [^\n]* refused\nmillrace: [^\n]*; call again later[^\n]*\n$")

    def test_data_that_cannot_be_read(self):
        path = f"{self.folder}/wrong.csv"
        for text, says in (("1,2,a,0\n", "wrong.csv: could not convert"), ("1,2,0\n1,0\n", "wrong.csv: .*columns"),
                           ("1,2,0.5\n", "its class, a whole number"), ("1,2,-1\n", "its class"), ("nan,2,1\n", "its class"),
                           ("", "its class|no data"), (None, "wrong.csv not found")):
            with self.subTest(text=text):
                if text is None:
                    os.remove(path)
                else:
                    with open(path, "w", encoding="ascii") as f:
                        f.write(text)
                device = self.start("-m", "millrace", "--config", self.config, "--data", path)
                _, err = device.communicate(timeout=WAIT_S)
                self.assertEqual(device.returncode, 1)
                self.assertRegex(err, f"(?m)^millrace: .*(?:{says})")
                self.assertNotIn("Traceback", err)

    def test_task_that_is_cancelled(self):
        async def play():
            async with millrace.AsyncClient(self.config, request_timeout_s=3600) as client:
                waiting = asyncio.create_task(client.run(Examples.nudge))
                await asyncio.get_running_loop().run_in_executor(None, self.listener.accept)
                waiting.cancel()
                with self.assertRaises(asyncio.CancelledError):
                    await waiting
        asyncio.run(play())


class Late(WithHubs):
    """A device whose round has closed without it is told so, and goes on; one that is not known is told that."""

    devices, quorum = 3, 2

    def test_says_why(self):
        number, let = self.scene.open_round(), f"{self.folder}/let"
        late = self.start("-c", f"""
import millrace, os, time
def train(weights, task):
    print("there", flush=True)
    while not os.path.exists({let!r}):
        time.sleep(0.02)
    return weights, 10, {{"loss": 1.0}}
with millrace.Client({self.scene.device(2)!r}) as client:
    print(client.run(train, 1, patience=60)[0])
""")
        self.assertEqual(late.stdout.readline(), "there\n")
        others = [self.device(i) for i in range(2)]
        for other in others:
            other.communicate(timeout=WAIT_S)
        self.assertEqual(self.scene.operator(0, "round", "show", str(number), "--wait")["state"], "published")
        with open(let, "w", encoding="ascii"):
            pass
        out, err = late.communicate(timeout=WAIT_S)
        self.assertEqual(late.returncode, 0, err)
        self.assertRegex(out, rf"round {number}: closed: .*\w", err)

    def test_unknown(self):
        config = self.scene.device_json("foreign", self.scene.foreign, 0, 0)
        stranger = self.start("-m", "millrace", "--config", config, "--data", self.data(0), "--rounds", "1", "--patience", "1")
        _, err = stranger.communicate(timeout=WAIT_S)
        self.assertEqual(stranger.returncode, 1)
        self.assertRegex(err, r"(?m)^millrace: .*certificate")


class Killed(WithHubs):
    """Two of six are killed in each round, in whatever they do; the round closes with the others."""

    devices, quorum = DEVICES, DEVICES - 2
    # A sum of a few steps may round to nothing. Then the second round has the first one's model, and its devices wait for another.
    trainer = {"epochs": 5, "learning_rate": 1, "feature_scale": 1}

    def test_a_third_is_killed(self):
        chance = random.Random(3)
        for _ in range(2):
            number = self.scene.open_round()
            phases = dict.fromkeys(chance.sample(range(DEVICES), 2))
            for victim in phases:
                phases[victim] = chance.choice(["pulling", "training", "sharing", "uploading"])
            victims = [self.victim(i, phase) for i, phase in phases.items()]
            for victim in victims: # before there are enough others to close the round without them
                self.assertEqual(victim.stdout.readline(), "there\n")
                victim.kill()
            for player in [self.device(i, "--verbose") for i in range(DEVICES) if i not in phases]:
                out, err = player.communicate(timeout=WAIT_S)
                self.assertEqual(player.returncode, 0, err)
                self.assertRegex(out, f"round {number}: committed, published", err)
            shown = self.scene.operator(0, "round", "show", str(number))
            self.assertEqual(shown["state"], "published")

    def victim(self, number, phase):
        """Stands still in that phase."""
        return self.start("-c", f"""
import millrace, sys, time
from millrace._mlp import trainer
def tell(progress):
    if progress.phase == {phase!r}:
        print("there", flush=True)
        time.sleep({WAIT_S})
with millrace.Client({self.scene.device(number)!r}, on_progress=tell) as client:
    client.run(trainer({self.data(number)!r}), 1, patience={WAIT_S})
""")


if __name__ == "__main__":
    unittest.main(argv=sys.argv[:1], verbosity=2, warnings="ignore")
