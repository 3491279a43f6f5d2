"""The build option ENGRAM_ZIG_KERNELS: what the library holds with it and without,
and what configuring says where no Zig of the right version is found."""
import os
import pathlib
import re
import shutil
import subprocess
import tempfile
import unittest

SOURCE = pathlib.Path(__file__).resolve().parents[2]
LIBRARY = os.environ["ENGRAM_LIBRARY"]
ZIG_ON = os.environ["ENGRAM_ZIG_KERNELS"] == "ON"
LEVELS = {"x86_64": ["baseline", "v2", "v3", "v4", "v4vnni"],
          "aarch64": ["baseline", "dotprod", "neon"]}


def nm(*arguments):
    return subprocess.run(["nm", *arguments], check=True, capture_output=True, text=True).stdout


class Symbols(unittest.TestCase):
    def test_the_library_holds_zig_tables_with_the_option_and_no_trace_without(self):
        symbols = re.findall(r"\S*zig\S*", nm(LIBRARY), re.IGNORECASE)
        if not ZIG_ON:
            self.assertEqual(symbols, [])
            return
        defined = re.findall(r" [DR] engram_kernels_zig_(\w+)", nm(LIBRARY))
        self.assertEqual(sorted(set(defined)), LEVELS[os.uname().machine])

    @unittest.skipUnless(ZIG_ON, "built without ENGRAM_ZIG_KERNELS")
    def test_the_archive_asks_for_nothing_but_memory_functions(self):
        archive = pathlib.Path(LIBRARY).parent / "zig" / "lib" / "libengram_kernels.a"
        undefined = set(re.findall(r" U (\S+)", nm("-u", str(archive))))
        self.assertLessEqual(undefined, {"memcpy", "memset", "memmove"})


class Configure(unittest.TestCase):
    def configure(self, zig_version):
        """Configures a project that only includes zig.cmake, where `zig` says zig_version."""
        with tempfile.TemporaryDirectory() as folder:
            root = pathlib.Path(folder)
            programs = root / "bin"
            programs.mkdir()
            for name in ("zig", "python3"):
                says = f"echo {zig_version}" if zig_version and name == "zig" else "exit 1"
                program = programs / name
                program.write_text(f"#!/bin/sh\n{says}\n")
                program.chmod(0o755)
            (root / "CMakeLists.txt").write_text(
                "cmake_minimum_required(VERSION 3.25)\nproject(alone LANGUAGES NONE)\n"
                f"set(CMAKE_SYSTEM_PROCESSOR x86_64)\ninclude({SOURCE}/cmake/zig.cmake)\n")
            path = f"{programs}{os.pathsep}{os.environ['PATH']}"
            return subprocess.run(
                [shutil.which("cmake"), "-S", root, "-B", root / "build"],
                capture_output=True, text=True, env={**os.environ, "PATH": path})

    def test_another_version_is_refused_and_named(self):
        done = self.configure("0.13.0")
        self.assertNotEqual(done.returncode, 0)
        for part in ("0.17.0", "zig: 0.13.0", "ziglang==0.17.0", "-DENGRAM_ZIG_KERNELS=OFF"):
            self.assertIn(part, done.stderr)

    def test_no_zig_is_refused_and_says_what_was_tried(self):
        done = self.configure(None)
        self.assertNotEqual(done.returncode, 0)
        for part in ("0.17.0", "zig: not there", "python3 -m ziglang: not there",
                     "-DENGRAM_ZIG_KERNELS=OFF"):
            self.assertIn(part, done.stderr)

    def test_the_right_version_is_taken(self):
        done = self.configure("0.17.0")
        self.assertEqual(done.returncode, 0, done.stderr)


if __name__ == "__main__":
    unittest.main()
