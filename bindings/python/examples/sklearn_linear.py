"""scikit-learn: a linear model with partial_fit. python3 sklearn_linear.py device.json data.csv"""

import sys

import millrace
import millrace.sklearn
import numpy
from sklearn.linear_model import SGDClassifier

rows = numpy.loadtxt(sys.argv[2], delimiter=",", dtype=numpy.float32)
x, y = rows[:, :-1], rows[:, -1].astype(int)
model = SGDClassifier(loss="log_loss", learning_rate="constant", eta0=0.01)
train = millrace.sklearn.trainer(model, x, y, classes=[0, 1, 2], names=("weight", "bias"))

with millrace.Client(sys.argv[1]) as client:
    for outcome in client.run(train, rounds=1, patience=60):
        print(outcome)
