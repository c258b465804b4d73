"""What was built, as the linker sees it: the symbols of each object, and which library links which."""

import collections
import json
import os
import shutil
import subprocess

Object = collections.namedtuple("Object", "source defines needs")

# Prints the build's own graph: name, folder and the names of what is linked, for each target.
# Meson writes what an executable links into build.ninja, and for a static library nowhere but here.
GRAPH = """
import json, sys
from mesonbuild import build
rows = []
def direct(target):
    found = list(target.link_targets) + list(target.link_whole_targets)
    waiting = list(target.external_deps)
    while waiting:
        dependency = waiting.pop()
        found += getattr(dependency, "libraries", [])
        found += getattr(dependency, "whole_libraries", [])
        waiting += getattr(dependency, "ext_deps", [])
    return sorted({t.name for t in found if hasattr(t, "subdir")})
for target in build.load(sys.argv[1]).targets.values():
    if isinstance(target, build.BuildTarget):
        rows.append([target.name, target.subdir, [str(s) for s in target.sources], direct(target)])
json.dump(rows, sys.stdout)
"""


def compiled(build, root):
    """(source, object) of each C file that the build compiles in the folder of its own target."""
    with open(os.path.join(build, "compile_commands.json"), encoding="utf-8") as f:
        entries = json.load(f)
    for entry in entries:
        source = os.path.relpath(os.path.join(entry["directory"], entry["file"]), root)
        output = entry["output"]
        if source.endswith(".c") and source.split("/")[0] == output.split("/")[0]:
            yield source, os.path.join(build, output)


def symbols(paths):
    """Object path to (defined, needed) global symbols; hidden ones are global here."""
    done = subprocess.run(["nm", "--extern-only", "--format=posix", "--print-file-name", *paths],
                          stdout=subprocess.PIPE, text=True, check=True)
    found = {path: (set(), set()) for path in paths}
    for line in done.stdout.splitlines():
        path, rest = line.split(": ", 1)
        name, kind = rest.split()[:2]
        found[path][kind in "Uwv"].add(name)
    return found


def read_objects(build, root, rooms):
    """The objects of all files in `rooms` (names of top folders), in the order of their names."""
    pairs = [(s, o) for s, o in sorted(compiled(build, root)) if s.split("/")[0] in rooms]
    table = symbols([o for _, o in pairs])
    return [Object(source, *table[path]) for source, path in pairs]


def read_targets(build):
    """[name, folder, sources, names of what it links] of each library and program."""
    meson = os.path.realpath(shutil.which("meson"))
    with open(meson, encoding="utf-8", errors="replace") as f:
        python = f.readline().strip().lstrip("#!").split()
    done = subprocess.run([*(python or ["python3"]), "-c", GRAPH, build], stdout=subprocess.PIPE,
                          text=True, check=True)
    return json.loads(done.stdout)
