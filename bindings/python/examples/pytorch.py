"""PyTorch: a module takes part as it is. python3 pytorch.py device.json data.csv"""

import sys

import millrace
import millrace.torch
import numpy
import torch

rows = numpy.loadtxt(sys.argv[2], delimiter=",", dtype=numpy.float32)
x, y = torch.from_numpy(rows[:, :-1]), torch.from_numpy(rows[:, -1]).long()
model = torch.nn.Linear(x.shape[1], 3)
optimiser = torch.optim.SGD(model.parameters(), lr=0.1)


def fit(module, task):
    generator = torch.Generator().manual_seed(task.seed % 2**63)
    for _ in range(task.training.get("epochs", 1)):
        order = torch.randperm(len(x), generator=generator)
        optimiser.zero_grad()
        loss = torch.nn.functional.cross_entropy(module(x[order]), y[order])
        loss.backward()
        optimiser.step()
    return len(x), {"loss": loss.item()}


with millrace.Client(sys.argv[1]) as client:
    for outcome in client.run(millrace.torch.trainer(model, fit), rounds=1, patience=60):
        print(outcome)
