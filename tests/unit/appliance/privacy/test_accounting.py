#!/usr/bin/env python3
"""The accountant beside others': PyPI's dp-accounting, and Flower's accountant on top of it.

  [MILLRACE_ACCOUNTING=DIR] test_accounting.py DP_ANSWERS MILLRACE BUILD

Random compositions: RDP to 1e-6, epsilon in force within 0.999 and 1.02 of the PLD figure. And what a
hub adds, beside what Flower asks for at the same epsilon of the device that is in most rounds. The packages
are small without what they need, which is Debian's here (python3-scipy, python3-mpmath, python3-attr); they come from PyPI,
once, into a folder of the build. Where MILLRACE_ACCOUNTING names another folder there are 500 compositions, which
take minutes, and otherwise a few. Ends with 77 where packages cannot be had."""

import argparse
import importlib.util
import json
import math
import os
import random
import subprocess
import sys

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), *[".."] * 3, "system", "python"))
import pypi  # noqa: E402 pylint: disable=wrong-import-position

PACKAGES = ["dp-accounting==0.6.0", "absl-py==2.3.1", "dm-tree==0.1.9", "wrapt==1.17.3", "flwr==1.42.0"]
ONE = 1 << 40
CASES, FEW_CASES = 500, 12


def skip(why):
    print(f"skipped: {why}")
    sys.exit(77)


def ask(program, questions):
    done = subprocess.run([program], input="\n".join(questions) + "\n", capture_output=True, text=True,
                          check=True)
    return done.stdout.splitlines()


def cases(seed, count):
    """(delta, [(z, count), ...]): Gaussian releases, each of so many rounds."""
    chance = random.Random(seed)
    made = []
    while len(made) < count:
        rounds = [(math.exp(chance.uniform(math.log(0.8), math.log(60))), chance.randint(1, 60))
                  for _ in range(chance.randint(1, 5))]
        rho = sum(count / (2 * z * z) for z, count in rounds)
        if 1e-3 < rho < 20:
            made.append((10 ** -chance.uniform(3, 10), rounds))
    return made


def their_figures(given):
    """Runs inside the environment: RDP and PLD of each case."""
    from dp_accounting import dp_event, pld, rdp  # pylint: disable=import-outside-toplevel
    orders = list(range(2, 129)) + [256]
    figures = []
    for delta, rounds in given:
        renyi, exact = rdp.RdpAccountant(orders), pld.PLDAccountant(value_discretization_interval=1e-3)
        for z, count in rounds:
            for accountant in (renyi, exact):
                accountant.compose(dp_event.GaussianDpEvent(z), count)
        figures.append((renyi.get_epsilon(delta), exact.get_epsilon(delta)))
    return figures


def flowers_accountant():
    """Its package of accountants by itself: all of Flower would need all of Flower's needs."""
    folder = os.path.join(importlib.util.find_spec("flwr").submodule_search_locations[0], "supercore",
                          "privacy_accounting")
    spec = importlib.util.spec_from_file_location("flower_accounting", os.path.join(folder, "__init__.py"),
                                                  submodule_search_locations=[folder])
    package = sys.modules["flower_accounting"] = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(package)
    return package, importlib.import_module("flower_accounting.rdp_accountant").RdpAccountant


def their_noise(asked):
    """Likewise: what Flower asks for, of each (epsilon, delta, rounds): the least noise multiplier."""
    flower, RdpAccountant = flowers_accountant()

    def epsilon(z, delta, rounds):
        config = flower.PrivacyConfig(
            target_delta=delta, population_size=1000,
            neighboring_relation=flower.NeighboringRelation.ADD_OR_REMOVE_ONE,
            sampling_method=flower.SamplingMethod.NO_AMPLIFICATION)
        accountant = RdpAccountant(config)
        accountant.compose(flower.GaussianPrivacyEvent(z, 100, 1000), rounds)
        return accountant.get_epsilon(delta)

    found = []
    for wanted, delta, rounds in asked:
        low, high = 0.01, 10000.0
        while high / low > 1 + 1e-6:
            z = math.sqrt(low * high)
            low, high = (low, z) if epsilon(z, delta, rounds) <= wanted else (z, high)
        found.append(high)
    return found


def inside(python, what, given):
    done = subprocess.run([python, os.path.abspath(__file__), "--inside", what], input=json.dumps(given),
                          capture_output=True, text=True, check=False, timeout=1500)
    if done.returncode != 0:
        sys.exit(f"{what}: {done.stderr[-1500:]}")
    return json.loads(done.stdout)


def compare(program, python, count):
    given = cases(20261130, count)
    theirs = inside(python, "figures", given)
    questions = []
    for delta, rounds in given:
        rho = sum(count / (2 * z * z) for z, count in rounds)
        # RDP as it comes; what is stored is each release rounded up to a unit.
        units = sum(count * math.ceil(ONE / (2 * z * z)) for z, count in rounds)
        questions += [f"rdp {delta!r} {rho!r}", f"epsilon 1 {delta!r} {units}"]
    answers = ask(program, questions)
    worst = [0, math.inf, 0]
    for i, (renyi, exact) in enumerate(theirs):
        ours = float(answers[2 * i].split()[0])
        ratio = float(answers[2 * i + 1]) / exact
        worst = [max(worst[0], abs(ours / renyi - 1)), min(worst[1], ratio), max(worst[2], ratio)]
    print(f"{len(theirs)} compositions: RDP differs by {worst[0]:.2g} at most; epsilon in force is "
          f"{worst[1]:.5f} to {worst[2]:.5f} of PLD's")
    assert worst[0] <= 1e-6 and worst[1] >= 0.999 and worst[2] <= 1.02, worst


def beside_flower(millrace, python):
    asked = [(e, d, r) for e in (0.5, 2, 8) for d, r in ((1e-6, 100), (1e-5, 1000), (1e-8, 50))]
    theirs = inside(python, "noise", asked)
    worst = 0
    for (epsilon, delta, rounds), z in zip(asked, theirs):
        words = [millrace, "dp", "plan", "--json", "--epsilon", epsilon, "--delta", delta, "--rounds", rounds,
                 "--participation", 0.1, "--devices", 500, "--dimension", 100000]
        done = subprocess.run([str(w) for w in words], capture_output=True, text=True, check=True)
        plan = json.loads(done.stdout)
        own, of_all = plan["noise_multiplier"], plan["noise_multiplier_of_all_hubs"]
        worst = max(worst, own / z)
        print(f"epsilon {epsilon}, delta {delta}, {rounds} rounds, a device in one of ten: Flower asks for "
              f"{z:.4f}, each hub adds {own:.4f} ({own / z:.3f}), both together {of_all:.4f} ({of_all / z:.3f})")
        assert plan["epsilon"] <= epsilon
    assert worst <= 0.33, worst


def main():
    if sys.argv[1:2] == ["--inside"]:
        answer = their_figures if sys.argv[2] == "figures" else their_noise
        json.dump(answer(json.load(sys.stdin)), sys.stdout)
        return
    parser = argparse.ArgumentParser()
    parser.add_argument("program")
    parser.add_argument("millrace")
    parser.add_argument("build")
    options = parser.parse_args()
    missing = [name for name in ("scipy", "mpmath", "attr") if importlib.util.find_spec(name) is None]
    if missing:
        skip(f"no {', '.join(missing)}; install python3-{', python3-'.join(missing)}")
    try:
        python = pypi.interpreter("MILLRACE_ACCOUNTING", PACKAGES, "--no-deps", otherwise=os.path.join(options.build, "pypi-accounting"),
                                  system_site_packages=True)
    except pypi.Missing as reason:
        skip(reason)
    beside_flower(options.millrace, python)
    compare(options.program, python, CASES if "MILLRACE_ACCOUNTING" in os.environ else FEW_CASES)


if __name__ == "__main__":
    main()
