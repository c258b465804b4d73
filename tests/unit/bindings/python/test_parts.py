#!/usr/bin/python3
"""Frozen tensors and those that are a device's own: what leaves the device.

    test_parts.py PACKAGE EXTENSION
"""

import sys
import unittest

import fixture

try:
    import numpy
except ImportError:
    print("skipped: no numpy; install python3-numpy")
    sys.exit(77)

millrace, fake = fixture.load(*sys.argv[1:3])


class Parts(unittest.TestCase):
    """A model of which one tensor is frozen and two are the device's own."""

    def sent(self, head, body, **options):
        """All that leaves a device in two rounds whose own head moves by `head`."""
        config = fixture.device_json(fake.begin(3, 16, 1))
        self.addCleanup(fake.end)
        fake.divide("fc1.bias", "fc2.*", 32)
        seen = []

        def train(weights, task):
            self.assertEqual([name for name, part in task.parts.items() if part == "personal"], ["fc2.weight", "fc2.bias"])
            seen.append(weights["fc2.bias"].copy())
            return {name: values + (body if task.parts[name] == "trained" else head) for name, values in weights.items()}, \
                10, {"loss": 0.5}

        with millrace.Client(config, **options) as client:
            for _ in range(2):
                self.assertEqual(client.round(train, 1).result, "committed")
                fake.set("newer_model", 1)
        numpy.testing.assert_allclose(seen[1], seen[0] + head, rtol=1e-5)
        return fake.sent()

    def test_what_leaves_is_the_same(self):
        """Bit by bit, whatever the heads of two devices; chance is the same in each federation of one seed."""
        for transport in ("udp", "http2"):
            first = self.sent(-0.5, 0.01, transport=transport)
            self.assertEqual(first, self.sent(77.0, 0.01, transport=transport))
            self.assertNotEqual(first, self.sent(-0.5, -0.01, transport=transport))
            self.assertGreater(len(first), 2 * 2 * 32)


if __name__ == "__main__":
    unittest.main(argv=sys.argv[:1])
