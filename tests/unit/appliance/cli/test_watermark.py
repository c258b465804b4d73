#!/usr/bin/python3
"""`millrace watermark` against the oracle's verifier, against liars, and on the digits demo's training.

test_watermark.py MILLRACE [DIGITS_TOOL DIGITS_DATA]
"""

import json
import os
import random
import stat
import struct
import sys
import unittest

import fixture

sys.path.insert(0, os.path.join(fixture.ROOT, "tests", "oracle"))
import watermark_oracle as oracle  # noqa: E402 pylint: disable=wrong-import-position

MILLRACE = DIGITS_TOOL = DATA = None
SEEDS = range(1, 7)
KEPT_SEEDS = range(1, 4)
ROUNDS = 12


def model_file(tensors, dtype="F32", **metadata):
    """A safetensors file of (name, shape, values)."""
    code, header, data = {"F32": "f", "F16": "e"}[dtype], {}, b""
    if metadata:
        header["__metadata__"] = {f"millrace.{name}": text for name, text in metadata.items()}
    for name, shape, values in tensors:
        raw = struct.pack(f"<{len(values)}{code}", *values)
        header[name] = {"dtype": dtype, "shape": shape, "data_offsets": [len(data), len(data) + len(raw)]}
        data += raw
    text = json.dumps(header).encode()
    return struct.pack("<Q", len(text)) + text + data


def layers(file):
    """(name, shape, values) of an F32 file, in file order."""
    length = int.from_bytes(file[:8], "little")
    header, data = json.loads(file[8:8 + length]), file[8 + length:]
    for name, tensor in header.items():
        if name != "__metadata__":
            first, end = tensor["data_offsets"]
            yield name, tensor["shape"], list(struct.unpack(f"<{(end - first) // 4}f", data[first:end]))


def attacked(file, rng):
    """int8, then the smallest 30 % zero, then noise of the weights' own size; each matrix by itself."""
    out = []
    for name, shape, values in layers(file):
        if len(shape) > 1:
            step = max(map(abs, values)) / 127
            values = [round(v / step) * step for v in values]
            least = sorted(map(abs, values))[len(values) * 3 // 10]
            values = [v if abs(v) >= least else 0.0 for v in values]
            rms = (sum(v * v for v in values) / len(values)) ** 0.5
            values = [v + rng.gauss(0, rms) for v in values]
        out.append((name, shape, values))
    return model_file(out)


class WithKey(fixture.WithFolder):
    def setUp(self):
        super().setUp()
        self.parts = [random.Random(i).randbytes(32) for i in range(3)]
        for i, part in enumerate(self.parts):
            self.write(f"part-{i}", (part.hex() + "\n").encode(), 0o600)

    def write(self, name, data, mode=0o644):
        with open(os.open(self.path(name), os.O_WRONLY | os.O_CREAT | os.O_TRUNC, mode), "wb") as f:
            f.write(data)

    def read(self, name):
        with open(self.path(name), "rb") as f:
            return f.read()

    def call(self, *words, code=0):
        got, out, err = fixture.run(MILLRACE, "watermark", *words, "--json")
        self.assertEqual(got, code, out + err)
        return json.loads(out)

    def keys(self, *numbers):
        return [self.path(f"part-{i}") for i in numbers or (0, 1)]

    def verify(self, name, *numbers):
        return self.call("verify", self.path(name), *self.keys(*numbers))

    def add(self, name, into, strength=20, numbers=()):
        return self.call("add", self.path(name), *self.keys(*numbers), "--strength", str(strength),
                         "--into", self.path(into))

    def gaussian(self, name, dtype="F32", **metadata):
        rng = random.Random(5)
        tensors = [(f"layer.{i}", [40, 50], [rng.gauss(0, 0.1 * (i + 1)) for _ in range(2000)]) for i in range(3)]
        self.write(name, model_file([*tensors, ("bias", [9], [1.0] * 9)], dtype, **metadata))


class Command(WithKey):
    def test_a_part(self):
        made = self.call("key", self.path("new"))
        part = bytes.fromhex(self.read("new").decode())
        self.assertEqual(made["part_hash"], oracle.part_hash(part).hex())
        self.assertEqual(stat.S_IMODE(os.stat(self.path("new")).st_mode), 0o600)
        self.assertIn("left as it is", self.call("key", self.path("new"), code=1)["error"])
        self.assertEqual(bytes.fromhex(self.read("new").decode()), part)

    def test_both_verifiers_agree(self):
        for metadata in ({}, {"personal": "layer.1"}, {"frozen": "layer.0"}):
            self.gaussian("plain", **metadata)
            self.add("plain", "marked")
            for name in ("plain", "marked"):
                told = self.verify(name)
                sigma, values = oracle.score(self.read(name), self.parts[:2])
                self.assertAlmostEqual(told["sigma"], sigma, 6)
                self.assertEqual(told["values"], values)
                self.assertAlmostEqual(told["false_positive"] / oracle.false_positive(sigma), 1, 4)
                self.assertEqual(told["marked"], name == "marked")
                self.assertEqual(told["part_hashes"], [oracle.part_hash(part).hex() for part in self.parts[:2]])
            self.assertAlmostEqual(sigma, 20, 3)
            os.unlink(self.path("marked"))

    def test_every_hub_makes_the_same_file(self):
        self.gaussian("plain")
        self.add("plain", "a", numbers=(0, 1, 2))
        self.add("plain", "b", numbers=(2, 0, 1))
        self.assertEqual(self.read("a"), self.read("b"))

    def test_order_and_half_precision(self):
        """A copy with its tensors in another order and in F16 is found as well."""
        self.gaussian("plain")
        self.add("plain", "marked")
        self.write("copy", model_file(list(layers(self.read("marked")))[::-1], "F16"))
        self.assertGreater(self.verify("copy")["sigma"], 19.9)

    def test_without_a_part(self):
        self.gaussian("plain")
        self.add("plain", "marked", 40, (0, 1, 2))
        self.assertTrue(self.verify("marked", 0, 1, 2)["marked"])
        for some in ((0, 1), (0, 2), (1, 2)):
            self.assertFalse(self.verify("marked", *some)["marked"])
        for some, word in (((0,), "2 to 5 parts"), ((0, 0), "are the same")):
            self.assertIn(word, self.call("verify", self.path("marked"), *self.keys(*some), code=5)["error"])

    def test_refusals(self):
        self.write("small", model_file([("w", [2, 2], [1.0] * 4)]))
        self.write("bias", model_file([("b", [4], [1.0] * 4)]))
        self.gaussian("plain")
        self.add("plain", "marked")
        keys = self.keys()
        for name, word, more in (("small", "mark more weakly", ()), ("bias", "no tensor that could hold", ()),
                                 ("marked", "it is marked", ()), ("gone", "no such file", ()),
                                 ("part-0", "part-0", ())):
            told = self.call("add", self.path(name), *keys, "--into", self.path("out"), *more, code=5)
            self.assertIn(word, told["error"])
            self.assertFalse(os.path.exists(self.path("out")))
        self.assertIn("--into", self.call("add", self.path("plain"), *keys, code=2)["error"])
        self.call("add", self.path("plain"), *keys, "--strength", "7", "--into", self.path("out"), code=2)
        before = self.read("marked")
        self.call("add", self.path("plain"), *keys, "--into", self.path("marked"), code=1)
        self.assertEqual(self.read("marked"), before)


class Digits(WithKey):
    """The demo's model and training: the first model is marked, and rounds go on from it."""

    def digits(self, *words):
        code, out, err = fixture.run(DIGITS_TOOL, *words)
        self.assertEqual(code, 0, err)
        return out

    def train(self, name, out, rounds):
        self.digits("plain", "--model", self.path(name), "--shards", self.path("shards"), "--rounds", str(rounds),
                    "--data", self.path("shards", "held-out.csv"),
                    "--training", '{"epochs":10,"batch":8,"learning_rate":0.2}',
                    "--clip-norm", "4", "--weight-max", "100", "--out", self.path(out))

    def accuracy(self, name):
        return json.loads(self.digits("eval", "--model", self.path(name), "--data",
                                      self.path("shards", "held-out.csv"), "--json"))["accuracy"]

    def trained(self, name):
        self.train(name, name + "-12", ROUNDS)
        return self.accuracy(name + "-12")

    def kept(self, name, out):
        """As hubs train a marked task: the first round puts the mark in, and none of the others finds that it has faded."""
        self.train(name, out + "-step", 1)
        self.write(out, oracle.keep(self.read(out + "-step"), self.parts[:2], 20))
        self.train(out, out + "-12", ROUNDS - 1)
        self.assertEqual(oracle.keep(self.read(out + "-12"), self.parts[:2], 20), self.read(out + "-12"))
        return self.accuracy(out + "-12")

    def survived(self, name, seed):
        """The score after int8, pruning and noise."""
        self.write("attacked", attacked(self.read(name), random.Random(seed)))
        return self.verify("attacked")["sigma"]

    def test_digits(self):
        if not DIGITS_TOOL:
            self.skipTest("this build has no digits-tool")
        self.digits("split", "--input", DATA, "--devices", "30", "--alpha", "0.5", "--seed", "7", "--held-out", "0.2",
                    "--out", self.path("shards"))
        costs, scores, left, kept_costs, kept_left = [], [], [], [], []
        for seed in SEEDS:
            plain, marked = f"plain-{seed}", f"marked-{seed}"
            self.digits("init", "--layers", "64,64,10", "--seed", str(seed), "--out", self.path(plain))
            self.add(plain, marked)
            unmarked = self.trained(plain)
            costs.append(unmarked - self.trained(marked))
            if seed in KEPT_SEEDS:
                kept_costs.append(unmarked - self.kept(plain, f"kept-{seed}"))
                kept_left.append(self.survived(f"kept-{seed}-12", seed))
            self.assertFalse(self.verify(plain + "-12")["marked"])
            scores.append(self.verify(marked + "-12")["sigma"])
            left.append(self.survived(marked + "-12", seed))
        cost, kept_cost = sum(costs) / len(costs), sum(kept_costs) / len(kept_costs)
        print(f"accuracy cost {cost:.5f} (each {min(costs):.4f} to {max(costs):.4f}); after 12 rounds at least "
              f"{min(scores):.2f} sigma, and after int8, pruning and noise {min(left):.2f}", flush=True)
        print(f"marked by rounds: accuracy cost {kept_cost:.5f} (each {min(kept_costs):.4f} to "
              f"{max(kept_costs):.4f}), and at least {min(kept_left):.2f} sigma left", flush=True)
        self.assertLess(cost, 0.002)
        self.assertGreater(min(left), 8)
        self.assertLess(kept_cost, 0.002)
        self.assertGreater(min(kept_left), 8)


if __name__ == "__main__":
    MILLRACE, *REST = sys.argv[1:]
    if REST:
        DIGITS_TOOL, DATA = REST
    unittest.main(argv=sys.argv[:1])
