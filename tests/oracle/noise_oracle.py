"""Noise, as docs/wire-format.md has it: its terms in an announcement (section 3) and its seeds (section 11)."""

import math
import struct

from metric_oracle import metric_lanes, metric_unit
from conventions import be16, f32_of, hmac_sha256, label, positive_normal, require, sha256, task_check

PRIVACY = struct.Struct(">QQQQQIIIQ")
PRIVACY_FIELDS = "model_sigma2 norms_sigma2 weight_sigma2 rho budget horizon_s delta_bits honest metrics_sigma2".split()
GROUPS = ("model_sigma2", "norms_sigma2", "weight_sigma2", "metrics_sigma2")


def sensitivity2(a, lanes, group):
    """Of a group with noise: the squared distance that one device makes."""
    if group == "norms_sigma2":
        return 1
    if group == "metrics_sigma2":
        lane = a["weight_max"] * metric_unit(a)
        return metric_lanes(a) * lane**2 if lane < 2**28 else 2**64 - 1
    if group == "weight_sigma2":
        return a["weight_max"] ** 2
    clip, root = f32_of(a["scale_bits"]) * f32_of(a["clip_norm_bits"]), math.sqrt(lanes)
    least = min((clip + root) * (clip + root), clip * clip + lanes / 4.0 + clip + root / 2)
    return int(least) if least < 2.0**63 else 2**64 - 1


def distributed_rho(delta2, sigma2, devices, lanes):
    """Of one release whose noise `devices` devices add, each with variance sigma2 (arXiv 2102.06387, proposition 14)."""
    far, root, noise = math.sqrt(delta2), math.sqrt(lanes), math.sqrt(sigma2 * devices)
    l1 = min(far * root, float(delta2))
    tau = 10 * sum(math.exp(-2 * math.pi**2 * sigma2 * k / (k + 1)) for k in range(1, devices))
    spread = far * far / (noise * noise) + 2 * tau * l1 / noise + tau * tau * lanes
    sum_ = far / noise + tau * root
    return min(math.ceil(min(spread, sum_ * sum_) / 2 * (1 + 2.0**-40) * 2.0**40), 2**64 - 1)


def rho_of(a, lanes):
    """What the release costs a device, in 2^-40; 2^64 - 1 is that much or more."""
    privacy, rho = a["privacy"], 0
    for group in GROUPS:
        if privacy[group] and a["noise_kind"] == 2:
            count = {"model_sigma2": lanes, "norms_sigma2": 8, "weight_sigma2": 1, "metrics_sigma2": metric_lanes(a)}[group]
            rho += distributed_rho(sensitivity2(a, lanes, group), privacy[group], privacy["honest"], count)
        elif privacy[group]:
            rho += min(-(-(sensitivity2(a, lanes, group) << 39) // privacy[group]), 2**64 - 1)
    return min(rho, 2**64 - 1)


def noise_tail(a, group):
    """How far all noise moves a lane of the group at most."""
    if a["noise_kind"] == 0:
        return 0
    return math.ceil(10 * math.sqrt(a["privacy"][group] * adders(a)))


def adders(a):
    """Whose noise is in a sum at most."""
    return a["cohort_max"] if a["noise_kind"] == 2 else len(a["hubs"])


def privacy_check(a, lanes):
    privacy = a["privacy"]
    if a["noise_kind"] == 0:
        require(privacy is None, "noise")
        return
    require(a["noise_kind"] in (1, 2), "noise_kind")
    honest = privacy["honest"]
    require(2 <= honest <= a["cohort_min"] if a["noise_kind"] == 2 else honest == 0, "honest")
    evaluation, metrics = a["kind"] == 2, privacy["metrics_sigma2"]
    if evaluation:
        require(privacy["model_sigma2"] == privacy["norms_sigma2"] == 0, "noise of an update")
    else:
        require(64 <= privacy["model_sigma2"] <= 2**50, "model_sigma2")
        require(privacy["norms_sigma2"] == 0 or 64 <= privacy["norms_sigma2"] <= 2**50, "norms_sigma2")
    if metrics or evaluation:
        require(metric_lanes(a) > 0 and 64 <= metrics <= 2**50, "metrics_sigma2")
        most = a["cohort_max"] * a["weight_max"] * metric_unit(a)
        require(most + 2 * noise_tail(a, "metrics_sigma2") < 2**32, "metrics_sigma2")
    weight = privacy["weight_sigma2"]
    require(64 <= weight <= 2**50 if a["weight_max"] > 1 else weight == 0, "weight_sigma2")
    require(positive_normal(privacy["delta_bits"]) and f32_of(privacy["delta_bits"]) <= 0.5, "delta")
    task_check(privacy["pool"])
    require(privacy["rho"] == rho_of(a, lanes), "rho")
    require(privacy["rho"] <= privacy["budget"] <= 2**52, "budget")


def privacy_encode(privacy):
    if privacy is None:
        return b""
    return PRIVACY.pack(*(privacy[name] for name in PRIVACY_FIELDS)) + label(privacy["pool"].decode())


def privacy_decode(rest):
    privacy = dict(zip(PRIVACY_FIELDS, PRIVACY.unpack(rest.take(PRIVACY.size))))
    privacy["pool"] = rest.take(rest.take(1)[0])
    return privacy


def noise_seed(private, announcement_hash, set_hash, hub):
    """Section 11, "Noise": (seed, its hash, the keys of the four groups)."""
    scope = announcement_hash + set_hash + be16(hub)
    seed = hmac_sha256(private, label("millrace noise seed") + scope)
    keys = [hmac_sha256(seed, label("millrace noise") + be16(group)) for group in range(4)]
    return seed, sha256(label("millrace noise hash") + scope + seed), keys
