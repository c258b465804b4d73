"""What the tests of `millrace` share: running it, following it, and a hub that answers from a table."""

import os
import queue
import shutil
import subprocess
import sys
import tempfile
import threading
import unittest

HERE = os.path.dirname(os.path.abspath(__file__))
ROOT = os.path.abspath(os.path.join(HERE, "..", "..", "..", ".."))

TIMEOUT_S = 90 # for a machine that is busy with something else


def run(program, *words, **env):
    """Exit code, standard output, standard error."""
    done = subprocess.run([program, *words], stdout=subprocess.PIPE, stderr=subprocess.PIPE,
                          stdin=subprocess.DEVNULL, text=True, errors="surrogateescape",
                          timeout=TIMEOUT_S, check=False,
                          env={"PATH": "/usr/bin:/bin", **env})
    return done.returncode, done.stdout, done.stderr


class WithFolder(unittest.TestCase):
    def setUp(self):
        self.dir = tempfile.mkdtemp(prefix="millrace-cli-")
        self.addCleanup(shutil.rmtree, self.dir)

    def path(self, *parts):
        return os.path.join(self.dir, *parts)


class Follower:
    """A command that goes on; its lines are waited for one by one."""

    def __init__(self, *command):
        self.process = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                                        stderr=subprocess.PIPE, text=True)
        self.lines = {name: queue.Queue() for name in ("stdout", "stderr")}
        self.readers = [threading.Thread(target=self.read, args=(name,)) for name in self.lines]
        for reader in self.readers:
            reader.start()

    def read(self, name):
        for line in getattr(self.process, name):
            self.lines[name].put(line)
        self.lines[name].put(None)

    def until(self, wanted, name="stdout"):
        """The next line that holds the text; those before it are passed over."""
        seen = []
        while True:
            line = self.lines[name].get(timeout=TIMEOUT_S)
            if line is None:
                raise AssertionError(f"no line with {wanted!r} on {name} after {seen}")
            if wanted in line:
                return line
            seen.append(line)

    def rest(self, name="stdout"):
        """Every further line, once the command has ended."""
        lines = []
        while (line := self.lines[name].get(timeout=TIMEOUT_S)) is not None:
            lines.append(line)
        return lines

    def end(self, signal=None):
        """The exit code, of a command that ends by itself or by the signal; may be repeated."""
        if signal is not None and self.process.poll() is None:
            self.process.send_signal(signal)
        code = self.process.wait(TIMEOUT_S)
        for reader in self.readers:
            reader.join()
        self.process.stdout.close()
        self.process.stderr.close()
        return code


def refusal(code, message):
    return 404, {"code": code, "message": message, "retry_after_ms": 0}


def fake_hub():
    """The class of a hub that answers from a table. The test is skipped where python3-h2 is not there."""
    sys.path.insert(0, os.path.join(ROOT, "tests", "system", "liar"))
    import h2peer # pylint: disable=import-outside-toplevel

    class FakeHub(h2peer.Server):
        """`tasks`: name to its object; `rounds`: name to its rounds, newest last."""

        def __init__(self, pki, port=0, tasks=None, rounds=None):
            self.tasks, self.rounds = tasks or {}, rounds or {}
            self.asked, self.connections = [], []
            self.changed = threading.Condition()
            super().__init__(port, pki, "hub-0", self.reply_to)
            self.port = self.listener.getsockname()[1]

        def talk(self, connection):
            self.connections.append(connection)
            super().talk(connection)

        def stop(self):
            """As a hub that dies: its port and its connections are gone."""
            if self.listener.fileno() < 0:
                return # a test has stopped it
            self.close()
            for connection in self.connections:
                try:
                    connection.shutdown(2)
                except OSError:
                    pass # the other side was first

        def change(self, task, number, **members):
            """Sets members of a round, made where it is not there yet."""
            with self.changed:
                self.round(task, number, make=True).update(members)
                self.changed.notify_all()

        def round(self, task, number, make=False):
            rounds = self.rounds.setdefault(task, [])
            for entry in rounds:
                if entry["round"] == number:
                    return entry
            if make:
                rounds.append({"round": number, "task": task})
                return rounds[-1]
            return None

        def reply_to(self, path, body):
            self.asked.append((path, body))
            path, _, query = path.partition("?")
            parts = path.strip("/").split("/")
            if parts == ["v1", "tasks"]:
                return 200, {"tasks": list(self.tasks.values())}
            if parts[:2] != ["v1", "tasks"]:
                return refusal("not_found", "no such route")
            if parts[2] not in self.tasks:
                return refusal("no_task", f"no task {parts[2]} is served here")
            if len(parts) == 3:
                return 200, {**self.tasks[parts[2]], "policy": {"quorum": 2, "cohort_min": 2}}
            if parts[3:] == ["admin", "rounds"] and body:
                return 200, {"round": 8}
            if parts[3:] == ["admin", "rounds"]:
                return 200, {"rounds": self.rounds.get(parts[2], [])}
            return self.one_round(parts[2], int(parts[5]), query)

        def one_round(self, task, number, query):
            """Answers at once, or with ?wait_ms=&state= as soon as the state is another."""
            asked = dict(item.split("=") for item in query.split("&") if item)
            with self.changed:
                entry = self.round(task, number)
                if entry is None:
                    return refusal("no_round", f"no record of round {number}")
                self.changed.wait_for(lambda: entry.get("state") != asked.get("state"),
                                      int(asked.get("wait_ms", 0)) / 1000)
                return 200, dict(entry)

    return FakeHub
