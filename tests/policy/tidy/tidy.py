#!/usr/bin/env python3
"""The house rules, read off the tree: tidy.py [ROOT]

Each rule is a function that yields (file, line, complaint); rules_c.py has those on C text,
rules_dialect.py those on its style, rules_tree.py those between files. Exit code 1 if there is a complaint.
"""

import os
import sys

import rules_c
import rules_dialect
import rules_tree
from tree import Tree

LONG_FILE = 400
RULES = rules_c.RULES + rules_dialect.RULES + rules_tree.RULES


def complaints(tree):
    for rule in RULES:
        for name, line, text in rule(tree):
            yield f"{name}:{line}: {text} [{rule.__name__.rstrip('_')}]"


def main(words):
    here = os.path.dirname(os.path.abspath(__file__))
    tree = Tree(words[0] if words else os.path.dirname(os.path.dirname(os.path.dirname(here))))
    found = list(complaints(tree))
    for text in found:
        print(text)
    for name in tree.with_end(".c", ".h", ".py"):
        length = len(tree.lines(name))
        if length > LONG_FILE:
            print(f"{name}: {length} lines: still fine, but long")
    print(f"tidy: {len(tree.files)} files, {len(RULES)} rules, {len(found)} complaints")
    return 1 if found else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
