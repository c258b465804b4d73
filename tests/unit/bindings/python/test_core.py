#!/usr/bin/python3
"""The package against a fake federation: what goes in, what comes out, and what is said when something is wrong.

    test_core.py PACKAGE EXTENSION
"""

import asyncio
import gc
import os
import signal
import sys
import tempfile
import threading
import unittest
import unittest.mock

import fixture

try:
    import numpy
except ImportError:
    print("skipped: no numpy; install python3-numpy")
    sys.exit(77)

millrace, fake = fixture.load(*sys.argv[1:3])


def nudge(weights, task):
    """Trains, so to speak."""
    del task
    for values in weights.values():
        values += 0.01
    return weights, 10, {"loss": 0.5, "accuracy": 0.75}


class WithFederation(unittest.TestCase):
    def setUp(self):
        self.config = fixture.device_json(fake.begin(3, 16, 1))
        self.addCleanup(fake.end)

    def client(self, **options):
        client = millrace.Client(self.config, **options)
        self.addCleanup(client.close)
        return client


class Rounds(WithFederation):
    def test_a_round(self):
        seen = {}

        def train(weights, task):
            seen.update(weights=weights, task=task, thread=threading.get_ident())
            return nudge(weights, task)

        outcome = self.client().round(train, 1)
        task = seen["task"]
        self.assertEqual((outcome.result, outcome.round, outcome.examples, outcome.loss), ("committed", 1, 10, 0.5))
        self.assertTrue(outcome.counted)
        self.assertEqual(outcome.metrics, {"loss": 0.5, "accuracy": 0.75})
        self.assertEqual((task.name, task.round, task.training), ("default", 1, {"epochs": 2, "batch": 3}))
        self.assertEqual(seen["thread"], threading.get_ident())
        self.assertEqual([w.shape for w in seen["weights"].values()], [(4, 8), (4,), (3, 4), (3,)])
        self.assertTrue(all(w.dtype == numpy.float32 for w in seen["weights"].values()))
        self.assertGreaterEqual(task.left_s, 0)
        self.assertFalse(task.cancelled)
        self.assertIn("round 1", repr(outcome))
        # What was handed out is the function's own: it lives on, whatever becomes of the round.
        gc.collect()
        seen["weights"][next(iter(seen["weights"]))][...] = 1

    def test_weights_are_the_model(self):
        path = {}

        def train(weights, task):
            path["file"] = millrace.load(task.model_file)
            for name, values in path["file"].items():
                numpy.testing.assert_array_equal(values, weights[name])
            self.assertEqual(list(path["file"]), list(weights))
            return nudge(weights, task)

        self.client().round(train, 1)
        self.assertEqual(len(path["file"]), 4)

    def test_no_second_time(self):
        client = self.client()
        self.assertEqual(client.round(nudge, 1).result, "committed")
        self.assertEqual(client.round(nudge, 1).result, "no-round")

    def test_other_number_types(self):
        def train(weights, task):
            given = {name: values.astype(kind) for (name, values), kind in
                     zip(weights.items(), ("float64", "float16", ">f4", "float32"))}
            first = next(iter(given))
            given[first] = numpy.asfortranarray(given[first])
            return given, numpy.int64(10), {"loss": numpy.float32(0.5)}
        self.assertEqual(self.client().round(train, 1).result, "committed")

    def test_progress(self):
        seen = []
        self.client(on_progress=seen.append).round(nudge, 1)
        self.assertEqual(list(dict.fromkeys(p.phase for p in seen)),
                         ["waiting", "pulling", "training", "sharing", "uploading", "committing"])
        self.assertTrue(all(0 <= p.bytes_done <= p.bytes_total for p in seen))

    def test_says_why_again(self):
        fake.set("busy_seeds", 2)
        seen = []
        self.client(on_progress=seen.append).round(nudge, 1)
        self.assertEqual(sum("busy" in p.text for p in seen), 2)

    def test_log(self):
        """The library's lines are those of Python's own logging."""
        fake.set("busy_seeds", 1)
        with self.assertLogs("millrace", "DEBUG") as logs, millrace.Client(self.config) as client:
            client.round(nudge, 1)
        seen = [(record.levelname, record.getMessage()) for record in logs.records]
        self.assertIn(("DEBUG", "round 1: training"), seen)
        self.assertTrue(any(level == "INFO" and "tried again: " in line and "busy" in line for level, line in seen), seen)
        self.assertTrue(seen[-1][1].startswith("round 1: committed: "), seen)
        self.config = fixture.device_json(fake.begin(3, 16, 1))
        fake.set("refuse_grant", 1)
        with self.assertLogs("millrace", "WARNING") as logs, self.assertRaises(millrace.Refused):
            self.client().round(nudge, 1)
        self.assertIn("refused: refused (revoked)", logs.output[-1])

    def test_asyncio(self):
        async def play():
            async with millrace.AsyncClient(self.config) as client:
                return await client.round(nudge, 1)
        self.assertEqual(asyncio.run(play()).result, "committed")

    def test_asyncio_of_many(self):
        """Calls that wait keep no other client from its own: all of them are under way at once."""
        with unittest.mock.patch("millrace._aio.Client"): # the fake has one data_dir
            clients = [millrace.AsyncClient(self.config) for _ in range(40)]
        here = threading.Barrier(len(clients))

        async def play():
            await asyncio.gather(*(client._run(here.wait, 60) for client in clients))
        asyncio.run(play())
        for client in clients:
            client.close()

    def test_shared_connections(self):
        connections = millrace.Connections()
        with self.client(connections=connections) as client:
            del connections # the client holds them
            gc.collect()
            self.assertEqual(client.round(nudge, 1).result, "committed")
            ((model, number),) = millrace.read_state(self.config).counted
            self.assertEqual((len(model), number), (64, 1))
        for wrong in (object(), "connections"):
            with self.assertRaisesRegex(TypeError, "millrace.Connections"):
                self.client(connections=wrong)
        with self.assertRaisesRegex(ValueError, "PyCapsule"): # the module by itself
            sys.modules["millrace._core"].Client.open(self.config, connections=self)


class States(unittest.TestCase):
    """state.json without a client."""

    def setUp(self):
        self.folder = self.enterContext(tempfile.TemporaryDirectory())
        self.config = fixture.device_json(self.folder)

    def write(self, text):
        with open(os.path.join(self.folder, "state.json"), "w", encoding="ascii") as f:
            f.write(text)

    def test_of_a_new_device(self):
        self.assertEqual(millrace.read_state(self.config), millrace.State(0, 0, 0, False, []))

    def test_damaged(self):
        self.write('{"finished":41, "round":')
        with self.assertRaisesRegex(millrace.ConfigError, "damaged"):
            millrace.read_state(self.config)
        mended = millrace.reset_state(self.config)
        self.assertTrue(mended.models_lost)
        self.assertEqual(millrace.read_state(self.config), mended)
        self.assertEqual(millrace.reset_state(self.config, finished=7).finished, 7)
        self.assertTrue(os.path.exists(os.path.join(self.folder, "state.json.damaged")))

    def test_wrong(self):
        for finished, kind in ((-1, OverflowError), ("seven", TypeError), (1 << 53, millrace.ConfigError)):
            with self.assertRaises(kind):
                millrace.reset_state(self.config, finished=finished)
        with self.assertRaisesRegex(millrace.ConfigError, "No such file"):
            millrace.read_state("/nowhere/device.json")
        with tempfile.TemporaryDirectory() as other:
            self.write("{")
            self.assertEqual(millrace.read_state(self.config, data_dir=other).finished, 0)


class Evaluations(WithFederation):
    def play(self, kind, train=nudge, evaluate=None):
        fake.set("kind", ("training", "evaluated-training", "evaluation").index(kind))
        with millrace.Client(self.config) as client:
            return client.round(train, 1, evaluate=evaluate)

    def lane(self, at):
        """A lane of the metrics, of the one device that there is; in parts of the largest."""
        arrived = fake.opened()
        trailer = numpy.frombuffer(arrived[-128:], "<u4").astype(float)
        return trailer[16 + at] / (trailer[1] * fake.unit())

    def test_an_evaluation(self):
        seen = []

        def evaluate(weights, task):
            seen.append((sorted(weights), task.kind, task.metrics))
            return 40, {"accuracy": 0.25, "more": 1}

        outcome = self.play("evaluation", train=None, evaluate=evaluate)
        self.assertEqual((outcome.result, outcome.kind, outcome.examples), ("committed", "evaluation", 40))
        self.assertEqual(outcome.metrics, {"accuracy": 0.25, "more": 1})
        self.assertEqual(seen[0][1:], ("evaluation", {"accuracy": (0.0, 1.0)}))
        self.assertAlmostEqual(self.lane(0), 0.25, 4)

    def test_left_out_without_a_function(self):
        with self.assertRaises(millrace.NotAccepted) as raised:
            self.play("evaluation")
        self.assertEqual(raised.exception.code, "skipped")

    def test_before_and_after(self):
        models = []

        def evaluate(weights, task):
            models.append({name: values.copy() for name, values in weights.items()})
            return 10, {"accuracy": 0.5 if len(models) == 1 else 0.75}

        outcome = self.play("evaluated-training", lambda w, t: (nudge(w, t)[0], 10, {"loss": 1.0}), evaluate)
        self.assertEqual(outcome.metrics, {"loss": 1.0, "accuracy": 0.75})
        for name, values in models[0].items():
            numpy.testing.assert_allclose(models[1][name], values + numpy.float32(0.01), rtol=1e-5)
        self.assertAlmostEqual(self.lane(0), 0.75, 4)
        self.assertAlmostEqual(self.lane(1), 0.5, 4)

    def test_a_metric_is_missing(self):
        with self.assertRaisesRegex(ValueError, "accuracy"):
            self.play("training", lambda w, t: (w, 10, {"loss": 1.0}))
        fake.set("newer_round", 1)
        with self.assertRaisesRegex(ValueError, "before training"):
            self.play("evaluated-training")


class ShorterTypes(WithFederation):
    def play(self, change):
        seen = []

        def train(weights, task):
            seen.append({name: values.dtype for name, values in weights.items()})
            return {name: values + numpy.float16(change) for name, values in weights.items()}, 10, {"loss": 1.0}

        with millrace.Client(self.config, dtype="float16") as client:
            outcome = client.round(train, 1)
        self.assertEqual(outcome.result, "committed")
        self.assertEqual(set(seen[0].values()), {numpy.dtype("float16")})
        return numpy.frombuffer(fake.opened()[:-64], "<i2")

    def test_the_rounding_of_the_model_is_no_change(self):
        self.assertFalse(self.play(0).any())

    def test_beyond_the_largest_number(self):
        """A weight that the type has no number for is given as its largest one, and its change is sent."""
        from millrace._tensors import given_as, taken_as
        weights = {"a": numpy.array([7e4, -7e4, 65519, 65520, 1, 0], "<f4")}
        with numpy.errstate(all="raise"):
            given = given_as(weights, "float16")
            numpy.testing.assert_array_equal(given["a"].astype("<f4"), [65504, -65504, 65504, 65504, 1, 0])
            moved = taken_as(weights, {"a": given["a"].astype("<f4") + 0.5}, "float16")
        numpy.testing.assert_array_equal(moved["a"], weights["a"] + numpy.float32(0.5))

    def test_what_training_changed_is_sent(self):
        self.assertTrue(self.play(0.25).any())


class Wrong(WithFederation):
    def fails(self, kind, text, train=nudge, **knobs):
        for name, number in knobs.items():
            fake.set(name, number)
        with self.assertRaisesRegex(kind, text) as caught:
            self.client().round(train, 1)
        return caught.exception

    def test_training_functions(self):
        for kind, text, answer in (
                (TypeError, "dict of arrays, not list", lambda w: ([], 1, {"loss": 0})),
                (ValueError, "missing", lambda w: ({}, 1, {"loss": 0})),
                (ValueError, "not in the model other", lambda w: ({**w, "other": 1}, 1, {"loss": 0})),
                (ValueError, "has the shape", lambda w: ({**w, list(w)[0]: numpy.zeros(3)}, 1, {"loss": 0})),
                (TypeError, "numbers are needed", lambda w: ({**w, list(w)[1]: numpy.array(["a"] * 4)}, 1, {"loss": 0})),
                (ValueError, "no \"loss\"", lambda w: (w, 1, {})),
                (ValueError, "examples", lambda w: (w, 0, {"loss": 0})),
                (ValueError, "examples", lambda w: (w, -1, {"loss": 0})),
                (OverflowError, "", lambda w: (w, 1 << 64, {"loss": 0})),
                (TypeError, "", lambda w: None),
                (ZeroDivisionError, "", lambda w: 1 / 0)):
            with self.subTest(text=text, kind=kind):
                self.config = fixture.device_json(fake.begin(3, 16, 1))
                with self.assertRaisesRegex(kind, text):
                    self.client().round(lambda w, task, answer=answer: answer(w), 1)
                self.assertIsNone(fake.arrived())

    def test_buffers_that_do_not_fit(self):
        """The module by itself: whatever the Python above it would let through."""
        dimension = 51
        for kind, parts in ((ValueError, [(0, numpy.zeros(dimension + 1, "<f4"))]),
                            (ValueError, [(dimension, numpy.zeros(1, "<f4"))]),
                            (ValueError, [(sys.maxsize, numpy.zeros(1, "<f4"))]),
                            (TypeError, [(0, numpy.zeros(4, "<f8"))]), (TypeError, [(0, numpy.zeros(4, ">f4"))]),
                            (TypeError, [(0, bytes(16))]), (TypeError, [(0, None)]), (TypeError, [0]),
                            (ValueError, [(-1, numpy.zeros(1, "<f4"))]), (ValueError, [(0, numpy.zeros((4, 4), "<f4")[:, :2])])):
            with self.subTest(parts=parts):
                self.config = fixture.device_json(fake.begin(3, 16, 1))
                with self.assertRaises(kind):
                    self.client()._core.round(1, lambda task, values, parts=parts: (parts, 1, 0.0, {}, {}))
                self.assertIsNone(fake.arrived())

    def test_not_finite(self):
        error = self.fails(millrace.BadDelta, "infinite", lambda w, task: (w, 1, {"loss": float("inf")}))
        self.assertEqual(error.code, "bad-delta")
        self.assertIn("Lower the learning rate", error.reason)
        self.assertTrue(error.remedy)
        self.assertEqual(error.outcome.round, 1)

    def test_hubs(self):
        self.fails(millrace.BadModel, "announced hash", corrupt_model=1)

    def test_unreachable(self):
        error = self.fails(millrace.Unreachable, "", refuse_connects=1)
        self.assertEqual((error.code, error.outcome.round), ("unreachable", 0))

    def test_certificate(self):
        self.fails(millrace.CertificateRefused, "", refuse_certificate=1)

    def test_refused(self):
        self.assertEqual(self.fails(millrace.Refused, "revoked", refuse_grant=1).code, "revoked")

    def test_files(self):
        with self.assertRaisesRegex(millrace.ConfigError, "No such file") as caught:
            millrace.Client("/nowhere/device.json")
        self.assertIn("device.json", caught.exception.remedy)
        with self.assertRaisesRegex(ValueError, "transport"):
            millrace.Client(self.config, transport="pigeon")

    def test_closed(self):
        client = self.client()
        client.close()
        client.close()
        with self.assertRaisesRegex(ValueError, "closed"):
            client.round(nudge, 1)

    def test_one_thread_at_a_time(self):
        client = self.client()

        def train(weights, task):
            for call in (lambda: client.round(nudge, 1), client.close, lambda: client.on_progress(None)):
                with self.assertRaises(RuntimeError):
                    call()
            return nudge(weights, task)

        self.assertEqual(client.round(train, 1).result, "committed")


class Cancelled(WithFederation):
    def test_between_calls(self):
        client = self.client()
        client.cancel()
        with self.assertRaises(millrace.Cancelled):
            client.round(nudge, 1)
        self.assertEqual(client.round(nudge, 1).result, "committed")

    def test_in_training(self):
        client = self.client()

        def train(weights, task):
            client.cancel()
            return nudge(weights, task)

        with self.assertRaises(millrace.Cancelled):
            client.round(train, 1)
        self.assertIsNone(fake.arrived())
        self.assertEqual(client.round(nudge, 1).result, "committed")

    def test_run_ends(self):
        client = self.client()
        self.assertEqual(client.run(lambda w, t: (client.cancel(), nudge(w, t))[1], None), [])
        client.cancel()
        with self.assertRaises(millrace.Cancelled):
            client.run(nudge, 1)

    def interrupt(self, number=signal.SIGINT):
        """In the middle of a call, seen from Python: progress is told while the library has the thread."""
        def tell(progress):
            if progress.phase == "sharing":
                os.kill(os.getpid(), number)
        return tell

    def test_ctrl_c(self):
        before = signal.getsignal(signal.SIGINT)
        client = self.client(on_progress=self.interrupt(), transport="udp")
        with self.assertRaises(KeyboardInterrupt):
            client.round(nudge, 1)
        self.assertIs(signal.getsignal(signal.SIGINT), before)
        client.on_progress(None)
        self.assertEqual(client.round(nudge, 1).result, "committed")

    def test_ctrl_c_in_training(self):
        client = self.client()

        def train(weights, task):
            os.kill(os.getpid(), signal.SIGINT)
            return nudge(weights, task)

        with self.assertRaises(KeyboardInterrupt):
            client.round(train, 1)
        self.assertIsNone(fake.arrived())
        self.assertEqual(client.round(nudge, 1).result, "committed") # the same round: it was left open

    def test_handler_that_raises_nothing(self):
        """As Python's own waits, the call goes on."""
        seen = []
        before = signal.signal(signal.SIGTERM, lambda number, frame: seen.append(number))
        self.addCleanup(signal.signal, signal.SIGTERM, before)
        client = self.client(on_progress=lambda p: p.attempt == 0 and not seen and self.interrupt(signal.SIGTERM)(p))
        self.assertEqual(client.round(nudge, 1).result, "committed")
        self.assertEqual(seen, [signal.SIGTERM])

    def test_progress_that_raises(self):
        def tell(progress):
            if progress.phase == "pulling":
                raise LookupError("enough")
        client = self.client(on_progress=tell)
        with self.assertRaisesRegex(LookupError, "enough"):
            client.round(nudge, 1)
        client.on_progress(None)
        self.assertEqual(client.round(nudge, 1).result, "committed")


class Files(unittest.TestCase):
    def test_save_and_load(self):
        with tempfile.TemporaryDirectory() as folder:
            path = os.path.join(folder, "model.safetensors")
            given = {"a": numpy.arange(6).reshape(2, 3), "b": numpy.float64(2.5), "c": numpy.zeros((2, 0))}
            millrace.save(given, path)
            read = millrace.load(path)
        self.assertEqual(list(read), list(given))
        for name, values in given.items():
            numpy.testing.assert_array_equal(read[name], values)
            self.assertEqual(read[name].shape, numpy.shape(values))


    def test_counters_of_a_flower_model(self):
        """Whole numbers are no mean: each device keeps its own."""
        import millrace.flower
        with tempfile.TemporaryDirectory() as folder:
            path = os.path.join(folder, "model.safetensors")
            millrace.flower.save([numpy.ones(2), numpy.array(3)], path, ["mean", "batches"], frozen=["none"])
            with open(path, "rb") as f:
                text = f.read().decode("latin1")
        self.assertIn('"millrace.personal":"batches"', text)
        self.assertIn('"millrace.frozen":"none"', text)


    def test_data_that_does_not_fit(self):
        """python -m millrace: what is wrong is the data's, and is told so."""
        import types
        from millrace import _mlp
        model = {"weight": numpy.zeros((3, 2), "<f4"), "bias": numpy.zeros(3, "<f4")}
        with tempfile.NamedTemporaryFile("w", suffix=".csv") as file:
            for line, says in (("1,2,3,0", "3 features and a class in each line; the model takes 2"), ("1,2,3", "a class 3; the model knows 3")):
                file.seek(0)
                file.truncate()
                file.write(line + "\n")
                file.flush()
                with self.assertRaisesRegex(ValueError, says):
                    _mlp.trainer(file.name)(model, types.SimpleNamespace(training={}, seed=1))

    def test_sixteen_bits(self):
        """Files of the types that models are installed in are read, as float32."""
        values = numpy.array([0, -0.0, 1, -2.5, 0.333251953125, 65504, numpy.inf, 5.960464477539063e-08], "<f4")
        short = {"F16": values.astype("<f2"), "BF16": (values.view("<u4") >> 16).astype("<u2"), "I16": values.astype("<i2")}
        for kind, numbers in short.items():
            with tempfile.NamedTemporaryFile() as file:
                header = ('{"a":{"dtype":"%s","shape":[2,2],"data_offsets":[0,8]},"b":{"dtype":"%s","shape":[4],'
                          '"data_offsets":[8,16]}}' % (kind, kind)).encode()
                file.write(len(header).to_bytes(8, "little") + header + numbers.tobytes())
                file.flush()
                if kind == "I16":
                    self.assertRaisesRegex(ValueError, "a is I16", millrace.load, file.name)
                    continue
                read = millrace.load(file.name)
            wanted = values if kind == "F16" else (values.view("<u4") & 0xffff0000).view("<f4")
            self.assertEqual((read["a"].dtype, read["a"].shape), ("<f4", (2, 2)))
            numpy.testing.assert_array_equal(numpy.concatenate([read["a"].reshape(-1), read["b"]]).view("<u4"), wanted.view("<u4"))


class Interpreter:
    """As LiteRT's: two variables, results in memory of its own, of which a runner makes copies that it counts."""

    class Runner:
        def __init__(self, interpreter, name):
            self.interpreter, self.name, self._subgraph_index = interpreter, name, 7
            self._outputs = {"b": 4, "a": 3}.items()

        def get_input_details(self):
            return {name: {"shape": value.shape, "dtype": value.dtype} for name, value in self.interpreter.variables.items()}

        def get_output_details(self):
            return {name: {"index": index} for name, index in self._outputs}

        def __call__(self, **inputs):
            self.interpreter.variables.update({name: value.copy() for name, value in inputs.items()})
            self.interpreter.copies += len(self._outputs)
            return {name: self.interpreter.variables[name].copy() for name, _ in self._outputs}

    def __init__(self, opened):
        self.variables = {"a": numpy.zeros((2, 3), "<f4"), "b": numpy.zeros(2, "<f4")}
        self.copies = 0
        if opened:
            self._interpreter = self

    def get_signature_runner(self, name):
        return self.Runner(self, name)

    def tensor(self, inside, index, subgraph):
        assert inside is self and subgraph == 7
        return self.variables[{3: "a", 4: "b"}[index]]


class LiteRT(unittest.TestCase):
    def test_weights(self):
        """They go in and out without a copy of all; where the interpreter is another one inside, with copies."""
        import millrace.litert
        for opened in (True, False):
            interpreter = Interpreter(opened)
            given = {"a": numpy.arange(6, dtype="<f4").reshape(2, 3), "b": numpy.ones(2, "<f4")}
            train = millrace.litert.trainer(interpreter, lambda interpreter, task: (7, {"loss": 1.0}))
            weights, *_ = train({name: values.copy() for name, values in given.items()}, None)
            for name, values in given.items():
                numpy.testing.assert_array_equal(weights[name], values)
            self.assertEqual(interpreter.copies == 0, opened)
            millrace.litert.put(interpreter, {"b": numpy.full(2, 9, "<f4")}) # a stays
            numpy.testing.assert_array_equal(millrace.litert.shared(interpreter)["a"], given["a"])
            self.assertEqual(millrace.litert.shared(interpreter, lambda name: name == "b")["b"].tolist(), [9, 9])
            self.assertRaisesRegex(ValueError, "gives no c", millrace.litert.get, interpreter, {"c": given["b"]})


class References(WithFederation):
    TIMES = 20

    @staticmethod
    def play():
        config = fixture.device_json(fake.begin(3, 16, 1))
        with millrace.Client(config, on_progress=lambda p: None) as client:
            client.round(nudge, 1)
        with millrace.Client(config) as client:
            try:
                client.round(lambda w, t: 1 / 0, 1)
            except (ZeroDivisionError, millrace.Error):
                pass

    @staticmethod
    def prepare():
        fixture.device_json(fake.begin(3, 16, 1))

    def growth(self, function):
        """Blocks of memory that so many calls leave behind."""
        for _ in range(3):
            function()
        gc.collect()
        before = sys.getallocatedblocks()
        for _ in range(self.TIMES):
            function()
        gc.collect()
        return sys.getallocatedblocks() - before

    def test_none_is_lost(self):
        """A round leaves behind what the preparation of one does, and no more. The interpreter keeps blocks of its own
        now and then, in either of them, as many as calls; what is lost is lost every time, so the least counts, and turns
        go on until it shows."""
        turns = []
        for _ in range(20):
            turns.append((self.growth(self.play), self.growth(self.prepare)))
            played, prepared = map(min, zip(*turns))
            if played - prepared < self.TIMES // 2:
                return
        self.fail(f"{self.TIMES} rounds each, and what they and their preparation alone leave behind: {turns}")


if __name__ == "__main__":
    unittest.main(argv=sys.argv[:1])
