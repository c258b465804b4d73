#!/usr/bin/env python3
"""From the quorum to the last device's applied model: release_bench.py [--quick] [--json FILE] [--build DIR] [--plot FILE]

Two hubs and 100 devices with 1,000,000 weights at w = 16 on loopback, the announced scale and rotation those of a
real task. In a round that is *followed* every device takes part, hears of the release, pulls the delta, verifies and
installs it. Then all devices pull that release once more, into other folders: by delta, and whole; that is what a pull
costs hubs and devices, over new connections and over those that are there.
"""

import os
import shutil
import statistics
import subprocess
import sys
import time

HERE = os.path.dirname(os.path.abspath(__file__))
sys.path.insert(0, os.path.join(HERE, "..", "demo"))

from federation import Failure  # noqa: E402
from figures import run  # noqa: E402
import hub_bench  # noqa: E402
from hub_cpu import Cost, Reading  # noqa: E402
from rounds import SCALE, SETTLE_S, Rounds  # noqa: E402

# The load's deltas are uniform in whole levels of 1 / SCALE.
LEVELS = 127
DELTAS_S = 3.5 # the hubs make the likely deltas in that time
HUB_STAGES = ("close", "freeze", "expand", "open", "model", "store")
DEVICE_STAGES = ("heard", "fetched", "verified", "kept", "installed")


class Releases(Rounds):
    def __init__(self, build, work, devices, dimension):
        super().__init__(build, work, devices, dimension)
        self.upload_options["share_bytes_max"] = 2 * (dimension + dimension // 16) + 4096 # rotated: padded

    def round_options(self):
        norm = LEVELS / SCALE * (self.dimension / 3) ** 0.5
        return {"weight_max": 100, "scale": "auto", "clip_norm": round(1.05 * norm, 1), "cohort_max": self.devices,
                "step_max": 1e9}

    def folder(self, name):
        path = os.path.join(self.work, name)
        os.makedirs(path, exist_ok=True)
        return path

    def opened(self, command):
        """A round that the load takes part in by that command; (the lead's account, what the load says)."""
        self.load.stdin.write(command + "\n")
        self.load.stdin.flush()
        time.sleep(0.7)  # every device stands in its long poll before the round opens
        number = self.operator(0, "round", "open")["round"]
        account = self.operator(0, "round", "show", str(number), "--wait")
        said = self.hear_load()
        if account["state"] != "published":
            raise Failure(f"round {number}: {account['state']}: {account.get('reason')}")
        return self.operator(0, "round", "show", str(number)), said

    def pulled(self, folder, command="pull"):
        """Every device pulls into that folder; (hubs' CPU seconds, what the devices say)."""
        before = Reading(self.pids())
        said = self.ask_load(f"{command} {self.folder(folder)}")
        time.sleep(SETTLE_S)
        cost = Cost(before, Reading(self.pids()))
        return sum(cost.whole.values()), said

    def all_of(self, said):
        if len(said["devices"]) != self.devices:
            raise Failure(f"{len(said['devices'])} of {self.devices} devices have the release")
        return said["devices"]


def note_followed(figures, fed, account, said):
    devices = fed.all_of(said)
    wall = time.time() - time.monotonic()
    quorum = account["closed_unix_ms"] / 1000 - wall
    last = max(d["installed"] for d in devices)
    figures.sample("release.quorum_to_last_ms", "ms", 1000 * (last - quorum), "lower", 500,
                   "from quorum to the last of all devices having the next model verified and installed")
    at = quorum
    for stage in HUB_STAGES:
        ms = account["stages_us"][stage] / 1000
        figures.sample(f"release.hub.{stage}_ms", "ms", ms, "lower", None, "at the lead")
        at += ms / 1000
    for stage, us in account["release_us"].items():
        figures.sample(f"release.hub.{stage}_ms", "ms", us / 1000, "lower", None, "at the lead, after it is stored")
    for stage in DEVICE_STAGES: # of the median device and of the last, since the quorum
        times = sorted(d[stage] - quorum for d in devices)
        figures.sample(f"release.device.{stage}_ms", "ms", 1000 * statistics.median(times), "lower", None,
                       "the median device, since the quorum")
        figures.sample(f"release.last_device.{stage}_ms", "ms", 1000 * times[-1], "lower", None,
                       "the last device, since the quorum")
    figures.sample("release.delta_bytes", "bytes", devices[0]["bytes"], "lower")
    figures.sample("release.followed_device_us", "us", 1e6 * (said["user_s"] + said["system_s"]) / fed.devices, "lower",
                   None, "CPU of a device that takes part in the round, pulls and installs")


def delta_s(fed, hub, base, target):
    """Seconds from the question to the delta's last byte, over a connection of its own."""
    words = ["curl", "-sS", "--http2", "--fail", "--cacert", f"{fed.pki}/ca.pem", "--cert", f"{fed.pki}/operator.pem",
             "--key", f"{fed.pki}/operator.key", "-o", "/dev/null", "-w", "%{time_pretransfer} %{time_total}",
             f"https://{fed.host}:{fed.ports[hub]}/v1/tasks/default/deltas/{base}/{target}"]
    done = subprocess.run(words, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, check=False)
    if done.returncode != 0:
        raise Failure(f"a delta: curl: {done.stderr}")
    begun, ended = map(float, done.stdout.split())
    return ended - begun


def note_first_answers(figures, fed, models):
    """Pairs that nobody has asked for: from the models before the newest, at both hubs."""
    firsts, cached = [], []
    for hub in range(2):
        for base in models[-4:-1]:
            firsts.append(delta_s(fed, hub, base, models[-1]))
            cached += [delta_s(fed, hub, base, models[-1]) for _ in range(3)]
    figures.sample("release.first_answer_ms", "ms", 1000 * statistics.median(firsts), "lower", None,
                   "a delta that nobody has asked for, from one of the last three models")
    figures.sample("release.cached_answer_ms", "ms", 1000 * statistics.median(cached), "lower", None, "asked again")
    figures.sample("release.first_over_cached", "ratio", statistics.median(firsts) / statistics.median(cached), "lower",
                   None, "the median of the first answers over that of cached ones")
    figures.sample("release.first_over_cached_p95", "ratio", p95(firsts) / p95(cached), "lower", 1.5,
                   "likewise their 95th percentiles: of six and of eighteen answers")


def p95(values):
    return statistics.quantiles(values, n=20, method="inclusive")[-1]


def measure_first_answers(fed, figures, samples):
    """Rounds whose release nobody pulls; a moment after each, all is asked for."""
    models = []
    for number in range(samples + 3):
        account, _ = fed.opened("round")
        models = models or [account["parent"]]
        models.append(account["model_hash"])
        time.sleep(DELTAS_S)
        if len(models) >= 4:
            note_first_answers(figures, fed, models)


def note_pulls(figures, fed, prefix, command, how):
    """By delta, nothing new, whole. How the installation went is told in a pull of its own, which is not counted."""
    us = 1e6 / fed.devices
    delta, by_delta = fed.pulled(prefix, command)
    devices = fed.all_of(by_delta)
    fed.pulled(prefix, command)
    nothing, _ = fed.pulled(prefix, command)
    whole, said = fed.pulled(f"{prefix}-whole", command)
    fed.all_of(said)
    shutil.rmtree(fed.folder(f"{prefix}-whole"))
    name = f"release.{prefix}"
    figures.sample(f"{name}.delta_pull_hub_us", "us", us * delta, "lower", None, f"CPU of both hubs, {how}")
    figures.sample(f"{name}.whole_pull_hub_us", "us", us * whole, "lower", None, "likewise")
    figures.sample(f"{name}.no_pull_hub_us", "us", us * nothing, "lower", None, "likewise, of a device that has the newest")
    figures.sample(f"{name}.delta_over_whole_cpu", "ratio", delta / whole, "lower", 0.3 if prefix == "kept" else None,
                   f"of all that a pull costs the hubs, {how}")
    figures.sample(f"{name}.body_over_whole_cpu", "ratio", (delta - nothing) / (whole - nothing), "lower", None,
                   "of the bodies: what a device with the newest costs taken off both")
    figures.sample(f"{name}.delta_pull_device_us", "us", us * (by_delta["user_s"] + by_delta["system_s"]), "lower", None,
                   f"CPU of a device that pulls and installs, {how}")
    verified = statistics.median(d["verified_cpu"] for d in devices)
    installed = statistics.median(d["installed_cpu"] for d in devices)
    figures.sample(f"{name}.delta_verified_device_us", "us", 1e6 * verified, "lower", None,
                   f"CPU of the median device until the model is verified, {how}")
    figures.sample(f"{name}.delta_installing_device_us", "us", 1e6 * (installed - verified), "lower", None,
                   "and from there until it is installed")
    figures.sample("release.delta_over_whole_bytes", "ratio", devices[0]["bytes"] / (4 * fed.dimension), "lower")


def measure(fed, figures, samples):
    fed.opened(f"follow {fed.folder('followed')}") # not counted: whole, since nobody has a base
    for prefix in ("fresh", "kept"):
        fed.pulled(prefix)
    for _ in range(samples):
        account, said = fed.opened(f"follow {fed.folder('followed')}")
        note_followed(figures, fed, account, said)
        time.sleep(DELTAS_S)
        note_pulls(figures, fed, "fresh", "pull", "two new TLS connections included")
        fed.ask_load("connect")
        note_pulls(figures, fed, "kept", "pull-kept", "over the connections that are there")
    measure_first_answers(fed, figures, samples)
    figures.checked()


def plot(figures, path):
    """The stages one after the other: at the lead, then those of the median and the last device."""
    import plots # pylint: disable=import-outside-toplevel
    rows = []
    for stage in HUB_STAGES + ("make", "sign", "delta"):
        rows.append(("hub " + stage, f"release.hub.{stage}_ms"))
    for stage in DEVICE_STAGES:
        rows.append(("device " + stage, f"release.device.{stage}_ms"))
        rows.append(("last " + stage, f"release.last_device.{stage}_ms"))
    plots._bars(path, "From quorum to the last device (hub: each stage; device: since the quorum)", "ms",  # pylint: disable=protected-access
                [(label, figures.median(name), min(figures.by_name[name]["samples"]),
                  max(figures.by_name[name]["samples"])) for label, name in rows if name in figures.by_name])


def main():
    parser = hub_bench.options(__doc__)
    parser.add_argument("--plot", help="an SVG of the stages")
    parser.add_argument("--devices", type=int, default=100)
    parser.add_argument("--dimension", type=int, default=1000000)
    options = parser.parse_args()
    played = hub_bench.play("release", options,
                            lambda work: Releases(options.build, work, options.devices, options.dimension),
                            lambda fed, figures: measure(fed, figures, 3 if options.quick else 7),
                            devices=options.devices, dimension=options.dimension, ring_bits=16, hubs=2,
                            load_1min=os.getloadavg()[0])
    if played and options.plot:
        plot(played, options.plot)
    return 0 if played else 1


if __name__ == "__main__":
    sys.exit(run(main))
