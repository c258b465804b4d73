"""A large teacher that every device has, and a small student that they train together on what nobody labelled.

    python3 distil.py teach labelled.csv teacher.safetensors
    python3 distil.py train device.json unlabelled.csv teacher.safetensors [--rounds N] [--labels]

The teacher is trained once, where there are labels, and given to the devices as a file. The task's model is the student: on a device
it learns to say what the teacher says of the device's own data, at a warmth that shows what the teacher takes for similar
(Hinton, Vinyals, Dean 2015). --labels: from the labels in the data instead, to compare with."""

import argparse

import millrace
import numpy
import perceptron

WARMTH = 3.0
TEACHER = 256 # units; the student has what the task's first model has


def teach(path, target, steps=1500):
    x, y = perceptron.read(path)
    weights, random = perceptron.new(TEACHER), numpy.random.default_rng(2)
    wanted = numpy.eye(10, dtype=numpy.float32)[y]
    for _ in range(steps):
        rows = random.integers(0, len(x), 32)
        noisy = x[rows] + random.normal(0, 0.1, (32, x.shape[1])).astype(numpy.float32)
        for name, gradient in perceptron.gradients(weights, noisy, wanted[rows])[1].items():
            weights[name] -= 0.2 * gradient
    millrace.save(weights, target)


def trainer(path, teacher=None):
    """teacher: the weights of one; None: the labels of the file count."""
    x, y = perceptron.read(path)
    warmth = WARMTH if teacher else 1.0
    wanted = perceptron.softmax(perceptron.forward(teacher, x)[0] / warmth) if teacher else numpy.eye(10, dtype=numpy.float32)[y]

    def train(weights, task):
        def step(rows, rate):
            loss, found = perceptron.gradients(weights, x[rows], wanted[rows], warmth)
            for name, gradient in found.items():
                weights[name] -= rate * gradient
            return loss
        loss = perceptron.epochs(task, x, step)
        return weights, len(x), {"loss": loss}

    return train


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n", maxsplit=1)[0])
    parser.add_argument("what", choices=("teach", "train"))
    parser.add_argument("files", nargs="+")
    parser.add_argument("--labels", action="store_true")
    parser.add_argument("--rounds", type=int, default=1)
    given = parser.parse_args()
    if given.what == "teach":
        teach(*given.files)
        return
    config, data, teacher = given.files
    train = trainer(data, None if given.labels else millrace.load(teacher))
    with millrace.Client(config) as client:
        client.run(train, rounds=given.rounds, patience=60, on_round=print)


if __name__ == "__main__":
    main()
