"""The model that an application opens: pulled, verified, installed, and put back where it is not well."""

from __future__ import annotations

import contextlib
import os
import typing

from . import _core
from ._outcome import Outcome, Unreachable, raise_for

if typing.TYPE_CHECKING:
    from ._client import Client
    from ._tensors import Weights

    Healthy = typing.Callable[[str], object]


class Version(typing.NamedTuple):
    """A release, as far as this device has it."""

    model: str
    """SHA-256 in hex; "": none."""
    round: int
    step: int
    """Versions since that round that no round made."""


class ModelState(typing.NamedTuple):
    """What ModelFile.state says."""

    installed: Version
    previous: Version
    """The other copy: where rollback() leads."""
    pulled: Version
    """Waits for install()."""
    seen: Version
    """Nothing below it is taken any more (`model` is "")."""
    trial: bool
    """Installed, and not judged yet."""
    refused: int
    """Releases that were installed and put back."""


class ModelFile:
    """`path` is a link to the newest installed model, replaced in one step; applications open it whenever they like.
    Beside it, in `path`.millrace, are two copies, so that there is a way back. One process at a time."""

    def __init__(self, path: str | os.PathLike):
        self.path = os.fspath(path)

    def pull(self, client: Client, wait: float = 0.0) -> bool:
        """Asks every hub for the newest release, judges what they say and fetches it, as a delta where there is one.
        Waits `wait` seconds at most for one above what is installed. True: one waits for install(). Raises
        ReleaseRefused with the fault's name in `code`, or another Error."""
        return client._pull(self.path, wait).result == "updated"

    def install(self, healthy: Healthy | None = None) -> bool:
        """Installs what was pulled, then calls healthy(path). Where that is false the copy before is put back and
        ReleaseRefused ("unhealthy") is raised; what it raises itself comes through, the copy before likewise back. True:
        there is a new model; False: none was waiting. No network."""
        return raise_for(Outcome(_core.install(self.path, healthy))).result == "updated"

    def report(self, client: Client) -> None:
        """Tells every hub how it went with the release that was installed last; the next pull() would too. A hub that
        rolls out by steps goes on, or stops, by it. Raises Unreachable."""
        client._report(self.path)

    def update(self, client: Client, healthy: Healthy | None = None, wait: float = 0.0) -> bool:
        """pull(), install() and report() in one. True: there is a new model. A hub that cannot be told how it went hears
        it at the next pull()."""
        self.pull(client, wait)
        try:
            return self.install(healthy)
        finally:
            with contextlib.suppress(Unreachable):
                self.report(client)

    def rollback(self) -> None:
        """The copy before is put back, and the release that was installed is refused from then on. Raises ConfigError
        where there is no other copy. No network."""
        raise_for(Outcome(_core.rollback(self.path)))

    @property
    def state(self) -> ModelState:
        """What is installed, what waits, what is refused. Raises ConfigError. No network."""
        (installed, previous, pulled, seen, trial, refused), fields = _core.status(self.path)
        raise_for(Outcome(fields))
        return ModelState(Version(*installed), Version(*previous), Version(*pulled), Version(*seen), trial, refused)

    def load(self) -> Weights:
        """The installed model as numpy arrays by name."""
        from ._tensors import load
        return load(self.path)

    def __repr__(self) -> str:
        return f"<ModelFile {self.path}>"
