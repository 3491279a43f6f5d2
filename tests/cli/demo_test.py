"""The demo makes its own store anew, and touches nothing that is not its own."""
import os
import pathlib
import subprocess
import tempfile
import unittest

ROOT = pathlib.Path(__file__).resolve().parents[2]
ENGRAM = os.environ["ENGRAM_COMMAND"]
DEMO = os.environ["ENGRAM_DEMO"]


class DemoTest(unittest.TestCase):
    def setUp(self):
        folder = tempfile.TemporaryDirectory()
        self.addCleanup(folder.cleanup)
        self.store = pathlib.Path(folder.name) / "store"

    def demo(self):
        return subprocess.run([DEMO, str(ROOT / "examples/wordnet/data"), str(self.store)],
                              capture_output=True, text=True, timeout=120)

    def engram(self, *arguments):
        return subprocess.run([ENGRAM, *map(str, arguments)], check=True, text=True,
                              capture_output=True).stdout

    def files(self):
        return {path.name: path.read_bytes() for path in self.store.iterdir()}

    def test_it_can_be_run_again_and_shows_what_it_says(self):
        for _ in range(2):
            done = self.demo()
            self.assertEqual(done.returncode, 0, done.stderr)
            self.assertIn("500 of 500 exact", done.stdout)
            self.assertEqual(done.stdout.count("\n  * "), 3)
            self.assertIn(str(self.store), done.stdout)

    def test_what_is_not_its_own_stays(self):
        def refused(says):
            before = self.files()
            done = self.demo()
            self.assertEqual(done.returncode, 1, done.stdout)
            self.assertIn(says, done.stderr)
            self.assertEqual(self.files(), before)

        self.assertEqual(self.demo().returncode, 0)
        note = self.store / "note.txt"
        note.write_text("mine")
        refused("note.txt")
        note.unlink()
        self.engram("put", self.store, "--id", 10_000, "--payload", "mine")
        refused("memory 10000")
        self.engram("delete", self.store, "--id", 10_000)
        self.engram("put", self.store, "--id", 5, "--payload", "mine, too")
        refused("memory 5")

    def test_a_misspelt_option_runs_nothing(self):
        for arguments in (["demo", "--zigg"], ["demo", "--zig", "more"], ["demmo"]):
            done = subprocess.run([ROOT / "dev", *arguments], capture_output=True, text=True)
            self.assertEqual((done.returncode, done.stdout), (2, ""))
            self.assertIn(arguments[-1], done.stderr)


if __name__ == "__main__":
    unittest.main()
