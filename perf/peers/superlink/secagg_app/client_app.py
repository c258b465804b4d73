"""A device that trains nothing: its parameters follow from its number."""

from flwr.client import NumPyClient
from flwr.client.mod import secaggplus_mod
from flwr.clientapp import ClientApp

from secagg_app import WEIGHT, device_vector


class Device(NumPyClient):
    def __init__(self, number, values):
        self.number, self.values = number, values

    def fit(self, parameters, config):
        if parameters[0].size != self.values:
            raise ValueError(f"a model of {parameters[0].size} values came, not of {self.values}")
        return [device_vector(self.number, self.values)], WEIGHT, {}


def client_fn(context):
    return Device(int(context.node_config["partition-id"]), int(context.run_config["values"])).to_client()


app = ClientApp(client_fn=client_fn, mods=[secaggplus_mod])
