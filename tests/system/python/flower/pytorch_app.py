"""A ClientApp of Flower in PyTorch, in the form of Flower's PyTorch quickstart: a state_dict in, a state_dict out, BatchNorm's
whole-number counter among it. It has no training loss: that is asked of evaluate."""

import torch
from flwr.app import ArrayRecord, Context, Message, MetricRecord, RecordDict
from flwr.clientapp import ClientApp

from pictures import CLASSES, load_data

app = ClientApp()
torch.set_num_threads(1)


def net():
    torch.manual_seed(1)
    return torch.nn.Sequential(torch.nn.Conv2d(1, 12, 3), torch.nn.BatchNorm2d(12), torch.nn.ReLU(), torch.nn.MaxPool2d(2),
                               torch.nn.Flatten(), torch.nn.Linear(108, CLASSES))


def first_model():
    return net().state_dict()


def with_weights(arrays):
    module = net()
    module.load_state_dict(arrays.to_torch_state_dict())
    return module


def tensors(x, y):
    return torch.from_numpy(x).unsqueeze(1), torch.from_numpy(y)


def own_data(context):
    return tensors(*load_data(context.node_config["partition-id"], context.node_config["num-partitions"]))


@app.train()
def train(msg: Message, context: Context):
    module, (x, y) = with_weights(msg.content["arrays"]), own_data(context)
    optimiser = torch.optim.SGD(module.parameters(), lr=msg.content["config"]["lr"], momentum=0.9)
    torch.manual_seed(msg.content["config"]["server-round"])
    module.train()
    for _ in range(context.run_config["local-epochs"]):
        for batch in torch.randperm(len(x)).split(context.run_config["batch-size"]):
            optimiser.zero_grad()
            torch.nn.functional.cross_entropy(module(x[batch]), y[batch]).backward()
            optimiser.step()
    return Message(RecordDict({"arrays": ArrayRecord(module.state_dict()),
                               "metrics": MetricRecord({"num-examples": len(x)})}), reply_to=msg)


@app.evaluate()
def evaluate(msg: Message, context: Context):
    module, (x, y) = with_weights(msg.content["arrays"]).eval(), own_data(context)
    with torch.no_grad():
        loss = torch.nn.functional.cross_entropy(module(x), y).item()
    return Message(RecordDict({"metrics": MetricRecord({"eval_loss": loss, "num-examples": len(x)})}), reply_to=msg)


def accuracy(arrays, x, y):
    module, (x, y) = with_weights(arrays).eval(), tensors(x, y)
    with torch.no_grad():
        return float((module(x).argmax(dim=1) == y).float().mean())
