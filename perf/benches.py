"""The benches, in the order in which they run: the one table.

A program is a path in the build directory, or a Python script in perf/ (its name ends in .py; it is
also given `--build DIR`). Each is called with `--json FILE`, and with `--quick` where that is asked
for; perf/figures.h is what they promise. A program that the build lacks is skipped with `needs` as
the reason.
"""

from dataclasses import dataclass


@dataclass(frozen=True)
class Bench:
    name: str
    program: str
    title: str
    needs: str  # why a build may lack the program
    how: str  # how it is measured, and what its limit is: a paragraph of docs/performance.md


BENCHES = (
    Bench(
        "kernels", "perf/kernels_bench", "Kernels", "the option `tests` is off",
        "One core, buffers in huge pages, touched before; the subjects of a group take turns of 30 "
        "ms each, and every figure that is a ratio divides two turns of the same group of turns. "
        "Bytes are those of one buffer: a copy of n bytes reads n and writes n; an add reads 2n and "
        "writes n. *In L2*: two buffers that fill half of it together; the copy is libc's `memcpy` "
        "(`rep movsb` on this CPU, which reads n and never fetches the lines it overwrites), so that "
        "the add has twice its reads to do. (Buffers of 160 KiB and less came to 0.76 on a Zen 5: two "
        "streams at once are then read from L2 at 214 GB/s instead of 268, by any loop.) *Fold*: eight sources and the accumulator, each 48 MiB, "
        "against the best of several plain readers of the same nine buffers (one, three or nine "
        "streams, with and without prefetching), bytes being those read. *Mask*: expanding and "
        "adding in one pass, against ipsec-mb's bare AES-CTR and OpenSSL's AES-CTR followed by the "
        "ring add, over the same buffer."),
    Bench(
        "ingest", "perf/ingest_bench", "Ingest on one core",
        "the option `appliance` is off",
        "4,096 sessions, payloads of 1,408 bytes, more than 16 MiB of distinct sealed packets from "
        "devices in random order, through the session core as the hub runs it: header, session, "
        "bitmap, seal, staging slot, fold. The limit is 1 / (1/aead + 1/add): opening the same "
        "packets, in the same bursts, by the same opener with the same 4,096 keys into one fixed "
        "buffer; and folding the same slots. Both are measured in turns with the ingest, in the same "
        "thread time. *fits*: the slots together fit the last-level cache; *beyond*: they are at "
        "least four times as large. The shares of the stages come from passes of their own, because "
        "reading the clock costs time; `opening` and `folding` are those stages' own rates, and "
        "`ratio_were_sessions_free` is what the ratio would be if everything but them took no time: "
        "the rest of the way to 1 is what writing into slots costs that are not in the nearest "
        "cache. *faults*: 5% of the packets are lost and sent again later, "
        "5% come twice, and neighbours change places. The sum of every pass is compared with one "
        "that a plain loop made from the plaintexts."),
    Bench(
        "udp", "perf/udp_bench", "UDP on loopback", "the option `appliance` is off",
        "A generator process on one core sends the sealed packets of 4,096 uploads in trains of 44 "
        "(UDP GSO) over loopback; the receiver on the other core reads them through the hub's packet "
        "source, io_uring and recvmmsg in turns, polled as a worker polls it. *discard*: it only counts "
        "bytes. *ingest*: session core, opening, staging and fold, on the same core that receives. The "
        "ratio is ingest over the lower of *discard* and ingest of the same packets from memory, each "
        "pass beside the others. The generator waits while 1,408 packets are under way, so that nothing "
        "is lost, and the sum of every pass is checked. *crowd*: the senders that devices run, each over a "
        "socket of its own, two threads of them against one worker of a whole upload plane, all admitted "
        "before the first one sends; 20 and 2,000 of them with the same bytes together, and 20 whose "
        "network loses 5% of the datagrams, repeats 5% and delays 5%. The sum is checked each time."),
)


def bench_named(name):
    for bench in BENCHES:
        if bench.name == name:
            return bench
    raise KeyError(name)
