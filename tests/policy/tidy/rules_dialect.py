"""Rules on how C is written, so that the tree reads as one author's. Each takes a Tree and yields
(file, line, complaint)."""

import re

from tree import C_ROOMS, bodies, declarations, rows

PARAMETERS_MAX = 7
REFUSALS = "wire/refusals.def"


def closing(text, at):
    """Where the bracket that opens at `at` closes."""
    depth = 0
    for place in range(at, len(text)):
        depth += {"(": 1, ")": -1}.get(text[place], 0)
        if depth == 0:
            return place
    return len(text) - 1


def line_of(text, at):
    return text.count("\n", 0, at) + 1


def braces(tree):
    """A body always stands in braces. clang-tidy knows it better, and takes minutes."""
    for name in tree.with_end(".c", ".h"):
        bare = tree.bare(name)
        for found in re.finditer(r"\b(if|for|while|else|do|\w+_foreach|[A-Z]+_FOREACH(?:_SAFE)?)\b", bare):
            after = found.end()
            if found.group(1) not in ("else", "do"):
                opens = re.match(r"\s*\(", bare[after:])
                if not opens:
                    continue
                after = closing(bare, after + opens.end() - 1) + 1
            rest = bare[after:].lstrip()
            loop_end = found.group(1) == "while" and rest.startswith(";")
            chained = found.group(1) == "else" and re.match(r"if\b", rest)
            if not (rest.startswith("{") or loop_end or chained):
                yield name, line_of(bare, found.start()), f"{found.group(1)} without braces"


# A name with its members and indices, alone on its side: neither a call's result nor an assignment.
OPERAND = r"[A-Za-z_]\w*(?:(?:->|\.)\w+|\[[\w.+ >-]+\])*"
NULL_TEST = re.compile(rf"(?:(?<=[(!&|?:]|=)|(?<=[(&|?:=]\s)|(?<=return\s))({OPERAND})\s*[!=]=\s*NULL\b")


def null_tests(tree):
    for name in tree.with_end(".c", ".h"):
        bare = tree.bare(name)
        for found in NULL_TEST.finditer(bare):
            yield name, line_of(bare, found.start()), \
                f"{' '.join(found.group(0).split())}: a pointer is tested as {found.group(1)} or !{found.group(1)}"


def private_headers(tree):
    """What only the files of one room include ends in _internal.h, and no other room includes it."""
    for name in tree.with_end("_impl.h", "_private.h", "_priv.h", under=C_ROOMS):
        yield name, 1, "a private header ends in _internal.h"
    for name in tree.with_end(".c", ".h", ".def", under=C_ROOMS):
        for found in re.finditer(r'^\s*#\s*include\s*"([^"]+)/[^"/]+_internal\.h"', tree.text(name), re.MULTILINE):
            if not name.startswith(found.group(1) + "/"):
                yield name, line_of(tree.text(name), found.start(1)), \
                    f"a private header of {found.group(1)}: only that room includes it"


COMPARED = re.compile(r'\b(?:strcmp|strncmp|strcasecmp|memcmp|mr_\w*equal\w*)\s*\([^;{}]*?"([a-z_]+)"')


def refusal_strings(tree):
    """A refusal is decoded once, where it comes in; inside it is the enum. `void` is also a round's state."""
    codes = {arguments[2] for _, _, arguments in rows(tree, REFUSALS, "MR_REFUSAL")} if tree.exists(REFUSALS) else set()
    codes.discard("void")
    for name in tree.with_end(".c", ".h", under=C_ROOMS):
        if name == "wire/refusal.c":
            continue
        text = tree.text(name)
        for found in COMPARED.finditer(text):
            if found.group(1) in codes:
                yield name, line_of(text, found.start()), \
                    f'"{found.group(1)}" is a refusal: compare enum mr_refusal (wire/refusal.h)'


def parameters(tree):
    """More than seven go into a struct with named members."""
    for name in tree.with_end(".c", ".h"):
        bare = tree.bare(name)
        heads = [(first, text) for first, _, text in bodies(bare)]
        heads += [(first, text) for first, text in declarations(bare) if "=" not in text]
        for number, text in heads:
            found = re.search(r"\b(\w+)\s*\(", re.sub(r"__attribute__\s*\(\(.*?\)\)(?=\s|;|$)", "", text))
            if not found:
                continue
            at = text.index(found.group(0)) + len(found.group(0)) - 1
            inner = text[at + 1:closing(text, at)]
            count = commas(inner) + 1
            if count > PARAMETERS_MAX and "nghttp2_session *" not in inner: # that library's callback
                yield name, number, f"{found.group(1)}: {count} parameters, at most {PARAMETERS_MAX}: a struct"


def commas(text):
    """Commas outside inner brackets."""
    depth = count = 0
    for char in text:
        depth += {"(": 1, ")": -1}.get(char, 0)
        count += char == "," and depth == 0
    return count


RULES = (braces, null_tests, private_headers, refusal_strings, parameters)
