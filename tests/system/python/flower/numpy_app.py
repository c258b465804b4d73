"""A ClientApp of Flower in NumPy, in the form of Flower's NumPy quickstart: a list of arrays in, a list of arrays out."""

import numpy as np
from flwr.app import ArrayRecord, Context, Message, MetricRecord, RecordDict
from flwr.clientapp import ClientApp

from pictures import CLASSES, SIDE, load_data

app = ClientApp()


def first_model():
    return [np.zeros((SIDE * SIDE, CLASSES)), np.zeros(CLASSES)]


def scores(model, x):
    return x.reshape(len(x), -1) @ model[0] + model[1]


def probabilities(model, x):
    raised = np.exp(scores(model, x) - scores(model, x).max(axis=1, keepdims=True))
    return raised / raised.sum(axis=1, keepdims=True)


@app.train()
def train(msg: Message, context: Context):
    model = msg.content["arrays"].to_numpy_ndarrays()
    x, y = load_data(context.node_config["partition-id"], context.node_config["num-partitions"])
    for _ in range(context.run_config["local-epochs"]):
        error = (probabilities(model, x) - np.eye(CLASSES)[y]) / len(x)
        rate = msg.content["config"]["lr"]
        model = [model[0] - rate * x.reshape(len(x), -1).T @ error, model[1] - rate * error.sum(axis=0)]
    metrics = MetricRecord({"train_loss": float(-np.log(probabilities(model, x)[np.arange(len(x)), y]).mean()),
                            "num-examples": len(x)})
    return Message(RecordDict({"arrays": ArrayRecord(model), "metrics": metrics}), reply_to=msg)


@app.evaluate()
def evaluate(msg: Message, context: Context):
    x, y = load_data(context.node_config["partition-id"], context.node_config["num-partitions"])
    right = accuracy(msg.content["arrays"], x, y)
    return Message(RecordDict({"metrics": MetricRecord({"accuracy": right, "num-examples": len(x)})}), reply_to=msg)


def accuracy(arrays, x, y):
    return float((scores(arrays.to_numpy_ndarrays(), x).argmax(axis=1) == y).mean())
