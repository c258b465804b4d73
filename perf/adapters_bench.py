#!/usr/bin/env python3
"""What Python's adapters cost beside the training itself: adapters_bench.py [--quick] [--json FILE] [--build DIR]

A model of 1.1 million values, a round of 32 steps. Flower, JAX and LiteRT where MILLRACE_FLOWER, MILLRACE_JAX and MILLRACE_LITERT
name the folders that the tests in tests/system/python/ make; the others where Debian's packages are."""

import argparse
import json
import os
import subprocess
import sys

HERE = os.path.dirname(os.path.abspath(__file__))
sys.path.insert(0, HERE)

import adapters_steps  # noqa: E402
from figures import Figures, Skip, run  # noqa: E402

SAMPLES, QUICK_SAMPLES = 9, 3
STEP_MAX, MEMORY_MAX = 1.05, 1.2
ENVIRONMENT = {"OMP_NUM_THREADS": "1", "OPENBLAS_NUM_THREADS": "1", "NPROC": "1",
               "XLA_FLAGS": "--xla_cpu_multi_thread_eigen=false", "PYTHONNOUSERSITE": "1"}
# For memory no block is kept for later: what is resident is what is in use. It costs time.
ALLOCATOR = {"steps": {}, "memory": {"MALLOC_MMAP_THRESHOLD_": "65536", "MALLOC_TRIM_THRESHOLD_": "0"}}


def interpreter(name):
    if name not in ("flower", "jax", "litert"):
        return "/usr/bin/python3"
    folder = os.environ.get(f"MILLRACE_{name.upper()}")
    return os.path.join(folder, "bin", "python") if folder else None


def measured(build, name, samples, what):
    """The subject's document, or None; and why not."""
    python = interpreter(name)
    if python is None:
        return None, f"MILLRACE_{name.upper()} names no folder"
    done = subprocess.run([python, os.path.join(HERE, "adapters_steps.py"), os.path.join(build, "bindings", "python"), name,
                           str(samples), what], env={**os.environ, **ENVIRONMENT, **ALLOCATOR[what]}, stdin=subprocess.DEVNULL, capture_output=True,
                          text=True, check=False)
    if done.returncode == 77:
        return None, done.stderr.strip().splitlines()[-1]
    if done.returncode != 0:
        raise RuntimeError(f"adapters_steps.py {name}: {done.stderr[-2000:]}")
    return json.loads(done.stdout), None


def note(figures, name, steps, memory):
    for (bare, adapted), (before, after) in zip(steps["pairs"], memory["pairs"]):
        figures.sample(f"adapters.{name}.step_ms", "ms", 1e3 * bare / adapters_steps.STEPS, "neither", None, "CPU of a step without it")
        figures.sample(f"adapters.{name}.step_ratio", "ratio", adapted / bare, "lower", STEP_MAX,
                       "CPU of a round's 32 steps with it / without")
        figures.sample(f"adapters.{name}.round_ms", "ms", 1e3 * (adapted - bare), "neither", None, "what it adds to a round")
        figures.sample(f"adapters.{name}.memory_of_model", "ratio", (after - before) / memory["model_bytes"], "lower", MEMORY_MAX,
                       "peak of a round with it, beyond that without / the model's bytes")


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n", 1)[0])
    parser.add_argument("--quick", action="store_true", help="fewer samples")
    parser.add_argument("--json", help="write the figures there")
    parser.add_argument("--build", default=os.path.join(HERE, "..", "build-release"), help="a release build")
    options = parser.parse_args()
    figures = Figures("adapters")
    figures.context(parameters=adapters_steps.PARAMETERS, steps=adapters_steps.STEPS, batch=adapters_steps.BATCH)
    reasons = []
    for name in adapters_steps.SUBJECTS:
        samples = QUICK_SAMPLES if options.quick else SAMPLES
        steps, reason = measured(os.path.abspath(options.build), name, samples, "steps")
        if steps:
            note(figures, name, steps, measured(os.path.abspath(options.build), name, samples, "memory")[0])
        else:
            reasons.append(reason)
            figures.context(**{f"without_{name}": reason})
    if not figures.document["figures"]:
        raise Skip("; ".join(reasons))
    figures.checked() # every subject's arrays came back
    figures.write(options.json)
    return 0


if __name__ == "__main__":
    sys.exit(run(main))
