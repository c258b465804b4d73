"""Millrace for Python: any training script becomes a device of secure-aggregation rounds.

    import millrace

    def train(weights, task):
        ...                                   # weights: dict of numpy arrays, yours to change
        return weights, examples, {"loss": loss}

    with millrace.Client("device.json") as client:
        client.run(train, rounds=1)

Guide: docs/python.md. What a device is: docs/edge-client.md.
"""

from __future__ import annotations

try:
    from . import _core
except ImportError as error:
    if "shared object" not in str(error):
        raise
    raise ImportError(f"{error}; millrace takes OpenSSL 3, nghttp2 and jansson from the system (Debian 12: apt-get install "
                      "libssl3 libnghttp2-14 libjansson4); a wheel with them inside: docs/python.md") from None

from ._client import Client, Connections, Progress, Task
from ._core import LIBRARIES as libraries, VERSION as __version__
from ._model_file import ModelFile, ModelState, Opened, Version
from ._outcome import (BadDelta, BadModel, Cancelled, CertificateRefused, ConfigError, DeviceFailed, Error, NotAccepted,
                       Outcome, Refused, ReleaseRefused, TrainerFailed, Unreachable, Untrusted)
from ._state import State, read_state, reset_state
from ._tensors import load, save

__all__ = ["AsyncClient", "BadDelta", "BadModel", "Cancelled", "CertificateRefused", "Client", "ConfigError",
           "Connections", "DeviceFailed", "Error", "ModelFile", "ModelState", "NotAccepted", "Opened", "Outcome",
           "Progress", "Refused", "ReleaseRefused", "State", "Task", "TrainerFailed", "Unreachable", "Untrusted", "Version",
           "__version__", "libraries", "load", "read_state", "reset_state", "save"]


def __getattr__(name: str):
    if name == "AsyncClient": # asyncio is not imported for those who do without
        from ._aio import AsyncClient
        return AsyncClient
    raise AttributeError(f"module 'millrace' has no attribute {name!r}")
