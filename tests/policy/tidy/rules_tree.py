"""Rules between files. Each takes a Tree and yields (file, line, complaint)."""

import concurrent.futures
import os
import re
import subprocess
import sys

from tree import C_ROOMS, rows

sys.path.append(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
from rooms import ORDER, room_of, why_not  # noqa: E402 pylint: disable=wrong-import-position

# System headers that a room has no business with.
FORBIDDEN = (
    ("kernels/", r"stdio\.h|stdlib\.h|unistd\.h|time\.h|pthread\.h|fcntl\.h|sys/.*|errno\.h",
     "kernels are pure compute"),
    ("base/", r"unistd\.h|time\.h|pthread\.h|fcntl\.h|sys/socket\.h|sys/stat\.h|netinet/.*|poll\.h",
     "base/ does no I/O"),
    ("wire/", r"unistd\.h|time\.h|pthread\.h|fcntl\.h|sys/socket\.h|sys/stat\.h|netinet/.*|poll\.h",
     "wire/ is sans-IO"),
    ("edge-client/", r"ck_.*|jemalloc/.*|rte_.*|liburing\.h|cyaml/.*|sqlite3\.h",
     "the device is kept small"),
    ("appliance/round/lead/", r"time\.h|sys/socket\.h|unistd\.h|fcntl\.h", "the core is sans-IO"),
    ("appliance/round/helper/", r"time\.h|sys/socket\.h|unistd\.h|fcntl\.h", "the core is sans-IO"),
)

API = "edge-client/include/millrace_edge.h"

# The look at the machine: which CPU, how large a page. And what a process says when it dies by a bug.
EXEMPT = ("kernels/select.c", "base/secret.c", "base/last_words.c")


INCLUDE = re.compile(r'^\s*#\s*include\s*([<"])([^>"]+)[>"]')


def includes(tree):
    for name in tree.with_end(".c", ".h", ".def"):
        for number, line in enumerate(tree.lines(name), 1):
            found = INCLUDE.match(line)
            if found is None:
                continue
            kind, target = found.groups()
            if kind == "<":
                for prefix, pattern, why in () if name in EXEMPT else FORBIDDEN:
                    if name.startswith(prefix) and re.fullmatch(pattern, target):
                        yield name, number, f"<{target}>: {why}"
            elif name.startswith("tests/") and tree.exists(beside(name, target)):
                continue
            elif not tree.exists(target):
                yield name, number, f'"{target}": written from the root, and must be there'
            else:
                yield from dependency(name, number, target)


def beside(name, target):
    return os.path.join(os.path.dirname(name), target)


def dependency(name, number, target):
    why = why_not(room_of(name), room_of(target))
    if not why and name.startswith("bindings/") and room_of(target) == "edge-client" and target != API:
        why = f"of the library only {API}"
    if why:
        yield name, number, f'"{target}": {why}'


MAP = "docs/architecture.md"


def rooms_map(tree):
    """The map shows the rooms of the tree in their order; what is only planned is called so."""
    if not tree.exists(MAP):
        return
    shown = []
    for number, line in enumerate(tree.lines(MAP), 1):
        found = re.match(r"\| `([a-z/-]+)/` \| (planned\b)?", line)
        if not found:
            continue
        room, planned = found.group(1), bool(found.group(2))
        shown.append(room)
        there = any(room_of(f) == room for f in tree.with_end(".c", ".h"))
        if room not in ORDER:
            yield MAP, number, f"{room}/ is no room of tests/policy/rooms.py"
        elif planned and there:
            yield MAP, number, f"{room}/ is in the tree: no longer planned"
        elif not planned and not there:
            yield MAP, number, f"{room}/ is not in the tree: planned?"
    for room in ORDER:
        if room not in shown:
            yield MAP, 1, f"{room}/ is missing from the table of rooms"
    places = [ORDER.index(room) for room in shown if room in ORDER]
    if places != sorted(places):
        yield MAP, 1, "the table of rooms has another order than tests/policy/rooms.py"
    for name in tree.with_end(".c", ".h", ".def", under=C_ROOMS):
        if room_of(name) is None:
            yield name, 1, "is in no room of tests/policy/rooms.py"


PATH = re.compile(r"(?<![\w./*<{-])((?:\w[\w.-]*/)+[\w-]+\.(?:c|h|def|py|sh|toml))\b")


def doc_paths(tree):
    """A source file that a page names is there, by its path or by the end of it."""
    ends = {name[at:] for name in tree.files for at in [0, *(i + 1 for i, c in enumerate(name) if c == "/")]}
    for name in tree.with_end(".md"):
        for number, line in enumerate(tree.lines(name), 1):
            for found in PATH.finditer(re.sub(r"\]\(.*?\)|https?://\S+", "", line)):
                if found.group(1) not in ends:
                    yield name, number, f"{found.group(1)} is not in the tree"


def headers_alone(tree):
    """Every header compiles by itself (headers of intrinsics with what their name asks for)."""
    headers = tree.with_end(".h", under=C_ROOMS)
    packages = ["libnghttp2", "openssl", "jansson", "liburing", "libcyaml", "yaml-0.1", "python3"]
    flags = [flag for package in packages
             for flag in subprocess.run(["pkg-config", "--cflags", package], stdout=subprocess.PIPE,
                                        stderr=subprocess.DEVNULL, text=True, check=False).stdout.split()]

    def compile_one(name):
        if foreign(tree, name):
            return None
        command = ["cc", "-fsyntax-only", "-x", "c", "-std=gnu17", "-D_GNU_SOURCE", f"-I{tree.root}",
                   *machine_flags(tree, name), *flags, "-"]
        done = subprocess.run(command, cwd=tree.root, input=f'#include "{name}"\n', text=True,
                              stdout=subprocess.PIPE, stderr=subprocess.PIPE, check=False)
        return None if done.returncode == 0 else done.stderr.split("error: ", 1)[-1].split("\n")[0]

    with concurrent.futures.ThreadPoolExecutor(os.cpu_count()) as pool:
        for name, wrong in zip(headers, pool.map(compile_one, headers)):
            if wrong:
                yield name, 1, f"does not compile alone: {wrong[:120]}"


def foreign(tree, name):
    """A template that wants macros of its includer, or for another architecture than this one."""
    if '#error "define' in tree.text(name) or '"kernels/vec.h"' in tree.text(name):
        return True
    machine = os.uname().machine
    arm = "arm_neon.h" in tree.text(name) or "_neon" in name
    x86 = "immintrin.h" in tree.text(name) or "_avx" in name
    return (arm and machine != "aarch64") or (x86 and machine != "x86_64")


def machine_flags(tree, name):
    if "_avx512" in name or "_mm512" in tree.text(name):
        return ["-mavx512f", "-mavx512bw", "-mavx512vl", "-mavx512dq", "-mavx512vbmi", "-mvaes",
                "-maes", "-mavx2", "-mfma", "-mbmi2"]
    if "_avx2" in name or "immintrin.h" in tree.text(name):
        return ["-mavx2", "-maes", "-mfma", "-mbmi2"]
    return []


# --- words --------------------------------------------------------------------------------------

# This machine's places, and names of package hosts: the project runs anywhere.
BANNED = re.compile(
    r"/wor" r"k/|/hom" r"e/\w|/roo" r"t/|/Use" r"rs/|pyp" r"i\.org|deb\.debian" r"\.org|"
    r"registry\.npm" r"js|crates" r"\.io|proxy\.golang" r"\.org|\bClau" r"de\b|\bAnthro" r"pic\b|"
    r"\bGP" r"T-?\d|\bChat" r"GPT\b")


def words(tree):
    for name in tree.files:
        if name.endswith((".gz", ".png", ".npz", ".bin", ".safetensors")):
            continue
        for number, line in enumerate(tree.lines(name), 1):
            found = BANNED.search(line)
            if found:
                yield name, number, f"'{found.group(0)}' has no place in the tree"


# --- tables -------------------------------------------------------------------------------------

def all_text(tree, names):
    return "\n".join(tree.text(n) for n in names)


DOC = "docs/operations.md"


def drop_reasons(tree):
    table = "appliance/upload/upload_drops.def"
    if not tree.exists(table):
        return
    doc = tree.text(DOC) if tree.exists(DOC) else ""
    code = all_text(tree, [f for f in tree.with_end(".c", ".h", under=C_ROOMS) if f != table])
    for number, name, _ in rows(tree, table, "MR_UPLOAD_DROP"):
        if not re.search(rf"\bMR_(UPLOAD_)?DROP_{name}\b", code, re.IGNORECASE):
            yield table, number, f"{name}: no code drops for this reason"
        if f"| `{name}` |" not in doc:
            yield table, number, f"{name}: not explained in {DOC}"


def void_reasons(tree):
    """Why a round was given up is explained to whoever is woken by it."""
    table = "appliance/round/voids.def"
    doc = tree.text(DOC) if tree.exists(DOC) else ""
    for number, _, arguments in rows(tree, table, "X") if tree.exists(table) else ():
        if f"| `{arguments[1]}` |" not in doc:
            yield table, number, f"{arguments[1]}: not explained in {DOC}"


def config_keys(tree):
    """Every key is read by somebody, explained in the sample and listed in the documentation."""
    table, sample = "appliance/config/hub_options.def", "config/hub.yaml"
    if not tree.exists(table):
        return
    doc = tree.text(DOC) if tree.exists(DOC) else ""
    shown = tree.text(sample) if tree.exists(sample) else ""
    code = all_text(tree, [f for f in tree.with_end(".c", under="appliance/")
                           if not f.startswith("appliance/config/")])
    for number, _, arguments in rows(tree, table, "MR_OPTION"):
        section, key = arguments[1], arguments[2]
        whole = f"{section}.{key}" if section else key
        if not re.search(rf"^\s*(#\s*|- )?{key}:", shown, re.MULTILINE):
            yield table, number, f"{whole}: not shown in {sample}"
        if f"| `{whole}` |" not in doc:
            yield table, number, f"{whole}: not listed in {DOC}"
        if tree.exists("appliance/hub/main.c") and not re.search(rf"(->|\.){key}\b", code):
            yield table, number, f"{whole}: nobody reads it"


def log_events(tree):
    pattern = re.compile(r'mr_log_event\(\s*[^;]*?MR_LOG_\w+,\s*"([^"]+)"')
    yield from documented(tree, pattern, "log event")


def metrics(tree):
    yield from documented(tree, re.compile(r'"(millrace_[a-z0-9_]+)"'), "metric")


def documented(tree, pattern, kind):
    doc = tree.text(DOC) if tree.exists(DOC) else ""
    said = set()
    for name in tree.with_end(".c", under="appliance/"):
        text = tree.text(name)
        for found in pattern.finditer(text):
            if f"| `{found.group(1)}` |" not in doc and found.group(1) not in said:
                said.add(found.group(1))
                yield name, text.count("\n", 0, found.start()) + 1, \
                    f"{kind} {found.group(1)}: not explained in {DOC}"


def tests_registered(tree):
    """A test that no meson.build names is never run."""
    for name in tree.with_end(".c", ".py", under="tests/"):
        base = os.path.basename(name)
        if not base.startswith("test_"):
            continue
        build = os.path.join(os.path.dirname(name), "meson.build")
        stem = re.escape(base.rsplit(".", 1)[0])
        if not tree.exists(build) or not re.search(rf"\b{stem}\b|['\"/]{stem[5:]}['\"]", tree.text(build)):
            yield name, 1, f"not in {build}: it is never run"


RULES = (includes, rooms_map, doc_paths, headers_alone, words, drop_reasons, void_reasons, config_keys, log_events, metrics,
         tests_registered)
