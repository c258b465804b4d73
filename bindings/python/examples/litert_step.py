"""LiteRT: a .tflite file with its own training step takes part. python3 litert_step.py device.json data.csv model.tflite"""

import sys

import millrace
import millrace.litert
import numpy
from ai_edge_litert.interpreter import Interpreter

rows = numpy.loadtxt(sys.argv[2], delimiter=",", dtype=numpy.float32)
x, y = rows[:, :-1], numpy.eye(3, dtype=numpy.float32)[rows[:, -1].astype(int)]
interpreter = Interpreter(sys.argv[3])


def fit(interpreter, task):
    step = interpreter.get_signature_runner("train")
    for _ in range(task.training.get("epochs", 1)):
        loss = step(x=x, y=y, rate=numpy.float32(0.1))["loss"]
    return len(x), {"loss": float(loss)}


def evaluate(weights, task):
    millrace.litert.put(interpreter, weights)
    guess = interpreter.get_signature_runner("infer")(x=x)["logits"].argmax(axis=1)
    return len(x), {"accuracy": float((guess == y.argmax(axis=1)).mean())}


with millrace.Client(sys.argv[1]) as client:
    for outcome in client.run(millrace.litert.trainer(interpreter, fit), rounds=1, evaluate=evaluate, patience=60):
        print(outcome)
