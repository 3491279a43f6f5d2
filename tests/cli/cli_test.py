"""The engram command end to end, by its exit codes and its JSON alone."""
import json
import math
import os
import random
import shutil
import struct
import subprocess
import sys
import tempfile
import unittest

ENGRAM = os.environ["ENGRAM_COMMAND"]
DIMENSION = 100


def run(*arguments):
    return subprocess.run([ENGRAM, *map(str, arguments)], capture_output=True, text=True)


def dot(a, b):
    return sum(x * y for x, y in zip(a, b))


class CommandTest(unittest.TestCase):
    def setUp(self):
        self.folder = tempfile.TemporaryDirectory()
        self.store = self.path("store")
        source = random.Random(3)
        self.rows = [self.halves(source) for _ in range(2000)]
        self.queries = [self.halves(source) for _ in range(20)]
        self.write_f16("base.f16", self.rows)
        self.write_f16("queries.f16", self.queries)
        with open(self.path("words.txt"), "w", encoding="utf-8") as words:
            words.writelines(f"wörd {i}\n" for i in range(len(self.rows)))

    def tearDown(self):
        self.folder.cleanup()

    def path(self, name):
        return os.path.join(self.folder.name, name)

    @staticmethod
    def halves(source):
        """Random values that a half float holds exactly."""
        values = [source.gauss(0, 1) for _ in range(DIMENSION)]
        return struct.unpack(f"<{DIMENSION}e", struct.pack(f"<{DIMENSION}e", *values))

    def write_f16(self, name, rows):
        with open(self.path(name), "wb") as file:
            for row in rows:
                file.write(struct.pack(f"<{DIMENSION}e", *row))

    def ok(self, *arguments):
        result = run(*arguments)
        self.assertEqual(result.returncode, 0, result.stderr)
        return result.stdout

    def fails(self, code, part, *arguments):
        result = run(*arguments)
        self.assertEqual(result.returncode, code, result.stdout + result.stderr)
        self.assertIn(part, result.stderr)

    def fill(self):
        self.ok("create", self.store, "--dim", DIMENSION, "--metric", "cosine")
        self.ok("import", self.store, self.path("base.f16"), "--dim", DIMENSION,
                "--payloads", self.path("words.txt"))

    def test_search_is_brute_force(self):
        self.fill()
        lines = self.ok("search", self.store, "--vectors", self.path("queries.f16"),
                        "-k", 10, "--json", "--payload").splitlines()
        self.assertEqual(len(lines), len(self.queries))
        norms = [math.sqrt(dot(row, row)) for row in self.rows]
        for number, line in enumerate(lines):
            answer = json.loads(line)
            query = self.queries[number]
            norm = math.sqrt(dot(query, query))
            scores = sorted(((-dot(query, row) / (norm * norms[i]), i)
                             for i, row in enumerate(self.rows)))[:10]
            self.assertEqual(answer["query"], number)
            self.assertTrue(answer["info"]["exact"])
            self.assertEqual(answer["info"]["rows_scored"], len(self.rows))
            self.assertEqual([hit["id"] for hit in answer["hits"]], [i for _, i in scores])
            for hit, (score, i) in zip(answer["hits"], scores):
                self.assertAlmostEqual(hit["score"], -score, places=5)
                self.assertEqual(hit["payload"], f"wörd {i}")

    def test_plain_and_certified_scans_answer_alike(self):
        self.fill()
        stats = json.loads(self.ok("stats", self.store, "--json"))
        self.assertEqual(stats["coded_rows"], len(self.rows))
        self.assertGreater(stats["bytes_codes"], len(self.rows) * DIMENSION)
        self.assertGreater(stats["bytes_mapped"], stats["bytes_codes"])

        def answers(*options):
            return [json.loads(line) for line in
                    self.ok("search", self.store, "--vectors", self.path("queries.f16"), "-k", 7,
                            "--json", *options).splitlines()]
        certified, plain = answers("--mode", "exact"), answers("--plain")
        self.assertEqual(len(certified), len(self.queries))
        for one, other in zip(certified, plain):
            self.assertEqual(one["hits"], other["hits"])
            self.assertEqual(one["info"]["path"], "certified_scan")
            self.assertEqual(other["info"]["path"], "plain_scan")
            self.assertTrue(one["info"]["exact"] and other["info"]["exact"])
            self.assertEqual(other["info"]["rows_rescored"], 0)
            self.assertLess(7 - 1, one["info"]["rows_rescored"])
            self.assertLess(one["info"]["rows_rescored"], len(self.rows))
        info = json.loads(self.ok("recall", self.store, "--id", 3, "--json"))["info"]
        self.assertEqual((info["path"], info["exact"]), ("certified_scan", True))
        self.assertGreater(info["rows_rescored"], 0)
        said = json.loads(self.ok("bench", self.store, "--seconds", "0.05", "--json"))
        self.assertEqual(said["path"], "certified_scan")

    def test_compact_gives_an_old_store_codes(self):
        golden = os.path.join(os.path.dirname(__file__), "..", "golden", "v1", "l2")
        shutil.copytree(golden, self.store)

        def stats():
            return json.loads(self.ok("stats", self.store, "--json"))
        before = self.ok("search", self.store, "--id", 9, "-k", 20)
        self.assertEqual((stats()["coded_rows"], stats()["bytes_codes"]), (0, 0))
        self.ok("compact", self.store)
        self.assertEqual(stats()["coded_rows"], stats()["rows"])
        self.assertEqual(self.ok("search", self.store, "--id", 9, "-k", 20), before)

    def test_export_reads_back_whole(self):
        self.fill()
        self.ok("put", self.store, "--id", 2**64 - 1, "--key", "name", "--payload", "no vector")
        exported = self.ok("export", self.store)
        with open(self.path("out.jsonl"), "w", encoding="utf-8") as file:
            file.write(exported)
        again = self.path("again")
        self.ok("create", again, "--dim", DIMENSION)
        self.ok("import", again, self.path("out.jsonl"))
        self.assertEqual(self.ok("export", again), exported)

    def test_put_get_delete(self):
        self.fill()
        self.ok("put", self.store, "--id", 7, "--vector", json.dumps(self.rows[9]),
                "--payload", "seven", "--key", "lucky")
        memory = json.loads(self.ok("get", self.store, "--key", "lucky", "--json"))
        self.assertEqual(memory["payload"], "seven")
        self.assertEqual(struct.pack("<100f", *memory["vector"]),
                         struct.pack("<100f", *self.rows[9]))
        self.ok("delete", self.store, "--id", 7)
        self.fails(1, "id 7", "get", self.store, "--id", 7)
        self.ok("compact", self.store)
        stats = json.loads(self.ok("stats", self.store, "--json"))
        self.assertEqual((stats["memories"], stats["dead_rows"]), (len(self.rows) - 1, 0))
        self.assertIn("sound", self.ok("verify", self.store))
        self.ok("backup", self.store, self.path("copy"))
        self.assertEqual(self.ok("export", self.path("copy")), self.ok("export", self.store))

    def test_put_by_key_alone(self):
        self.ok("create", self.store, "--dim", "2")
        self.ok("put", self.store, "--id", "7", "--vector", "[1,0]")
        self.ok("put", self.store, "--key", "a", "--vector", "[1,2]", "--payload", "first")
        self.ok("put", self.store, "--key", "a", "--key", "b", "--vector", "[2,1]")
        for key in ("a", "b"):
            memory = json.loads(self.ok("get", self.store, "--key", key, "--json"))
            self.assertEqual((memory["id"], memory["vector"], memory["payload"]), (8, [2, 1], ""))
        self.fails(2, "--key", "put", self.store, "--vector", "[1,2]")

    def test_npy_reads_back(self):
        self.fill()
        self.ok("put", self.store, "--id", "1000000", "--payload", "no embedding")
        matrix, ids = self.path("all.npy"), self.path("ids.npy")
        with open(matrix, "wb") as file:
            subprocess.run([ENGRAM, "export", self.store, "--format", "npy", "--ids", ids],
                           stdout=file, check=True)
        copy = self.path("copy")
        dimension = json.loads(self.ok("stats", self.store, "--json"))["dimension"]
        self.ok("create", copy, "--dim", str(dimension))
        self.ok("import", copy, matrix, "--ids", ids)

        def vectors(store):
            lines = map(json.loads, self.ok("export", store).splitlines())
            return {line["id"]: line["vector"] for line in lines if "vector" in line}
        self.assertEqual(vectors(copy), vectors(self.store))
        self.assertGreater(len(vectors(copy)), 1)
        self.fails(1, "cannot be written", "export", self.store, "--format", "npy",
                   "--ids", self.path("none/ids.npy"))

    def test_bench_times_what_is_there(self):
        self.fill()
        said = json.loads(self.ok("bench", self.store, "--seconds", "0.05", "-k", "3", "--json"))
        self.assertEqual(said["rows"], json.loads(self.ok("stats", self.store, "--json"))["rows"])
        self.assertGreater(said["searches"], 0)
        self.assertLessEqual(said["p50_ms"], said["p99_ms"])
        self.assertIn("queries/s", self.ok("bench", self.store, "--seconds", "0.05"))
        self.ok("create", self.path("empty"), "--dim", "2")
        self.fails(1, "no embedding", "bench", self.path("empty"))

    def test_refusals(self):
        self.fails(2, "--dim", "create", self.store)
        self.ok("create", self.store, "--dim", 3)
        self.fails(1, "already", "create", self.store, "--dim", 3)
        self.fails(1, "half floats", "import", self.store, self.path("words.txt"),
                   "--format", "f16")
        with open(self.path("bad.jsonl"), "w", encoding="utf-8") as file:
            file.write('{"id":1,"vector":[1,2,3]}\nnot json\n')
        self.fails(1, "line 2", "import", self.store, self.path("bad.jsonl"))
        self.assertEqual(json.loads(self.ok("stats", self.store, "--json"))["memories"], 0)
        with open(self.path("good.jsonl"), "w", encoding="utf-8") as file:
            file.write('{"id":1,"vector":[1,2,3]}\n')
        self.ok("import", self.store, self.path("good.jsonl"))
        with open(self.path("row.f16"), "wb") as file:
            file.write(struct.pack("<3e", 1, 2, 3))
        self.fails(1, "--first-id", "import", self.store, self.path("row.f16"))
        self.fails(1, "dimension is 3", "search", self.store, "--vector", "[1,2]")
        self.fails(1, "no store", "stats", self.path("none"))
        self.fails(2, "", "search", self.store)

    def test_verify_finds_damage(self):
        self.fill()
        files = [os.path.join(self.store, name) for name in os.listdir(self.store)
                 if name.endswith(".sst")]
        largest = max(files, key=os.path.getsize)
        with open(largest, "r+b") as file:
            file.seek(5000)
            byte = file.read(1)
            file.seek(5000)
            file.write(bytes([byte[0] ^ 1]))
        result = run("verify", self.store)
        self.assertEqual(result.returncode, 3)
        self.assertIn("column embedding", result.stdout)

    def test_verify_tells_of_a_table_file_of_another_size(self):
        self.fill()
        names = sorted(name for name in os.listdir(self.store) if name.endswith(".sst"))
        self.assertGreater(len(names), 1)
        for name in names:
            file = os.path.join(self.store, name)
            with open(file, "rb") as kept:
                content = kept.read()
            for damaged in (content + b"more", content[:len(content) // 2], b""):
                with open(file, "wb") as changed:
                    changed.write(damaged)
                result = run("verify", self.store)
                self.assertEqual(result.returncode, 3, result.stdout + result.stderr)
                finding, summary = result.stdout.splitlines()
                self.assertIn(name, finding)
                self.assertNotIn("\\", finding)
                self.assertTrue(summary.endswith("damaged"))
            with open(file, "wb") as restored:
                restored.write(content)
        self.assertIn("sound", self.ok("verify", self.store))


if __name__ == "__main__":
    unittest.main(argv=sys.argv[:1], verbosity=2)
