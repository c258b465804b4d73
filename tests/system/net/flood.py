#!/usr/bin/env python3
"""A flood of forged upload packets from many addresses while honest devices upload.

Two real hubs and real devices, each kind in a network namespace of its own; the relay gives the
devices a path with a delay, so that windows and not this machine's cores set their rate. Unflooded
and flooded rounds alternate; the flood sends ten times the packets of the unflooded rounds. Checked:
every device is in every round and both hubs' sums are right; every datagram that reached the lead is
a new chunk or in a named drop counter; not one byte went to a stranger; the lead's memory is flat.
Printed, never judged: the goodput of both kinds of round. `./run flood` runs it longer.
"""

import argparse
import json
import statistics
import sys
import time

from netns import FAR_HUBS, SOURCES, TO_STRANGERS, NetRounds, Talker, run_scene, wait_for
from federation import Failure

TIMES = 10
CHUNK_BYTES = 1408
DELAY_US = 20000  # each way
WINDOW = 8
WARM_UPS = 3  # until the heap has what a round needs, and the models of two rounds are mapped
# What is in use on the heap may vary by the connections that are open; 16 bytes for each address of
# the flood would be more.
HEAP_GROWTH_MAX = 768 << 10
SETTLED = 32 << 10  # from one look to the next
# What is resident varies also by freed memory that the allocator has not given back yet: about one
# buffer of the model's size. A model kept from each round would be above that after three of each kind.
RSS_SLACK = 4 << 20
VALUE_BYTES = 4
# Of these a flood must bring some; the others depend on what is under way when a packet comes.
REASONS = ("bad_tag", "unknown_upload", "wrong_round", "wrong_attempt", "bad_chunk", "bad_length",
           "bad_magic", "bad_version", "bad_type", "bad_flags", "truncated", "oversized")
NO_DATAGRAM = ("ack_queue_full", "ack_unsent", "ack_withheld")  # these count ACKs that were not sent


class Reading:
    """What had come to the lead when it was taken."""

    def __init__(self, fed):
        self.datagrams = fed.counter("millrace_upload_datagrams_total")
        self.drops = fed.drops()
        self.lost = fed.network.socket_losses()
        self.forged, _ = fed.network.counted("INPUT", None, TO_STRANGERS)

    def since(self, before):
        self.datagrams -= before.datagrams
        self.lost -= before.lost
        self.forged -= before.forged
        self.drops = {name: count - before.drops[name] for name, count in self.drops.items()}
        return self

    def dropped(self):
        return sum(count for name, count in self.drops.items() if name not in NO_DATAGRAM)


class Round:
    """One round: its account and its goodput, over the time from the first honest datagram that left
    the relay to the last one."""

    def __init__(self, fed, rate=0):
        before = Reading(fed)
        fed.relay.ask("begin")
        flood = None
        if rate > 0:
            flood = Talker(*fed.network.strangers, fed.program("tests", "system", "net", "net_flood"),
                           FAR_HUBS, fed.udp_ports[0], SOURCES, rate, fed.headers)
            wait_for(lambda: fed.network.counted("INPUT", None, TO_STRANGERS)[0] > before.forged,
                     "the flood to begin")
        number = fed.begin()
        load = fed.finish(number)
        self.flood = json.loads(flood.end()) if flood else {"sent": 0, "back_bytes": 0}
        relay = fed.relayed()
        chunks = -(-load["share_bytes"] // CHUNK_BYTES) * fed.devices
        self.account = self.settled(fed, before, relay["sent"])
        self.check(chunks, relay["sent"])
        self.packets_per_s = relay["sent"] / relay["seconds"]
        self.goodput = load["share_bytes"] * fed.devices / relay["seconds"]
        self.again = load["retransmitted"]

    @staticmethod
    def settled(fed, before, honest):
        """The account, once all that was sent is either counted or lost at the socket."""
        def whole():
            now = Reading(fed).since(before)
            return now if now.datagrams + now.lost >= honest + now.forged else None
        return wait_for(whole, "every datagram to be counted")

    def check(self, chunks, honest):
        account = self.account
        if account.datagrams + account.lost != honest + account.forged:
            raise Failure(f"{account.datagrams} received and {account.lost} lost at the socket, "
                          f"but {honest} honest and {account.forged} forged came")
        if account.datagrams != chunks + account.dropped():
            raise Failure(f"{account.datagrams} received, {chunks} are chunks of shares, "
                          f"{account.dropped()} dropped by name: {account.drops}")


class FloodRounds(NetRounds):
    """Deltas that are kept fill their room before the flood."""

    @staticmethod
    def task_yaml(task, rounds, model):
        return NetRounds.task_yaml(task, rounds, model) + "    releases:\n      delta_bytes_max: 1048576\n"


def open_federation(options, network, work):
    fed = FloodRounds(options.build, work, network, options.devices, options.dimension)
    fed.delay_us = DELAY_US
    fed.settings = {"upload.window_max": WINDOW}
    return fed


def check_whole(fed, flooded, memory):
    packets, sent_bytes = fed.network.counted("OUTPUT", None, TO_STRANGERS)
    heard = sum(r.flood["back_bytes"] for r in flooded)
    if packets or sent_bytes or heard:
        raise Failure(f"{packets} packets ({sent_bytes} bytes) went to strangers, {heard} heard")
    missing = [name for name in REASONS
               if sum(r.account.drops[name] for r in flooded) == 0]
    if missing:
        raise Failure(f"nothing was dropped as {', '.join(missing)}")
    model = VALUE_BYTES * fed.dimension
    check_memory("heap", memory, HEAP_GROWTH_MAX, HEAP_GROWTH_MAX)
    check_memory("resident", memory, RSS_SLACK + 2 * model, RSS_SLACK + model)


def check_memory(name, memory, peak, growth):
    """The peak is bounded, and what is left between peaks does not rise: a model more may be mapped
    for a while, and freed memory goes back to the kernel when the allocator sees fit."""
    seen = [sample[name] for sample in memory]
    half = len(seen) // 2
    if max(seen) > seen[0] + peak:
        raise Failure(f"the lead's memory ({name}) rose by more than {peak}: {seen}")
    if half > 0 and min(seen[half:]) > min(seen[:half]) + growth:
        raise Failure(f"the lead's memory ({name}) grew by more than {growth}: {seen}")


def show(fed, plain, flooded, memory):
    names = sorted(flooded[0].account.drops)
    drops = {name: sum(r.account.drops[name] for r in flooded) for name in names}
    goodputs = [statistics.median(r.goodput for r in rounds) for rounds in (plain, flooded)]
    forged = sum(r.account.forged for r in flooded)
    print(json.dumps({
        "devices": fed.devices,
        "rounds": [len(plain), len(flooded)],
        "honest_packets_per_s": round(statistics.median(r.packets_per_s for r in plain)),
        "goodput_unflooded_mb_per_s": round(goodputs[0] / 1e6, 3),
        "goodput_flooded_mb_per_s": round(goodputs[1] / 1e6, 3),
        "goodput_ratio": round(goodputs[1] / goodputs[0], 3),
        "forged_sent": sum(r.flood["sent"] for r in flooded),
        "forged_arrived": forged,
        "forged_packets_per_s": round(forged / sum(r.flood["seconds"] for r in flooded)),
        "honest_retransmitted": [sum(r.again for r in plain), sum(r.again for r in flooded)],
        "lost_at_the_socket": sum(r.account.lost for r in flooded),
        "bytes_to_strangers": 0,
        "resident_bytes": [sample["resident"] for sample in memory],
        "heap_bytes": [sample["heap"] for sample in memory],
        "dropped_in_flooded_rounds": {name: count for name, count in drops.items() if count},
    }, indent=1))


def memory_of(fed):
    """Of the lead, in bytes, when the deltas to the round's release are made."""
    made = [0.0]

    def settled():
        time.sleep(0.5)
        made.append(fed.counter("millrace_heap_allocated_bytes"))
        return abs(made[-1] - made[-2]) < SETTLED
    wait_for(settled, "the lead's heap to settle")
    return {"resident": fed.memory(), "heap": made[-1]}


def scene(network, work, options):
    fed = open_federation(options, network, work)
    try:
        fed.start()
        for _ in range(WARM_UPS):
            Round(fed)
        plain, flooded = [], []
        memory = [memory_of(fed)]
        for _ in range(options.rounds):
            plain.append(Round(fed))
            flooded.append(Round(fed, round(TIMES * plain[-1].packets_per_s)))
            memory.append(memory_of(fed))
        check_whole(fed, flooded, memory)
        show(fed, plain, flooded, memory)
        codes = fed.stop()
        if codes != [0, 0]:
            raise Failure(f"the hubs ended with {codes}")
    finally:
        fed.stop()


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--build", required=True)
    parser.add_argument("--devices", type=int, default=8)
    parser.add_argument("--dimension", type=int, default=1000000)
    parser.add_argument("--rounds", type=int, default=5, help="of each kind")
    return run_scene(scene, parser.parse_args())


if __name__ == "__main__":
    sys.exit(main())
