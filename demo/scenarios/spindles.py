"""Synthetic vibration of machine tools' spindles, and the small 1-D CNN that tells what is wrong with one.

What a sensor at the spindle hears is put together from its physics, at RATE samples a second:

- the shaft's turning (unbalance at 1x, misalignment at 2x) and the teeth of the cutter that enter the work;
- a bearing's defect: each passing of a rolling element over it is a blow that lets the housing ring, an exponentially
  decaying sine of 2 to 3.4 kHz. With n elements of diameter d on a pitch circle D the blows come, in parts of the shaft's turns,
  at n/2 (1 - d/D) for a defect of the outer race, at n/2 (1 + d/D) for one of the inner race, whose blows grow and fade
  as it turns through the load, once a turn (Randall, Antoni, Mech. Syst. Signal Process. 25, 2011). Slip moves each blow by a
  per cent;
- noise of the process.

Each machine has its own speed, cutter, bearing wear, ringing and loudness. A window of 0.25 s becomes the spectrum of its
envelope, in orders of the shaft, as maintenance does it by eye: BINS logarithms, less their mean.
"""

import numpy as np

import layers

RATE, WINDOW = 8192, 2048
ELEMENTS, RATIO = 9, 0.24  # of the bearing, and d/D
BPFO, BPFI = ELEMENTS / 2 * (1 - RATIO), ELEMENTS / 2 * (1 + RATIO)
ORDERS, BINS = 16, 64
SOUND, UNBALANCED, OUTER, INNER = 0, 1, 2, 3  # INNER is the new fault
KNOWN = (SOUND, UNBALANCED, OUTER)
CLASSES = 4
FILTERS = 4


class Spindle:
    """A machine, the same whenever it is made of the same number."""

    def __init__(self, number):
        own = np.random.default_rng((17, number))
        self.turns = own.uniform(60, 110)  # a second
        self.teeth = int(own.integers(3, 8))
        self.ringing = own.uniform(2000, 3400)  # Hz
        self.decay = own.uniform(400, 900)  # 1/s
        self.cutting = own.uniform(0.2, 0.6)
        self.noise = own.uniform(0.2, 0.4)
        self.blow = own.uniform(1.4, 2.4)

    def blows(self, clock, order, loaded, random):
        """The ringing after each blow of a defect."""
        period = 1 / (order * self.turns)
        begin = np.arange(-5 * period, clock[-1], period) + random.uniform(0, period)
        begin = begin + 0.01 * period * random.normal(size=len(begin))
        strength = self.blow * (1 + 0.1 * random.normal(size=len(begin)))
        if loaded:
            strength = strength * (1 + np.cos(2 * np.pi * self.turns * begin)) * 0.7
        train = np.zeros(len(clock))
        at = np.round(begin * RATE).astype(int)
        inside = (at >= 0) & (at < len(clock))
        np.add.at(train, at[inside], strength[inside])
        after = clock[:200]
        ring = np.exp(-self.decay * after) * np.sin(2 * np.pi * self.ringing * after)
        return np.convolve(train, ring)[:len(clock)]

    def window(self, fault, random):
        """WINDOW samples in arbitrary units."""
        clock = np.arange(WINDOW) / RATE
        angle = 2 * np.pi * self.turns * clock + random.uniform(0, 2 * np.pi)
        signal = (2.0 if fault == UNBALANCED else 0.3) * np.cos(angle) + 0.15 * np.cos(2 * angle + 1)
        signal += self.cutting * (1 + 0.3 * np.cos(angle)) * np.cos(self.teeth * angle)
        signal += self.noise * random.normal(size=WINDOW)
        if fault in (OUTER, INNER):
            signal += self.blows(clock, BPFO if fault == OUTER else BPFI, fault == INNER, random)
        return signal

    def spectra(self, fault, count, random):
        """So many windows as [count, 1, BINS]."""
        return features(np.stack([self.window(fault, random) for _ in range(count)]), self.turns)


def features(signals, turns):
    """The spectrum of the squared envelope above 1 kHz, beside that of the signal, in orders; half of the bins each."""
    spectrum = np.fft.rfft(signals * np.hanning(WINDOW))
    high = spectrum.copy()
    high[:, :1000 * WINDOW // RATE] = 0
    full = np.zeros(signals.shape, complex)
    full[:, :high.shape[1]] = 2 * high
    envelope = np.abs(np.fft.ifft(full))**2
    envelope = np.abs(np.fft.rfft(envelope - envelope.mean(1, keepdims=True)))
    both = np.concatenate([in_orders(np.abs(spectrum), turns, ORDERS / 2, BINS // 4),
                           in_orders(envelope, turns, ORDERS, BINS - BINS // 4)], 1)
    return both[:, None, :].astype(np.float32)


def in_orders(spectrum, turns, orders, bins):
    frequency = np.fft.rfftfreq(WINDOW, 1 / RATE) / turns
    place = np.floor(frequency / orders * bins).astype(int)
    found = np.stack([np.log(spectrum[:, place == b].max(1) + 1e-3) for b in range(bins)], 1)
    return (found - found.mean(1, keepdims=True)) / 2


def first_model(seed=3):
    random = np.random.default_rng(seed)
    places = ((BINS - 5) // 2 + 1 - 3) // 2 + 1
    return {name: value.astype(np.float32) for name, value in {
        "conv1.weight": random.normal(0, 0.45, (FILTERS, 1, 5)), "conv1.bias": np.zeros(FILTERS),
        "conv2.weight": random.normal(0, 0.4, (FILTERS, FILTERS, 3)), "conv2.bias": np.zeros(FILTERS),
        "head.weight": random.normal(0, 0.1, (CLASSES, FILTERS * places)), "head.bias": np.zeros(CLASSES)}.items()}


def forward(weights, x):
    first, cache1 = layers.conv1d(x, weights["conv1.weight"], weights["conv1.bias"], 2)
    first, positive1 = layers.relu(first)
    second, cache2 = layers.conv1d(first, weights["conv2.weight"], weights["conv2.bias"], 2)
    second, positive2 = layers.relu(second)
    flat = second.reshape(len(x), -1)
    return layers.dense(flat, weights["head.weight"], weights["head.bias"])[0], (cache1, positive1, cache2, positive2, flat)


def gradients(weights, x, y, each=None):
    """Mean loss, and gradients by name."""
    out, (cache1, positive1, cache2, positive2, flat) = forward(weights, x)
    loss, error = layers.cross_entropy(out, y, each)
    found = {}
    error, found["head.weight"], found["head.bias"] = layers.dense_back(error, weights["head.weight"], flat)
    error = layers.relu_back(error.reshape(positive2.shape), positive2)
    error, found["conv2.weight"], found["conv2.bias"] = layers.conv1d_back(error, weights["conv2.weight"], cache2)
    error = layers.relu_back(error, positive1)
    _, found["conv1.weight"], found["conv1.bias"] = layers.conv1d_back(error, weights["conv1.weight"], cache1)
    return loss, found


def labelled(machines, kinds, count, seed):
    """Spectra and labels of `count` windows of each kind from each machine."""
    x, y = [], []
    for number in machines:
        random, spindle = np.random.default_rng((seed, number)), Spindle(number)
        for kind in kinds:
            x.append(spindle.spectra(kind, count, random))
            y.append(np.full(count, kind))
    return np.concatenate(x), np.concatenate(y)


def pretrained(machines=24, steps=300):
    """The model that the federation begins with: it knows all but the new fault."""
    x, y = labelled(range(5000, 5000 + machines), KNOWN, 12, 1)
    weights, adam, random = first_model(), layers.Adam(0.01), np.random.default_rng(2)
    spare = {name: weights[name][INNER].copy() for name in ("head.weight", "head.bias")}
    for name in spare:  # a class that does not occur would be learned as one that cannot
        weights[name] = weights[name][:INNER]
    for _ in range(steps):
        chosen = random.integers(0, len(x), 64)
        adam.step(weights, gradients(weights, x[chosen], y[chosen])[1])
    for name, row in spare.items():
        weights[name] = np.concatenate([weights[name], 0 * row[None]])
    return weights


def said(weights, x):
    return forward(weights, x)[0].argmax(1)
