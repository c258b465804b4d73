"""The same app under Flower's own FedAvg, its messages and its aggregation, without any network or hub: what a federation with
Millrace is compared with. Prints {"plain": accuracy, "millrace": accuracy} of held-out pictures.

    plain.py APP PARTITIONS ROUNDS CONFIG RUN_CONFIG MODEL      (MODEL: what Millrace came to)
    plain.py APP --first MODEL                                  (writes the first model)
"""

import importlib
import json
import logging
import sys

import millrace
import millrace.flower
from flwr.app import Array, ArrayRecord, ConfigRecord, Context, Message, RecordDict
from flwr.common import FitIns, ndarrays_to_parameters, parameters_to_ndarrays
from flwr.compat.common import recorddict_compat as compat
from flwr.server.strategy.aggregate import aggregate
from flwr.serverapp.strategy import FedAvg
from flwr.supercore.task_identity import TaskIdentity

from pictures import test_data


def asked(program, contents, partitions, run_config):
    replies = []
    for partition in range(partitions):
        context = Context(1, partition, {"partition-id": partition, "num-partitions": partitions}, RecordDict(), run_config)
        message = Message(contents(), dst_node_id=partition + 1, message_type="train")
        replies.append(program.app(message, context))
    return replies


def by_messages(program, arrays, partitions, rounds, config, run_config):
    strategy = FedAvg()
    for number in range(1, rounds + 1):
        def contents(number=number, arrays=arrays):
            return RecordDict({"arrays": arrays, "config": ConfigRecord({**config, "server-round": number})})
        arrays, _ = strategy.aggregate_train(number, asked(program, contents, partitions, run_config))
    return arrays


def by_client_fn(program, arrays, partitions, rounds, config, run_config):
    """Its older form; FedAvg aggregates with aggregate() there."""
    model = arrays.to_numpy_ndarrays()
    for number in range(1, rounds + 1):
        def contents(number=number, model=model):
            return compat.fitins_to_recorddict(FitIns(ndarrays_to_parameters(model), {**config, "server_round": number}), True)
        said = [compat.recorddict_to_fitres(reply.content, True)
                for reply in asked(program, contents, partitions, run_config)]
        model = aggregate([(parameters_to_ndarrays(one.parameters), one.num_examples) for one in said])
    return ArrayRecord(model)


def main():
    logging.getLogger("flwr").setLevel(logging.ERROR)
    TaskIdentity.run_id, TaskIdentity.node_id, TaskIdentity.task_id = 1, 0, 0
    program = importlib.import_module(sys.argv[1])
    first = ArrayRecord(program.first_model())
    if sys.argv[2] == "--first":
        millrace.flower.save(first, sys.argv[3])
        return
    partitions, rounds, config, run_config = (json.loads(word) for word in sys.argv[2:6])
    play = by_client_fn if sys.argv[1] == "client_fn_app" else by_messages
    plain = play(program, first, partitions, rounds, config, run_config)
    reached = millrace.load(sys.argv[6])
    ours = ArrayRecord({name: Array.from_numpy_ndarray(values) for name, values in reached.items()})
    x, y = test_data()
    print(json.dumps({name: program.accuracy(arrays, x, y)
                      for name, arrays in (("first", first), ("plain", plain), ("millrace", ours))}))


if __name__ == "__main__":
    main()
