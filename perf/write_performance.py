#!/usr/bin/env python3
"""Writes docs/performance.md and its pictures from a document of ./run bench.

usage: perf/write_performance.py [BENCH.json [PAGE]]    (out/bench/bench.json performance)

PAGE is the name below docs/, for figures of another machine than the main page's.
"""

import json
import os
import sys
import textwrap

HERE = os.path.dirname(os.path.abspath(__file__))
sys.path.insert(0, HERE)

import cost_table
import document
import plots
from bench import OUT, load, number
from benches import bench_named
from peers import table as peers_table

DOCS = os.path.join(HERE, "..", "docs")
PAGE = "performance"  # its pictures are in a folder of that name beside it
TABLES = {"peers": peers_table.markdown, "cost": cost_table.markdown}  # a bench's own, above that of its figures

# Title, and where the other machine's page is.
PAGES = {
    PAGE: ("Performance", "The same benches on a Zen 5, later and more of them: [performance-zen5.md](performance-zen5.md)."),
    "performance-zen5": ("Performance on a Zen 5", "The same on a Zen 4, earlier and fewer of them: [performance.md](performance.md)."),
}

HEAD = """# {title}

Written by `perf/write_performance.py` from what `./run bench` measured; edit that script or
`perf/benches.py`, not this page. The samples themselves are in `docs/{name}/bench.json`, so that
`./run bench compare docs/{name}/bench.json out/bench/bench.json` tells what changed since.

Absolute figures hold for the machine below. What should hold elsewhere are the ratios: each is taken
within one run, subject and yardstick in turns, median of at least seven samples. The spread is 1.4826
times the median absolute deviation from the median. *met* and *short* judge the median.

{other}
More on deltas, releases and fetching: [performance-releases.md](performance-releases.md). Python's devices,
and a whole server of Flower's: [performance-python.md](performance-python.md).
"""

GATE = """## Instruction counts

`./run bench gate` runs the hot paths under callgrind and compares how many instructions they take with
`tests/gate/figures.json`; exit code 1 where one takes more than 3% more. A count does not know how busy the
machine is, so the gate is a test of every native pass of `./run test` (`bench-gate`, about ten seconds). It
counts expansion, fold, quantising and splitting a share at the levels scalar and AVX2; receiving 1,024 chunks
of 512 uploads into slots and acknowledging them, by ipsec-mb; and a round of the control plane (a lead, two
helpers, six devices) without TLS and files. AVX-512 is not seen: valgrind does not execute it. Where compiler,
optimisation, valgrind, OpenSSL or libc are not those of the file, what depends on them is skipped with the reason.
`./run bench gate --accept` renews the file. Why: [0066](decisions/0066-gate.md).
"""

COMPARE = f"""## When something changed

`./run bench compare A.json B.json` calls a figure slower or faster when its medians differ by more than
{document.SIGMAS} times both spreads together (the root of the sum of their squares) **and** by more than
{document.FLOOR:.0%} of the first: one run's spread does not know what differs between runs, such as the
physical pages that it was given. It ends with exit code 1 when something got slower.
"""


def wrapped(text):
    return textwrap.fill(text, 105, break_long_words=False, break_on_hyphens=False) + "\n"


def machine_table(machine):
    rows = "".join(f"| {key.replace('_', ' ')} | {number(v) if isinstance(v, float) else v} |\n"
                   for key, v in machine.items())
    return "## The machine\n\n| | |\n| --- | --- |\n" + rows


def figure_row(f):
    asked = f"{number(f['target'])}, **{document.verdict(f)}**" if document.verdict(f) else ""
    return (f"| `{f['name']}` | {number(f['median'])} | {number(f['spread'])} | {f['unit']} | "
            f"{asked} | {f.get('of', '')} |\n")


def bench_section(summary, pictures, name):
    bench = bench_named(summary["bench"])
    context = ", ".join(f"{key.replace('_', ' ')} {number(v) if isinstance(v, float) else v}"
                        for key, v in summary["context"].items())
    text = f"## {bench.title}\n\n" + wrapped(bench.how)
    if context:
        text += "\n" + wrapped(f"In this run: {context}.")
    if summary["bench"] in TABLES:
        text += TABLES[summary["bench"]](summary)
    if summary["bench"] in plots.TABLES_ALONE:
        return text
    text += "\n| figure | median | spread | unit | target | ratio of |\n"
    text += "| --- | ---: | ---: | --- | --- | --- |\n"
    text += "".join(figure_row(f) for f in summary["figures"])
    for picture in pictures:
        text += f"\n![{picture.removesuffix('.svg')}]({name}/{picture})\n"
    return text


def page(of, pictures, name=PAGE):
    """The page's text; `pictures` are the names that plots.draw gave."""
    title, other = PAGES.get(name, ("Performance", ""))
    parts = [HEAD.format(name=name, title=title, other=other), machine_table(of["machine"])]
    if "targets.svg" in pictures:
        parts.append(f"![how much of its target each figure reaches]({name}/targets.svg)\n")
    for summary in of["benches"]:
        own = [p for p in pictures if p.startswith(summary["bench"] + "-")]
        parts.append(bench_section(summary, own, name))
    left_out = of["skipped"] + of["failed"]
    if left_out:
        parts.append("## Not measured in this run\n\n" + "".join(
            f"- {bench_named(entry['bench']).title}: {entry['reason']}\n" for entry in left_out))
    parts += [GATE, COMPARE]
    return "\n".join(parts)


def main():
    path = sys.argv[1] if len(sys.argv) > 1 else os.path.join(OUT, "bench.json")
    of = load(path)
    if of["quick"]:
        sys.exit("write_performance: that was a quick run; the page takes a full one")
    name = sys.argv[2] if len(sys.argv) > 2 else PAGE
    directory = os.path.join(DOCS, name)
    os.makedirs(directory, exist_ok=True)
    pictures = plots.draw(of, directory)
    if not pictures:
        sys.exit("write_performance: no pictures: install gnuplot-nox")
    with open(os.path.join(directory, "bench.json"), "w", encoding="utf-8") as f:
        json.dump(of, f, indent=1)
        f.write("\n")
    with open(os.path.join(DOCS, name + ".md"), "w", encoding="utf-8") as f:
        f.write(page(of, pictures, name))


if __name__ == "__main__":
    main()
