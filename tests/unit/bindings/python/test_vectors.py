#!/usr/bin/python3
"""100 shares: what Python sends, what C sends and what the oracle computes are the same bytes.

    test_vectors.py PACKAGE EXTENSION ORACLE
    test_vectors.py PACKAGE EXTENSION --to FILE    leaves the oracle's part to …
    test_vectors.py --from FILE ORACLE             … another machine's Python
"""

import os
import pickle
import struct
import sys
import tempfile

import fixture

try:
    import numpy
except ImportError:
    print("skipped: no numpy; install python3-numpy")
    sys.exit(77)

CASES = 100
CLIENT = bytes(range(16))


def dumped(folder):
    """(q, trailer) of the one dump in the folder, which is taken away."""
    (name,) = [n for n in os.listdir(folder) if n.endswith(".bin")]
    path = os.path.join(folder, name)
    with open(path, "rb") as f:
        data = f.read()
    os.remove(path)
    lanes = struct.unpack_from("<I", data, 24)[0]
    return struct.unpack_from(f"<{lanes}b", data, 80), struct.unpack_from("<16I", data, 80 + lanes)


def load_oracle(folder):
    sys.path.insert(0, folder)
    try:
        import millrace_oracle
    except ImportError as missing:
        print(f"skipped: {missing}; install python3-cryptography")
        sys.exit(77)
    return millrace_oracle


def of_the_oracle(oracle, arrived, q, trailer):
    layout = oracle.Layout({**arrived, "kind": 0, "metrics": []})
    masks = [oracle.mask_bytes(layout, seed, oracle.scope(arrived["task"].encode(), arrived["announcement_hash"], CLIENT,
                                                          hub, arrived["attempt"]))
             for hub, seed in arrived["seeds"]]
    return oracle.lead_share(layout, q, trailer, masks)


def cases(package, extension):
    """Yields (what arrived of Python's, q, trailer), Python's and C's shares compared."""
    millrace, fake = fixture.load(package, extension)
    random = numpy.random.default_rng(5)
    for case in range(CASES):
        hubs, ring_bits, transport = 2 + case % 4, (16, 24, 32, 12)[case % 4], 1 + case // 50
        with tempfile.TemporaryDirectory(prefix="millrace-vectors-") as dumps:
            new = {}

            def train(weights, task):
                for name, values in weights.items():
                    new[name] = values + random.normal(0, 10.0 ** random.uniform(-1.5, 0), values.shape)
                new["order"] = [name for name, _, _, _ in task.tensors]
                return {name: new[name] for name in reversed(new["order"])}, 7, {"loss": 0.25}

            fake_dir = fake.begin(hubs, ring_bits, case)
            with millrace.Client(fixture.device_json(fake_dir), dump_dir=dumps,
                                 transport=("auto", "udp", "http2")[transport]) as client:
                outcome = client.round(train, 1)
            q, trailer = dumped(dumps)
        python = fake.arrived()
        flat = numpy.concatenate([new[name].astype("<f4").reshape(-1) for name in new["order"]])
        fake.begin(hubs, ring_bits, case)
        result = fake.c_round(flat.tobytes(), transport)
        c = fake.arrived()
        if outcome.result != "committed" or result != "committed":
            sys.exit(f"case {case}: Python {outcome.result}, C {result}: {outcome.text}")
        if python["share"] != c["share"] or python["seeds"] != c["seeds"]:
            sys.exit(f"case {case}: Python's share is not C's")
        yield python, q, trailer
    fake.end()


def judge(all_cases, oracle):
    seen = set()
    for case, (python, q, trailer) in enumerate(all_cases):
        if python["share"] != of_the_oracle(oracle, python, q, trailer):
            sys.exit(f"case {case}: the share is not the oracle's")
        seen.add(python["share"])
    print(f"{len(seen)} shares of {CASES} cases are the same from Python, C and the oracle")
    return 0 if len(seen) == CASES else 1


def main(first, second, third, fourth=None):
    if first == "--from":
        with open(second, "rb") as f:
            return judge(pickle.load(f), load_oracle(third))
    if third == "--to":
        with open(fourth, "wb") as f:
            pickle.dump(list(cases(first, second)), f)
        return 0
    return judge(cases(first, second), load_oracle(third))


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
