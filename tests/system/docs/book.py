"""docs/operations.md as a script: its marked blocks, run as they stand, and its table of messages.

A block of commands is fenced as ```sh, and the line before says "<!-- run: NAME -->", or "<!-- not run: why -->". The
block `settings` comes before each; a test gives its variables other values, as an operator would.
"""

import os
import re
import signal
import subprocess
import threading

TIMEOUT_S = 120 # for a machine that is busy with something else

FENCE = re.compile(r"(?:<!-- (run|not run): ([^>]*?) -->\n)?```sh\n(.*?)^```$", re.MULTILINE | re.DOTALL)
ROW = re.compile(r"^\| `([^|]+?)` \| ([^|]+) \| ([^|]+) \|$", re.MULTILINE)


class Book:
    def __init__(self, path):
        with open(path, encoding="utf-8") as f:
            self.text = f.read()
        self.blocks, self.loose = {}, []
        for kind, name, commands in FENCE.findall(self.text):
            if kind == "run" and name not in self.blocks:
                self.blocks[name] = commands
            elif kind != "not run":
                self.loose.append(commands)

    def messages(self, heading):
        """The rows of the table under that heading: what is said (with … for what varies), what it means, the remedy."""
        section = self.text.partition(f"\n{heading}\n")[2].partition("\n## ")[0]
        return ROW.findall(section)

    def explained(self, heading, said):
        """The rows whose message is in `said`."""
        return [row for row in self.messages(heading)
                if re.search(".*?".join(map(re.escape, row[0].split("…"))), said, re.DOTALL)]


class Machine:
    """Somebody's machine: a home, what is installed there, and its values of the settings."""

    def __init__(self, book, home, build, **settings):
        self.book, self.home = book, home
        os.makedirs(home, exist_ok=True)
        if not os.path.lexists(f"{home}/build"):
            os.symlink(build, f"{home}/build")
        self.settings = {"DESTDIR": f"{home}/dest", **settings}

    def script(self, name, **changes):
        values = "\n".join(f"{key}='{value}'" for key, value in {**self.settings, **changes}.items())
        # First the values, for what the settings make of one another; then again, for what they set.
        settings = self.book.blocks["settings"]
        path = 'PATH="$DESTDIR/usr/local/bin:$PATH"'
        return f"{settings}\n{values}\n{path}\n{self.book.blocks[name]}"

    def environment(self):
        return {"HOME": self.home, "PATH": "/usr/bin:/bin:/usr/sbin:/sbin", "LC_ALL": "C.UTF-8"}

    def run(self, name, **changes):
        """Exit code and everything that the block says."""
        done = subprocess.run(["sh", "-eu", "-c", self.script(name, **changes)], cwd=self.home, env=self.environment(),
                              stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True,
                              timeout=TIMEOUT_S, check=False)
        return done.returncode, done.stdout

    def must(self, name, **changes):
        code, said = self.run(name, **changes)
        if code != 0:
            raise AssertionError(f"the block {name} of docs/operations.md ended with {code}:\n{said}")
        return said

    def start(self, name, **changes):
        return Running(["sh", "-eu", "-c", self.script(name, **changes)], self.home, self.environment())


class Running:
    """A block that goes on: what it has said so far, and its end."""

    def __init__(self, command, home, environment):
        self.process = subprocess.Popen(command, cwd=home, env=environment, stdin=subprocess.DEVNULL,
                                        stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True,
                                        start_new_session=True)
        self.said, self.news = "", threading.Condition()
        self.reader = threading.Thread(target=self.read)
        self.reader.start()

    def read(self):
        for line in self.process.stdout:
            with self.news:
                self.said += line
                self.news.notify_all()
        with self.news:
            self.process.stdout.close()
            self.news.notify_all()

    def until(self, wanted):
        """Waits until that is said; False where it ends before."""
        with self.news:
            self.news.wait_for(lambda: wanted in self.said or self.process.stdout.closed, TIMEOUT_S)
            return wanted in self.said

    def tell(self, number=signal.SIGTERM):
        if not self.process.stdout.closed:
            os.killpg(self.process.pid, number)

    def end(self, number=None):
        """The exit code; with a signal, of what it makes end."""
        if number is not None:
            self.tell(number)
        self.reader.join(TIMEOUT_S)
        return self.process.wait(TIMEOUT_S)
