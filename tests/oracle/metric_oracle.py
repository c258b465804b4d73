"""Named metrics and the kinds of rounds, as docs/wire-format.md has them in section 23."""

import struct

from conventions import f32_of, require

NAME = frozenset(b"abcdefghijklmnopqrstuvwxyz0123456789_")
STAGES = {0: 1, 1: 2, 2: 1}  # of each kind of round
NO_ZERO = 0x80000000         # the bits of -0


def finite(bits):
    return bits & 0x7F800000 != 0x7F800000


def metrics_check(a):
    require(a["kind"] in STAGES, "kind")
    require(len(a["metrics"]) <= 8, "metrics")
    require(a["kind"] == 0 or a["metrics"], "an evaluation needs metrics")
    names = [metric["name"] for metric in a["metrics"]]
    require(len(set(names)) == len(names), "a metric twice")
    for metric in a["metrics"]:
        name, low, high = metric["name"], metric["low_bits"], metric["high_bits"]
        require(1 <= len(name) <= 32 and NAME.issuperset(name) and 97 <= name[0] <= 122, "metric name")
        require(name not in (b"loss", b"examples"), "metric name")
        require(finite(low) and finite(high) and NO_ZERO not in (low, high), "metric range")
        require(f32_of(low) < f32_of(high) and finite(f32_bits_of(f32_of(high) - f32_of(low))), "metric range")


def f32_bits_of(value):
    try:
        return struct.unpack(">I", struct.pack(">f", value))[0]
    except OverflowError:
        return 0x7F800000


def metric_lanes(a):
    return len(a["metrics"]) * STAGES[a["kind"]]


def metric_unit(a):
    weights = a["cohort_max"] * a["weight_max"]
    if a["noise_kind"]:
        return max(1, min(2**31 // weights, 2**16 // a["weight_max"]))
    return max(1, min((2**32 - 1) // weights, 2**20))


def metrics_encode(a):
    out = bytes([len(a["metrics"])])
    for metric in a["metrics"]:
        out += struct.pack(">IIB", metric["low_bits"], metric["high_bits"], len(metric["name"])) + metric["name"]
    return out


def metrics_decode(rest):
    metrics = []
    for _ in range(rest.take(1)[0]):
        low, high, length = struct.unpack(">IIB", rest.take(9))
        metrics.append({"low_bits": low, "high_bits": high, "name": rest.take(length)})
    return metrics


def metric_lane(a, place, value, weight, dice):
    """One device's lane; dice: uniform, 0 to 65535."""
    metric = a["metrics"][place]
    low, high = f32_of(metric["low_bits"]), f32_of(metric["high_bits"])
    most = weight * metric_unit(a)
    exact = most * ((value - low) / (high - low))
    down = int(exact // 1)
    return max(0, min(most, down + (exact - down > dice / 65536)))


def metric_mean(a, place, lane, weight):
    metric = a["metrics"][place]
    low, high = f32_of(metric["low_bits"]), f32_of(metric["high_bits"])
    return low + (high - low) * min(1.0, max(0.0, lane / (weight * metric_unit(a))))


def middle_lanes(a):
    """The unit, and what a device of weight 7 at most tells of the middle of each range."""
    lanes = [metric_unit(a)]
    for place, metric in enumerate(a["metrics"]):
        middle = (f32_of(metric["low_bits"]) + f32_of(metric["high_bits"])) / 2
        lanes.append(metric_lane(a, place, middle, min(7, a["weight_max"]), 30000))
    return lanes


def random_metrics(rng):
    names = rng.sample([b"accuracy", b"eval_loss", b"a", b"z" * 32, b"f1_score", b"m9", b"auc", b"loss2"],
                       rng.choice([0, 0, 1, 2, 8]))
    ranges = [(0, 0x3F800000), (0xBF800000, 0x3F800000), (0, 0x41A00000), (0xFF000000, 0x7E000000), (1, 2)]
    metrics = []
    for name in names:
        low, high = rng.choice(ranges)
        metrics.append({"name": name, "low_bits": low, "high_bits": high})
    return {"metrics": metrics, "kind": rng.choice([0, 1, 2]) if metrics else 0}
