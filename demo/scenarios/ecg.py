"""Three hospitals, each a hub and each with its patients' patches: `./run demo --scenario ecg`.

A small GRU tells extrasystoles from normal beats. It begins as trained on patients of one hospital. The
patches of all three train it further, with noise of every hub and a budget of epsilon = 0.5 a round;
the hubs debit it from each patch. The figure is each hospital's sensitivity before and after, on patients
who have no patch. Afterwards everything on each hub's disk is searched for what the patches had.
"""

import os

import numpy as np

import ecg_patches as patches
import page
import search
from stage import RHO, Stage, budget_of_rounds

TITLE = "Three hospitals, one model of heart beats"
ABOUT = ("The electrocardiograms are synthetic (a sum-of-Gaussians model, demo/scenarios/ecg_patches.py); no recording of "
         "a person is in them. A round stands for five minutes; here they follow each other at once.")
HUBS = 3
FROZEN = "gru.inner"  # the fewer values, the less noise in all
TRAINED = ("gru.outer", "gru.bias", "head.weight", "head.bias")
CLIP_NORM, SERVER_RATE = 0.3, 0.5  # the rate halves what a round's noise does to the model, and what it learns
EPSILON_ROUND, DELTA = 0.5, 1e-6
TRAINER = '{"epochs": 5, "learning_rate": 0.3}'
SIZES = {
    "full": {"patches": 120, "rounds": 10, "held_out": 20, "beats": 48, "pretraining": (16, 120)},
    "small": {"patches": 9, "rounds": 2, "held_out": 2, "beats": 16, "pretraining": (2, 10)},
}
MISSED_COSTS = 2  # times as much as a false alarm
LOST_MAX = 0.05  # of a hospital's sensitivity or specificity


def hospital_of(number):
    return patches.HOSPITALS[number % HUBS]


def device(number, size):
    """The training function of a patch."""
    x, y = patches.patient(hospital_of(number), number, SIZES[size]["beats"])
    each = np.where(y == patches.VENTRICULAR, MISSED_COSTS, 1).astype(np.float32)
    each /= each.mean()

    def train(weights, task):
        loss = 0.0
        for _ in range(task.training["epochs"]):
            loss, found = patches.gradients(weights, x, y, each)
            for name in TRAINED:
                weights[name] -= task.training["learning_rate"] * found[name]
        return weights, len(x), {"loss": loss}
    return train


def held_out(hospital, count):
    """Patients without a patch: windows and kinds."""
    data = [patches.patient(hospital, 1000 + i) for i in range(count)]
    return np.concatenate([d[0] for d in data]), np.concatenate([d[1] for d in data])


def dumped_lanes(folder):
    """What the patches sent, before it was masked: a list of vectors of whole numbers."""
    from sums import read_dump
    found = []
    for name in sorted(os.listdir(folder)):
        client, _, number, attempt = name.removesuffix(".bin").split("-")
        found.append(np.array(read_dump(os.path.join(folder, name), int(number[1:]), client, int(attempt[1:]))[0]))
    return found


class Ecg:
    def __init__(self, build, work, size, say):
        self.size, self.say, self.plan = size, say, SIZES[size]
        self.stage = Stage(build, work, HUBS, self.plan["patches"])
        self.test = [held_out(hospital, self.plan["held_out"]) for hospital in patches.HOSPITALS]
        self.rows = []

    def prepare(self):
        import millrace
        stage, plan = self.stage, self.plan
        model = os.path.join(stage.work, "first.safetensors")
        weights = patches.pretrained(*plan["pretraining"])
        millrace.save(weights, model, frozen=[FROZEN])
        self.dimension = sum(weights[name].size for name in TRAINED)
        self.epsilon, self.noise = budget_of_rounds(stage, EPSILON_ROUND, plan["rounds"], DELTA, plan["patches"],
                                                    self.dimension, CLIP_NORM)
        stage.prepare(model, {
            "cohort_min": max(2, plan["patches"] // 2), "cohort_max": plan["patches"], "quorum": plan["patches"],
            "ring_bits": self.noise["ring_bits"], "clip_norm": CLIP_NORM, "weight_max": 1,
            "server_learning_rate": SERVER_RATE, "training": f"'{TRAINER}'", "audit_hours": 24},
            privacy={"noise": "hub", "epsilon": f"{self.epsilon:.9g}", "delta": DELTA, "rounds": plan["rounds"]},
            keep={"sums": 0})
        self.note(0, weights)

    def note(self, number, weights, outcome=None):
        found = [patches.sensitivity(weights, data) for data in self.test]
        self.rows.append({"round": number, "sensitivity": [f[0] for f in found], "specificity": [f[1] for f in found],
                          "joined": outcome["included"] if outcome else 0,
                          "rho": outcome["noise"]["rho"] * RHO if outcome else 0})
        self.say(f"{number:5d} {self.rows[-1]['joined']:6d}  "
                 + "  ".join(f"{h.name} {s:.3f} / {n:.3f}" for h, (s, n) in zip(patches.HOSPITALS, found)))

    def train(self):
        import millrace
        for _ in range(self.plan["rounds"]):
            number = self.stage.open_round()
            outcome = self.stage.end_of_round(number)
            self.note(number, millrace.load(self.stage.model_file(outcome)), outcome)

    def look(self):
        """Searches each hub's folder: [(files, bytes, places of patches' vectors, of their windows, of the opened sums)]."""
        lanes = search.needles(lanes=dumped_lanes(self.stage.dumps))
        shown = search.needles(floats=[step for number in range(self.plan["patches"])
                                       for step in [patches.patient(hospital_of(number), number, self.plan["beats"])[0]]])
        found = []
        for hub in range(HUBS):
            folder = self.stage.hub_data(hub)
            last = os.path.join(folder, "tasks", "default", "rounds", f"{self.rows[-1]['round']}.sum")
            with open(last, "rb") as f:
                known = np.unique(search.telling(f.read(), 1))
            count, size, vectors = search.search(lanes, folder)
            found.append((count, size, vectors, search.search(shown, folder)[2], search.search(known, folder)[2]))
        control = search.search(lanes, self.stage.dumps)[2]
        return found, control

    def main(self):
        plan = self.plan
        self.say(f"{plan['patches']} patches of {HUBS} hospitals; sensitivity / specificity on patients without a patch")
        self.prepare()
        self.say(f"      budget: epsilon {EPSILON_ROUND} a round, {self.epsilon:.2f} over {plan['rounds']} rounds at delta {DELTA:g};"
                 f" each hub's noise {self.noise['noise_multiplier']:.2f} times the clip, {self.dimension} values")
        self.stage.start_hubs()
        self.stage.start_fleet("ecg", self.size, range(plan["patches"]))
        self.train()
        ledgers = self.stage.spent()
        codes = self.stage.stop()
        return self.verdict(ledgers, codes, *self.look())

    def verdict(self, ledgers, codes, found, control):
        first, last = self.rows[0], self.rows[-1]
        budget = self.noise["rho_budget"]
        checks = [
            ("every patch was in every round", all(row["joined"] == self.plan["patches"] for row in self.rows[1:])),
            ("each hub, by its own ledger, debited each patch the same, within its budget",
             all(ledger == ledgers[0] for ledger in ledgers) and len(ledgers[0]) == self.plan["patches"]
             and max(ledgers[0].values()) <= budget * (1 + 1e-6)),
            ("no patch's vector lies on any hub's disk", all(f[2] == 0 for f in found)),
            ("no patch's heart beats lie on any hub's disk", all(f[3] == 0 for f in found)),
            ("the same search finds the opened sum on each hub's disk, and the vectors where the patches wrote them down",
             all(f[4] > 0 for f in found) and control > 0),
            ("all hubs stopped cleanly", codes == [0] * HUBS),
        ]
        if self.size == "full":
            checks += [
                (f"no hospital lost more than {LOST_MAX} of sensitivity or specificity", all(
                    after > before - LOST_MAX for name in ("sensitivity", "specificity")
                    for before, after in zip(first[name], last[name]))),
                ("the hospital that the first model knew least gained at least 0.1 of sensitivity",
                 max(b - a for a, b in zip(first["sensitivity"], last["sensitivity"])) >= 0.1)]
        names = [h.name for h in patches.HOSPITALS]
        figure = "sensitivity before -> after, epsilon " + f"{EPSILON_ROUND} a round: " + ", ".join(
            f"hospital {n} {a:.3f} -> {b:.3f}" for n, a, b in zip(names, first["sensitivity"], last["sensitivity"])) + " (synthetic)"
        parts = [page.chart(f"{name.capitalize()}, patients without a patch (synthetic)", "share of beats", {
            f"hospital {h}": [row[name][i] for row in self.rows] for i, h in enumerate(names)}, 0.5,
                            f"before, and after round 1 to {last['round']}") for name in ("sensitivity", "specificity")]
        parts.append("<h2>What each hub holds</h2>" + page.table(
            ("hospital", "files", "bytes", "places with a patch's vector", "with its beats", "with the opened sum"),
            [(n, *f) for n, f in zip(names, found)]))
        summary = {"scenario": "ecg", "patches": self.plan["patches"], "hubs": HUBS, "rounds": len(self.rows) - 1,
                   "epsilon_round": EPSILON_ROUND, "epsilon": self.epsilon, "delta": DELTA, "values": self.dimension,
                   "sensitivity_before": first["sensitivity"], "sensitivity_after": last["sensitivity"],
                   "specificity_before": first["specificity"], "specificity_after": last["specificity"],
                   "bytes_searched": sum(f[1] for f in found)}
        return figure, checks, parts, summary


PLAY = Ecg
