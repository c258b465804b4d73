"""Rules on C text. Each takes a Tree and yields (file, line, complaint)."""

import os
import re

from tree import C_ROOMS, blank, bodies, declarations

FILE_LINES_MAX = 600
FILE_LINES_P90 = 300
FUNCTION_LINES_MAX = 60

ARCHITECTURE = re.compile(
    r"^\s*#\s*(el)?if.*(__x86_64__|__i386__|__amd64__|__aarch64__|__arm|__ARM_|__SSE|__AVX|__AES__|"
    r"__VAES|__BMI|__riscv|__BYTE_ORDER__|__GFNI)")
# Unbounded, or in a hidden state.
BANNED_CALLS = re.compile(r"(?<![\w.>])(gets|sprintf|vsprintf|strtok|atoi|atol|rand|alloca)\s*\(")


def c_files(tree, *ends):
    return tree.with_end(*(ends or (".c", ".h")))


def file_length(tree):
    for name in tree.with_end(".c", ".h", ".py", ".sh", ".def"):
        length = len(tree.lines(name))
        if length > FILE_LINES_MAX:
            yield name, length, f"{length} lines, at most {FILE_LINES_MAX}: split it by idea"


def file_lengths(tree):
    """Nine files in ten of the rooms, the demo and the tests are short."""
    lengths = sorted((len(tree.lines(name)), name) for name in c_files(tree)
                     if name.startswith((*C_ROOMS, "demo/", "tests/")))
    long = [row for row in lengths if row[0] > FILE_LINES_P90]
    most = len(lengths) // 10
    if len(lengths) >= 10 and len(long) > most:
        names = ", ".join(f"{name} ({length})" for length, name in long)
        yield long[0][1], long[0][0], (f"{len(long)} of {len(lengths)} C files have more than "
                                       f"{FILE_LINES_P90} lines, at most {most} may: {names}")


def function_length(tree):
    for name in c_files(tree):
        for first, last, signature in bodies(tree.bare(name)):
            length = last - first + 1
            if length > FUNCTION_LINES_MAX:
                yield name, first, (f"{length} lines, at most {FUNCTION_LINES_MAX}: "
                                    f"{signature[:60]}")


def architecture(tree):
    for name in c_files(tree):
        if name == "kernels/select.c":
            continue
        for number, line in enumerate(tree.lines(name), 1):
            if ARCHITECTURE.search(line):
                yield name, number, "#if on the architecture: only kernels/select.c may"


def is_mutable(text):
    """Is this declaration at file scope a variable that can change?"""
    head = text.split("=", 1)[0].split("{", 1)[0].strip().rstrip(";").strip()
    if re.match(r"(typedef|extern|_Static_assert|static_assert|__attribute__)\b", head):
        return False
    if re.match(r"(static )?(const )?(struct|union|enum)\b( \w+)?$", head) and "=" not in text:
        after = text.rsplit("}", 1)[-1].strip(" ;") if "}" in text else ""
        return bool(after) and "__attribute__" not in after
    pointer = re.search(r"\(\s*\*\s*(const\b)?", head)
    if "(" in head and not pointer:
        return False # a prototype, or a macro's use
    if pointer and not re.match(r"[\w\s*]+\(\s*\*", head):
        return False
    if pointer:
        return not pointer.group(1)
    if not re.search(r"\w+\s+\**\w+(\s*\[.*\])*$", head):
        return False
    if "*" in head:
        return not re.search(r"\*\s*const\s+\w+(\s*\[.*\])*$", head)
    return not re.search(r"\bconst\b", head)


# Its state is that of a signal handler, which is given no context.
HANDLERS = ("bindings/python/core/signals.c",)
PYTHON_TABLE = re.compile(r"\s*static Py\w+Def\b") # which Python wants to be able to write to


def globals_(tree):
    """In the rooms; a test may keep a large buffer static."""
    for name in tree.with_end(".c", ".h", under=C_ROOMS):
        bare = tree.bare(name)
        for number, text in () if name in HANDLERS else declarations(bare):
            if is_mutable(text) and not PYTHON_TABLE.match(text):
                yield name, number, f"mutable at file scope: {text[:60]}"
        for first, last, _ in bodies(bare):
            for number in range(first, last):
                line = bare.split("\n")[number - 1]
                if re.match(r"\s+static\b", line) and not re.search(r"\bconst\b", line) and not PYTHON_TABLE.match(line):
                    yield name, number, f"mutable static: {line.strip()[:60]}"


FUNCTION = re.compile(r"\b(\w+)\s*\(")
ATTRIBUTE = re.compile(r"__attribute__\s*\(\(.*?\)\)(?=\s)")


def exported_names(tree):
    """Functions that another room can call: declared in a header that another room includes."""
    seen = seen_headers(tree)
    for name in tree.with_end(".c", under=C_ROOMS):
        for first, _, signature in bodies(tree.bare(name)):
            signature = ATTRIBUTE.sub("", signature)
            found = FUNCTION.search(signature)
            if found is None or re.search(r"\bstatic\b", signature):
                continue
            function = found.group(1)
            if re.match(r"(mr_|mre_|main$|LLVMFuzzer)", function):
                continue
            headers = [h for h in seen if os.path.dirname(h) == os.path.dirname(name)]
            if any(re.search(rf"\b{function}\s*\(", tree.text(h)) for h in headers):
                yield name, first, f"{function}: exported names start with mr_ (mre_ for the edge)"


def seen_headers(tree):
    """Headers that a file of another folder includes, tests left out."""
    seen = set()
    for name in tree.with_end(".c", ".h", under=C_ROOMS):
        for target in re.findall(r'^\s*#\s*include\s*"([^"]+)"', tree.text(name), re.MULTILINE):
            if os.path.dirname(target) != os.path.dirname(name):
                seen.add(target)
    return sorted(h for h in seen if tree.exists(h))


def banned_calls(tree):
    for name in tree.with_end(".c", ".h", under=C_ROOMS):
        for number, line in enumerate(tree.bare(name).split("\n"), 1):
            found = BANNED_CALLS.search(line)
            if found:
                yield name, number, f"{found.group(1)}: unbounded or with hidden state"
        for number, line in enumerate(tree.lines(name), 1):
            if re.match(r"\s*#\s*include\s*<assert\.h>", line):
                yield name, number, "<assert.h> can be switched off: base/assert.h"


def contracts(tree):
    """Every header of a room begins with what it is."""
    for name in tree.with_end(".h", ".def", under=C_ROOMS):
        base = re.escape(os.path.basename(name))
        if name.endswith(".h") and not re.match(rf"/\* {base} - \w", tree.text(name)):
            yield name, 1, f"begins with /* {os.path.basename(name)} - what it is …"
        elif name.endswith(".def") and not tree.text(name).startswith("/*"):
            yield name, 1, "begins with a comment that says what a row means"


def unfinished(tree):
    mark = re.compile(r"\b(TO" r"DO|FIX" r"ME|XX" r"X|HA" r"CK)\b")
    for name in tree.with_end(".c", ".h", ".py", ".sh", ".def", ".build", ".md", ".yaml", "run"):
        for number, line in enumerate(tree.lines(name), 1):
            if mark.search(line):
                yield name, number, f"unfinished: {line.strip()[:60]}"


def dead_tests(tree):
    for name in tree.with_end(".c", ".h"):
        text = tree.text(name)
        for number, line in enumerate(text.splitlines(), 1):
            if re.match(r"\s*#\s*if\s+0\b", line):
                yield name, number, "#if 0: take it out"
        for found in re.finditer(r"/\*.*?\*/|//[^\n]*", text, re.DOTALL):
            if re.search(r"cmocka_unit_test\w*\(|^\W*static void test_\w+\(", found.group(0)):
                yield name, text.count("\n", 0, found.start()) + 1, "a test that is commented out"
    for name in tree.with_end(".py", "meson.build"):
        for number, line in enumerate(tree.lines(name), 1):
            if re.match(r"\s*#\s*(def test_\w+|test\(|@unittest\.skip)", line):
                yield name, number, "a test that is commented out"
    for name in tree.with_end(".c"):
        bare = blank(tree.text(name))
        listed = bare.split("struct CMUnitTest", 1)
        for found in re.finditer(r"^static void (test_\w+)\(void \*\*", bare, re.MULTILINE):
            if len(listed) < 2 or not re.search(rf"\b{found.group(1)}\b", listed[1]):
                yield name, bare.count("\n", 0, found.start()) + 1, \
                    f"{found.group(1)} is in no list of tests"


# What jansson makes nothing of where the bytes are no UTF-8, or the number is not finite.
JSON_VALUE = re.compile(r"(?<!\w)json_(string\(\s*[^\s\"]|stringn\(|real\()")
JSON_PACK = re.compile(r"(?<!\w)json_(?:v?pack(?:_ex)?)\(\s*((?:\"[^\"]*\"\s*)+)")
JSON_PACKED = re.compile(r":\s*[sf]|\[\s*[sf]|^\s*[sf]")


def json_values(tree):
    """Texts and numbers get into JSON through base/json_text.h, or the whole object is lost with them."""
    for name in tree.with_end(".c", ".h", under=C_ROOMS):
        text = tree.text(name)
        if name.startswith("base/json_text."):
            continue
        for found in JSON_VALUE.finditer(text):
            yield name, text.count("\n", 0, found.start()) + 1, "may be NULL for what it is given: mr_json_text, mr_json_real"
        for found in JSON_PACK.finditer(text):
            if JSON_PACKED.search(found.group(1).replace('"', "")):
                yield name, text.count("\n", 0, found.start()) + 1, \
                    "a value of \"s\" or \"f\" may lose the whole object: \"o\" with mr_json_text, mr_json_real"


RULES = (file_length, file_lengths, function_length, architecture, globals_, exported_names, banned_calls,
         contracts, unfinished, dead_tests, json_values)
