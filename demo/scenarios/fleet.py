#!/usr/bin/env python3
"""Devices of a scenario, a thread each. Reads one line of JSON that says which, writes a line a round and device:

    {"device", "round", "result", "end", "metrics", "at"}     at: seconds of the system's monotonic clock

Runs until its input ends. A scenario's module has device(number, size): a training function.
"""

import importlib
import json
import sys
import threading
import time

import millrace


def serve(number, config, train, dumps, clients):
    def say(outcome):
        sys.stdout.write(json.dumps({
            "device": number, "round": outcome.round, "result": outcome.result, "text": outcome.text,
            "end": outcome.end.result if outcome.end else None, "metrics": outcome.metrics, "at": time.monotonic()}) + "\n")
        sys.stdout.flush()
    with millrace.Client(config, dump_dir=dumps) as client:
        clients.append(client)
        client.run(train, on_round=say)


def guarded(number, *arguments):
    """A device that fails is said on standard error, with its trace, and ends alone."""
    try:
        serve(number, *arguments)
    except millrace.Error as error:
        print(f"device {number}: {error}", file=sys.stderr, flush=True)


def main():
    plan = json.loads(sys.stdin.readline())
    scenario = importlib.import_module(plan["scenario"])
    clients, threads = [], []
    for number, config in plan["devices"].items():
        train = scenario.device(int(number), plan["size"])
        threads.append(threading.Thread(target=guarded, args=(int(number), config, train, plan["dumps"], clients)))
    for thread in threads:
        thread.start()
    sys.stdin.read()
    for client in clients:
        client.cancel()
    for thread in threads:
        thread.join()


if __name__ == "__main__":
    main()
