"""python -m millrace: a first try, with a small trainer in numpy on a CSV file."""

from __future__ import annotations

import argparse
import logging
import os
import sys

from . import Client, Error, __version__, libraries


def arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m millrace", description=__doc__)
    parser.add_argument("--config", required=True, metavar="FILE", help="device.json (docs/edge-client.md)")
    parser.add_argument("--data", metavar="FILE", help="CSV: features and then the class in each line")
    parser.add_argument("--rounds", type=int, metavar="N", help="end after so many rounds; else never")
    parser.add_argument("--patience", type=float, metavar="S", help="give up a hub that is away for so long")
    parser.add_argument("--check", action="store_true", help="only ask whether this device is fit to take part")
    parser.add_argument("--verbose", action="store_true", help="say what is done")
    linked = ", ".join(f"{name} {version}" for name, version in libraries.items())
    carried = os.path.isdir(os.path.join(os.path.dirname(os.path.dirname(__file__)), "millrace.libs"))
    whose = "carried" if carried else "system"
    parser.add_argument("--version", action="version", version=f"millrace {__version__} with {linked} ({whose})")
    given = parser.parse_args()
    if not given.check and not given.data:
        parser.error("--data FILE is needed, or --check")
    return given


def show(outcome) -> None:
    end = f", {outcome.end.result}" if outcome.end else ""
    figures = "".join(f", {name} {value:.4f}" for name, value in outcome.metrics.items())
    print(f"round {outcome.round}: {outcome.result}{end}{figures if outcome.counted else ': ' + outcome.text}", flush=True)


def tell(progress) -> None:
    moved = f" {progress.bytes_done}/{progress.bytes_total} bytes" if progress.bytes_total else ""
    why = f": {progress.text}" if progress.text else ""
    print(f"millrace: round {progress.round}: {progress.phase}{moved}{why}", file=sys.stderr, flush=True)


class Listener(logging.Handler):
    """What somebody has to look at, and what is waited for: said when it changes. A round's warning may be its result, too."""

    last = "nothing yet"

    def emit(self, record: logging.LogRecord) -> None:
        line = record.getMessage()
        if self.last not in line:
            print(f"millrace: {line}", file=sys.stderr, flush=True)
            self.last = line.partition(": ")[2] or line


def main() -> int:
    given = arguments()
    logging.getLogger("millrace").addHandler(Listener(logging.WARNING))
    try:
        with Client(given.config, on_progress=tell if given.verbose else None) as client:
            if given.check:
                client.check()
                print(client.reach().text)
                return 0
            from ._mlp import trainer
            train = trainer(given.data)
            print(f"millrace: device {client.id} waits for a round", file=sys.stderr, flush=True)
            counted = client.run(train, given.rounds, patience=given.patience, on_round=show)
            return 0 if all(outcome.counted for outcome in counted) else 7
    except (Error, OSError, ValueError) as error: # the latter two: of the data
        print(f"millrace: {error}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        return 130


if __name__ == "__main__":
    sys.exit(main())
