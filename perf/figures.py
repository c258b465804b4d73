"""Figures of a bench that is written in Python: the document that perf/figures.h describes.

perf/figures.h is the contract; here is the same shape for benches that drive whole processes.
"""

import json
import statistics
import sys

SKIP = 77


class Skip(Exception):
    """The machine lacks what the bench needs; the text says what."""


class Figures:
    """Named figures with all their samples, and the circumstances they hold under."""

    def __init__(self, bench):
        self.document = {"bench": bench, "checked": False, "context": {}, "figures": []}
        self.by_name = {}

    def context(self, **pairs):
        self.document["context"].update(pairs)

    def sample(self, name, unit, value, better="neither", target=None, of=None):
        """One sample more of that figure."""
        if name not in self.by_name:
            figure = {"name": name, "unit": unit, "better": better, "samples": []}
            if target is not None:
                figure["target"] = target
            if of is not None:
                figure["of"] = of
            self.by_name[name] = figure
            self.document["figures"].append(figure)
        self.by_name[name]["samples"].append(value)

    def median(self, name):
        return statistics.median(self.by_name[name]["samples"])

    def checked(self):
        """Every result so far was compared with what it must be, and was right."""
        self.document["checked"] = True

    def write(self, path):
        """Prints the table; writes the document unless `path` is None."""
        print("context: " + ", ".join(f"{k}={v}" for k, v in self.document["context"].items()))
        for figure in self.document["figures"]:
            samples = sorted(figure["samples"])
            target = f"  (target {figure['target']:g})" if "target" in figure else ""
            print(f"  {figure['name']:<46} {statistics.median(samples):14,.4f} {figure['unit']:<9}"
                  f" ({samples[0]:,.4f} to {samples[-1]:,.4f}, {len(samples)} samples){target}")
        if path is not None:
            with open(path, "w", encoding="utf-8") as f:
                json.dump(self.document, f, indent=1)
                f.write("\n")


def run(main):
    """Runs a bench's main; a Skip becomes exit code 77 with the reason."""
    try:
        return main()
    except Skip as skip:
        print(f"skipped: {skip}", file=sys.stderr)
        return SKIP
