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


NUMBER_TYPES = ("float32", "float16", "bfloat16")


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


class Opened(typing.NamedTuple):
    """What the path leads to."""

    number_type: str
    """"float32", "float16" or "bfloat16"."""
    sha256: str
    """Of the file as it was written, in hex; "": nothing is installed. In float32 it is the model's."""


class ModelFile:
    """`path` is a link to the newest installed model, replaced in one step; applications open it whenever they like.
    Beside it, in `path`.millrace, are two copies, so that there is a way back. One process at a time.

    `installed_as`: "float16" or "bfloat16", for an application that computes in 16 bits, or "float32". None: as the task's
    operators have written into the model, or float32. It counts from the next installation on."""

    def __init__(self, path: str | os.PathLike, installed_as: str | None = None):
        if installed_as is not None and installed_as not in NUMBER_TYPES:
            raise ValueError(f"installed_as: one of {', '.join(NUMBER_TYPES)}, not {installed_as!r}")
        self.path = os.fspath(path)
        self.installed_as = installed_as
        self.last_pull: Outcome | None = None
        """How the last pull() went, with its times and bytes; None: none was made, or it raised."""

    def pull(self, client: Client, wait: float = 0.0) -> bool:
        """Asks every hub for the newest release, judges what they say and fetches it, as a delta where there is one.
        Waits `wait` seconds at most for one above what is installed. True: one waits for install(). Raises
        ReleaseRefused with the fault's name in `code`, or another Error."""
        self.last_pull = None
        self.last_pull = client._pull(self.path, wait)
        return self.last_pull.result == "updated"

    def install(self, healthy: Healthy | None = None) -> bool:
        """Installs what was pulled, then calls healthy(path). Where that is false the copy before is put back and
        ReleaseRefused ("unhealthy") is raised; what it raises itself comes through, the copy before likewise back. True:
        there is a new model; False: none was waiting. No network."""
        number_type = -1 if self.installed_as is None else NUMBER_TYPES.index(self.installed_as)
        return raise_for(Outcome(_core.install(self.path, healthy, number_type))).result == "updated"

    def report(self, client: Client) -> None:
        """Tells every hub how it went with the release that was installed last; the next pull() would too. A hub that
        rolls out by steps goes on, or stops, by it. Raises Unreachable."""
        client._report(self.path)

    def update(self, client: Client, healthy: Healthy | None = None, wait: float = 0.0) -> bool:
        """pull(), install() and report() in one. True: there is a new model. What was left before, pulled only or cut
        off before it was judged, is installed or judged first. A hub that cannot be told how it went hears it at the next
        pull()."""
        if self._install_and_report(client, healthy):
            return True
        self.pull(client, wait)
        return self._install_and_report(client, healthy)

    def _install_and_report(self, client: Client, healthy: Healthy | None) -> bool:
        judged = True
        try:
            judged = self.install(healthy)
            return judged
        finally:
            if judged: # or it raised
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

    @property
    def opened(self) -> Opened:
        """The number type and hash of the file that is installed. Raises ConfigError. No network."""
        (number_type, sha256), fields = _core.opened(self.path)
        raise_for(Outcome(fields))
        return Opened(NUMBER_TYPES[number_type], sha256)

    def load(self) -> Weights:
        """The installed model as numpy arrays by name, of float32 whatever the file's type."""
        from ._tensors import load
        return load(self.path)

    def __repr__(self) -> str:
        return f"<ModelFile {self.path}>"
