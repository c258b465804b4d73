#!/usr/bin/python3
"""tidy can fail: for every rule a small tree that breaks it, and one that does not."""

import os
import shutil
import sys
import tempfile
import unittest

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))

import tidy
from rooms import ORDER
from tree import Tree

HEAD = "/* a.h - a thing. */\n"
REFUSALS = {"wire/refusals.def": "/* codes */\nMR_REFUSAL(BUSY, 503, \"busy\", \"x\")\n"
                                 "MR_REFUSAL(VOID, 410, \"void\", \"x\")\n"}



def tree_of(rooms, planned=()):
    """A tree with every room, and a map of it that shows `rooms`."""
    files = {f"{room}/a.h": HEAD for room in ORDER if room not in planned}
    lines = [f"| `{room}/` | {'planned: ' if room in planned else ''}x |" for room in rooms]
    return {**files, "docs/architecture.md": "\n".join(lines) + "\n"}


# rule -> ({file: text} that breaks it, {file: text} that is fine)
CASES = {
    "file_length": ({"wire/a.c": "\n" * 601}, {"wire/a.c": "\n" * 600}),
    "file_lengths": ({f"wire/{n}.c": "\n" * (301 if n < 2 else 1) for n in range(10)},
                     {f"wire/{n}.c": "\n" * (301 if n < 1 else 300) for n in range(10)}),
    "function_length": ({"wire/a.c": "void mr_a(void)\n{\n" + "    ;\n" * 58 + "}\n"},
                        {"wire/a.c": "void mr_a(void)\n{\n" + "    ;\n" * 57 + "}\n"}),
    "architecture": ({"wire/a.c": "#ifdef __x86_64__\n#endif\n"},
                     {"kernels/select.c": "#ifdef __x86_64__\n#endif\n"}),
    "globals": ({"wire/a.c": "static int count;\n"},
                {"wire/a.c": "static const int count = 3;\nstatic int f(void);\n"
                             "static const char *const names[] = {\"a;b\", \"c\"};\n"
                             "struct s {\n    int x;\n};\n"
                             "void mr_a(int x)\n{\n    int y = x;\n    (void)y;\n}\n"}),
    "exported_names": ({"kernels/a.h": HEAD + "void a(void);\n",
                        "kernels/a.c": "void a(void)\n{\n}\n",
                        "wire/b.c": '#include "kernels/a.h"\n'},
                       {"kernels/a.h": HEAD + "void mr_a(void);\n",
                        "kernels/a.c": "void mr_a(void)\n{\n}\nstatic void b(void)\n{\n}\n",
                        "wire/b.c": '#include "kernels/a.h"\n'}),
    "banned_calls": ({"wire/a.c": "int mr_a(char *b)\n{\n    return sprintf(b, \"x\");\n}\n"},
                     {"wire/a.c": "/* sprintf( is not used */\n"}),
    "contracts": ({"wire/a.h": "#ifndef A\n#endif\n"}, {"wire/a.h": HEAD}),
    "unfinished": ({"wire/a.c": "/* TO" "DO: more */\n"}, {"wire/a.c": "/* done */\n"}),
    "dead_tests": ({"tests/unit/wire/test_a.c": "/* cmocka_unit_test(test_b), */\n"},
                   {"tests/unit/wire/test_a.c": "/* a test */\n",
                    "tests/unit/wire/meson.build": "'test_a.c'\n"}),
    "json_values": ({"wire/a.c": 'json_t *mr_a(char *x)\n{\n    return json_pack("{s:I, "\n "s:s}", "a", 1, "b", x);\n}\n'},
                    {"wire/a.c": 'json_t *mr_a(char *x)\n{\n    return json_pack("{s:o, s:[I, I], s:o}", "a",\n'
                                 '        mr_json_text(x), "b", 1, 2, "c", json_string("constant"));\n}\n'}),
    "braces": ({"wire/a.c": "void mr_a(int x)\n{\n    if (x)\n        x++;\n}\n"},
               {"wire/a.c": "void mr_a(int x)\n{\n    if (x && (x < 3)) {\n        x++;\n    } else if (x < 9) {\n"
                            "        x--;\n    } else {\n        x = 0;\n    }\n    do {\n        x++;\n"
                            "    } while (x < 4);\n}\n"}),
    "null_tests": ({"wire/a.c": "int mr_a(char *x)\n{\n    return x == NULL ? 1 : 2;\n}\n"},
                   {"wire/a.c": "int mr_a(char *x, int y)\n{\n    while ((x = mr_b(y)) != NULL) {\n    }\n"
                                "    return !x && strchr(x, y) == NULL;\n}\n"}),
    "private_headers": ({"wire/a_impl.h": HEAD.replace("a.h", "a_impl.h")},
                        {"wire/a_internal.h": HEAD.replace("a.h", "a_internal.h"),
                         "wire/a.c": '#include "wire/a_internal.h"\n'}),
    "refusal_strings": ({**REFUSALS, "appliance/api/a.c": 'int mr_a(char *x)\n{\n    return strcmp(x, "busy");\n}\n'},
                        {**REFUSALS, "appliance/api/a.c": 'int mr_a(char *x)\n{\n    return strcmp(x, "void");\n}\n'}),
    "parameters": ({"wire/a.h": HEAD + "int mr_a(int a, int b, int c, int d, int e, int f, int g, int h);\n"},
                   {"wire/a.h": HEAD + "int mr_a(int a, int (*b)(int x, int y), int c, int d, int e, int f, int g);\n"}),
    "includes": ({"kernels/a.c": '#include "wire/b.h"\n',
                  "wire/b.h": "/* b.h - a thing. */\n"},
                 {"wire/a.c": '#include "kernels/b.h"\n',
                  "kernels/b.h": "/* b.h - a thing. */\n"}),
    "rooms_map": (tree_of(ORDER[:-1]), tree_of(ORDER)),
    "doc_paths": ({"docs/a.md": "see `attic/a.c`\n"}, {"docs/a.md": "see `wire/a.c` and `a.c`\n", "base/wire/a.c": ""}),
    "headers_alone": ({"wire/a.h": HEAD + "uint32_t mr_a(void);\n"},
                      {"wire/a.h": HEAD + "#include <stdint.h>\nuint32_t mr_a(void);\n"}),
    "words": ({"docs/a.md": "see /hom" "e/someone/x\n"}, {"docs/a.md": "see docs/\n"}),
    "drop_reasons": ({"appliance/upload/upload_drops.def": "/* why */\nMR_UPLOAD_DROP(late, \"x\")\n"},
                     {"appliance/upload/upload_drops.def": "/* why */\nMR_UPLOAD_DROP(late, \"x\")\n",
                      "appliance/upload/a.c": "int x = MR_DROP_LATE;\n".replace("int", "const int"),
                      "docs/operations.md": "| `late` | x |\n"}),
    "void_reasons": ({"appliance/round/voids.def": '/* why */\nX(PEER, "other_hub")\n'},
                     {"appliance/round/voids.def": '/* why */\nX(PEER, "other_hub")\n',
                      "docs/operations.md": "| `other_hub` | x |\n"}),
    "config_keys": ({"appliance/config/hub_options.def":
                     "/* keys */\nMR_OPTION(s, \"round\", quorum, UINT, \"3\", 0, 0, NULL, \"x\")\n"},
                    {"appliance/config/hub_options.def":
                     "/* keys */\nMR_OPTION(s, \"round\", quorum, UINT, \"3\", 0, 0, NULL, \"x\")\n",
                     "config/hub.yaml": "round:\n  # quorum: 3\n",
                     "docs/operations.md": "| `round.quorum` | x |\n"}),
    "log_events": ({"appliance/a.c": 'void mr_a(void)\n{\n    mr_log_event(l, MR_LOG_INFO, "a.b", "");\n}\n'},
                   {"appliance/a.c": 'void mr_a(void)\n{\n    mr_log_event(l, MR_LOG_INFO, "a.b", "");\n}\n',
                    "docs/operations.md": "| `a.b` | x |\n"}),
    "metrics": ({"appliance/a.c": 'const char mr_x[] = "millrace_x_total";\n'},
                {"appliance/a.c": 'const char mr_x[] = "millrace_x_total";\n',
                 "docs/operations.md": "| `millrace_x_total` | x |\n"}),
    "tests_registered": ({"tests/unit/wire/test_a.c": "\n", "tests/unit/wire/meson.build": "\n"},
                         {"tests/unit/wire/test_a.c": "\n", "tests/unit/wire/meson.build": "'test_a.c'\n"}),
}

# More that must be caught: (rule, file, text).
BAD = [
    ("globals", "wire/a.c", "static const char *name = 0;\n"),
    ("globals", "wire/a.c", "int mr_x[4] = {1, 2};\n"),
    ("globals", "wire/a.c", "static struct { int a; } thing;\n"),
    ("globals", "wire/a.c", "static void (*hook)(int);\n"),
    ("globals", "wire/a.c", "static _Thread_local int depth;\n"),
    ("globals", "wire/a.c", "void mr_a(void)\n{\n    static int calls;\n    calls++;\n}\n"),
    ("architecture", "wire/a.h", HEAD + "#if defined(__aarch64__)\n#endif\n"),
    ("architecture", "kernels/a.c", "#if 1\n#elif defined(__AVX2__)\n#endif\n"),
    ("braces", "wire/a.c", "void mr_a(int x)\n{\n    while (x)\n        x--;\n}\n"),
    ("braces", "wire/a.c", "void mr_a(int x)\n{\n    if (x) {\n    } else\n        x--;\n}\n"),
    ("braces", "wire/a.c", "void mr_a(int x)\n{\n    json_array_foreach(x, i, y) x--;\n}\n"),
    ("null_tests", "wire/a.c", "void mr_a(struct b *x)\n{\n    if (x->y[2].z != NULL) {\n    }\n}\n"),
    ("null_tests", "wire/a.c", "bool mr_a(char *x)\n{\n    const bool y = x != NULL;\n    return y;\n}\n"),
    ("private_headers", "wire/a.c", '#include "appliance/http/server_internal.h"\n'),
    ("parameters", "wire/a.c", "static void a(int b, int c, int d, int e,\n              int f, int g, int h, int i)\n{\n}\n"),
    ("json_values", "wire/a.c", "json_t *mr_a(double x)\n{\n    return json_pack(\"{s:f}\", \"a\", x);\n}\n"),
    ("json_values", "wire/a.c", "json_t *mr_a(double x)\n{\n    return json_real(x);\n}\n"),
    ("json_values", "wire/a.c", "json_t *mr_a(char *x)\n{\n    return json_string(x);\n}\n"),
    ("banned_calls", "wire/a.c", "#include <assert.h>\n"),
    ("includes", "wire/a.c", '#include "gone.h"\n'),
    ("includes", "wire/a.c", "#include <sys/socket.h>\n"),
    ("includes", "kernels/a.c", "#include <stdlib.h>\n"),
    ("dead_tests", "wire/a.c", "#if 0\n#endif\n"),
    ("dead_tests", "tests/unit/wire/meson.build", "# test('x', y)\n"),
    ("dead_tests", "tests/unit/wire/test_a.c",
     "static void test_a(void **state)\n{\n}\nstruct CMUnitTest t[] = {};\n"),
    ("dead_tests", "tests/a.py", "    # def test_x(self):\n"),
]


class Rules(unittest.TestCase):
    def complaints(self, files):
        root = tempfile.mkdtemp(prefix="millrace-tidy-")
        try:
            for name, text in files.items():
                path = os.path.join(root, name)
                os.makedirs(os.path.dirname(path), exist_ok=True)
                with open(path, "w", encoding="utf-8") as f:
                    f.write(text)
            return list(tidy.complaints(Tree(root)))
        finally:
            shutil.rmtree(root)

    def test_every_rule_has_a_case(self):
        self.assertEqual({r.__name__.rstrip("_") for r in tidy.RULES}, set(CASES))

    def test_each_rule_catches_and_lets_pass(self):
        for rule, (bad, good) in CASES.items():
            with self.subTest(rule):
                self.assertTrue([c for c in self.complaints(bad) if c.endswith(f"[{rule}]")])
                self.assertEqual([c for c in self.complaints(good) if c.endswith(f"[{rule}]")], [])

    def test_more_that_is_caught(self):
        for rule, name, text in BAD:
            with self.subTest(text=text):
                found = self.complaints({name: text})
                self.assertTrue([c for c in found if c.endswith(f"[{rule}]")], found)

    def test_the_map(self):
        last, first = ORDER[-1], ORDER[0]
        for files, wrong in (({**tree_of(ORDER, [last]), f"{last}/a.h": HEAD}, "no longer planned"),
                             (dict(list(tree_of(ORDER).items())[1:]), f"{first}/ is not in the tree"),
                             (tree_of((*ORDER, "appliance/attic")), "no room of"),
                             (tree_of(ORDER[::-1]), "another order"),
                             ({**tree_of(ORDER), "appliance/a.h": HEAD}, "in no room")):
            found = [c for c in self.complaints(files) if c.endswith("[rooms_map]")]
            self.assertEqual([wrong in c for c in found], [True], found)
        found = self.complaints(tree_of(ORDER, [last]))
        self.assertEqual([c for c in found if c.endswith("[rooms_map]")], [])

    def test_a_complaint_names_its_line(self):
        found = self.complaints({"wire/a.c": "\n\nstatic int x;\n"})
        self.assertEqual(found, ["wire/a.c:3: mutable at file scope: static int x; [globals]"])

    def test_the_order_of_rooms(self):
        files = {f"appliance/{room}/{room}.h": f"/* {room}.h - a room. */\n"
                 for room in ("runtime", "config", "round", "cli")}
        files["edge-client/upload/drive.h"] = "/* drive.h - a thing. */\n"
        for user, target, good in [("round", "appliance/config/config.h", True),
                                   ("config", "appliance/round/round.h", False),
                                   ("runtime", "appliance/cli/cli.h", False),
                                   ("round", "edge-client/upload/drive.h", False)]:
            found = self.complaints({**files, f"appliance/{user}/a.c": f'#include "{target}"\n'})
            self.assertEqual(not [c for c in found if "[includes]" in c], good, (user, target))

    def test_a_source_archive(self):
        """Without a checkout, and in one without git, what is not built is found all the same."""
        path = os.environ["PATH"]
        for checkout in (False, True):
            with tempfile.TemporaryDirectory(prefix="millrace-tidy-") as root:
                for name in (".git/a.c", "wire/a.c", "tests/policy/build/b.py", "build/c.c",
                             "build-asan/d/e.c", "out/f.c", "wire/__pycache__/g.pyc"):
                    if checkout or not name.startswith(".git"):
                        os.makedirs(os.path.dirname(os.path.join(root, name)), exist_ok=True)
                        open(os.path.join(root, name), "w", encoding="utf-8").close()
                try:
                    os.environ["PATH"] = root if checkout else path
                    self.assertEqual(Tree(root).files, ["tests/policy/build/b.py", "wire/a.c"])
                finally:
                    os.environ["PATH"] = path


if __name__ == "__main__":
    unittest.main(verbosity=1)
