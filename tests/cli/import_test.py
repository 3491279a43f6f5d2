"""What `engram import` promises of a whole file: all of it or, when something in it is wrong,
nothing; in memory that does not grow with it."""
import json
import os
import pathlib
import resource
import struct
import subprocess
import tempfile
import unittest

ENGRAM = os.environ["ENGRAM_COMMAND"]
DIMENSION = 3
ROW = struct.pack("<3f", 1, 2, 3)
BAD_ROW = struct.pack("<3f", 1, float("nan"), 3)


def npy(data, shape, descr="<f4"):
    text = f"{{'descr': '{descr}', 'fortran_order': False, 'shape': {shape}, }}\n"
    return b"\x93NUMPY\x01\x00" + struct.pack("<H", len(text)) + text.encode() + data


class ImportTest(unittest.TestCase):
    def setUp(self):
        self.folder = tempfile.TemporaryDirectory()
        self.store = self.path("store")
        self.ok("create", self.store, "--dim", str(DIMENSION))

    def tearDown(self):
        self.folder.cleanup()

    def path(self, name):
        return os.path.join(self.folder.name, name)

    def write(self, name, *parts):
        with open(self.path(name), "wb") as file:
            for part in parts:
                file.write(part)
        return self.path(name)

    def run_it(self, *arguments, **more):
        return subprocess.run([ENGRAM, *arguments], capture_output=True, timeout=240, **more)

    def ok(self, *arguments, **more):
        done = self.run_it(*arguments, **more)
        self.assertEqual(done.returncode, 0, done.stderr.decode())
        return done.stdout.decode()

    def refused(self, parts, *arguments, **more):
        done = self.run_it(*arguments, **more)
        said = done.stderr.decode()
        self.assertEqual(done.returncode, 1, said)
        for part in parts:
            self.assertIn(part, said)

    def memories(self):
        return json.loads(self.ok("stats", self.store, "--json"))["memories"]

    def test_a_bad_last_row_of_a_large_matrix_leaves_nothing(self):
        rows = 3_000_000  # more than a chunk of any version
        half, half_nan = struct.pack("<3e", 1, 2, 3), struct.pack("<3e", 1, float("nan"), 3)
        sized = struct.pack("<i", DIMENSION)
        files = [self.write("late.npy", npy(ROW * (rows - 1) + BAD_ROW, f"({rows}, 3)")),
                 self.write("late.f16", half * (rows - 1), half_nan),
                 self.write("late.fvecs", (sized + ROW) * (rows - 1), sized + BAD_ROW),
                 self.write("cut.fvecs", (sized + ROW) * (rows - 1), sized)]
        for file in files:
            with self.subTest(os.path.basename(file)):
                self.refused([f"row {rows - 1}", "nothing of the file was imported"],
                             "import", self.store, file)
                self.assertEqual(self.memories(), 0)
                os.remove(file)
        # And so the mended file needs no other command.
        good = self.write("good.npy", npy(ROW * 5, "(5, 3)"))
        self.ok("import", self.store, good)
        self.assertEqual(self.memories(), 5)

    def test_a_bad_last_line_leaves_nothing(self):
        line = json.dumps({"id": 7, "payload": "x" * 2_000_000}).encode() + b"\n"
        for bad in (b"not json\n", b'{"id":9,"vector":[1,2]}\n', b'{"key":""}\n'):
            with self.subTest(bad):
                file = self.write("late.jsonl", *[line] * 50, b"\r\n", bad)
                self.refused(["late.jsonl: line 52", "nothing of the file was imported"],
                             "import", self.store, file)
                self.assertEqual(self.memories(), 0)

    def test_keys_of_two_memories_are_named(self):
        first = self.write("first.jsonl", b'{"id":3,"key":"a"}\n{"id":5,"key":"b"}\n')
        self.ok("import", self.store, first)
        both = self.write("both.jsonl", b'{"id":9}\n{"keys":["a","b"]}\n')
        self.refused(["both.jsonl: memory 1 of the import", '"a"', "memory 3", '"b"', "memory 5",
                      "nothing of the file was imported"], "import", self.store, both)
        self.assertEqual(self.memories(), 2)
        # The second key alone tells it, and a memory of the same file counts.
        second = self.write("second.jsonl", b'{"keys":["new","b"],"payload":"x"}\n'
                                            b'{"key":"n"}\n{"keys":["m","n"],"payload":"y"}\n')
        said = json.loads(self.ok("import", self.store, second, "--json"))
        self.assertEqual(said, {"imported": 3, "replaced": 2, "memories": 3})
        self.assertEqual(json.loads(self.ok("get", self.store, "--id", "5", "--json"))["payload"],
                         "x")

    def test_what_is_stored_before_an_error_is_told_exactly(self):
        self.ok("import", self.store, self.write("first.jsonl", b'{"id":0,"key":"a"}\n'
                                                                b'{"id":1,"key":"b"}\n'))
        lines = [json.dumps({"id": i, "payload": "x" * 20_000}).encode() + b"\n"
                 for i in range(1000)]
        file = self.write("long.jsonl", *lines, b'{"keys":["a","b"]}\n')
        done = self.run_it("import", self.store, file)
        self.assertEqual(done.returncode, 1)
        said = done.stderr.decode()
        self.assertIn("memory 1000 of the import", said)
        kept = int(said.split("the first ")[1].split()[0])
        self.assertGreater(kept, 0)
        self.assertEqual(self.memories(), kept)

    def test_pipes_are_read_twice_too(self):
        lines = b'{"id":1,"vector":[1,2,3]}\n\n{"key":"k","payload":"two"}'
        self.ok("import", self.store, "-", "--format", "jsonl", input=lines)
        self.assertEqual(self.memories(), 2)
        self.ok("import", self.store, "-", "--format", "fvecs", "--first-id", "10",
                input=(struct.pack("<i", 3) + ROW) * 4)
        self.assertEqual(self.memories(), 6)
        self.refused(["standard input: row 1", "nothing"], "import", self.store, "-",
                     "--format", "npy", "--first-id", "20", input=npy(ROW + BAD_ROW, "(2, 3)"))
        fifo = self.path("rows.f16")
        os.mkfifo(fifo)
        with subprocess.Popen([ENGRAM, "import", self.store, fifo, "--first-id", "30"],
                              stdout=subprocess.DEVNULL) as child:
            pathlib.Path(fifo).write_bytes(struct.pack("<6e", 1, 2, 3, 4, 5, 6))
            self.assertEqual(child.wait(timeout=60), 0)
        self.assertEqual(self.memories(), 8)
        # Standard input that is a file, of which somebody has read a part.
        file = self.write("rows.fvecs", b"head", struct.pack("<i", 3) + ROW)
        with open(file, "rb", buffering=0) as rows:
            rows.read(4)
            self.ok("import", self.store, "-", "--format", "fvecs", "--first-id", "40",
                    stdin=rows)
        self.assertEqual(self.memories(), 9)
        self.refused(["Is a directory"], "import", self.store, self.folder.name, "--format", "f16",
                     "--first-id", "50")

    def test_ids_and_payloads_are_those_of_their_rows(self):
        rows = self.write("rows.npy", npy(ROW * 3, "(3, 3)"))
        ids = self.write("ids.npy", npy(struct.pack("<3q", 30, 10, 20), "(3,)", "<i8"))
        words = self.write("words.txt", b"thirty\r\nten\n\n")
        self.ok("import", self.store, rows, "--ids", ids, "--payloads", words)
        lines = map(json.loads, self.ok("export", self.store).splitlines())
        self.assertEqual([(line["id"], line["payload"]) for line in lines],
                         [(10, "ten"), (20, ""), (30, "thirty")])
        less = self.write("less.npy", npy(struct.pack("<2q", 1, 2), "(2,)", "<i8"))
        self.refused(["2 ids", "3 rows"], "import", self.store, rows, "--ids", less)
        minus = self.write("minus.npy", npy(struct.pack("<3q", 1, 2, -4), "(3,)", "<i8"))
        self.refused(["position 2 is -4"], "import", self.store, rows, "--ids", minus)
        self.refused(["4 lines", "3 rows"], "import", self.store, rows, "--ids", ids,
                     "--payloads", self.write("more.txt", b"1\n2\n3\n4"))
        self.assertEqual(self.memories(), 3)

    def most_memory(self, lines):
        """The most that an import of so many memories without anything had, in bytes."""
        store = self.path(f"store{lines}")
        self.ok("create", store, "--dim", str(DIMENSION))
        file = self.write("bare.jsonl", *(b'{"id":%d}\n' % i for i in range(lines)))
        # What a sanitizer keeps of freed memory would be counted too.
        child = subprocess.Popen([ENGRAM, "import", store, file], stdout=subprocess.DEVNULL,
                                 env={**os.environ, "ASAN_OPTIONS": "quarantine_size_mb=1"})
        _, status, usage = os.wait4(child.pid, 0)
        child.returncode = os.waitstatus_to_exitcode(status)
        self.assertEqual(child.returncode, 0)
        return usage.ru_maxrss * 1024

    def test_memory_is_that_of_a_chunk(self):
        few, many = self.most_memory(300_000), self.most_memory(1_200_000)
        # RocksDB keeps a little more before it writes tables; but not four times as much.
        self.assertLess(many, 2 * few)


if __name__ == "__main__":
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    unittest.main()
