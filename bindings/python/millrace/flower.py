"""Flower's clients as devices of Millrace: nothing in a NumPyClient or in a ClientApp changes.

    millrace.flower.start_client_app("device.json", app, node_config={"partition-id": 0}, run_config={"local-epochs": 1})
    millrace.flower.start_numpy_client("device.json", client=FlowerClient())

A ClientApp is called with the messages that Flower's FedAvg would send: "arrays", the model by the tensors' names, and
"config", the round's training JSON with server-round. What it replies has to have the same arrays, and "num-examples".

For a NumPyClient flwr need not be installed: a client is whatever has fit(parameters, config). Its list of arrays is the
model's tensors in the order of the model file, which is that of get_parameters() where save() has written it. `config`
holds the round's training JSON, and server_round.

In evaluation rounds, and for metrics that training does not return, the app's function of @app.evaluate() is asked, or the
NumPyClient's own evaluate(); where there is none, evaluation rounds are left out.
"""

from __future__ import annotations

import typing

from . import _tensors
from ._client import Client

if typing.TYPE_CHECKING:
    import os
    from ._client import Evaluate, Task, Train
    from ._outcome import Outcome

    Config = typing.Mapping[str, bool | int | float | str]

LOSSES = ("loss", "train_loss", "train-loss", "eval_loss", "eval-loss")  # what a metric may be called that is one
EXAMPLES = "num-examples"


def save(source: typing.Any, path: str | os.PathLike, names: typing.Sequence[str] | None = None, *,
         frozen: typing.Iterable[str] = (), personal: typing.Iterable[str] = ()) -> None:
    """Writes the federation's first model: from a client's get_parameters(), from an ArrayRecord, or from a list of arrays.

    An ArrayRecord has names; the tensors of a list are called 0000, 0001, … or as in `names`. Arrays of whole numbers, such
    as BatchNorm's counters, become personal: each device keeps its own."""
    import numpy
    if hasattr(source, "get_parameters"):
        source = source.get_parameters({})
    if hasattr(source, "keys"):
        weights = {name: array.numpy() for name, array in source.items()}
    else:
        weights = dict(zip(names or [f"{i:04d}" for i in range(len(source))], source, strict=True))
    counters = [name for name, array in weights.items() if numpy.asarray(array).dtype.kind != "f"]
    _tensors.save(weights, path, frozen=frozen, personal=[*personal, *counters])


def _loss_in(metrics: typing.Mapping[str, typing.Any], name: str | None) -> float | None:
    for known in (name,) if name else LOSSES:
        if known in metrics:
            return float(metrics[known])
    return None


# --- NumPyClient ------------------------------------------------------------------------------------


def _loss_of(client: typing.Any, parameters: list, config: dict, metrics: dict) -> float:
    """fit() need not return one; then evaluate() has the loss of what was trained, on this device's own data."""
    loss = _loss_in(metrics, None)
    if loss is not None:
        return loss
    if not hasattr(client, "evaluate"):
        raise ValueError('the round wants the training loss: return it from fit() as metrics["loss"], or have evaluate()')
    return float(client.evaluate(parameters, config)[0])


def trainer(client: typing.Any) -> Train:
    """A training function for Client.run, from a NumPyClient."""
    def train(weights: _tensors.Weights, task: Task):
        config = {**task.training, "server_round": task.round}
        trained, examples, metrics = client.fit(list(weights.values()), config)
        if len(trained) != len(weights):
            raise ValueError(f"fit() returned {len(trained)} arrays, the model has {len(weights)}")
        loss = _loss_of(client, trained, config, metrics)
        return dict(zip(weights, trained)), examples, {**metrics, "loss": loss}
    return train


def evaluator(client: typing.Any) -> Evaluate | None:
    """An evaluation function for Client.run, from a NumPyClient; None where it has no evaluate() of its own."""
    own = getattr(client, "evaluate", None)
    if own is None or (getattr(own, "__module__", None) or "").startswith("flwr."): # NumPyClient's, which does nothing
        return None

    def evaluate(weights: _tensors.Weights, task: Task):
        loss, examples, metrics = client.evaluate(list(weights.values()), {**task.training, "server_round": task.round})
        return examples, {**metrics, "loss": float(loss)}
    return evaluate


def start_numpy_client(config: str | os.PathLike, client: typing.Any, *, rounds: int | None = None,
                       evaluate: Evaluate | None = None, **options: typing.Any) -> list[Outcome]:
    """Takes part with a NumPyClient; the rest as Client.run()."""
    with Client(config) as device:
        return device.run(trainer(client), rounds, evaluate=evaluate or evaluator(client), **options)


# --- ClientApp --------------------------------------------------------------------------------------


def _know_ourselves(node_id: int) -> None:
    """Flower's messages carry who sends them; where no SuperNode has said so in this process, it is us."""
    try:
        from flwr.supercore.task_identity import TaskIdentity
    except ImportError:
        return
    try:
        TaskIdentity.node_id
    except RuntimeError:
        TaskIdentity.run_id, TaskIdentity.node_id, TaskIdentity.task_id = 1, node_id, 0


class _App:
    """A ClientApp, asked with messages. One context for all rounds of this process, as a SuperNode keeps one."""

    def __init__(self, app: typing.Callable, node_id: int, node_config: Config, run_config: Config):
        from flwr.app import Context, RecordDict
        _know_ourselves(node_id)
        self.app = app
        self.node_id = node_id
        self.context = Context(1, node_id, dict(node_config), RecordDict(), dict(run_config))
        self.has_client_fn = getattr(app, "_call", None) is not None
        # What a client_fn's clients have shows only when they are asked.
        self.evaluates = "evaluate.default" in getattr(app, "_registered_funcs", ())

    def ask(self, kind: str, content: typing.Any) -> typing.Any:
        """The content of the reply."""
        from flwr.app import Message
        reply = self.app(Message(content, dst_node_id=self.node_id, message_type=kind), self.context)
        if reply.has_error():
            raise RuntimeError(f"the ClientApp replied to {kind} with an error: {reply.error.reason}")
        return reply.content

    def train(self, weights: dict, config: dict) -> tuple[dict, int, dict]:
        """(arrays by name, examples, metrics)."""
        if self.has_client_fn:
            return self._fit(weights, config)
        content = self.ask("train", _content(weights, config))
        metrics = _the_only(content.metric_records, "MetricRecord")
        if EXAMPLES not in metrics:
            raise ValueError(f'the ClientApp\'s metrics have no "{EXAMPLES}": Flower\'s FedAvg wants it too')
        arrays = _the_only(content.array_records, "ArrayRecord")
        trained = {name: arrays.pop(name).numpy() for name in list(arrays)} # not the whole model in both forms
        return trained, int(metrics[EXAMPLES]), dict(metrics)

    def evaluate(self, weights: dict, config: dict) -> dict:
        """The metrics of that model on this device's data, and on how many examples."""
        if not self.has_client_fn:
            return dict(_the_only(self.ask("evaluate", _content(weights, config)).metric_records, "MetricRecord"))
        from flwr.common import EvaluateIns, ndarrays_to_parameters
        from flwr.compat.common import recorddict_compat as compat
        asked = EvaluateIns(ndarrays_to_parameters(list(weights.values())), config)
        said = compat.recorddict_to_evaluateres(self.ask("evaluate", compat.evaluateins_to_recorddict(asked, keep_input=False)))
        return {**said.metrics, EXAMPLES: said.num_examples, "loss": said.loss}

    def _fit(self, weights: dict, config: dict) -> tuple[dict, int, dict]:
        """ClientApp(client_fn), which is asked in Flower's older form."""
        from flwr.common import FitIns, ndarrays_to_parameters, parameters_to_ndarrays
        from flwr.compat.common import recorddict_compat as compat
        asked = FitIns(ndarrays_to_parameters(list(weights.values())), config)
        said = compat.recorddict_to_fitres(self.ask("train", compat.fitins_to_recorddict(asked, keep_input=False)),
                                           keep_input=False)
        trained = parameters_to_ndarrays(said.parameters)
        if len(trained) != len(weights):
            raise ValueError(f"fit() returned {len(trained)} arrays, the model has {len(weights)}")
        return dict(zip(weights, trained)), said.num_examples, dict(said.metrics)


def _content(weights: dict, config: dict) -> typing.Any:
    """What Flower's FedAvg sends."""
    from flwr.app import Array, ArrayRecord, ConfigRecord, RecordDict
    record = ArrayRecord({name: Array.from_numpy_ndarray(values) for name, values in weights.items()})
    try:
        return RecordDict({"arrays": record, "config": ConfigRecord(config)})
    except (TypeError, ValueError) as error:
        raise ValueError("the round's training JSON has what Flower's ConfigRecord cannot hold; only numbers, texts and "
                         f"lists of one kind of them, no objects: {error}") from error


def _the_only(records: typing.Any, kind: str) -> typing.Any:
    if len(records) != 1:
        raise ValueError(f"the ClientApp's reply has {len(records)} of {kind}, one is needed")
    return next(iter(records.values()))


def app_trainer(app: typing.Callable, *, node_id: int = 1, node_config: Config | None = None,
                run_config: Config | None = None, loss: str | None = None) -> Train:
    """A training function for Client.run, from a ClientApp: with @app.train(), or with a client_fn.

    node_config and run_config are what `flower-supernode --node-config` and [tool.flwr.app.config] hold. `loss` names
    the metric that is the training loss; without it any of LOSSES is, or what the app's evaluate function says of the
    trained model on this device's data."""
    return _app_trainer(_App(app, node_id, node_config or {}, run_config or {}), loss)


def _app_trainer(asked: _App, loss: str | None) -> Train:
    def train(weights: _tensors.Weights, task: Task):
        config = {**task.training, ("server_round" if asked.has_client_fn else "server-round"): task.round}
        trained, examples, metrics = asked.train(weights, config)
        value = _loss_in(metrics, loss)
        if value is None:
            value = _loss_in(asked.evaluate(trained, config), loss)
        if value is None:
            raise ValueError("the round wants the training loss, and neither train nor evaluate of the ClientApp has a metric "
                             f"called {loss or ', '.join(LOSSES)}: name the one that is it with loss=…")
        return trained, examples, {**metrics, "loss": value}
    return train


def _app_evaluator(asked: _App) -> Evaluate | None:
    def evaluate(weights: _tensors.Weights, task: Task):
        said = asked.evaluate(weights, {**task.training, "server-round": task.round})
        if EXAMPLES not in said:
            raise ValueError(f'the metrics of the ClientApp\'s evaluate have no "{EXAMPLES}": Flower\'s FedAvg wants it too')
        return int(said[EXAMPLES]), {name: value for name, value in said.items() if name != EXAMPLES}
    return evaluate if asked.evaluates else None


def start_client_app(config: str | os.PathLike, app: typing.Callable, *, node_config: Config | None = None,
                     run_config: Config | None = None, loss: str | None = None, rounds: int | None = None,
                     evaluate: Evaluate | None = None, **options: typing.Any) -> list[Outcome]:
    """Takes part with a ClientApp, in place of a SuperNode; app_trainer() says what the words mean, the rest is as
    Client.run(). `evaluate` is for apps with a client_fn, whose own evaluate is asked for the training loss alone."""
    with Client(config) as device:
        asked = _App(app, int(device.id, 16) % 2**63, node_config or {}, run_config or {})
        return device.run(_app_trainer(asked, loss), rounds, evaluate=evaluate or _app_evaluator(asked), **options)
