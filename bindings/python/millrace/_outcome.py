"""How a call ended: Outcome, and the exceptions for what did not go well."""

from __future__ import annotations


class Outcome:
    """How a round ended for this device. A text says what and why; the numbers are of this round."""

    result: str
    """"committed", "already-counted", "no-round", "closed", "void", "published", "awaits-model", …"""
    round: int
    """Its number; 0: none was announced."""
    kind: str
    """"training", "evaluated-training" (metrics before it, too), "evaluation" (metrics alone)."""
    attempt: int
    transport: str
    examples: int
    loss: float
    clipped: int
    saturated: float
    """Share of the values beyond the largest level, 0..1."""
    resolution: float
    """Mean magnitude of a value, in steps."""
    rounding_error: float
    """What rounding cost, relative to the update's norm."""
    share_bytes: int
    datagrams: int
    retransmitted: int
    train_ms: int
    upload_ms: int
    deadline_left_ms: int
    clock_ahead_ms: int
    retry_after_ms: int
    code: str
    """A hub's refusal code; "" where none refused."""
    text: str
    warning: str
    model: str
    """SHA-256 of the model that the round made, in hex, where it is known."""
    heard_ms: int
    """Of ModelFile.pull() alone, in milliseconds since it began: the hubs had answered, …"""
    fetched_ms: int
    """… the last byte was here, …"""
    verified_ms: int
    """… the model was made of it and its hash compared, …"""
    kept_ms: int
    """… and it was durable."""
    fetched_bytes: int
    remedy: str
    metrics: dict
    """What the training or evaluation function returned. Only "loss" and what the round names has left the device, in
    shares of which hubs learn the sum over all."""
    end: Outcome | None
    """How the round ended for all: "published" or "void"; None: not heard."""

    def __init__(self, fields: dict):
        self.metrics, self.end = {}, None
        self.__dict__.update(fields)

    @property
    def counted(self) -> bool:
        """This device's update is in the round's sum, if the round is published."""
        return self.result in ("committed", "already-counted")

    def __repr__(self) -> str:
        end = f", then {self.end.result}" if self.end else ""
        return f"<Outcome round {self.round}: {self.result}{end}: {self.text}>"


class Error(Exception):
    """Base of all that goes wrong. `code` names the result, or what a hub refused with; `reason` says what and why;
    `remedy` what to do about it; `outcome` has the rest."""

    def __init__(self, outcome: Outcome):
        self.outcome = outcome
        self.code = outcome.code or outcome.result
        self.reason = outcome.text
        self.remedy = outcome.remedy
        super().__init__(f"{self.reason} ({self.code})" + (f"; {self.remedy}" if self.remedy else ""))


class ConfigError(Error):
    """device.json, a file that it names, or data_dir."""


class Unreachable(Error):
    """No connection to a hub, or it broke. Call again later: the same round goes on."""


class CertificateRefused(Error):
    """TLS: a hub refused our certificate, or we refused its."""


class Untrusted(Error):
    """An announcement that the pinned hubs have not signed. Nothing was sent."""


class Refused(Error):
    """A hub refused; `code` is its word."""


class NotAccepted(Error):
    """The round's terms are outside of what this device accepts. Nothing was trained or sent."""


class BadModel(Error):
    """The model is not what the hubs signed."""


class BadDelta(Error):
    """The update or its loss is NaN or infinite, or rounding would leave too little of it."""


class TrainerFailed(Error):
    """The training failed without raising anything."""


class DeviceFailed(Error):
    """This device: memory, disk or a library."""


class ReleaseRefused(Error):
    """A release was not taken, or put back; `code` is its fault: "unsigned", "frozen", "unhealthy", …"""


class Cancelled(Error):
    """cancel() ended the call before anything was decided."""


RAISED: dict[str, type[Error]] = {
    "refused": Refused,
    "untrusted-announcement": Untrusted,
    "certificate-refused": CertificateRefused,
    "unreachable": Unreachable,
    "bad-model": BadModel,
    "bad-delta": BadDelta,
    "trainer-failed": TrainerFailed,
    "bad-config": ConfigError,
    "failed": DeviceFailed,
    "not-accepted": NotAccepted,
    "cancelled": Cancelled,
    "release-refused": ReleaseRefused,
}


def raise_for(outcome: Outcome) -> Outcome:
    """The outcome, or its exception."""
    kind = RAISED.get(outcome.result)
    if kind:
        raise kind(outcome)
    return outcome
