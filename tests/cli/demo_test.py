"""The demo makes its own store anew, and touches nothing that is not its own."""
import json
import os
import pathlib
import re
import shlex
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
            self.assertEqual(done.stdout.count('\n"'), 4)
            self.assertIn("16259 cue words linked to them by 17685 edges, 2822 relations",
                          done.stdout)
            figures = dict(re.findall(r"^(.+?)  +0[.]\d+ +(0[.]\d+) ", done.stdout, re.MULTILINE))
            search, words, stems, relations = map(float, figures.values())
            self.assertEqual(search, 0.598)
            self.assertGreater(words, 0.78)
            self.assertGreater(stems, 0.9)
            self.assertLess(relations, stems)  # as it says on the screen
            self.assertIn(str(self.store), done.stdout)

    def test_its_files_are_what_the_command_reads(self):
        data = ROOT / "examples/wordnet/data"
        copy = self.store.with_name("copy")
        self.engram("create", copy, "--dim", 384)
        self.engram("import", copy, data / "base.f16", "--payloads", data / "memories.txt")
        said = json.loads(self.engram("link", copy, data / "cue_words.tsv", "--create-missing",
                                      "--json"))
        self.assertEqual(said, {"linked": 17685, "created": 16259})
        self.engram("link", copy, data / "relations.tsv")
        self.assertEqual(self.demo().returncode, 0)
        self.assertEqual(self.engram("export", copy, "--edges"),
                         self.engram("export", self.store, "--edges"))
        options = ["--vectors", data / "queries.f16", "--named", data / "query_cues.txt", "--json",
                   "--hops", 1, "--types", "link", "--normalisation", "none", "--threshold", 0,
                   "--fan-exponent", 0.5, "--activation-weight", 1]
        answers = [json.loads(line) for line in
                   self.engram("recall", self.store, *options).splitlines()]
        own = [int(line.split("\t")[0]) for line in
               (data / "queries.tsv").read_text(encoding="utf-8").splitlines()]
        self.assertEqual(len(answers), len(own))
        found = sum(row in [hit["id"] for hit in answer["hits"]]
                    for row, answer in zip(own, answers))
        self.assertGreater(found, 450)

    def test_the_recall_that_dev_proposes_answers_well(self):
        self.assertEqual(self.demo().returncode, 0)
        proposed = re.search(r"%q (recall) %q (.*)\\n", (ROOT / "dev").read_text(encoding="utf-8"))
        command, options = proposed[1], shlex.split(proposed[2])
        said = json.loads(self.engram(command, self.store, *options, "--payload", "--json"))
        self.assertEqual(len(said["named"]), 2)
        first, second, third = said["hits"][:3]
        self.assertIn("card games based on whist", first["payload"])
        self.assertIn("ruff, trumping", second["payload"])
        self.assertGreater(len(second["path"]), 1)
        self.assertIn("bridge hand", third["payload"])

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
