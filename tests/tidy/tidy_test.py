"""The shape of the code: who includes whom, how long things are, what the library never does.
Each rule is first shown to catch a sample that breaks it."""
import pathlib
import re
import subprocess
import unittest

ROOT = pathlib.Path(__file__).resolve().parents[2]
MAX_FILE, MAX_FUNCTION = 500, 70
CODE = {".h", ".cc", ".c", ".zig", ".py", ".cmake"}

# What the files of a folder may include by quotes: the longest prefix of the file's path counts.
ALLOWED = {
    "include/": ["engram/", "absl/"],
    "storage/base/": ["storage/base/", "absl/", "rocksdb/"],
    "storage/format/": ["storage/base/", "storage/format/", "absl/"],
    "storage/": ["storage/", "absl/", "rocksdb/"],
    "src/kernels/": ["kernels/", "abi.h", "level.h"],
    "src/recall/": ["recall/", "kernels/", "storage/", "engram/", "absl/"],
    "src/engine/": ["engine/", "recall/", "kernels/", "storage/", "engram/", "absl/"],
    "src/api/": ["engine/", "kernels/", "storage/", "engram/", "absl/", "rocksdb/"],
    "src/cli/": ["cli/", "engram/", "absl/", "storage/base/status.h"],
    "examples/": ["engram/", "absl/"],
}
# The kernels are compiled for higher instruction sets: no inline function of a C++ header may be.
CODES_HEADERS = {"codes_append.h", "codes_avx2.h", "codes_avx512.h", "codes_neon.h", "codes_plain.h",
                 "codes_sse.h"}
KERNEL_UNITS = {"similarity.cc", "spreading.cc", "decay.cc", "codes.cc", "table.cc", "abi.h",
                "level.h"} | CODES_HEADERS
C_HEADERS = {"stddef.h", "stdint.h", "string.h", "immintrin.h", "emmintrin.h", "tmmintrin.h",
             "arm_neon.h"}
FORBIDDEN = re.compile(
    r"\b(?:std::)?(?:printf|fprintf|puts|fputs|putchar|perror|abort|_?exit|quick_exit|terminate)\s*\("
    r"|\bstd::(?:cout|cerr|clog)\b|\bthrow\b")
UNFINISHED = re.compile(r"\b(?:TO" r"DO|FIX" r"ME|XX" r"X)\b")
MACHINE_PATH = re.compile(r"(?<![\w.$}/])/(?:home|root|work|Users)/")


def without_comments_and_strings(text):
    """C++ with comments and literals blanked, every line kept."""
    pattern = re.compile(
        r'//[^\n]*|/\*.*?\*/|"(?:\\.|[^"\\\n])*"|\'(?:\\.|[^\'\\\n])*\'', re.DOTALL)
    return pattern.sub(lambda m: "\n" * m.group().count("\n") or " ", text)


def cpp_functions(text):
    """(first line, lines) of every outermost block that is no namespace, class or the like."""
    text = without_comments_and_strings(text)
    opaque = re.compile(r"\b(?:namespace|class|struct|enum|union|extern)\b[^;(){}]*$")
    depth_of_function, stack, head = None, [], ""
    line, found, begin = 1, [], 0
    for char in text:
        if char == "\n":
            line += 1
        if char == "{":
            is_scope = bool(opaque.search(head)) or head.strip() == "extern"
            stack.append(is_scope)
            if not is_scope and depth_of_function is None:
                depth_of_function, begin = len(stack), line
            head = ""
        elif char == "}":
            if depth_of_function == len(stack):
                found.append((begin, line - begin + 1))
                depth_of_function = None
            if stack:
                stack.pop()
            head = ""
        elif char == ";":
            head = ""
        else:
            head += char
    return found


def indented_functions(text, keyword):
    """The same for Zig and Python, whose functions end where their indentation does."""
    lines, found = text.splitlines(), []
    for i, line in enumerate(lines):
        match = re.match(rf"(\s*)(?:pub )?(?:inline )?{keyword} ", line)
        if not match:
            continue
        end = i + 1
        while end < len(lines) and (not lines[end].strip() or lines[end].startswith(
                match.group(1) + " ") or lines[end].strip()[0] in ")}"):
            end += 1
            if lines[end - 1].startswith(match.group(1) + "}"):
                break
        found.append((i + 1, end - i))
    return found


def functions(path, text):
    if path.suffix in {".h", ".cc", ".c"}:
        return cpp_functions(text)
    return indented_functions(text, "fn" if path.suffix == ".zig" else "def")


def include_faults(name, text):
    prefix = max((p for p in ALLOWED if name.startswith(p)), key=len, default=None)
    faults = []
    for bracket, header in re.findall(r'^\s*#include\s+([<"])([^>"]+)[>"]', text, re.MULTILINE):
        unit = pathlib.Path(name).name
        if name.startswith("src/kernels/") and unit in KERNEL_UNITS:
            if header not in C_HEADERS | {"abi.h", "level.h"} | CODES_HEADERS:
                faults.append(f"{name} includes {header}: kernels take C headers only")
        elif prefix and bracket == '"' and not any(header.startswith(p) for p in ALLOWED[prefix]):
            faults.append(f"{name} includes {header}, against the direction")
    return faults


def library_faults(name, text):
    if not name.startswith(("include/", "src/", "storage/")) or name.startswith("src/cli/"):
        return []
    return [f"{name}: the library must not {match.group().strip('( ')}"
            for match in FORBIDDEN.finditer(without_comments_and_strings(text))]


def link_faults(path, text):
    return [f"{path}: no {target}" for target in re.findall(r"\]\(([^)#\s]+)[^)]*\)", text)
            if "://" not in target and not (path.parent / target).exists()]


def tracked():
    names = subprocess.run(["git", "-C", ROOT, "ls-files"], check=True, capture_output=True,
                           text=True).stdout.split("\n")
    return [name for name in names if name]


class Samples(unittest.TestCase):
    """A rule that cannot fail is none."""

    def test_functions_are_measured(self):
        body = "  a();\n" * 80
        for head in ("int f() {\n", "namespace x {\nstruct Y {\n  void f() const {\n"):
            self.assertEqual(max(n for _, n in cpp_functions(head + body + "}\n}\n}\n")), 82)
        self.assertEqual(cpp_functions('void f() { g("}"); /* } */ }\n')[0], (1, 1))
        self.assertEqual(indented_functions("def f():\n    a\n    b\n\nc\n", "def"), [(1, 4)])
        self.assertEqual(indented_functions("pub fn f(\n    a: u8,\n) void {\n    g();\n}\nx\n", "fn"),
                         [(1, 5)])

    def test_bad_includes_are_caught(self):
        for name, header in (("storage/a.cc", '"engine/x.h"'), ("storage/format/a.h", '"storage/view.h"'),
                             ("src/engine/a.cc", '"api/x.h"'), ("src/recall/a.cc", '"engine/x.h"'),
                             ("examples/a.cc", '"storage/view.h"'),
                             ("src/kernels/decay.cc", "<vector>")):
            self.assertEqual(len(include_faults(name, f"#include {header}\n")), 1, name)

    def test_printing_and_aborting_are_caught(self):
        for bad in ('printf("x");', "std::cerr << 1;", "abort();", "throw 1;", "std::exit(1);"):
            self.assertEqual(len(library_faults("src/engine/a.cc", bad)), 1, bad)
        self.assertEqual(library_faults("src/engine/a.cc", '// throw\nauto s = "abort()";'), [])

    def test_other_marks_are_caught(self):
        self.assertTrue(UNFINISHED.search("// TO" "DO: later"))
        self.assertTrue(MACHINE_PATH.search("see /ho" "me/x"))
        self.assertTrue(link_faults(ROOT / "README.md", "[x](docs/none.md)"))


class Tree(unittest.TestCase):
    def check(self, suffixes, rule):
        faults = []
        for name in tracked():
            path = ROOT / name
            if (path.suffix in suffixes or name == "dev") and path.is_file():
                faults += rule(name, path, path.read_text(encoding="utf-8"))
        self.assertEqual(faults, [], "\n" + "\n".join(faults))

    def test_include_direction(self):
        self.check({".h", ".cc", ".c"}, lambda name, path, text: include_faults(name, text))

    def test_files_are_short(self):
        self.check(CODE, lambda name, path, text: [
            f"{name} has {text.count(chr(10))} lines"] if text.count("\n") > MAX_FILE else [])

    def test_functions_are_short(self):
        self.check({".h", ".cc", ".c", ".zig", ".py"}, lambda name, path, text: [
            f"{name}:{line} is a function of {count} lines"
            for line, count in functions(path, text) if count > MAX_FUNCTION])

    def test_the_library_neither_prints_nor_ends_the_program(self):
        self.check({".h", ".cc"}, lambda name, path, text: library_faults(name, text))

    def test_nothing_is_unfinished_or_of_one_machine(self):
        self.check(CODE | {".md"}, lambda name, path, text: [
            f"{name}: {match.group()}" for rule in (UNFINISHED, MACHINE_PATH)
            for match in rule.finditer(text)])

    def test_links_lead_somewhere(self):
        self.check({".md"}, lambda name, path, text: link_faults(path, text))

    def test_every_code_file_says_why_it_is_there(self):
        # An .cc beside its header leaves that to the header.
        def rule(name, path, text):
            first = text.removeprefix("#!/usr/bin/env bash\n") if name == "dev" else text
            said = first.startswith(("//", "/*", "#", '"""'))
            beside = path.with_suffix(".h").exists() and first.startswith("#include")
            return [] if said or beside else [f"{name} has no opening comment"]
        self.check({".h", ".cc", ".zig", ".py"}, rule)


if __name__ == "__main__":
    unittest.main()
