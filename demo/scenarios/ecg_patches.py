"""Synthetic electrocardiograms of patients with a patch, and the small GRU that tells their beats.

No recording of a person is in it. A beat is a sum of five Gaussian waves P, Q, R, S, T in time, after
the dynamical model of McSharry, Clifford, Tarassenko, Smith (IEEE Trans. Biomed. Eng. 50, 2003). A
ventricular extrasystole (PVC) comes early, has no P wave, a QRS of 120 ms and more, a T wave against
it, and a pause after it. Beats follow each other at a rate that breathes (respiratory sinus
arrhythmia) and wanders. To that come baseline wander by breathing, muscle noise and mains hum.

The three hospitals differ in where their patch sits (how much of each wave it sees, with which sign)
and from where their patients' extrasystoles come (a right ventricle's point up, a left one's down).
"""

import numpy as np

import layers

RATE = 125  # samples a second
BEFORE, AFTER = 45, 55  # samples of a window around the R wave: 0.36 s and 0.44 s
STEP = 4  # samples that the GRU takes at once
HIDDEN = 8
NORMAL, VENTRICULAR = 0, 1

# Waves of a beat: time from R in s, height in mV, width (standard deviation) in s.
SINUS = np.array([(-0.16, 0.12, 0.025), (-0.032, -0.12, 0.010), (0, 1.0, 0.011), (0.032, -0.22, 0.011),
                  (0.26, 0.28, 0.045)])
UP = np.array([(-0.05, 0.25, 0.025), (0.0, 1.25, 0.034), (0.075, -0.35, 0.030), (0.27, -0.45, 0.060)])
DOWN = np.array([(-0.05, 0.30, 0.022), (0.005, -1.10, 0.036), (0.08, 0.30, 0.028), (0.28, 0.42, 0.060)])


class Hospital:
    """`view`: how its patch sees the five waves of a sinus beat; `ectopic`: its patients' extrasystoles and
    how they are seen; `noise` in mV."""

    def __init__(self, name, view, ectopic, gain, noise):
        self.name, self.view, self.ectopic, self.gain, self.noise = name, np.array(view), ectopic, gain, noise


HOSPITALS = (
    Hospital("A", (1, 1, 1, 1, 1), UP, 1.0, 0.03),
    Hospital("B", (0.8, 1.6, 0.75, 2.2, 0.8), DOWN, 0.9, 0.05),
    Hospital("C", (0.7, 1.5, 0.6, 1.8, 0.5), UP * (1, 0.55, 0.7), 0.9, 0.05),
)


def waves(times, shape):
    """The sum of `shape`'s waves at `times` from R."""
    return sum(height * np.exp(-0.5 * ((times - at) / width)**2) for at, height, width in shape)


def recording(hospital, random, beats, ectopic_share):
    """A patient's trace in mV, the samples of its R waves, and what each is."""
    period = random.uniform(0.65, 1.0)  # s between beats
    breath = random.uniform(0.2, 0.3)  # Hz
    kinds = (random.random(beats) < ectopic_share).astype(int)
    kinds[:2] = kinds[-2:] = NORMAL
    at, times = 1.0, []
    for kind, after in zip(kinds, np.append(kinds[1:], 0)):
        times.append(at)
        gap = period * (1 + 0.05 * np.sin(2 * np.pi * breath * at) + 0.02 * random.normal())
        early = random.uniform(0.62, 0.8)
        at += gap * (early if after else 1) * (random.uniform(1.15, 1.35) if kind else 1)
    own = 1 + 0.12 * random.normal(size=5)  # no two hearts are alike
    sinus = SINUS * np.stack([np.ones(5), hospital.view * own, np.ones(5)], 1)
    sinus[:, 2] *= random.uniform(0.9, 1.15)
    ectopic = hospital.ectopic * np.stack([np.full(4, random.uniform(0.9, 1.15)), 1 + 0.15 * random.normal(size=4),
                                           np.full(4, random.uniform(0.9, 1.2))], 1)
    clock = np.arange(int((at + 1) * RATE)) / RATE
    trace = np.zeros(len(clock))
    for kind, r in zip(kinds, times):
        near = slice(max(0, int((r - 0.5) * RATE)), int((r + 0.7) * RATE))
        trace[near] += waves(clock[near] - r, ectopic if kind else sinus)
    trace *= hospital.gain
    trace += 0.15 * np.sin(2 * np.pi * breath * clock + random.uniform(0, 6))
    trace += 0.02 * np.sin(2 * np.pi * 50 * clock) + hospital.noise * random.normal(size=len(clock))
    return trace, np.round(np.array(times) * RATE).astype(int), kinds


def patient(hospital, number, beats=48, ectopic_share=0.3):
    """Windows [beats, steps, STEP + 1] and kinds of one patient's patch. The last input of each step is how early the beat
    came, in parts of this patient's usual distance."""
    random = np.random.default_rng((ord(hospital.name), number))
    trace, marks, kinds = recording(hospital, random, beats + 4, ectopic_share)
    chosen = slice(2, -2)
    early = np.diff(marks, prepend=marks[0] - RATE)[chosen] / np.median(np.diff(marks))
    marks, kinds = marks[chosen], kinds[chosen]
    marks = marks + random.integers(-2, 3, len(marks))  # a detector of R waves is never exact
    shown = np.stack([trace[m - BEFORE:m + AFTER] for m in marks])
    shown = shown - np.median(shown, 1, keepdims=True)
    steps = shown.reshape(len(shown), -1, STEP)
    rhythm = np.broadcast_to((early - 1)[:, None, None], steps.shape[:2] + (1,))
    return np.concatenate([steps, rhythm], 2).astype(np.float32), kinds


def first_model(seed=5):
    """As random as a model begins: the GRU's three tensors and those of the head."""
    random = np.random.default_rng(seed)
    inputs = STEP + 1
    return {name: value.astype(np.float32) for name, value in {
        "gru.inner": random.normal(0, 1 / np.sqrt(HIDDEN), (3 * HIDDEN, HIDDEN)),
        "gru.outer": random.normal(0, 1 / np.sqrt(inputs), (3 * HIDDEN, inputs)),
        "gru.bias": np.zeros(3 * HIDDEN),
        "head.weight": random.normal(0, 1 / np.sqrt(HIDDEN), (2, HIDDEN)),
        "head.bias": np.zeros(2)}.items()}


def logits(weights, x):
    state, _ = layers.gru(x, weights["gru.inner"], weights["gru.outer"], weights["gru.bias"])
    return layers.dense(state, weights["head.weight"], weights["head.bias"])[0]


def gradients(weights, x, y, each=None):
    """Mean loss, and gradients by name."""
    state, cache = layers.gru(x, weights["gru.inner"], weights["gru.outer"], weights["gru.bias"])
    out, seen = layers.dense(state, weights["head.weight"], weights["head.bias"])
    loss, error = layers.cross_entropy(out, y, each)
    by_state, by_weight, by_bias = layers.dense_back(error, weights["head.weight"], seen)
    found = dict(zip(("gru.inner", "gru.outer", "gru.bias"), layers.gru_back(by_state, weights["gru.inner"], cache)))
    return loss, {**found, "head.weight": by_weight, "head.bias": by_bias}


def pretrained(patients=24, steps=250):
    """The model that the federation begins with: trained on patients of a hospital like A alone."""
    data = [patient(HOSPITALS[0], 10_000 + i) for i in range(patients)]
    x, y = np.concatenate([d[0] for d in data]), np.concatenate([d[1] for d in data])
    weights, adam, random = first_model(), layers.Adam(0.01), np.random.default_rng(1)
    for _ in range(steps):
        chosen = random.integers(0, len(x), 128)
        adam.step(weights, gradients(weights, x[chosen], y[chosen])[1])
    return weights


def sensitivity(weights, data):
    """Of (windows, kinds): the share of extrasystoles that are found, and of normal beats that are left alone."""
    said = logits(weights, data[0]).argmax(1)
    return float((said[data[1] == VENTRICULAR] == VENTRICULAR).mean()), float((said[data[1] == NORMAL] == NORMAL).mean())
