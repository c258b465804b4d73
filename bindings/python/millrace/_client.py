"""The client: one device of one task."""

from __future__ import annotations

import threading
import time
import typing

from . import _core
from ._outcome import Cancelled, Outcome, raise_for
from ._tensors import flatten, given_as, taken_as, unflatten

if typing.TYPE_CHECKING:
    import os
    from ._tensors import Weights

    Metrics = typing.Mapping[str, float]
    Train = typing.Callable[[Weights, "Task"], tuple[Weights, int, Metrics]]
    Evaluate = typing.Callable[[Weights, "Task"], tuple[int, Metrics]]

TRANSPORTS = ("auto", "udp", "http2")
WAIT_S = 20.0         # one question for a round; hubs answer after 30 s at the latest
PAUSE_FIRST_S = 0.2
PAUSE_MAX_S = 5.0
PAUSE_RARE_S = 60.0   # for what does not change in seconds
END_WAIT_S = 20.0     # beyond the round's deadline

# What run() waits out: nothing of this device's is wrong, or not for long.
WAITED_OUT = ("unreachable", "certificate-refused", "awaits-model")
# What ends run(): somebody has to do something.
FATAL = ("untrusted-announcement", "bad-config", "failed")


class Progress(typing.NamedTuple):
    """What a client is doing."""

    phase: str
    """"waiting", "pulling", "training", "sharing", "uploading", "committing", "ending"."""
    round: int
    attempt: int
    bytes_done: int
    bytes_total: int
    """0: not known, or nothing is moved."""
    left_s: float
    """Until the round's deadline."""
    text: str
    """Why something is tried again; else ""."""


class Task:
    """What a training function is told of the round."""

    name: str
    round: int
    deadline_unix_ms: int
    """By this device's clock."""
    seed: int
    """The same for this device, task and round, and nobody else's to know: seed your shuffling with it."""
    dimension: int
    model_file: str
    """The model as a safetensors file; must not be changed."""
    work_dir: str
    """A place for temporary files."""
    tensors: list[tuple[str, tuple[int, ...], int, int]]
    """Name, shape, offset and count of each tensor, in the order of the file."""
    parts: dict[str, str]
    """Of each tensor's name who trains it: "trained" (all devices together), "frozen" (nobody: what becomes of it is
    left out), "personal" (this device alone: kept in data_dir, never sent)."""
    number_type: str
    """"float32", "float16" or "bfloat16": to which the model was rounded, as device.json asks."""
    kind: str
    """"training", "evaluated-training" (metrics before training, too) or "evaluation"."""
    metrics: dict[str, tuple[float, float]]
    """The metrics that the round wants of every device, by name, each with its range."""
    training_text: str

    def __init__(self, fields: dict):
        self.__dict__.update(fields)
        self.training_text = self.__dict__.pop("training")
        self._cancel_fd = self.__dict__.pop("cancel_fd")

    @property
    def training(self) -> dict:
        """The round's JSON for trainers, as the hubs' operators wrote it; {} where there is none."""
        import json
        return json.loads(self.training_text) if self.training_text else {}

    @property
    def left_s(self) -> float:
        """Until the deadline, never below 0."""
        return max(0.0, self.deadline_unix_ms / 1000 - time.time())

    @property
    def cancelled(self) -> bool:
        """Whether cancel() was called: a long training can look at it now and then, and end."""
        import select
        if not self._cancel_fd:
            return False
        poll = select.poll()
        poll.register(self._cancel_fd, select.POLLIN)
        return bool(poll.poll(0))

    def __repr__(self) -> str:
        return f"<Task {self.name}, round {self.round}, {self.dimension} values>"


class Connections:
    """What the clients of a process share, each for a task of its own: Client(…, connections=connections). Where their
    certificate's files and a hub's address are the same, there is one connection to that hub for all of them, over which
    they ask side by side, from as many threads as there are clients. It lives as long as any client that shares it."""

    def __init__(self):
        self._core = _core.connections()


class Client:
    """A device of one task, from its device.json (docs/edge-client.md). Keyword arguments stand for what is in the file.

    `dtype`: training and evaluation functions get the model in this number type of numpy's ("float16", or bfloat16 of
    ml_dtypes); what counts of their result is the change from what they were given. None: float32, as rounds have it.

    A process that takes part in several tasks has a client for each: `siblings` are the data_dirs of the others, so that
    no two of them count the device on one model, and `connections` is the same for all.

    Belongs to one thread at a time; cancel() alone may come from any. Ctrl-C ends a wait within a second. Training
    functions run on the calling thread."""

    def __init__(self, config: str | os.PathLike, *, data_dir: str | os.PathLike | None = None,
                 transport: str | None = None, siblings: typing.Iterable[str | os.PathLike] = (),
                 training_seed: int = 0, request_timeout_s: float = 0.0, silence_s: float = 0.0,
                 cpu_mask: str | None = None, dump_dir: str | os.PathLike | None = None, dtype: typing.Any = None,
                 connections: Connections | None = None, on_progress: typing.Callable[[Progress], object] | None = None):
        if transport is not None and transport not in TRANSPORTS:
            raise ValueError(f"transport: one of {', '.join(TRANSPORTS)}, not {transport!r}")
        if connections is not None and not isinstance(connections, Connections):
            raise TypeError(f"connections: a millrace.Connections, not {type(connections).__name__}")
        self._stop = threading.Event()
        self._dtype = dtype
        self._core, fields = _core.Client.open(
            path=_path(config), data_dir=_path(data_dir), transport=TRANSPORTS.index(transport) if transport else -1,
            siblings=tuple(map(_path, siblings)), training_seed=training_seed,
            request_timeout_ms=int(request_timeout_s * 1000), silence_ms=int(silence_s * 1000), cpu_mask=cpu_mask,
            dump_dir=_path(dump_dir), connections=connections._core if connections else None)
        raise_for(Outcome(fields))
        self._core.log(_log)
        self.on_progress(on_progress)

    # --- life ---------------------------------------------------------------------------------

    def close(self) -> None:
        """Gives data_dir back. Not while a call is under way."""
        if self._core is not None:
            self._core.close()

    def __enter__(self) -> Client:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    @property
    def id(self) -> str:
        """32 hex digits, as in the certificate."""
        return self._core.id

    def cancel(self) -> None:
        """From any thread: the call that is under way raises Cancelled within a second, or the next one at once. What a
        round has decided already stays. A training function is not interrupted; it can look at task.cancelled."""
        self._stop.set()
        self._core.cancel()

    def on_progress(self, function: typing.Callable[[Progress], object] | None) -> None:
        """From now on `function` is called with a Progress, on the thread of the call. What it raises ends the call."""
        self._core.watch(None if function is None else
                         lambda phase, number, attempt, done, total, left_ms, text:
                         function(Progress(phase, number, attempt, done, total, left_ms / 1000, text)))

    # --- questions ----------------------------------------------------------------------------

    def check(self) -> None:
        """Whether hubs will take this device's certificate. No network. Raises ConfigError."""
        raise_for(Outcome(self._core.check()))

    def reach(self, position: int = 0) -> Outcome:
        """Connects to hub `position` (0 is the lead) and compares its hubs and keys with those that are pinned."""
        return raise_for(self._ask(lambda: self._core.reach(position)))

    def round(self, train: Train, wait: float = WAIT_S, *, evaluate: Evaluate | None = None) -> Outcome:
        """Waits `wait` seconds at most for a round that is new to this device, and takes part in it.

        `evaluate(weights, task)` returns (examples, metrics) of a model: it is called in evaluation rounds, which are left
        out without it; before training, where the round wants that; and after training, where `train` itself has not
        returned all metrics of the round.

        Returns an Outcome ("committed", "no-round", "closed", …), or raises an Error. What `train` raises comes through;
        the round is over for this device then, except where it was KeyboardInterrupt."""
        return raise_for(self._round(train, wait, evaluate))

    def end(self, wait: float = END_WAIT_S) -> Outcome:
        """Waits `wait` seconds at most for the end of the round in which this device was counted last: "published",
        "void", or "ok" while it goes on. Raises an Error."""
        return raise_for(self._ask(lambda: self._core.end(int(wait * 1000))))

    # --- models for applications: ModelFile ------------------------------------------------------

    def _pull(self, file: str, wait: float) -> Outcome:
        return raise_for(self._ask(lambda: self._core.pull(file, int(wait * 1000))))

    def _report(self, file: str) -> Outcome:
        return raise_for(self._ask(lambda: self._core.report(file)))

    # --- round after round ----------------------------------------------------------------------

    def rounds(self, train: Train, *, evaluate: Evaluate | None = None, patience: float | None = None,
               end_wait: float = END_WAIT_S) -> typing.Iterator[Outcome]:
        """Takes part in round after round, and yields the Outcome of each, `end` included where it was counted.

        Waits out hubs that are away, for `patience` seconds in a row (None: for ever), after which it raises. Yields what
        a round ended with, also a refusal. Raises what somebody has to look at (Untrusted, ConfigError, DeviceFailed),
        Cancelled, and what `train` raises. `end_wait` seconds beyond a round's deadline its end is waited for; 0: not."""
        pause, waited = PAUSE_FIRST_S, 0.0
        while True:
            outcome = self._round(train, WAIT_S, evaluate)
            if outcome.result in FATAL or outcome.result == "cancelled":
                raise_for(outcome)
            if outcome.result == "no-round" or (outcome.round and outcome.result not in WAITED_OUT):
                pause, waited = PAUSE_FIRST_S, 0.0
                if outcome.round and outcome.code != "skipped":
                    if outcome.counted and end_wait > 0:
                        outcome.end = self._await_end(outcome.deadline_left_ms / 1000 + end_wait)
                    yield outcome
                continue
            if patience is not None and waited >= patience:
                raise_for(outcome)
            waited += self._pause(max(pause, outcome.retry_after_ms / 1000))
            pause = min(2 * pause, PAUSE_RARE_S if outcome.result == "certificate-refused" else PAUSE_MAX_S)

    def run(self, train: Train, rounds: int | None = None, *, evaluate: Evaluate | None = None,
            patience: float | None = None, end_wait: float = END_WAIT_S, on_round: typing.Callable[[Outcome], object] | None = None) -> list[Outcome]:
        """Takes part in so many rounds (None: until it is cancelled) and returns how they ended; as rounds(), with
        `on_round` called after each. With None the list is empty: nobody could hold it."""
        ended: list[Outcome] = []
        if rounds is not None and rounds < 1:
            return ended
        try:
            for outcome in self.rounds(train, evaluate=evaluate, patience=patience, end_wait=end_wait):
                if on_round:
                    on_round(outcome)
                if rounds is not None:
                    ended.append(outcome)
                    if len(ended) >= rounds:
                        return ended
        except Cancelled:
            if rounds is not None:
                raise
        return ended

    # --- inside -------------------------------------------------------------------------------

    def _ask(self, call: typing.Callable[[], dict]) -> Outcome:
        """Where a signal has ended the call and its handler raised nothing, it goes on: as Python's own waits do."""
        while True:
            outcome = Outcome(call())
            if outcome.result != "cancelled" or self._core.take_cancelled():
                if outcome.result == "cancelled":
                    self._stop.clear()
                return outcome

    def _round(self, train: Train, wait: float, evaluate: Evaluate | None) -> Outcome:
        metrics: dict = {}

        def answer(fields: dict, values: bytearray) -> tuple | None:
            task = Task(fields)
            metrics.clear()
            if task.kind == "evaluation":
                return None if evaluate is None else _evaluated(evaluate, task, self._given(task, values), metrics)
            return self._trained(train, evaluate, task, values, metrics)

        outcome = self._ask(lambda: self._core.round(int(wait * 1000), answer))
        outcome.metrics = metrics
        return outcome

    def _given(self, task: Task, values: bytearray) -> Weights:
        return given_as(unflatten(task.tensors, values), self._dtype)

    def _trained(self, train: Train, evaluate: Evaluate | None, task: Task, values: bytearray, metrics: dict) -> tuple:
        before: dict[str, float] = {}
        if task.kind == "evaluated-training":
            if evaluate is None:
                raise ValueError("the round wants metrics before training: give the client an evaluate function")
            model = unflatten(task.tensors, bytearray(values)) # whatever it does to it
            before = _named(task, evaluate(given_as(model, self._dtype), task)[1], "evaluate()")
        trained, examples, said = train(self._given(task, values), task)
        metrics.update(said)
        if "loss" not in metrics:
            raise ValueError('the metrics have no "loss": return the mean training loss, as {"loss": …}')
        if evaluate is not None and any(name not in metrics for name in task.metrics):
            metrics.update({**evaluate(trained, task)[1], **metrics})
        weights = taken_as(unflatten(task.tensors, values), trained, self._dtype)
        return (flatten(task.tensors, weights), int(examples), float(metrics["loss"]), _named(task, metrics, "train()"),
                before)

    def _await_end(self, left: float) -> Outcome | None:
        until = time.monotonic() + left
        while (left := until - time.monotonic()) > 0:
            end = self._ask(lambda: self._core.end(int(min(left, WAIT_S) * 1000)))
            if end.result in ("published", "void"):
                return end
            if end.result == "cancelled":
                raise_for(end)
            if end.result != "ok":
                if end.result not in WAITED_OUT and not end.retry_after_ms:
                    return None
                self._pause(min(left, max(PAUSE_FIRST_S, end.retry_after_ms / 1000)))
        return None

    def _pause(self, seconds: float) -> float:
        self._stop.wait(seconds) # cancel() ends it; the next call then says so
        return seconds


def _log(level: int, line: str) -> None:
    """The library's lines are those of the logger "millrace", at DEBUG, INFO and WARNING. Where a program has set up no
    logging they are not shown: outcomes and exceptions say the same."""
    import logging
    logger = logging.getLogger("millrace")
    if not logger.handlers:
        logger.addHandler(logging.NullHandler())
    logger.log((logging.DEBUG, logging.INFO, logging.WARNING)[level], "%s", line)


def _path(path):
    import os
    return None if path is None else os.fsdecode(path)


def _named(task: Task, metrics: Metrics, function: str) -> dict[str, float]:
    """Those that the round wants."""
    missing = [name for name in task.metrics if name not in metrics]
    if missing:
        raise ValueError(f"the round wants the metrics {', '.join(missing)}: return them from {function}")
    return {name: float(metrics[name]) for name in task.metrics}


def _evaluated(evaluate: Evaluate, task: Task, weights: Weights, metrics: dict) -> tuple:
    examples, said = evaluate(weights, task)
    metrics.update(said)
    return None, int(examples), 0.0, _named(task, said, "evaluate()"), {}
