"""A hundred machine tools and a fault that is new: `./run demo --scenario cnc`.

A small 1-D CNN tells what is wrong with a spindle from its vibration. At a quarter of the machines a fault begins that the model
does not know; there it is noticed and labelled. Rounds with noise train the model every 30 s. The figure is the time from the
fault's first windows until machines that never had it would recognise it, beside a server that gets all raw windows and trains
every five minutes.
"""

import os

import numpy as np

import page
import spindles
from stage import Stage, wait_for

TITLE = "A new fault at some machine tools, recognised by the others"
ABOUT = ("The vibration is synthetic (teeth, shaft, blows of a bearing's defect, noise; demo/scenarios/spindles.py). A round stands "
         "for 30 s of the machines, in which each of them records four windows; here rounds follow each other at once.")
HUBS = 2
PERIOD_S, BATCH_S = 30, 300  # of the machines' time: between rounds, between trainings of the server
WINDOWS = 4  # of the fault, a machine and period
CLIP_NORM, SERVER_RATE = 0.2, 4
EPSILON, DELTA = 8, 1e-5
TRAINER = '{"epochs": 5, "learning_rate": 0.1}'
FOUND, FALSE = 0.9, 0.02  # detected: so many windows of the fault are recognised, at most so many others taken for it
SIZES = {
    "full": {"machines": 104, "faulty": 26, "rounds": 8, "pretraining": (24, 300), "batch_step_s": PERIOD_S},
    "small": {"machines": 10, "faulty": 4, "rounds": 2, "pretraining": (4, 20), "batch_step_s": BATCH_S},
}


def weights_of(labels):
    """Each kind counts alike, whatever a machine has of it."""
    each = (1 / np.maximum(np.bincount(labels, minlength=spindles.CLASSES), 1))[labels]
    return (each / each.mean()).astype(np.float32)


def device(number, size):
    """The training function of a machine. One that has never had the fault says what the model that it was just given
    would tell it of windows of the fault, and of its own."""
    plan = SIZES[size]
    known, kinds = spindles.labelled([number], spindles.KNOWN, WINDOWS, 4)
    fault = spindles.labelled([number], (spindles.INNER,), WINDOWS * plan["rounds"], 5)[0]
    faulty = number < plan["faulty"]

    def train(weights, task):
        said = {"found": float((spindles.said(weights, fault) == spindles.INNER).mean()),
                "false": float((spindles.said(weights, known) == spindles.INNER).mean())} if not faulty else {}
        x, y = known, kinds
        if faulty:
            recorded = fault[:WINDOWS * task.round]
            x, y = np.concatenate([x, recorded]), np.append(y, np.full(len(recorded), spindles.INNER))
        each, loss = weights_of(y), 0.0
        for _ in range(task.training["epochs"]):
            loss, found = spindles.gradients(weights, x, y, each)
            for name, gradient in found.items():
                weights[name] -= task.training["learning_rate"] * gradient
        return weights, len(x), {"loss": loss, **said}
    return train


def detected(found, false):
    return found >= FOUND and false <= FALSE


class Server:
    """What is compared with: all windows of all machines in one place, no noise, trained every BATCH_S."""

    def __init__(self, plan, first):
        self.plan, self.first = plan, first
        machines = range(plan["machines"])
        self.known = spindles.labelled(machines, spindles.KNOWN, WINDOWS, 4)
        self.fault = [spindles.labelled([m], (spindles.INNER,), WINDOWS * BATCH_S // PERIOD_S, 5)[0]
                      for m in range(plan["faulty"])]
        others = range(plan["faulty"], plan["machines"])
        self.test = (spindles.labelled(others, (spindles.INNER,), WINDOWS, 6)[0],
                     spindles.labelled(others, spindles.KNOWN, WINDOWS, 6)[0])

    def judge(self, weights):
        return tuple(float((spindles.said(weights, x) == spindles.INNER).mean()) for x in self.test)

    def train(self, periods):
        """After so many periods of the fault."""
        x = np.concatenate([self.known[0]] + [windows[:WINDOWS * periods] for windows in self.fault])
        y = np.append(self.known[1], np.full(len(x) - len(self.known[1]), spindles.INNER))
        weights = {name: value.copy() for name, value in self.first.items()}
        adam, random = spindles.layers.Adam(0.01), np.random.default_rng(1)
        for _ in range(200):
            chosen = random.integers(0, len(x), 64)
            adam.step(weights, spindles.gradients(weights, x[chosen], y[chosen])[1])
        return weights

    def times(self):
        """Seconds from the fault's begin to its detection, for each time at which it can begin before a training."""
        found = []
        for wait in range(self.plan["batch_step_s"], BATCH_S + 1, self.plan["batch_step_s"]):
            good = detected(*self.judge(self.train(wait // PERIOD_S)))
            found.append(wait if good else wait + BATCH_S)
        return found


class Cnc:
    def __init__(self, build, work, size, say):
        self.size, self.say, self.plan = size, say, SIZES[size]
        self.stage = Stage(build, work, HUBS, self.plan["machines"])
        self.rows = []

    def prepare(self):
        import millrace
        stage, machines, rounds = self.stage, self.plan["machines"], self.plan["rounds"]
        self.first = spindles.pretrained(*self.plan["pretraining"])
        self.server = Server(self.plan, self.first)
        model = os.path.join(stage.work, "first.safetensors")
        millrace.save(self.first, model)
        self.dimension = sum(value.size for value in self.first.values())
        self.noise = stage.plan_privacy(EPSILON, DELTA, rounds + 1, machines, self.dimension, CLIP_NORM)
        stage.prepare(model, {
            "cohort_min": max(2, machines // 2), "cohort_max": machines, "quorum": machines,
            "ring_bits": self.noise["ring_bits"], "clip_norm": CLIP_NORM, "weight_max": 1,
            "server_learning_rate": SERVER_RATE, "training": f"'{TRAINER}'"},
            privacy={"noise": "hub", "epsilon": EPSILON, "delta": DELTA, "rounds": rounds + 1})

    def round(self, last=False):
        number = self.stage.open_round()
        outcome = self.stage.end_of_round(number)
        told = []
        wait_for(f"all machines' words on round {number}", lambda: told.extend(
            line for line in self.stage.heard() if line["round"] == number) or len(told) >= self.plan["machines"])
        others = [line["metrics"] for line in told if "found" in line["metrics"]]
        # They speak of the model that the round began with, which was made (number - 1) periods after the fault began.
        self.rows.append({"s": (number - 1) * PERIOD_S, "joined": outcome["included"], "counted": len(others),
                          "found": float(np.mean([m["found"] for m in others])),
                          "false": float(np.mean([m["false"] for m in others])), "ms": outcome["publish_ms"]})
        row = self.rows[-1]
        self.say(f"{row['s']:5d} {row['found']:11.3f} {row['false']:13.4f}   {'' if last else row['joined']}")

    def main(self):
        plan = self.plan
        self.say(f"{plan['machines']} machines, at {plan['faulty']} of them the fault begins at 0 s")
        self.prepare()
        self.say(f"      budget: epsilon {EPSILON} at delta {DELTA:g} for {plan['rounds'] + 1} rounds; each hub's noise"
                 f" {self.noise['noise_multiplier']:.2f} times the clip, {self.dimension} values\n"
                 f"    s  recognised  false alarms   joined   (at the {plan['machines'] - plan['faulty']} machines without it)")
        self.stage.start_hubs()
        self.stage.start_fleet("cnc", self.size, range(plan["machines"]))
        for left in reversed(range(plan["rounds"] + 1)):
            self.round(last=left == 0)
        ledgers = self.stage.spent()
        codes = self.stage.stop()
        return self.verdict(ledgers, codes, self.server.times())

    def verdict(self, ledgers, codes, batch):
        first = next((row["s"] for row in self.rows if detected(row["found"], row["false"])), None)
        checks = [
            ("every machine was in every round", all(row["joined"] == self.plan["machines"] for row in self.rows)),
            ("machines that never had the fault judged each model themselves",
             all(row["counted"] == self.plan["machines"] - self.plan["faulty"] for row in self.rows)),
            ("both hubs debited each machine the same", ledgers[0] == ledgers[1] and len(ledgers[0]) == self.plan["machines"]
             and len(set(ledgers[0].values())) == 1),
            ("both hubs stopped cleanly", codes == [0] * HUBS)]
        if self.size == "full":
            checks += [("the fault was not recognised at first", self.rows[0]["found"] < 0.5),
                       ("it was recognised sooner than by the server on average", first is not None and first < np.mean(batch))]
        seconds = "not within this run" if first is None else f"{first} s"
        figure = (f"from a new fault's first windows to its recognition by machines that never had it: {seconds} with a round every "
                  f"{PERIOD_S} s and epsilon {EPSILON}; a server with all raw windows and a training every {BATCH_S} s: "
                  f"{np.mean(batch):.0f} s on average, {max(batch)} s at worst (synthetic; compressed time)")
        parts = [page.chart("At machines that never had the fault (synthetic)", "share of windows", {
            "of the fault, recognised": [row["found"] for row in self.rows],
            "others, taken for it": [row["false"] for row in self.rows]},
                            places=f"0 to {self.rows[-1]['s']} s of the machines"),
                 page.chart("From quorum to model", "milliseconds", {"round": [row["ms"] for row in self.rows]}),
                 page.table(("s", "recognised", "false alarms", "joined"), [
                     (row["s"], f"{row['found']:.3f}", f"{row['false']:.4f}", row["joined"]) for row in self.rows])]
        summary = {"scenario": "cnc", "machines": self.plan["machines"], "faulty": self.plan["faulty"], "epsilon": EPSILON,
                   "delta": DELTA, "values": self.dimension, "detected_s": first, "batch_s_mean": float(np.mean(batch)),
                   "batch_s_max": max(batch), "found": [row["found"] for row in self.rows],
                   "false": [row["false"] for row in self.rows]}
        return figure, checks, parts, summary


PLAY = Cnc
