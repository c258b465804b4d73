"""JAX: a pytree takes part as it is. python3 jax_tree.py device.json data.csv"""

import sys

import jax
import millrace
import millrace.jax
import numpy

rows = numpy.loadtxt(sys.argv[2], delimiter=",", dtype=numpy.float32)
x, y = rows[:, :-1], jax.nn.one_hot(rows[:, -1].astype(int), 3)


@jax.jit
@jax.value_and_grad
def loss_of(params):
    return -(jax.nn.log_softmax(x @ params["weight"].T + params["bias"]) * y).sum(axis=1).mean()


def fit(params, task):
    for _ in range(task.training.get("epochs", 1)):
        loss, gradient = loss_of(params)
        params = jax.tree_util.tree_map(lambda value, slope: value - 0.1 * slope, params, gradient)
    return params, len(x), {"loss": float(loss)}


first = {"weight": jax.numpy.zeros((3, x.shape[1])), "bias": jax.numpy.zeros(3)}
with millrace.Client(sys.argv[1]) as client:
    for outcome in client.run(millrace.jax.trainer(first, fit), rounds=1, patience=60):
        print(outcome)
