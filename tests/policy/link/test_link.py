#!/usr/bin/python3
"""link.py can fail: small trees are built, each with one fault that an #include would not show."""

import os
import shutil
import subprocess
import sys
import tempfile
import unittest

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))

import link


def function(name, *calls):
    """A file that defines `name`, which calls `calls`; their prototypes are in no header."""
    text = "".join(f"int {c}(int x);\n" for c in calls) + f"int {name}(int x);\n"
    return text + f"int {name}(int x)\n{{\n    return x < 1 ? 0 : x{''.join(f' + {c}(x - 1)' for c in calls)};\n}}\n"


def program(*calls):
    return function("start", *calls).replace("int start", "static int start") + \
        "int main(int argc, char **argv)\n{\n    (void)argv;\n    return start(argc);\n}\n"


# A tree without a fault.
SOUND = {
    "base/a.c": function("mr_a"),
    "base/b.c": function("mr_b", "mr_a"),
    "wire/c.c": function("mr_c", "mr_b"),
    "edge-client/d.c": function("mre_d", "mr_c"),
    "appliance/observe/o.c": function("mr_o"),
    "appliance/storage/e.c": function("mr_e", "mr_c"),
    "appliance/round/lead/f.c": function("mr_f", "mr_e"),
    "appliance/round/helper/g.c": function("mr_g", "mr_e"),
    "appliance/round/drive/h.c": function("mr_h", "mr_f", "mr_g"),
    "appliance/hub/main.c": program("mr_h"),
    "bindings/python/p.c": function("mr_p", "mre_d"),
}
LIBRARIES = {
    "base": [],
    "wire": ["base"],
    "edge-client": ["wire"],
    "appliance/observe": [],
    "appliance/storage": ["wire"],
    "appliance/round": ["appliance/storage"],
    "bindings/python": ["edge-client"],
}


def word(folder):
    return folder.replace("/", "_").replace("-", "_")


def write(root, name, text):
    os.makedirs(os.path.dirname(os.path.join(root, name)), exist_ok=True)
    with open(os.path.join(root, name), "w", encoding="utf-8") as f:
        f.write(text)


def build_order(linked):
    """Libraries after those that they link."""
    done = []
    while len(done) < len(linked):
        done += [x for x in linked if x not in done and set(linked[x]) <= set(done)]
    return done


def write_tree(root, files, links):
    """`links`: {library: more libraries that it links}."""
    linked = {folder: used + links.get(folder, []) for folder, used in LIBRARIES.items()}
    for name, text in files.items():
        write(root, name, text)
    for folder, used in linked.items():
        sources = sorted(os.path.relpath(n, folder) for n in files if n.startswith(folder + "/"))
        write(root, folder + "/meson.build",
              f"{word(folder)}_lib = static_library('mr_{word(folder)}', {sources},\n"
              f"  link_with: [{', '.join(word(x) + '_lib' for x in used)}])\n")
    write(root, "appliance/meson.build",
          "executable('hub', 'hub/main.c', link_with: appliance_round_lib)\n")
    lines = [f"subdir('{folder}')" for folder in [*build_order(linked), "appliance"]]
    write(root, "meson.build", "\n".join(["project('tiny', 'c')", *lines]) + "\n")


class Faults(unittest.TestCase):
    def found(self, changes, links=None):
        """The complaints about the sound tree with `changes`."""
        root = tempfile.mkdtemp(prefix="millrace-link-")
        build = os.path.join(root, "build")
        quiet = {"stdout": subprocess.PIPE, "stderr": subprocess.STDOUT, "text": True, "check": False}
        try:
            write_tree(root, {**SOUND, **changes}, links or {})
            for command in (["meson", "setup", build, root], ["ninja", "-C", build, "-k", "0"]):
                done = subprocess.run(command, **quiet)
                self.assertEqual(done.returncode, 0, done.stdout)
            return list(link.complaints(build, root))
        finally:
            shutil.rmtree(root)

    def test_a_sound_tree(self):
        self.assertEqual(self.found({}), [])

    def test_a_circle_of_two(self):
        found = self.found({"base/a.c": function("mr_a", "mr_b")})
        self.assertEqual(found, ["a circle of 2 files: base/a.c base/b.c [circles]",
                                 "    base/a.c needs of base/b.c: mr_b",
                                 "    base/b.c needs of base/a.c: mr_a"])

    def test_a_circle_of_four(self):
        found = self.found({"base/a.c": function("mr_a", "mr_y"), "base/y.c": function("mr_y", "mr_z"),
                            "base/z.c": function("mr_z", "mr_b")})
        self.assertEqual(found[0], "a circle of 4 files: base/a.c base/b.c base/y.c base/z.c [circles]")
        self.assertEqual(len(found), 5)

    def test_a_room_that_uses_one_below(self):
        found = self.found({"appliance/storage/e.c": function("mr_e", "mr_x"),
                            "appliance/round/lead/x.c": function("mr_x")})
        self.assertEqual(found, [
            "appliance/storage/e.c: needs mr_x of appliance/round/lead/x.c: appliance/storage may not use "
            "appliance/round/lead, which is below it [upward]",
            "appliance/storage/meson.build: mr_appliance_storage needs mr_appliance_round, which it does not "
            "link [links]"])

    def test_the_two_cores_stay_apart(self):
        found = self.found({"appliance/round/helper/g.c": function("mr_g", "mr_f")})
        self.assertEqual(len(found), 1)
        self.assertIn("what the two cores share is in appliance/round/ [upward]", found[0])

    def test_device_and_hub_stay_apart(self):
        apart = "what a hub shares with a device is in transport/ or above"
        found = self.found({"appliance/storage/e.c": function("mr_e", "mre_d")},
                           {"appliance/storage": ["edge-client"]})
        self.assertEqual(found, [
            f"appliance/storage/e.c: needs mre_d of edge-client/d.c: {apart} [upward]",
            f"appliance/storage/meson.build: mr_appliance_storage links mr_edge_client: {apart} [links]"])
        found = self.found({"edge-client/d.c": function("mre_d", "mr_e")},
                           {"edge-client": ["appliance/storage"]})
        self.assertEqual(found, [
            f"edge-client/d.c: needs mr_e of appliance/storage/e.c: {apart} [upward]",
            f"edge-client/meson.build: mr_edge_client links mr_appliance_storage: {apart} [links]"])

    def test_bindings_have_the_installed_header_alone(self):
        found = self.found({"bindings/python/p.c": function("mr_p", "mr_c")})
        self.assertEqual(found, ["bindings/python/p.c: needs mr_c of wire/c.c: bindings have the installed header alone "
                                 "[bindings]"])

    def test_a_library_that_links_downwards_and_uses_nothing(self):
        found = self.found({}, {"appliance/observe": ["appliance/storage"]})
        self.assertEqual(found, [
            "appliance/observe/meson.build: mr_appliance_observe links mr_appliance_storage: appliance/observe "
            "may not use appliance/storage, which is below it [links]"])

    def test_a_symbol_without_prefix(self):
        hidden = '__attribute__((visibility("hidden"))) int helper(int x);\nint helper(int x)\n{\n    return x;\n}\n'
        found = self.found({"wire/x.c": hidden})
        self.assertEqual(found, ["wire/x.c: helper starts neither with mr_ nor with mre_ [prefixes]"])


if __name__ == "__main__":
    unittest.main(verbosity=1)
