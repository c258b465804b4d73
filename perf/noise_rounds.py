#!/usr/bin/env python3
"""What privacy adds to a round of 10^6 values, from quorum to model and of the hubs' CPU.

perf/debit.py's two tasks with fewer devices and larger vectors: `plain`, whose sums are exact, and `private`, with noise
of both hubs and a debit of each device. Their rounds alternate; a sample is what a private round took more than the
plain one before it.

usage: noise_rounds.py [--quick] [--json FILE] [--build DIR] [--devices N] [--dimension D]
"""

import sys
import time

from debit import KINDS, Debit
from figures import run
import hub_bench
from hub_cpu import Cost, Reading

PUBLISH_MS_MAX = 5
HUB_MS_MAX = 100
SETTLE_S = 0.3  # files are synced, the release is made


def play(fed, kind):
    """(milliseconds from quorum to model, of both hubs' CPU)"""
    before = Reading([hub.pid for hub in fed.hubs])
    account = fed.round(kind)
    time.sleep(SETTLE_S)
    cost = Cost(before, Reading([hub.pid for hub in fed.hubs]))
    return account["publish_ms"], 1000 * sum(cost.whole.values())


def measure(fed, figures, samples):
    for kind in KINDS:
        play(fed, kind)  # not counted: first touch of slots, files and code
    for _ in range(samples):
        took = {kind: play(fed, kind) for kind in KINDS}
        for kind, (publish_ms, hub_ms) in took.items():
            figures.sample(f"noise_rounds.{kind}_publish_ms", "ms", publish_ms, "lower", None,
                           "from quorum to the published model, on the wall")
            figures.sample(f"noise_rounds.{kind}_hub_ms", "ms", hub_ms, "lower", None, "CPU time of both hubs in the round")
        added = [private - plain for private, plain in zip(took["private"], took["plain"])]
        figures.sample("noise_rounds.publish_added_ms", "ms", added[0], "lower", PUBLISH_MS_MAX,
                       "private less plain: both hubs' noise, the debits and all")
        figures.sample("noise_rounds.hub_added_ms", "ms", added[1], "lower", HUB_MS_MAX, "private less plain, of a round")
    figures.checked()


def main():
    parser = hub_bench.options(__doc__)
    parser.add_argument("--devices", type=int, default=24)
    parser.add_argument("--dimension", type=int, default=1000000)
    options = parser.parse_args()
    played = hub_bench.play("noise_rounds", options,
                            lambda work: Debit(options.build, work, options.devices, options.dimension),
                            lambda fed, figures: measure(fed, figures, 7 if options.quick else 21),
                            devices=options.devices, dimension=options.dimension, ring_bits=32, hubs=2)
    return 0 if played else 1


if __name__ == "__main__":
    sys.exit(run(main))
