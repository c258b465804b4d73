#!/usr/bin/env python3
"""The case studies as things that run: `./run demo --scenario cnc|robots|ecg` (docs/scenarios.md)."""

import argparse
import importlib
import json
import os
import shutil
import sys
import tempfile
import time

NAMES = ("cnc", "ecg", "robots")


def parse(words):
    parser = argparse.ArgumentParser(prog="./run demo", description=__doc__.split("\n", maxsplit=1)[0])
    parser.add_argument("--build", required=True, help="the build directory")
    parser.add_argument("--scenario", required=True, choices=NAMES)
    parser.add_argument("--size", choices=("full", "small"), default="full",
                        help="small: a few devices and rounds, for tests; its figures say nothing")
    parser.add_argument("--report", help="the page (out/scenario-NAME.html)")
    parser.add_argument("--work", help="keep all files of the run in this folder")
    parser.add_argument("--json", action="store_true", help="print one JSON object last")
    options = parser.parse_args(words)
    options.build = os.path.abspath(options.build)
    options.report = options.report or f"out/scenario-{options.scenario}.html"
    return options


def needs(build):
    """What is missing here; None: nothing."""
    try:
        import numpy  # noqa: F401 pylint: disable=unused-import
    except ImportError:
        return "numpy: install python3-numpy"
    sys.path.insert(0, os.path.join(build, "bindings", "python"))
    try:
        import millrace  # noqa: F401 pylint: disable=unused-import
    except ImportError as error:
        return f"the package millrace in {build}: build with -Dpython=enabled ({error})"
    return None


def show(figure, checks, seconds, report):
    print()
    for text, good in checks:
        print(f"  {'ok  ' if good else 'FAIL'} {text}")
    print(f"\n{figure}\n{seconds:.0f} s in all\nreport: {os.path.abspath(report)}", flush=True)


def main(words=None):
    options = parse(words)
    missing = needs(options.build)
    if missing:
        print(f"demo: the scenarios need {missing}", file=sys.stderr)
        return 77
    from federation import Failure
    import page
    module = importlib.import_module(options.scenario)
    work = options.work or tempfile.mkdtemp(prefix=f"millrace-{options.scenario}-")
    began, good = time.monotonic(), False
    play = module.PLAY(options.build, work, options.size, lambda text: print(text, flush=True))
    try:
        with play.stage:
            figure, checks, parts, summary = play.main()
        seconds = time.monotonic() - began
        if options.size == "small":
            figure = f"(small: a test of how it runs, no figure) {figure}"
        page.write_page(options.report, module.TITLE, module.ABOUT, figure, checks, parts)
        show(figure, checks, seconds, options.report)
        if options.json:
            print(json.dumps({**summary, "seconds": round(seconds, 1)}), flush=True)
        good = all(held for _, held in checks)
    except Failure as failure:
        print(f"demo: {failure}\nfiles of the run: {work}", file=sys.stderr)
    if good and not options.work:
        shutil.rmtree(work)
    return 0 if good else 1


if __name__ == "__main__":
    here = os.path.dirname(os.path.abspath(__file__))
    sys.path[:0] = [here, os.path.dirname(here)]
    sys.exit(main())
