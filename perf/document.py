"""What a run of the benches is as one document: merging, medians and spreads, verdicts, comparing.

No clock, no process, no file: tests/unit/perf/ tests all of it.

  {"format": 1, "machine": {...}, "quick": false,
   "benches": [{"bench", "context", "seconds", "figures": [{"name", "unit", "better", "target",
                "of", "median", "spread", "samples"}, ...]}, ...],
   "skipped": [{"bench", "reason"}, ...], "failed": [{"bench", "reason"}, ...]}

The spread is 1.4826 times the median absolute deviation from the median: what a standard deviation
would be if the samples were normal, but a few wild ones do not move it.
"""

import math
import statistics

FORMAT = 1
SAMPLES_MIN = 7  # of a full run; a quick one may have fewer
# Benches whose sample is a whole federation, or a count that every run has alike.
FEW = {"kept": 1, "cost": 2}
SIGMAS = 3
FLOOR = 0.05


class BadDocument(Exception):
    """A document that cannot be used; the text says what, why and the remedy."""


def spread_of(samples):
    median = statistics.median(samples)
    return 1.4826 * statistics.median(abs(x - median) for x in samples)


def _summary(bench, figure, quick):
    samples = figure.get("samples")
    name = figure.get("name", "a figure without a name")
    if not samples or not all(isinstance(x, (int, float)) and math.isfinite(x) for x in samples):
        raise BadDocument(f"{bench}: {name} has no samples, or some that are no numbers")
    if figure.get("better") not in ("higher", "lower", "neither"):
        raise BadDocument(f"{bench}: {name} does not say which way is better")
    if figure["better"] != "neither" and not quick and len(samples) < FEW.get(bench, SAMPLES_MIN):
        raise BadDocument(f"{bench}: {name} has {len(samples)} samples; a full run takes "
                          f"{FEW.get(bench, SAMPLES_MIN)} or more")
    return {**figure, "median": statistics.median(samples), "spread": spread_of(samples)}


def summarise(document, quick):
    """A bench program's document with medians and spreads; refuses one whose sums nobody checked."""
    bench = document.get("bench", "?")
    if document.get("checked") is not True:
        raise BadDocument(f"{bench}: its results were not checked, so no figure of it counts")
    return {"bench": bench, "context": document.get("context", {}),
            "figures": [_summary(bench, f, quick) for f in document.get("figures", [])]}


def merge(machine, quick, benches, skipped, failed):
    """One document of all; a figure's name may occur once."""
    seen = {}
    for bench in benches:
        for figure in bench["figures"]:
            other = seen.setdefault(figure["name"], bench["bench"])
            if other != bench["bench"] or sum(
                    f["name"] == figure["name"] for f in bench["figures"]) > 1:
                raise BadDocument(f"{figure['name']} is in {other} and in {bench['bench']}: "
                                  "a figure's name must be unique")
    return {"format": FORMAT, "machine": machine, "quick": quick, "benches": benches,
            "skipped": skipped, "failed": failed}


def verdict(figure):
    """'met', 'short', or '' where nothing is asked."""
    target = figure.get("target")
    if target is None or figure["better"] == "neither":
        return ""
    if figure["better"] == "higher":
        return "met" if figure["median"] >= target else "short"
    return "met" if figure["median"] <= target else "short"


def figures_of(document):
    """All figures by name, in order."""
    if document.get("format") != FORMAT:
        raise BadDocument(f"this is no document of ./run bench in format {FORMAT}: write it again "
                          "with ./run bench --json FILE")
    return {f["name"]: f for bench in document["benches"] for f in bench["figures"]}


def compare(before, after):
    """What changed beyond the noise, as (name, 'slower' | 'faster' | 'gone' | 'new', change).

    A figure changed when its medians differ by more than SIGMAS times both spreads together (the
    root of their squares' sum) and by more than FLOOR of the first median: the spread of one run
    says nothing of what differs between runs, such as which physical pages it was given. `change`
    is after / before - 1, None where one of them is missing. Figures that only describe are left
    out."""
    a, b = figures_of(before), figures_of(after)
    changes = [(name, "gone", None) for name in a if name not in b]
    changes += [(name, "new", None) for name in b if name not in a]
    for name in a:
        if name not in b or a[name]["better"] == "neither":
            continue
        difference = b[name]["median"] - a[name]["median"]
        noise = SIGMAS * math.hypot(a[name]["spread"], b[name]["spread"])
        if abs(difference) <= max(noise, FLOOR * abs(a[name]["median"])):
            continue
        better = (difference > 0) == (a[name]["better"] == "higher")
        change = difference / a[name]["median"] if a[name]["median"] != 0 else math.inf
        changes.append((name, "faster" if better else "slower", change))
    return changes
