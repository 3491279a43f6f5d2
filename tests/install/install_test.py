"""Installs the build, moves what was installed, and builds an application against it by CMake
and by pkg-config."""
import os
import pathlib
import subprocess
import tempfile
import unittest

HERE = pathlib.Path(__file__).resolve().parent
BUILD = os.environ["ENGRAM_BUILD"]
WANTED_KERNEL = "zig-" if os.environ["ENGRAM_ZIG_KERNELS"] == "ON" else "cpp-"


def run(*command, **more):
    done = subprocess.run([str(part) for part in command], capture_output=True, text=True, **more)
    if done.returncode != 0:
        raise AssertionError(f"{command}\n{done.stdout}{done.stderr}")
    return done.stdout


class Install(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.folder = tempfile.TemporaryDirectory()
        root = pathlib.Path(cls.folder.name)
        run("cmake", "--install", BUILD, "--prefix", root / "first")
        # Nothing may depend on where it was installed.
        cls.prefix = root / "moved"
        (root / "first").rename(cls.prefix)
        cls.library = next(cls.prefix.glob("lib*/**/libengram.a")).parent

    @classmethod
    def tearDownClass(cls):
        cls.folder.cleanup()

    def expect_answer(self, program):
        with tempfile.TemporaryDirectory() as folder:
            found, kernel, same = run(program, f"{folder}/store").split()
        self.assertEqual((found, same), ("1", "same"))
        self.assertTrue(kernel.startswith(WANTED_KERNEL), kernel)

    def test_cmake_finds_it(self):
        for standard in ("17", "20"):
            build = pathlib.Path(self.folder.name) / f"cmake{standard}"
            run("cmake", "-S", HERE, "-B", build, f"-DCMAKE_PREFIX_PATH={self.prefix}",
                f"-DCMAKE_CXX_STANDARD={standard}")
            run("cmake", "--build", build)
            self.expect_answer(build / "consumer")

    def test_a_subfolder_gives_the_library_alone(self):
        source = pathlib.Path(self.folder.name) / "application"
        source.mkdir()
        (source / "CMakeLists.txt").write_text(
            "cmake_minimum_required(VERSION 3.25)\nproject(application LANGUAGES CXX)\n"
            f"add_subdirectory({HERE.parents[1]} engram)\n"
            f"add_executable(application {HERE / 'consumer.cc'})\n"
            "target_link_libraries(application PRIVATE engram::engram)\n")
        run("cmake", "-S", source, "-B", source / "build",
            "-DCMAKE_DISABLE_FIND_PACKAGE_CLI11=ON", "-DCMAKE_DISABLE_FIND_PACKAGE_GTest=ON")
        targets = run("cmake", "--build", source / "build", "--target", "help")
        self.assertIn("application", targets)
        for other in ("engram_cli", "wordnet_demo", "api_test"):
            self.assertNotIn(other, targets)

    def test_pkg_config_finds_it(self):
        environment = {**os.environ, "PKG_CONFIG_PATH": str(self.library / "pkgconfig")}
        # With --static or without: the library is static either way.
        for static in ([], ["--static"]):
            flags = run("pkg-config", *static, "--cflags", "--libs", "engram",
                        env=environment).split()
            program = pathlib.Path(self.folder.name) / "by_pkg_config"
            run("c++", "-std=c++17", HERE / "consumer.cc", "-o", program, *flags)
            self.expect_answer(program)

    def test_the_command_is_there(self):
        said = run(self.prefix / "bin" / "engram", "version")
        self.assertTrue(said.startswith("engram 0."), said)

    def test_headers_and_nothing_else_are_public(self):
        installed = sorted(path.name for path in (self.prefix / "include" / "engram").iterdir())
        there = sorted(path.name for path in (HERE.parents[1] / "include" / "engram").iterdir())
        self.assertEqual(installed, there)


if __name__ == "__main__":
    unittest.main()
