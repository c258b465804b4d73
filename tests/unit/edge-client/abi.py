"""What of millrace_edge.h a program is compiled against: enumerators and their values, the sizes of structs, offsets and sizes
of their members, numbers that are #defined, and functions with their types."""

import os
import re
import subprocess
import tempfile

COMMENT = re.compile(r"/\*.*?\*/", re.DOTALL)


def enumerators(text):
    for _, body in re.findall(r"enum (\w+) \{(.*?)\};", text, re.DOTALL):
        yield from re.findall(r"\b(MRE_\w+)\b(?=\s*(?:=|,|$))", body, re.MULTILINE)


def members(body):
    """Dotted paths of a struct's members; an inner struct's as those of its first element."""
    inner = re.search(r"struct \{(.*?)\} (\w+)(\[\w+\])?;", body, re.DOTALL)
    if inner:
        prefix = inner.group(2) + ("[0]" if inner.group(3) else "")
        yield inner.group(2)
        yield from (f"{prefix}.{name}" for name in members(inner.group(1)))
        body = body.replace(inner.group(0), "")
    for declaration in body.split(";"):
        found = re.search(r"(\w+)(?:\[[^\]]*\])?\s*$", declaration)
        if found:
            yield found.group(1)


def structs(text):
    for name, body in re.findall(r"^struct (\w+) \{(.*?)^\};", text, re.DOTALL | re.MULTILINE):
        yield name, list(members(body))


def functions(text):
    """Each as one line, parameters' names left out of nothing: a changed name is a changed line, and harmless."""
    for found in re.findall(r"^MRE_API (.*?);", text, re.DOTALL | re.MULTILINE):
        yield " ".join(found.split())
    for found in re.findall(r"^typedef (.*?);", text, re.DOTALL | re.MULTILINE):
        yield "typedef " + " ".join(found.split())


def lines(header, compiler):
    """The list, as the compiler sees it."""
    with open(header, encoding="utf-8") as f:
        text = COMMENT.sub("", f.read())
    out = [f'printf("version %d.%d\\n", MRE_API_MAJOR, MRE_API_MINOR);']
    for name in re.findall(r"^#define (MRE_\w+)\s+\d", text, re.MULTILINE):
        if not name.startswith("MRE_API"):
            out.append(f'printf("define {name} %lld\\n", (long long){name});')
    for name in enumerators(text):
        out.append(f'printf("enum {name} %d\\n", (int){name});')
    for name, fields in structs(text):
        out.append(f'printf("struct {name} %zu\\n", sizeof(struct {name}));')
        for field in fields:
            size = f"sizeof ((struct {name} *)0)->{field}"
            out.append(f'printf("member {name}.{field} %zu %zu\\n", offsetof(struct {name}, {field}), {size});')
    program = (f'#include <stdio.h>\n#include "{os.path.abspath(header)}"\nint main(void)\n{{\n'
               + "\n".join(out) + "\nreturn 0;\n}\n")
    with tempfile.TemporaryDirectory() as folder:
        source, binary = os.path.join(folder, "abi.c"), os.path.join(folder, "abi")
        with open(source, "w", encoding="utf-8") as f:
            f.write(program)
        subprocess.run([*compiler, "-o", binary, source], check=True)
        told = subprocess.run([binary], check=True, stdout=subprocess.PIPE, text=True).stdout.splitlines()
    return told + sorted(f"function {one}" for one in functions(text))
