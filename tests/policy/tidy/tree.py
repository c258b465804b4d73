"""The tree as the rules see it: which files there are, and C text without comments and strings."""

import functools
import os
import re
import subprocess

C_ROOMS = ("base/", "kernels/", "wire/", "transport/", "edge-client/", "appliance/", "bindings/")


class Tree:
    def __init__(self, root):
        self.root = os.path.abspath(root)
        self.files = self._list()

    def _list(self):
        names = self._known_to_git() or self._walked()
        return sorted(n for n in names if os.path.isfile(os.path.join(self.root, n)))

    def _known_to_git(self):
        """What git knows or could know; None where this is no checkout, or git is not there."""
        if not os.path.exists(os.path.join(self.root, ".git")):
            return None
        try:
            done = subprocess.run(["git", "-c", f"safe.directory={self.root}", "ls-files", "-co",
                                   "--exclude-standard"], cwd=self.root, stdout=subprocess.PIPE,
                                  stderr=subprocess.DEVNULL, text=True, check=False)
        except OSError:
            return None
        return done.stdout.splitlines() if done.returncode == 0 else None

    def _walked(self):
        """Every file of a source archive, but for what was built or run in it."""
        for folder, folders, files in os.walk(self.root):
            folders[:] = [f for f in folders if not self._is_product(folder, f)]
            yield from (os.path.relpath(os.path.join(folder, name), self.root) for name in files
                        if not name.endswith(".pyc"))

    def _is_product(self, folder, name):
        at_the_top = folder == self.root
        return name in (".git", "__pycache__") or (at_the_top and
                                                   (name.startswith("build") or name == "out"))

    def with_end(self, *ends, under=None):
        return [f for f in self.files if f.endswith(ends) and (under is None or f.startswith(under))]

    def exists(self, name):
        return os.path.isfile(os.path.join(self.root, name))

    @functools.lru_cache(maxsize=None)
    def text(self, name):
        with open(os.path.join(self.root, name), encoding="utf-8", errors="replace") as f:
            return f.read()

    def lines(self, name):
        return self.text(name).splitlines()

    @functools.lru_cache(maxsize=None)
    def bare(self, name):
        """C text with comments, strings and preprocessor lines blanked, line by line."""
        return blank_directives(blank(self.text(name)))


TOKENS = re.compile(r'/\*.*?\*/|//[^\n]*|"(?:\\.|[^"\\\n])*"|\'(?:\\.|[^\'\\\n])*\'', re.DOTALL)


def blank(text):
    """Comments become blanks, strings become "" of the same length; lines stay where they are."""
    def replace(match):
        found = match.group(0)
        if found[0] in "\"'":
            return found[0] + " " * (len(found) - 2) + found[0]
        return re.sub(r"[^\n]", " ", found)
    return TOKENS.sub(replace, text)


def blank_directives(text):
    out, going_on = [], False
    for line in text.split("\n"):
        directive = going_on or line.lstrip().startswith("#")
        going_on = directive and line.rstrip().endswith("\\")
        out.append("" if directive else line)
    return "\n".join(out)


def bodies(bare):
    """(first line, last line, signature) of each function: braces alone in column 0."""
    lines = bare.split("\n")
    start = None
    for number, line in enumerate(lines, 1):
        if line.rstrip() == "{":
            start = number
        elif line.rstrip() == "}" and start is not None:
            first = start - 1
            while first > 1 and lines[first - 2].strip() and lines[first - 2].rstrip()[-1] not in ";}":
                first -= 1
            yield first, number, " ".join(s.strip() for s in lines[first - 1:start - 1])
            start = None


def declarations(bare):
    """(line, text) of everything at file scope that ends in ';', bodies of braces left out."""
    depth, text, start = 0, "", 1
    number = 1
    for char in bare:
        if char == "\n":
            number += 1
        if char == "}":
            depth -= 1
            if depth == 0 and re.search(r"\)\s*\{\}?$", text + "{"):
                text = "" # a function's body
                continue
        if depth == 0:
            if not text.strip():
                start = number
                text = ""
            text += char
            if char == ";":
                yield start, " ".join(text.split())
                text = ""
        if char == "{":
            depth += 1


def rows(tree, name, macro):
    """(line, first argument, all arguments) of each row of an X-macro table."""
    for number, line in enumerate(tree.lines(name), 1):
        found = re.match(rf"\s*{macro}\((.*)\)\s*$", line)
        if found:
            arguments = [a.strip().strip('"') for a in found.group(1).split(",")]
            yield number, arguments[0], arguments
