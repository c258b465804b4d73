#!/usr/bin/python3
"""What the scenarios' synthetic data are said to be, and the search that looks for them on disks.

    test_generators.py DEMO
"""

import os
import sys
import tempfile
import unittest

try:
    import numpy as np
except ImportError:
    print("skipped: no numpy; install python3-numpy")
    sys.exit(77)

sys.path[:0] = [os.path.join(sys.argv[1], "scenarios"), sys.argv[1]]
import ecg_patches  # noqa: E402 pylint: disable=wrong-import-position
import frames  # noqa: E402 pylint: disable=wrong-import-position
import quantise  # noqa: E402 pylint: disable=wrong-import-position
import search  # noqa: E402 pylint: disable=wrong-import-position
import spindles  # noqa: E402 pylint: disable=wrong-import-position


def slope_agrees(case, module, weights, x, y):
    """Gradients of a model by each of its tensors, along a random direction, against differences."""
    random = np.random.default_rng(1)
    weights = {name: value.astype(float) + 0.1 * random.normal(size=value.shape) for name, value in weights.items()}
    found = module.gradients(weights, x.astype(float), y)[1]
    case.assertEqual(set(found), set(weights))
    for name, value in weights.items():
        along = random.normal(size=value.shape)
        losses = []
        for step in (1e-6, -1e-6):
            losses.append(module.gradients({**weights, name: value + step * along}, x.astype(float), y)[0])
        case.assertAlmostEqual((found[name] * along).sum(), (losses[0] - losses[1]) / 2e-6, places=6, msg=name)


class Hearts(unittest.TestCase):
    def test_a_patient_is_the_same_again_and_no_other(self):
        one, again = (ecg_patches.patient(ecg_patches.HOSPITALS[0], 3, 12) for _ in range(2))
        np.testing.assert_array_equal(one[0], again[0])
        self.assertFalse(np.array_equal(one[0], ecg_patches.patient(ecg_patches.HOSPITALS[0], 4, 12)[0]))
        self.assertEqual(one[0].shape, (12, 25, ecg_patches.STEP + 1))

    def test_extrasystoles_come_early(self):
        for hospital in ecg_patches.HOSPITALS:
            x, y = ecg_patches.patient(hospital, 1, 200)
            early = x[:, 0, -1]
            follows = np.append(False, y[:-1] == ecg_patches.VENTRICULAR) # after a pause a beat is late
            self.assertLess(early[(y == ecg_patches.VENTRICULAR) & ~follows].max(), -0.1)
            self.assertGreater(early[(y == ecg_patches.NORMAL) & ~follows].min(), -0.2)

    def test_the_model_s_gradients(self):
        slope_agrees(self, ecg_patches, ecg_patches.first_model(), *ecg_patches.patient(ecg_patches.HOSPITALS[1], 1, 6))


class Spindles(unittest.TestCase):
    def test_a_defect_s_line_is_where_its_bearing_says(self):
        for number in range(3):
            spindle, random = spindles.Spindle(number), np.random.default_rng(number)
            spindle.noise, spindle.cutting = 0.05, 0.05
            bins = spindles.BINS - spindles.BINS // 4
            for fault, order in ((spindles.OUTER, spindles.BPFO), (spindles.INNER, spindles.BPFI)):
                envelope = spindle.spectra(fault, 4, random)[:, 0, -bins:].mean(0)
                line = int(order / spindles.ORDERS * bins)
                self.assertIn(line, np.argsort(envelope)[-6:], f"machine {number}, order {order}")

    def test_a_machine_is_the_same_again(self):
        one, again = (spindles.labelled([5], (spindles.OUTER,), 2, 1) for _ in range(2))
        np.testing.assert_array_equal(one[0], again[0])
        self.assertEqual(one[0].shape, (2, 1, spindles.BINS))

    def test_the_model_s_gradients(self):
        slope_agrees(self, spindles, spindles.first_model(), *spindles.labelled([2], spindles.KNOWN, 2, 1))


class Frames(unittest.TestCase):
    def test_digits_are_those_of_the_file_and_nobody_has_another_s(self):
        pools = [frames.digits(part) for part in (frames.MAKERS, frames.ROBOTS, frames.JUDGES)]
        whole = frames.digits(slice(None))
        for digit in range(frames.PARTS):
            self.assertEqual(sum(len(pool[digit]) for pool in pools), len(whole[digit]))
            self.assertGreater(min(len(pool[digit]) for pool in pools), 20)

    def test_a_place_shows_what_it_is_said_to(self):
        places, kinds = frames.Camera(1, frames.digits(frames.ROBOTS)).frames(40)
        brightness = places.mean((1, 2))
        self.assertGreater(brightness[kinds > 0].mean(), brightness[kinds == 0].mean() + 0.1)

    def test_the_model_s_gradients(self):
        slope_agrees(self, frames, frames.first_model(), *frames.Camera(2, frames.digits(frames.ROBOTS)).frames(2))

    def test_what_is_on_the_grid_stays_there(self):
        value = np.random.default_rng(1).normal(size=(5, 7)).astype(np.float32)
        once = quantise.fake(value)
        np.testing.assert_array_equal(once, quantise.fake(once))
        self.assertLessEqual(np.abs(once - value).max(), quantise.step_of(value) / 2 + 1e-6)


class Search(unittest.TestCase):
    def setUp(self):
        self.folder = self.enterContext(tempfile.TemporaryDirectory())
        self.lanes = np.random.default_rng(1).integers(-60, 60, 200)

    def write(self, data):
        with open(os.path.join(self.folder, "file"), "wb") as f:
            f.write(data)

    def found(self, **sought):
        return search.search(search.needles(**sought), self.folder)[2]

    def test_lanes_are_found_however_they_are_written(self):
        for data, _ in search.forms_of_lanes(self.lanes):
            self.write(os.urandom(1001) + data[40:] + os.urandom(77))
            self.assertGreater(self.found(lanes=[self.lanes]), 5)

    def test_floats_are_found_across_the_parts_of_a_file(self):
        values = np.random.default_rng(2).normal(size=4).astype(np.float32)
        self.write(bytes(search.PART - 7) + values.tobytes())
        self.assertEqual(self.found(floats=[values]), 1)

    def test_what_is_masked_is_not(self):
        masked = (self.lanes + np.random.default_rng(3).integers(0, 65536, 200)).astype("<u2")
        self.write(masked.tobytes())
        self.assertEqual(self.found(lanes=[self.lanes]), 0)


if __name__ == "__main__":
    unittest.main(argv=sys.argv[:1])
