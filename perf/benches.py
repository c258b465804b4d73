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
        "ring add, over the same buffer. *Narrow rings*: as many values of 8 and 12 bits as w = 16 has in its buffer, "
        "folded and expanded turn by turn with it; folds in values, masks in bytes of the stream."),
    Bench(
        "noise", "perf/noise_bench", "Noise", "the option `tests` is off",
        "Samples of the discrete Gaussian from a key, random bits included, a million a turn; the variance "
        "of each turn is checked. *release*: what a hub does for the noise of 10^6 values, which are 2^20 lanes: "
        "the draw and the addition to a ring of 24 bits; *to_model*: the lead's and then the helpers'; *hub*: a "
        "release and the tables that are made when the round begins. *time_correlation*: of 10,000 releases of 1,024 lanes each, the CPU time "
        "against the sum of the samples' sizes, where they were drawn before and where they were drawn in "
        "it; the slowest hundredth of the times is cut to the rest."),
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
        "that a plain loop made from the plaintexts. *worker*: a worker of the hub's, with its poll, "
        "reports and ACKs (made and thrown away), over the same packets from memory, beside the session "
        "core without ACKs in turns with it, each in its thread's CPU time; 4,096 uploads of two chunks, "
        "and (*worker_long*) 64 of 1,421. (Not in the table's run: on a Zen 4 with other work on it *fits* "
        "came to 0.72 and *beyond* to 0.53 after 0.55 and 0.48, in turns, see decision 0013.)"),
    Bench(
        "memif", "perf/memif_bench", "Ingest from a memif",
        "it was built without DPDK, or the option `appliance` is off",
        "A generator process on one core lays the same sealed packets into a memif; a worker of the "
        "appliance's own on another core takes them, 4,096 sessions, from the poll to the folded "
        "accumulator, its ACKs sent back through the port. In turns with it: the same worker with the "
        "same packets from memory (its ACKs are made and thrown away), and the same port with packets "
        "that are only counted and given back. The time of a pass runs from its first packet to the "
        "end of the turn that folded and acknowledged its last; sealing the packets is not timed. The "
        "limit is the lower of the two others. Wall clock, as two processes are in it. *fits* and "
        "*beyond* as above. The sum is checked in every pass that is ingested."),
    Bench(
        "afxdp", "perf/afxdp_bench", "Ingest from AF_XDP over veth",
        "it was built without DPDK, or the option `appliance` is off",
        "As from the memif; the port is DPDK's AF_XDP driver on one end of a veth pair, and the "
        "generator a packet socket on the other, in a network namespace of their own. The kernel "
        "carries every frame: it, not the worker, is the limit here."),
    Bench(
        "udp", "perf/udp_bench", "UDP on loopback", "the option `appliance` is off",
        "A generator process on one core sends the sealed packets of 4,096 uploads in trains of 44 "
        "(UDP GSO) over loopback; the receiver on the other core reads them through the hub's packet "
        "source, io_uring and recvmmsg in turns, polled as a worker polls it. *discard*: it only counts "
        "bytes. *ingest*: session core, opening, staging and fold, on the same core that receives. The "
        "ratio is ingest over the lower of *discard* and ingest of the same packets from memory, each "
        "pass beside the others. The generator waits while 1,408 packets are under way, so that nothing "
        "is lost, and the sum of every pass is checked. *crowd*: the senders that devices run, each over a "
        "socket of its own, two threads of them against one worker of a whole upload plane; 20 and 2,000 of "
        "them with the same bytes together. All ask for their upload at once, which is when the clock starts, and the loop's "
        "thread admits them as a hub does: in the order of asking, each when there is a window for it or its time is up "
        "(HTTP/2 and TLS are left out). Also 2,000 of them that are all admitted before the first one sends, when the clock starts "
        "(*all_admitted*: a hub that holds no grant, and what was measured until decision 0094), the same "
        "with windows and a receive buffer for all of their chunks at once (*unheld*: what the same "
        "sockets come to without credits; so large a buffer needs root), and 20 whose "
        "network loses 5% of the datagrams, repeats 5% and delays 5%. The sum is checked each time. The machine's cores are the "
        "senders' as well: *hub_cpu_ratio* leaves their time out, *senders_share_of_cpu* says how much it is, "
        "*cpu_ratio* is of both together, which other work on the machine disturbs least."),
    Bench(
        "rounds", "perf/rounds.py", "Whole rounds", "the option `appliance` is off",
        "Two hub processes and 100 devices with 1,000,000 values each at w = 16, every device a real "
        "client over mutual TLS and UDP on the same machine. "
        "Rounds of five kinds alternate: in *held* rounds the devices have the model already and make fresh connections, "
        "in *resumed* rounds (`rounds.resumed`) their connections take the last ones' sessions up, in *kept* rounds "
        "(`rounds.kept`) they are those of the round before; "
        "in *pull* rounds (`rounds.pull`) each downloads 4 MB over TLS first, in *audit* rounds "
        "(`rounds.audit`) they have it and the hubs keep what they count (audit_hours). The hubs' time is that "
        "of all their threads, as the kernel accounts it to the nanosecond; its split into user and "
        "system time is the kernel's too, taken over all the rounds of a kind. Both hubs' sums are "
        "compared in every round with the plain sum of the devices' vectors."),
    Bench(
        "cost", "perf/cost_bench.py", "Cost of a device, by devices and values", "the option `appliance` is off",
        "As *rounds*, a federation of its own for each size: rounds over fresh connections and over those of the round before in turns, "
        "three of each (two with 10,000 devices; over fresh connections alone where a process may not keep the files open), both hubs' sums compared in every round. Rings of 16 bits, of 32 where there are 1,000 devices and more; more than 100 devices take part fifty at a time. "
        "What a round costs once, whoever takes part, is in it: with few devices and many values it is most. "
        "What the release of a round's model takes is not (it is in *rounds* and *release*)."),
    Bench(
        "kept", "perf/kept_bench.py", "Connections at rest", "the option `appliance` is off",
        "10,000 connections of 1,250 devices to one hub, each of which has asked one small question over mutual TLS and "
        "rests: the growth of the hub's own memory (Pss) divided by their number."),
    Bench(
        "peers", "perf/peers/peers.py", "Peers on the same work",
        "perf/peers/ is missing",
        "A round of 100 devices with 1,000,000 8-bit values each, by Millrace (two hub processes as "
        "they are used, each device a real client) and by its peers, in one run; every peer's result "
        "is compared with the plain one. Server CPU over Millrace's hub CPU is asked to be 50 with "
        "each secure peer. The table says what was measured on fewer devices."),
    Bench(
        "superlink", "perf/peers/superlink_bench.py", "Beside a server of Flower's", "perf/peers/ is missing",
        "Flower as it is deployed, a SuperLink with TLS, its ServerApp and a SuperNode a device, all processes of their own, with Flower's "
        "SecAgg+ workflow and mod; and two hubs with as many devices, in the same run, rounds in turns. 12 devices of 1,000,000 8-bit values, of which "
        "each has 10 neighbours; in each round every device gets the model first. CPU is user and system time of SuperLink and ServerApp (not of "
        "the SuperExec, which starts the latter) and of both hubs, bytes are TCP's with TLS there and datagrams' payload here. "
        "*hub_cpu_busy* leaves out what Flower's server spends in the same time while nothing is done. Every sum is compared with what it must be."),
    Bench(
        "adapters", "perf/adapters_bench.py", "Python's adapters", "perf/adapters_bench.py is missing",
        "A model of 1.1 million values, a round of 32 steps, on one thread: the training by itself and through the adapter, in turns, from the model's bytes as the module "
        "hands them over to the arrays as it takes them back. PyTorch: a perceptron, batches of 32. scikit-learn: a linear SGDClassifier of 100 classes, 100 rows. Flower: an app with a "
        "perceptron in numpy; the training by itself is the app called with a message, as a SuperNode does. CPU time; memory is the peak that was resident in a round, in a process of its own whose "
        "allocator keeps nothing for later. What the C library needs beside is in docs/edge-client.md."),
    Bench(
        "killed", "perf/killed_bench.py", "Python's devices killed", "perf/killed_bench.py is missing",
        "Two hubs and ten Python devices, each a process that sleeps a second for its training, quorum seven. Rounds in which three of the ten get SIGKILL at random moments take turns with undisturbed "
        "ones; who was killed is started again, and the next round opens when all ten wait. On the wall, from the opening to the published model. A device that was not counted and gives no reason fails the "
        "bench, as does one that is not waiting after two minutes."),
    Bench(
        "released", "perf/released_bench", "The ledger of released sets",
        "the option `appliance` is off",
        "10,000 released sets of 20 devices, all on one model, in a ledger on a disk, as a hub has it after "
        "years. *start*: opening it, every record's hash checked. *first check*: a set of 1,000 devices, of "
        "which none is in a released one, against all of them, the first question after the start; *check*: the "
        "next. On the wall; every sample is of a ledger that was opened anew, and then asked for devices that it has."),
    Bench(
        "debit", "perf/debit.py", "A debit of 10,000 devices", "the option `appliance` is off",
        "Two hub processes with two tasks of 10,000 devices and 1,000 values at w = 32, `private` with noise "
        "and a budget, `plain` without; their rounds alternate, every device a real client over mutual TLS, fifty "
        "at a time. *publish* is the lead's own account from quorum to the published model. *ledger*: claiming "
        "such a set and writing it down, with the debit of each device in a pool of a million and without, in turns, "
        "median of nine; *of_publish* is their difference over the plain round beside it. Both hubs' sums are "
        "compared in every round, and at the end both ledgers have every device in every private round, once."),
    Bench(
        "noise_rounds", "perf/noise_rounds.py", "Rounds with privacy and without", "the option `appliance` is off",
        "Two hub processes with the tasks of *debit*, 24 devices of 1,000,000 values at w = 32; rounds with noise of both hubs and without alternate. "
        "*publish* is the lead's own account from quorum to the published model, *hub* the CPU time of all threads of both hubs in the round; "
        "*added* is the private round less the plain one before it. Both hubs' sums are compared in every round."),
    Bench(
        "scaling", "perf/scaling_bench", "Cost with devices, dimension and workers",
        "the option `appliance` is off",
        "CPU time of the lead (admitting, opening, staging and folding sealed packets kept in memory, "
        "by the session core as a worker runs it) and of the helper (`mr_expand` of the seeds). "
        "*devices*: 10 to 10,000 devices of 10,000 values, w = 32 (w = 16 holds 64 devices of all levels). "
        "*dimension*: 2 devices of 10,000 to 100,000,000 values, w = 16, so that at the helper "
        "what a round costs once weighs most: the pages of its result, which are huge where the kernel "
        "gives such (`madvise`). *workers*: 64 devices of "
        "1,000,000 values, w = 16, on one and on two threads, merging included. Each sample is a "
        "sweep over all sizes; small ones are repeated for 20 ms. *slope*, *intercept* and *r2* are "
        "those of a line by least squares, *residual* is the largest distance of a point from it "
        "over the largest cost, and *power* is the slope of the logarithms: 1 is linear. The largest "
        "sizes decide a line of least squares; *power* weighs all alike, and would rise "
        "above 1 where small cohorts fit the caches and large ones do not. Every pass's sum is compared "
        "with one of plain loops, and the masks' with OpenSSL's AES-CTR."),
    Bench(
        "delta", "perf/delta_bench.py", "Deltas", "the option `appliance` is off",
        "Two rounds of the demo's federation, with the demo's model and with one of 1.1 million weights; the lead's models and sums are what is "
        "measured. Seconds of CPU, the least of five for ours, one run of the peers' a sample, start of the process included; applying is with the hash of "
        "what came out, as a device does. `of_best_peer` is bytes over the fewest of bsdiff, xdelta3 -9 and zstd -19 --patch-from on the same "
        "files, `of_entropy` over the empirical entropy of the opened integers. *1_percent*: one weight of a hundred is changed by about a per "
        "cent. `apply_extra_kib` is the peak beside both files' pages and the delta's. *32mib*: a model of 32 MiB, from rounds of four devices."),
    Bench(
        "release", "perf/release_bench.py", "From the quorum to the last device", "the option `appliance` is off",
        "Two hub processes and 100 devices of 1,000,000 weights at w = 16, all on this machine, each device a real client with connections of its own. *quorum_to_last*: "
        "from the last upload that the quorum needs to the last device having pulled the delta, verified it by the signed hash and installed the file; `hub.*` are the stages at the "
        "lead one after the other (`round show`), `device.*` and `last_device.*` when the median and the last device had got so far, since the quorum. The devices' own work is on the "
        "hubs' cores: 100 of them take turns. *fresh* and *kept*: all devices pull at once what was released before, over new connections and over those "
        "that are there; *delta_pull_hub_us*, *whole_pull_hub_us*: CPU of both hubs for a pull, `delta_pull_device_us` of the device with the installation. `delta_over_whole_cpu` is of all that a pull "
        "costs, `body_over_whole_cpu` without what a device costs that asks and has the newest already."),
    Bench(
        "http", "perf/http_bench.py", "Fetching, beside nginx", "the option `appliance` is off",
        "h2load asks a hub and nginx (one worker, with the settings that made it fastest here) for the same 4 MiB file, over TLS 1.3 with AES-128-GCM and client certificates, in turns. *304*: eight connections of eight "
        "streams, `if-none-match` with the tag. *4mib*: four connections, whole bodies, counted. `of_nginx` compares the work for a second of the server's CPU; `_wall` the rates, which "
        "are h2load's share of the machine as well."),
)


def bench_named(name):
    for bench in BENCHES:
        if bench.name == name:
            return bench
    raise KeyError(name)
