"""Flower's own SecAgg+ workflow, whose rounds begin when the bench says so.

The bench and the strategy speak by files in the folder `gate`: ready-N (this process's id; the round N - 1 was checked),
go-N (made by the bench), done-N (the sum is there).
"""

import os
import time

import numpy as np
from flwr.common import FitIns, ndarrays_to_parameters, parameters_to_ndarrays
from flwr.server import LegacyContext, ServerConfig
from flwr.server.strategy import FedAvg
from flwr.server.workflow import DefaultWorkflow, SecAggPlusWorkflow
from flwr.serverapp import ServerApp

from secagg_app import CLIP, LEVELS, MODULUS, WEIGHT, device_vector

WAIT_S = 600
LOOK_S = 0.05


class Gated(FedAvg):
    """Chooses every device, sends the same model in each round, and keeps the mean."""

    def __init__(self, gate, devices, values):
        self.model = ndarrays_to_parameters([np.zeros(values, np.float32)])
        super().__init__(fraction_evaluate=0.0, initial_parameters=self.model)
        self.gate, self.devices, self.values = gate, devices, values
        self.mean = None

    def path(self, word, number):
        return os.path.join(self.gate, f"{word}-{number}")

    def say(self, word, number, text=""):
        with open(self.path(word, number) + ".new", "w", encoding="ascii") as f:
            f.write(text)
        os.rename(self.path(word, number) + ".new", self.path(word, number))

    def check(self):
        """The mean of all devices' vectors, to half a level of one of them."""
        if self.mean is not None:
            wanted = sum(device_vector(device, self.values).astype(np.float64) for device in range(self.devices)) / self.devices
            if np.max(np.abs(self.mean - wanted)) > CLIP / LEVELS / self.devices / 2:
                raise RuntimeError("the sum is WRONG")

    def configure_fit(self, server_round, parameters, client_manager):
        self.check()
        if not client_manager.wait_for(self.devices, WAIT_S):
            raise RuntimeError(f"{client_manager.num_available()} of {self.devices} devices came")
        self.say("ready", server_round, str(os.getpid()))
        while not os.path.exists(self.path("go", server_round)):
            time.sleep(LOOK_S)
        return [(client, FitIns(self.model, {})) for client in client_manager.sample(self.devices)]

    def aggregate_fit(self, server_round, results, failures):
        if failures or len(results) != self.devices:
            raise RuntimeError(f"{len(results)} of {self.devices} devices are in the sum: {failures[:1]}")
        self.mean = parameters_to_ndarrays(results[0][1].parameters)[0]
        self.say("done", server_round)
        return None, {}


app = ServerApp()


@app.main()
def main(grid, context):
    run = context.run_config
    # One round more than asked for: the last is never let through, so that the one before it is checked.
    strategy = Gated(run["gate"], run["devices"], run["values"])
    legacy = LegacyContext(context=context, config=ServerConfig(num_rounds=run["rounds"] + 1), strategy=strategy)
    neighbours = run["neighbours"]
    DefaultWorkflow(fit_workflow=SecAggPlusWorkflow(neighbours, neighbours // 2 + 1, max_weight=float(WEIGHT), clipping_range=CLIP,
                                                    quantization_range=LEVELS, modulus_range=MODULUS))(grid, legacy)
