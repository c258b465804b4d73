"""CPU time of running hubs, thread by thread, as the kernel counts it.

A thread's whole time is exact (nanoseconds, from schedstat). Its split into user and system time is
the kernel's own, which samples at its tick (CONFIG_HZ) and is read here in ticks of the clock: good
over seconds, not over one round. So a series of rounds is measured exactly as a whole, and split by
what the kernel says of the whole series. A thread that the tick met a few times only is split as
its whole process is: its own split would be a toss of a coin (0 or all of it).
"""

import os

TICKS = os.sysconf("SC_CLK_TCK")

TICKS_LEAST = 20  # of a role's own, for a split of its own

# What each thread of a hub is for (docs/architecture.md), by the beginning of its name; the control
# thread has the program's name. "release" makes what devices fetch of a published model (once a round, whatever the
# number of devices); "endings" waits for the threads of tasks that were removed, "log"
# writes the log, "released" the ledger of released sets. The kernel names io_uring's own threads.
ROLES = {"millrace-hub": "control", "handshake-": "handshakes", "endings": "control", "log": "control", "lead": "compute",
         "helper": "compute", "released": "compute", "release": "release", "peer-": "peers", "mr-": "workers",
         "iou-": "workers"}


def role_of(name):
    for start, role in ROLES.items():
        if name.startswith(start):
            return role
    raise ValueError(f"what is a hub's thread \"{name}\" for? Add it to ROLES in perf/hub_cpu.py")


class Reading:
    """One look at some processes: seconds by thread."""

    def __init__(self, pids):
        self.threads = {}
        for number, pid in enumerate(pids):
            for tid in os.listdir(f"/proc/{pid}/task"):
                try:
                    self.read(number, f"/proc/{pid}/task/{tid}", tid)
                except (FileNotFoundError, ProcessLookupError):
                    pass  # it ended in this moment

    def read(self, number, path, tid):
        with open(f"{path}/schedstat", encoding="ascii") as f:
            whole = int(f.read().split()[0]) * 1e-9
        with open(f"{path}/stat", encoding="ascii") as f:
            text = f.read()
        name = text[text.index("(") + 1:text.rindex(")")]
        fields = text[text.rindex(")") + 2:].split()
        self.threads[tid] = (number, role_of(name), whole, int(fields[11]) / TICKS,
                             int(fields[12]) / TICKS)


class Cost:
    """What was spent between two readings: whole seconds by (process, role), and the ticks' split."""

    def __init__(self, before, after):
        self.whole = {}
        self.user = {}
        self.system = {}
        for tid, (number, role, whole, user, system) in after.threads.items():
            _, _, whole_0, user_0, system_0 = before.threads.get(tid, (0, "", 0, 0, 0))
            key = (number, role)
            self.whole[key] = self.whole.get(key, 0) + whole - whole_0
            self.user[key] = self.user.get(key, 0) + user - user_0
            self.system[key] = self.system.get(key, 0) + system - system_0


def user_shares(costs):
    """The user part of each (process, role)'s time, over a whole series of costs."""
    ticks = {}  # (user, system) by (process, role), and by process
    for cost in costs:
        for key in cost.whole:
            for of in (key, key[0]):
                user, system = ticks.get(of, (0, 0))
                ticks[of] = (user + cost.user.get(key, 0), system + cost.system.get(key, 0))
    shares = {}
    for key in {key for cost in costs for key in cost.whole}:
        user, system = ticks[key] if sum(ticks[key]) * TICKS >= TICKS_LEAST else ticks[key[0]]
        shares[key] = user / (user + system) if user + system > 0 else 1.0
    return shares


def split(cost, shares):
    """(user, system) seconds of one cost, by (process, role)."""
    user = {key: whole * shares[key] for key, whole in cost.whole.items()}
    system = {key: whole - user[key] for key, whole in cost.whole.items()}
    return user, system
