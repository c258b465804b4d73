#!/usr/bin/env python3
"""config/hub.yaml and the table in docs/operations.md are what the table of options makes.

  test_config_text.py CONFIG_TEXT SOURCE_ROOT [--write]

With --write the two files are brought up to date.
"""
import difflib
import os
import subprocess
import sys

BEGIN = "<!-- made by `config_text table` from appliance/config/hub_options.def -->\n"
END = "<!-- end of the table -->\n"


def made(program, what):
    return subprocess.run([program, what], check=True, capture_output=True, text=True).stdout


def with_table(text, table):
    """The documentation with the table between its marks."""
    before, begin, rest = text.partition(BEGIN)
    _, end, after = rest.partition(END)
    if not begin or not end:
        sys.exit("docs/operations.md has lost the marks of its table of options")
    return before + begin + table + end + after


def main():
    program, root = sys.argv[1:3]
    sample, doc = os.path.join(root, "config/hub.yaml"), os.path.join(root, "docs/operations.md")
    with open(sample, encoding="utf-8") as f:
        old_sample = f.read()
    with open(doc, encoding="utf-8") as f:
        old_doc = f.read()
    stale = False
    for path, old, new in ((sample, old_sample, made(program, "sample")),
                           (doc, old_doc, with_table(old_doc, made(program, "table")))):
        if old == new:
            continue
        if "--write" in sys.argv[3:]:
            with open(path, "w", encoding="utf-8") as f:
                f.write(new)
            continue
        stale = True
        sys.stdout.writelines(difflib.unified_diff(old.splitlines(True), new.splitlines(True), path,
                                                   "made from hub_options.def", n=0))
    if stale:
        sys.exit("run this test with --write, and look at what it changed")


if __name__ == "__main__":
    main()
