"""Cross-compiles both twins and their test suite for aarch64 with Zig and runs them
under qemu-aarch64: every level, Zig against C++ against double. qemu's CPU has them all."""
import os
import pathlib
import shutil
import subprocess
import tempfile
import unittest

SOURCE = pathlib.Path(__file__).resolve().parents[2]
KERNELS = SOURCE / "src" / "kernels"
GOOGLETEST = pathlib.Path("/usr/src/googletest/googletest")
ZIG = os.environ["ENGRAM_ZIG"].split(";")
LEVELS = {"baseline": (0, "off", "generic"), "neon": (1, "fast", "generic"),
          "dotprod": (1, "fast", "generic+dotprod")}


def zig(*arguments, **more):
    subprocess.run([*ZIG, *map(str, arguments)], check=True, **more)


def compile_twins(out):
    """The C++ kernels of all levels, with the classes of src/kernels/CMakeLists.txt."""
    objects = []
    for level, (fma, contract, cpu) in LEVELS.items():
        for unit in ("similarity", "spreading", "decay", "codes", "table"):
            target = out / f"{unit}_{level}.o"
            contraction = contract if unit == "similarity" else "off"
            zig("c++", "-target", "aarch64-linux-musl", f"-mcpu={cpu}", "-std=c++20", "-O3", "-c",
                KERNELS / f"{unit}.cc", "-o", target, "-I", KERNELS,
                f"-ffp-contract={contraction}", f"-DENGRAM_KERNEL_LEVEL={level}",
                f'-DENGRAM_KERNEL_NAME="cpp-{level}"', "-DENGRAM_KERNEL_LANES=4",
                "-DENGRAM_KERNEL_ACCUMULATORS=8", f"-DENGRAM_KERNEL_FMA={fma}")
            objects.append(target)
    return objects


class Aarch64(unittest.TestCase):
    def test_the_twins_pass_their_suite(self):
        emulator = shutil.which("qemu-aarch64")
        self.assertIsNotNone(emulator, "qemu-aarch64 is missing: ./dev setup installs qemu-user")
        with tempfile.TemporaryDirectory() as folder:
            out = pathlib.Path(folder)
            zig("build", "-Doptimize=ReleaseFast", "-Dtarget=aarch64-linux-gnu",
                "--prefix", out, "--cache-dir", out / "cache", cwd=SOURCE / "zig")
            zig("c++", "-target", "aarch64-linux-musl", "-static", "-std=c++20", "-O1", "-w",
                "-DENGRAM_ZIG_KERNELS=1", "-I", SOURCE / "src", "-I", GOOGLETEST,
                "-I", GOOGLETEST / "include", "-o", out / "kernels_test",
                GOOGLETEST / "src" / "gtest-all.cc", GOOGLETEST / "src" / "gtest_main.cc",
                SOURCE / "tests/kernels/codes_test.cc", SOURCE / "tests/kernels/kernels_test.cc",
                SOURCE / "tests/kernels/spreading_test.cc", KERNELS / "dispatch.cc",
                *compile_twins(out), out / "lib" / "libengram_kernels.a")
            done = subprocess.run([emulator, out / "kernels_test"], capture_output=True, text=True)
            self.assertEqual(done.returncode, 0, done.stdout + done.stderr)
            for level in LEVELS:
                for table in (f"zig_{level}", f"cpp_{level}"):
                    self.assertIn(f"GivesEqualBits/{table}", done.stdout)


if __name__ == "__main__":
    unittest.main()
