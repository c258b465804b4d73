#!/usr/bin/env python3
"""The order of the rooms, proved from what was built: link.py BUILD ROOT

An #include shows what a file could use; the linker's symbols show what it does use. Five rules:
  circles   no object needs a symbol of an object that, directly or through others, needs one of it
  upward    no object needs a symbol of a room below its own (tests/policy/rooms.py has the order)
  prefixes  every symbol that another object can see starts with mr_ or mre_, hidden ones too
  bindings  no object of bindings/ needs of the library what millrace_edge.h does not declare (mre_)
  links     a library links only rooms above its own, and each one that its objects need
Exit code 1 if there is a complaint.
"""

import os
import sys

HERE = os.path.dirname(os.path.abspath(__file__))
sys.path[:0] = [HERE, os.path.dirname(HERE)]

from objects import read_objects, read_targets
from rooms import ORDER, room_of, why_not

KNOWN = ("main", "PyInit__core") # the names that a loader looks up

TOPS = {room.split("/")[0] for room in ORDER}


def uses(objects):
    """{user: {used: [symbols]}} between the sources of the objects."""
    home = {}
    for one in objects:
        home.update({symbol: one.source for symbol in one.defines if symbol != "main"})
    graph = {one.source: {} for one in objects}
    for one in objects:
        for symbol in sorted(one.needs):
            used = home.get(symbol)
            if used is not None and used != one.source:
                graph[one.source].setdefault(used, []).append(symbol)
    return graph


def components(graph):
    """The strongly connected components of more than one node (Tarjan, without recursion)."""
    order, low, stack, on_stack, found = {}, {}, [], set(), []
    for root in sorted(graph):
        if root in order:
            continue
        path = [(root, iter(sorted(graph[root])))]
        order[root] = low[root] = len(order)
        stack.append(root)
        on_stack.add(root)
        while path:
            node, following = path[-1]
            for after in following:
                if after not in order:
                    order[after] = low[after] = len(order)
                    stack.append(after)
                    on_stack.add(after)
                    path.append((after, iter(sorted(graph[after]))))
                    break
                if after in on_stack:
                    low[node] = min(low[node], order[after])
            else:
                path.pop()
                if path:
                    low[path[-1][0]] = min(low[path[-1][0]], low[node])
                if low[node] == order[node]:
                    at = stack.index(node)
                    found.append(sorted(stack[at:]))
                    on_stack.difference_update(stack[at:])
                    del stack[at:]
    return [c for c in found if len(c) > 1]


def circles(graph):
    for members in sorted(components(graph)):
        yield f"a circle of {len(members)} files: {' '.join(members)} [circles]"
        for user in members:
            for used, symbols in sorted(graph[user].items()):
                if used in members:
                    yield f"    {user} needs of {used}: {' '.join(symbols)}"


def upward(graph):
    for user, rows in sorted(graph.items()):
        for used, symbols in sorted(rows.items()):
            why = why_not(room_of(user), room_of(used))
            if why:
                yield f"{user}: needs {' '.join(symbols)} of {used}: {why} [upward]"


def bindings(graph):
    for user, rows in sorted(graph.items()):
        for used, symbols in sorted(rows.items()):
            inner = sorted(s for s in symbols if not s.startswith("mre_"))
            if user.startswith("bindings/") and not used.startswith("bindings/") and inner:
                yield f"{user}: needs {' '.join(inner)} of {used}: bindings have the installed header alone [bindings]"


def prefixes(objects):
    for one in objects:
        for symbol in sorted(one.defines):
            if symbol not in KNOWN and not symbol.startswith(("mr_", "mre_")):
                yield f"{one.source}: {symbol} starts neither with mr_ nor with mre_ [prefixes]"


def links(graph, targets):
    """Of the tree's own rooms; tests, benches and the demo link what they like."""
    built = [t for t in targets if t[1].split("/")[0] in TOPS]
    folder = {name: where for name, where, _, _ in targets}
    library = {source: name for name, _, sources, _ in built for source in sources}
    for name, where, sources, linked in built:
        rooms = {room_of(s) for s in sources} or {room_of(where + "/x")}
        for used in linked:
            for why in sorted({why_not(room, room_of(folder[used] + "/x")) or "" for room in rooms} - {""}):
                yield f"{where}/meson.build: {name} links {used}: {why} [links]"
        needed = {library.get(used) for s in sources for used in graph.get(s, ())} - {name, None}
        for used in sorted(n for n in needed - reached(targets, name) if folder[n] != where):
            yield f"{where}/meson.build: {name} needs {used}, which it does not link [links]"


def reached(targets, name):
    """What a target links, itself or through what it links."""
    table = {}
    for target, _, _, linked in targets:
        table.setdefault(target, set()).update(linked)
    found, waiting = set(), [name]
    while waiting:
        new = table.get(waiting.pop(), set()) - found
        found |= new
        waiting += new
    return found


def complaints(build, root):
    objects = read_objects(build, root, TOPS)
    if not objects:
        yield f"{build}: no object of a room is built there [circles]"
    graph = uses(objects)
    yield from circles(graph)
    yield from upward(graph)
    yield from bindings(graph)
    yield from prefixes(objects)
    yield from links(graph, read_targets(build))


def main(build, root):
    found = list(complaints(os.path.abspath(build), os.path.abspath(root)))
    for text in found:
        print(text)
    count = sum(not text.startswith(" ") for text in found)
    print(f"link: {count} complaints")
    return 1 if found else 0


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
