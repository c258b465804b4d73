#!/usr/bin/env python3
"""The installed header is what abi.txt says: whoever changes what a program was compiled against notices it here.

    test_abi.py HEADER LIST COMPILER...            compares
    test_abi.py --write HEADER LIST COMPILER...    writes the list anew

A line that is gone or changed breaks programs: MRE_API_MAJOR rises. Lines that are only added raise MRE_API_MINOR.
"""

import sys

import abi


def verdict(old, new):
    """What is wrong with the version, given both lists; None: nothing."""
    (was_major, was_minor), (major, minor) = (tuple(map(int, one[0].split()[1].split("."))) for one in (old, new))
    gone, added = sorted(set(old[1:]) - set(new[1:])), sorted(set(new[1:]) - set(old[1:]))
    if gone and major <= was_major:
        return "programs that were compiled before break: raise MRE_API_MAJOR", gone, added
    if added and (major, minor) <= (was_major, was_minor):
        return "there is more than before: raise MRE_API_MINOR", gone, added
    if gone or added or old[0] != new[0]:
        return "the list is older than the header: write it anew (test_abi.py --write)", gone, added
    return None


def self_test():
    """A change of each kind is told from the others."""
    old = ["version 1.2", "enum A 0", "struct s 8"]
    for new, wanted in ((old, None), (["version 1.2", "enum A 1", "struct s 8"], "MAJOR"),
                        (["version 1.3", "enum A 0"], "MAJOR"), (["version 1.2", *old[1:], "enum B 1"], "MINOR"),
                        (["version 1.3", *old[1:], "enum B 1"], "anew"), (["version 2.0", "enum A 1"], "anew")):
        found = verdict(old, new)
        assert (found is None) == (wanted is None) and (wanted is None or wanted in found[0]), (new, found)


def main(arguments):
    write = arguments[0] == "--write"
    header, path, *compiler = arguments[write:]
    new = abi.lines(header, compiler)
    if write:
        with open(path, "w", encoding="utf-8") as f:
            f.write("\n".join(new) + "\n")
        return 0
    self_test()
    with open(path, encoding="utf-8") as f:
        wrong = verdict(f.read().splitlines(), new)
    if wrong:
        print(wrong[0], *(f"  - {one}" for one in wrong[1]), *(f"  + {one}" for one in wrong[2]), sep="\n")
        return 1
    print(f"{len(new) - 1} lines are as they were")
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
