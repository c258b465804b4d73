"""What a device remembers in its data_dir, without a client and without a round."""

from __future__ import annotations

import typing

from . import _core
from ._client import _path
from ._outcome import Outcome, raise_for

if typing.TYPE_CHECKING:
    import os


class State(typing.NamedTuple):
    """What state.json says (docs/edge-client.md)."""

    finished: int
    """The last round that the device is done with."""
    round: int
    """Of the attempts."""
    attempts: int
    """Begun in that round."""
    models_lost: bool
    """Earlier entries of `counted` were lost."""
    counted: list[tuple[str, int]]
    """SHA-256 of each model on which the device may have been counted, and the round, 0 where it is not known."""


def read_state(config: str | os.PathLike, *, data_dir: str | os.PathLike | None = None) -> State:
    """What the device of that device.json remembers; also while a client uses it. Raises ConfigError where the file is
    damaged. `data_dir` stands for the one in the file."""
    return _state(_core.state(_path(config), _path(data_dir)))


def reset_state(config: str | os.PathLike, *, data_dir: str | os.PathLike | None = None,
                finished: int | None = None) -> State:
    """Puts a damaged state right, in the safe way, and returns it: the device goes on after the highest round that the file
    names plausibly, or after `finished`, and takes part again with the model after the one that it sees first. A state that
    is whole keeps all but `finished`, which is 0 where the hubs' stores were emptied. Raises ConfigError, also where a
    client uses data_dir."""
    return _state(_core.reset_state(_path(config), _path(data_dir), finished))


def _state(answer: tuple) -> State:
    fields, outcome = answer
    raise_for(Outcome(outcome))
    return State(*fields)
