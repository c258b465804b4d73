#!/usr/bin/python3
"""Nothing of millrace_edge.h is forgotten: each function is called by the binding, or docs/python.md says what Python has in its
place; so for the members of what the library tells.

    test_header.py ROOT
"""

import os
import re
import sys
import unittest

ROOT = sys.argv[1]
CORE = os.path.join(ROOT, "bindings", "python", "core")
sys.path.insert(0, os.path.join(ROOT, "tests", "unit", "edge-client"))
import abi  # noqa: E402 pylint: disable=wrong-import-position

TOLD = ("mre_outcome", "mre_task", "mre_tensor", "mre_metric", "mre_progress", "mre_report", "mre_state", "mre_release_state",
        "mre_release_version", "mre_release_copy")
# What Python has by another way: the vector on entry is the model.
NOT_READ = {"mre_task.model"}


def text_of(*path):
    with open(os.path.join(ROOT, *path), encoding="utf-8") as f:
        return f.read()


def core():
    return abi.COMMENT.sub("", "".join(text_of(CORE, name) for name in sorted(os.listdir(CORE)) if name.endswith(".c")))


class Header(unittest.TestCase):
    def setUp(self):
        self.header = abi.COMMENT.sub("", text_of("edge-client", "include", "millrace_edge.h"))
        self.core = core()

    def test_functions(self):
        listed = {re.search(r"(\w+)\(", one).group(1) for one in abi.functions(self.header) if not one.startswith("typedef")}
        self.assertGreater(len(listed), 30)
        bound = {name for name in re.findall(r"\b(mre_\w+)\b", self.core) if name in listed}
        said = set(re.findall(r"`(mre_\w+)`", text_of("docs", "python.md").split("## What of the C API")[1].split("\n## ")[0]))
        self.assertEqual(listed - bound - said, set(), "bind it, or say in docs/python.md what Python has in its place")
        self.assertEqual(said & bound, set(), "docs/python.md says that Python has no form of it")
        self.assertEqual(said - listed, set(), "docs/python.md names what the header has not")

    def test_members(self):
        for name, members in abi.structs(self.header):
            if name not in TOLD:
                continue
            for member in members:
                place = re.escape(re.sub(r"^.*\.", "", member))
                if f"{name}.{member}" not in NOT_READ:
                    self.assertRegex(self.core, rf"(?:->|\.){place}\b", f"{name}.{member} does not reach Python")

    def test_names(self):
        """What is an index in C is a name in Python; each enumerator has one."""
        for kind, name in (("MRE_PART_", "names"), ("MRE_(?:EVALUATED_)?(?:TRAINING|EVALUATION)$", "kind_names"),
                           ("MRE_(?:F32|F16|BF16)$", "type_names")):
            wanted = {one for one in abi.enumerators(self.header) if re.match(kind, one)}
            table = re.search(rf"{name}\[\] = {{(.*?)}};", text_of(CORE, "training.c"), re.DOTALL).group(1)
            self.assertEqual(set(re.findall(r"MRE_\w+", table)), wanted)


if __name__ == "__main__":
    unittest.main(argv=sys.argv[:1])
