"""What benches of whole hubs have in common: their options, a release build, and a folder that stays where a run fails."""

import argparse
import os
import shutil
import sys
import tempfile

HERE = os.path.dirname(os.path.abspath(__file__))
sys.path.insert(0, os.path.join(HERE, "..", "demo"))

from federation import Failure  # noqa: E402
from figures import Figures, Skip  # noqa: E402


def cpu_name():
    with open("/proc/cpuinfo", encoding="utf-8") as f:
        for line in f:
            if line.startswith("model name"):
                return line.split(":", 1)[1].strip()
    return "unknown"


def options(description, quick="fewer rounds"):
    """The parser with what all of them take; `quick` says what is less then."""
    parser = argparse.ArgumentParser(description=description.split("\n", 1)[0])
    parser.add_argument("--quick", action="store_true", help=quick)
    parser.add_argument("--json", help="write the figures there")
    parser.add_argument("--build", default=os.path.join(HERE, "..", "build-release"), help="a release build")
    return parser


def play(name, chosen, make, measure, **context):
    """Starts make(work), measures it into figures and writes them. The figures, or None where it failed: then the folder
    stays, and stderr says where it is."""
    if not os.path.exists(os.path.join(chosen.build, "appliance", "millrace-hub")):
        raise Skip(f"{chosen.build} has no hub: the option `appliance` is off")
    figures = Figures(name)
    figures.context(cpu=cpu_name(), cpus=os.cpu_count(), **context)
    work = tempfile.mkdtemp(prefix=f"millrace-{name}-bench-")
    federation = make(work)
    try:
        federation.start()
        measure(federation, figures)
    except Failure as failure:
        print(f"{name}: {failure}\nfiles of the run: {work}", file=sys.stderr)
        return None
    finally:
        federation.stop()
    shutil.rmtree(work)
    figures.write(chosen.json)
    return figures
