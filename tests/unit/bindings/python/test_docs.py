#!/usr/bin/python3
"""What docs/python.md, migrating.md and edge-client.md show of the interfaces is how these are: Python's blocks have no mistake of
syntax and use what there is; signatures are the package's; the block in C is compiled against the header.

    test_docs.py PACKAGE EXTENSION ROOT COMPILER...
"""

import ast
import importlib
import inspect
import os
import re
import subprocess
import sys
import unittest

import fixture

millrace, _ = fixture.load(*sys.argv[1:3])
ROOT, COMPILER = sys.argv[3], sys.argv[4:]
WITH_FRAMEWORK = ("torch", "jax", "sklearn", "litert")  # nothing of it is there without


def text_of(name):
    with open(os.path.join(ROOT, "docs", name), encoding="utf-8") as f:
        return f.read()


def blocks(name, language):
    found = re.findall(rf"```{language}\n(.*?)```", text_of(name), re.DOTALL)
    return [(f"{name}, block {number}", block) for number, block in enumerate(found, 1)]


def public(path):
    """What `millrace.x.y` leads to."""
    thing = millrace
    for name in path:
        if inspect.ismodule(thing) and not hasattr(thing, name):
            importlib.import_module(f"{thing.__name__}.{name}")
        thing = getattr(thing, name)
    return thing


def dotted(node):
    """["millrace", "flower", "save"] of such an expression; None of another."""
    names = []
    while isinstance(node, ast.Attribute):
        names.insert(0, node.attr)
        node = node.value
    return [node.id, *names] if isinstance(node, ast.Name) else None


def as_told(function):
    """As the tables show a call: no self, no types."""
    signature = inspect.signature(function)
    parameters = [p.replace(annotation=p.empty) for name, p in signature.parameters.items() if name != "self"]
    return str(signature.replace(parameters=parameters, return_annotation=signature.empty))


class Documents(unittest.TestCase):
    def test_blocks_of_python(self):
        for where, block in blocks("python.md", "python") + blocks("migrating.md", "python"):
            with self.subTest(where):
                tree = compile(block, where, "exec", ast.PyCF_ONLY_AST | ast.PyCF_ALLOW_TOP_LEVEL_AWAIT)
                for node in ast.walk(tree):
                    path = dotted(node) if isinstance(node, ast.Attribute) else None
                    if path and path[0] == "millrace" and path[1] not in WITH_FRAMEWORK:
                        public(path[1:])
                    call = dotted(node.func) if isinstance(node, ast.Call) else None
                    if call and call[0] == "millrace" and call[1] not in WITH_FRAMEWORK:
                        thing = public(call[1:])
                        if thing is millrace.AsyncClient:
                            thing = millrace.Client # whose arguments it takes
                        inspect.signature(thing).bind(*node.args, **{k.arg: k.value for k in node.keywords})

    def test_signatures(self):
        text = text_of("python.md")
        for name in ("run", "rounds", "round", "end", "reach", "on_progress"):
            told = re.search(rf"`{name}(\([^`]*\))`", text).group(1)
            self.assertEqual(re.sub(r"=20\b", "=20.0", told), as_told(getattr(millrace.Client, name)), name)
        told = re.search(r"`Client\(config, \*, ([^)`]*)\)`", text).group(1).split(", ")
        have = list(inspect.signature(millrace.Client).parameters)[1:]
        self.assertEqual(told, have)

    def test_names(self):
        """Every exception and class that the package has is on the page."""
        text = text_of("python.md")
        of_results = {"ModelState", "Opened", "State", "Task", "Version", "__version__"} # what calls return, and train is given
        missing = [name for name in millrace.__all__ if name not in of_results and not re.search(rf"\b{name}\b", text)]
        self.assertEqual(missing, [])
        rows = re.findall(r"(?m)^\| `(\w+)` \| `([a-z-]+)` \|", text.split("| exception | result |")[1].split("\n\n")[0])
        from millrace import _outcome
        self.assertEqual({result: name for name, result in rows}, {result: kind.__name__ for result, kind in _outcome.RAISED.items()})

    def test_examples_are_short(self):
        """An adapter is used in at most forty lines, a Flower client changed in at most three."""
        examples = {}
        folder = os.path.join(ROOT, "bindings", "python", "examples")
        for name in os.listdir(folder):
            with open(os.path.join(folder, name), encoding="utf-8") as f:
                examples[name] = f.read()
        for adapter in (*WITH_FRAMEWORK, "flower"):
            (text,) = [one for one in examples.values() if f"import millrace.{adapter}\n" in one]
            self.assertLessEqual(len(text.splitlines()), 40, adapter)
        changed = [line for line in text.split('"""', 2)[2].splitlines() if "millrace" in line] # the last is Flower's
        self.assertLessEqual(len(changed), 3, changed)

    def test_task(self):
        """Each member of a task is in its table."""
        table = text_of("python.md").split("| of `task` | what |")[1].split("\n\n")[0]
        told = {name for row in table.splitlines() if row.startswith("| `") for name in re.findall(r"`(\w+)`", row.split("|")[1])}
        public_names = {name for name in (*millrace.Task.__annotations__, *vars(millrace.Task)) if not name.startswith("_")}
        self.assertEqual(told, public_names - {"training_text"})

    def test_library_that_is_missing(self):
        """Whoever takes the wheel to another machine is told what is missing, in the words of the page."""
        code = """
import sys
class Missing:
    def find_spec(self, name, path, target=None):
        if name == "millrace._core":
            raise ImportError("libnghttp2.so.14: cannot open shared object file: No such file or directory")
sys.meta_path.insert(0, Missing())
import millrace
"""
        done = subprocess.run([sys.executable, "-c", code], env={**os.environ, "PYTHONPATH": sys.argv[1]}, text=True,
                              capture_output=True, check=False)
        said = done.stderr.splitlines()[-1]
        self.assertIn("libnghttp2.so.14", said)
        self.assertIn(re.search(r"apt-get install lib[a-z0-9 -]+", text_of("python.md")).group(), said)

    def test_block_of_c(self):
        around = """#include <stdio.h>
#include "edge-client/include/millrace_edge.h"
void die(const char *text);
void pause_ms(unsigned ms);
extern void *my_context;
enum mre_trained my_training(void *context, const struct mre_task *task, float *vector, struct mre_report *report);
int main(void);
int main(void)
{
%s}
"""
        found = [block for block in blocks("edge-client.md", "c") if "mre_client_open" in block[1]]
        self.assertEqual(len(found), 1)
        done = subprocess.run([*COMPILER, "-x", "c", "-std=c11", "-Wall", "-Wextra", "-Werror", "-fsyntax-only", f"-I{ROOT}", "-"],
                              input=around % found[0][1], text=True, capture_output=True, check=False,
                              env={name: value for name, value in os.environ.items() if name != "LD_PRELOAD"}) # a sanitizer's
        self.assertEqual(done.returncode, 0, done.stderr)


if __name__ == "__main__":
    unittest.main(argv=sys.argv[:1])
