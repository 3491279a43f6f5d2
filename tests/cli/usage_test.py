"""What the engram command makes of wrong, odd and half-said command lines and files, and what
it says for people."""
import json
import os
import pathlib
import pty
import struct
import subprocess
import tempfile
import unittest

ENGRAM = os.environ["ENGRAM_COMMAND"]
LARGEST = 2**64 - 1


def npy(type_code, shape, values):
    text = f"{{'descr': '<{'f4' if type_code == 'f' else 'i8'}', 'fortran_order': False, " \
           f"'shape': {shape}, }}\n"
    return (b"\x93NUMPY\x01\x00" + struct.pack("<H", len(text)) + text.encode() +
            struct.pack(f"<{len(values)}{type_code}", *values))


class UsageTest(unittest.TestCase):
    def setUp(self):
        folder = tempfile.TemporaryDirectory()
        self.addCleanup(folder.cleanup)
        self.folder = pathlib.Path(folder.name)
        self.store = self.folder / "store"

    def run_it(self, *arguments, **more):
        return subprocess.run([ENGRAM, *map(str, arguments)], capture_output=True, timeout=60,
                              **more)

    def ok(self, *arguments, **more):
        done = self.run_it(*arguments, **more)
        self.assertEqual(done.returncode, 0, done.stderr)
        return done.stdout.decode()

    def answer(self, *arguments):
        """The one JSON object that a command prints."""
        lines = self.ok(*arguments, "--json").splitlines()
        self.assertEqual(len(lines), 1, lines)
        return json.loads(lines[0])

    def fails(self, code, *arguments, says=(), **more):
        done = self.run_it(*arguments, **more)
        said = done.stderr.decode()
        self.assertEqual(done.returncode, code, f"{arguments}: {done.stdout} {said}")
        for line in said.splitlines():
            self.assertTrue(line.startswith("engram: "), said)
        for part in [says] if isinstance(says, str) else says:
            self.assertIn(part, said)

    def create(self, dimension=2, metric="cosine"):
        self.ok("create", self.store, "--dim", dimension, "--metric", metric)

    def write(self, name, content):
        path = self.folder / name
        path.write_bytes(content if isinstance(content, bytes) else content.encode())
        return path

    def memories(self):
        return self.answer("stats", self.store)["memories"]

    def test_unknown_words_are_named(self):
        self.fails(2, "imort", says=["imort", "import"])
        self.fails(2, "create", "--dimension", 4, says=["--dimension", "--dim,"])
        self.fails(2, "create", self.store, "more", "--dim", 4, says="more")
        self.fails(2, "--json", "stats", self.store, says="engram has no option --json")
        self.fails(2, says="a command is needed")
        self.fails(2, "put", self.store, says="engram put --help")
        self.assertFalse(self.store.exists())
        self.assertIn("search", self.ok("help"))
        self.assertIn("--vectors", self.ok("help", "search"))
        self.assertEqual(self.ok("--version"), self.ok("version"))

    def test_help_describes_each_option_and_default(self):
        for command in ("create", "import", "put", "delete", "get", "search", "export", "bench",
                        "backup", "link", "neighbors", "recall", "reinforce", "forget"):
            text = self.ok(command, "--help")
            for line in text.splitlines():
                if not line.startswith("  ") or line.startswith(" " * 20):
                    continue
                if line.endswith(("}", "=cosine", "]=3")):
                    continue  # its text is on the next line
                self.assertRegex(line, r"^  \S.*\s{2,}\S|REQUIRED\s+\S", f"{command}: {line!r}")
            self.assertNotIn("\n  \n", text)
        self.assertIn("-k UINT=10", self.ok("search", "--help"))
        self.assertIn("=cosine", self.ok("create", "--help"))
        self.assertIn("loses the one it had", self.ok("put", "--help"))
        self.assertRegex(self.ok("search", "--help"), r"--mode \S+:\{exact\}")
        self.assertIn("--plain", self.ok("search", "--help"))

    def test_empty_arguments_are_refused(self):
        self.create()
        self.ok("put", self.store, "--id", 0, "--vector", "[1,0]")
        for arguments in (["search", self.store, "--vector", ""],
                          ["search", self.store, "--vectors", ""],
                          ["search", self.store, "--id", ""],
                          ["search", self.store, "--id", 0, "--min-score", ""], ["get", self.store, "--id", ""],
                          ["delete", self.store, "--id", ""], ["delete", self.store, "--key", ""],
                          ["put", self.store, "--id", ""], ["put", self.store, "--key", ""],
                          ["put", self.store, "--id", 1, "--vector", ""],
                          ["import", self.store, ""], ["stats", ""], ["backup", self.store, ""],
                          ["import", self.store, "x.f16", "--payloads", ""],
                          ["import", self.store, "x.f16", "--ids", ""],
                          ["import", self.store, "x.f16", "--first-id", ""],
                          ["create", "", "--dim", 2]):
            self.fails(2, *arguments)
        self.assertEqual(self.memories(), 1)

    def test_numbers_are_decimal_and_in_range(self):
        self.create()
        self.ok("put", self.store, "--id", LARGEST, "--vector", "[1,0]")
        self.ok("put", self.store, "--id", 10, "--vector", "[1,0]")
        for wrong in ("-1", LARGEST + 1, "0x10", "1e3", "1.0", " 1", "+1", "10^400"):
            for command in ("get", "delete", "put", "search"):
                self.fails(2, command, self.store, "--id", wrong, says="--id")
            self.fails(2, "import", self.store, "x.f16", "--first-id", wrong, says="--first-id")
        self.assertEqual(self.answer("get", self.store, "--id", "010")["id"], 10)
        self.fails(2, "search", self.store, "--id", 10, "-k", 0, says="-k must be at least 1")
        self.fails(2, "search", self.store, "--id", 10, "-k", 2**32, says="at most")
        self.fails(2, "search", self.store, "--id", 10, "--threads", 257, says="--threads")
        for wrong in ("nan", "inf", "x", "1e39", "0.5x"):
            self.fails(2, "search", self.store, "--id", 10, "--min-score", wrong,
                       says="--min-score")
        self.ok("search", self.store, "--id", 10, "--min-score=-0.5")
        for wrong in (0, 65537, "0x10"):
            self.fails(2, "create", self.folder / "other", "--dim", wrong, says="--dim")
        self.assertEqual(self.memories(), 2)

    def test_first_id_does_not_wrap_around(self):
        self.create()
        self.ok("put", self.store, "--id", 0, "--payload", "kept")
        rows = self.write("rows.f16", struct.pack("<4e", 1, 2, 3, 4))
        self.fails(1, "import", self.store, rows, "--first-id", LARGEST, says="--first-id")
        self.assertEqual(self.answer("get", self.store, "--id", 0)["payload"], "kept")
        self.ok("import", self.store, rows, "--first-id", LARGEST - 1)
        self.assertEqual(self.memories(), 3)

    def test_no_id_above_the_largest(self):
        self.create()
        self.ok("put", self.store, "--id", 0, "--payload", "kept")
        self.ok("put", self.store, "--id", LARGEST)

        def refused():
            done = self.run_it("put", self.store, "--key", "new", "--payload", "x")
            said = done.stderr.decode()
            self.assertEqual(done.returncode, 1, said)
            self.assertTrue(said.startswith("engram: put: "), said)
            self.assertIn(str(LARGEST), said)
            self.assertNotIn("import", said)
            self.fails(1, "get", self.store, "--key", "new")
            self.assertEqual(self.answer("get", self.store, "--id", 0)["payload"], "kept")

        refused()
        self.ok("delete", self.store, "--id", LARGEST)
        self.ok("compact", self.store)
        refused()
        self.fails(1, "import", self.store, self.write("m.jsonl", '{"key":"new"}'),
                   says=["memory 0 of the import", str(LARGEST), "nothing of the file"])
        self.ok("put", self.store, "--id", 5, "--key", "new")
        self.assertEqual(self.answer("put", self.store, "--key", "new"), {"id": 5})
        # Of the vector of a new memory, too, put speaks as put.
        self.fails(1, "put", self.store, "--key", "newer", "--vector", "[1]",
                   says="put: the vector has 1 values")

    def test_an_empty_vector_is_refused(self):
        self.create()
        self.ok("put", self.store, "--id", 1, "--key", "a", "--vector", "[1,2]")
        lines = self.write("m.jsonl", '{"id":2}\n{"id":1,"vector":[]}\n')
        self.fails(1, "import", self.store, lines, says=["m.jsonl: line 2: ", '"vector" is empty'])
        for name in (["--id", 1], ["--key", "a"], ["--key", "new"]):
            for empty in ("[]", " [ ] "):
                self.fails(1, "put", self.store, *name, "--vector", empty, says="--vector is empty")
        self.assertEqual(self.answer("get", self.store, "--id", 1)["vector"], [1, 2])
        self.assertEqual(self.memories(), 1)
        # Left out, it means a memory without an embedding.
        self.ok("import", self.store, self.write("m.jsonl", '{"id":1}\n'))
        self.assertNotIn("vector", self.answer("get", self.store, "--id", 1))

    def test_a_field_that_comes_twice_is_refused(self):
        self.create()
        for line, field in (('{"id":1,"id":2}', "id"), ('{"id":1,"vector":[1,2],"vector":[1,2]}',
                                                        "vector"),
                            ('{"id":1,"payload":"a:b","key":"k","payload":""}', "payload"),
                            ('{"id":1,"\\u0069d":1}', "id")):
            self.fails(1, "import", self.store, self.write("m.jsonl", '{"id":7}\n' + line),
                       says=["m.jsonl: line 2: ", f'the field "{field}" twice'])
        self.assertEqual(self.memories(), 0)
        # Colons in a text are none of fields.
        self.ok("import", self.store, self.write(
            "m.jsonl", '{"id":1,"payload":"{\\"id\\":1}","keys":["a:b","id"]}'))
        self.assertEqual(self.answer("get", self.store, "--key", "a:b")["payload"], '{"id":1}')

    def test_keys_that_no_memory_can_have(self):
        self.create()
        key = "k" * 4097
        for command in ("put", "get", "delete"):
            self.fails(2, command, self.store, "--key", key, says=["--key", "4097", "4096"])
        self.ok("put", self.store, "--id", 1, "--key", key[1:])

    def test_a_file_that_is_not_there(self):
        self.create()
        for holds in (0, 1):
            for arguments in (["none.f16"], ["none", "--format", "f16"], ["none"], ["none.jsonl"],
                              ["none.npy", "--first-id", 7]):
                self.fails(1, "import", self.store, *arguments,
                           says=[arguments[0] + " cannot be read", "No such file"])
            self.assertEqual(self.memories(), holds)
            self.ok("put", self.store, "--id", 1)

    def test_options_that_go_unused_are_refused(self):
        self.create()
        lines = self.write("m.jsonl", '{"id":1,"vector":[1,2]}\n')
        for option in ("--first-id", "--ids", "--payloads"):
            self.fails(2, "import", self.store, lines, option, 1, says=[option, "jsonl"])
        self.fails(2, "import", self.store, lines, "--first-id", 1, "--ids", "x", says="--ids")
        self.fails(2, "export", self.store, "--ids", self.folder / "ids.npy", says="--ids")
        self.fails(2, "search", self.store, "--id", 1, "--format", "npy", says="--format")
        for mode in ("approximate", "EXACT", ""):
            self.fails(2, "search", self.store, "--id", 1, "--mode", mode, says=["--mode", "exact"])
        self.fails(1, "import", self.store, lines, "--dim", 3, says="--dim is 3")
        self.assertEqual(self.memories(), 0)
        self.ok("import", self.store, lines, "--dim", 2)
        self.fails(1, "search", self.store, "--id", 1, "--dim", 3, says="--dim is 3")
        self.ok("search", self.store, "--id", 1, "--dim", 2)

    def test_minus_zero_keeps_its_sign(self):
        self.create(metric="dot", dimension=3)
        lines = self.write("m.jsonl", '{"id":1,"vector":[-0,-0.0,-1],"payload":"-0 \\"-0"}\n'
                                      '{"id":2,"vector":[0, -0 ,-0e1]}\n')
        self.ok("import", self.store, lines)
        self.ok("put", self.store, "--id", 3, "--vector", "[-0,0,-0]")
        exported = self.ok("export", self.store)
        self.assertNotIn("-0,", exported)
        signs = [[struct.pack("<f", value)[3] >> 7 for value in json.loads(line)["vector"]]
                 for line in exported.splitlines()]
        self.assertEqual(signs, [[1, 1, 1], [0, 1, 1], [1, 0, 1]])
        self.assertEqual(self.answer("get", self.store, "--id", 1)["payload"], '-0 "-0')

    def test_a_failed_import_says_where_and_leaves_nothing(self):
        self.create()
        large = "x" * (1 << 20)
        for bad, says in (("nonsense", "not JSON"), ('{"id":99,"vector":[1,1e99]}',
                                                 "1e+99, beyond the range of f32")):
            store = self.folder / f"store{len(bad)}"
            self.ok("create", store, "--dim", 2)
            lines = [json.dumps({"id": i, "vector": [1, i], "payload": large}) for i in range(70)]
            path = self.write("m.jsonl", "\n".join([*lines, bad]))
            done = self.run_it("import", store, path)
            self.assertEqual(done.returncode, 1)
            self.assertEqual(self.answer("stats", store)["memories"], 0)
            said = done.stderr.decode()
            self.assertIn("nothing of the file was imported", said)
            self.assertIn("m.jsonl: line 71: ", said)
            self.assertIn(says, said)

    def test_wrong_values_name_file_and_place(self):
        self.create()
        self.fails(1, "import", self.store,
                   self.write("m.jsonl", '{"id":1}\n\n{"id":2,"vector":[1,1e99]}\n'),
                   says=["m.jsonl: line 3: ", "1e+99", "nothing of the file"])
        self.fails(1, "import", self.store,
                   self.write("m.jsonl", '{"id":1,"vector":[1,true]}'),
                   says=["line 1: value 1 of the vector is boolean"])
        self.fails(1, "import", self.store, self.write("m.jsonl", '{"id":1,"vector":[1 2]}'),
                   says=["line 1: it is not JSON: column 21: "])
        rows = [float(i) for i in range(1, 801)]
        rows[2 * 300 + 1] = float("nan")
        path = self.write("rows.npy", npy("f", "(400, 2)", rows))
        self.fails(1, "import", self.store, path, says=["rows.npy: row 300: ", "nan"])
        self.fails(1, "search", self.store, "--vectors", path, says=["rows.npy: row 300: ", "nan"])
        good = self.write("good.npy", npy("f", "(2, 2)", [1, 2, 3, 4]))
        ids = self.write("ids.npy", npy("q", "(2,)", [5, -7]))
        self.fails(1, "import", self.store, good, "--ids", ids, says=["position 1", "-7"])
        self.fails(1, "search", self.store, "--vector", "1,2", says=["--vector", "[0.5,-1,2]"])
        self.fails(1, "search", self.store, "--vector", "[]",
                   says=["--vector has 0 values", "dimension is 2"])
        self.fails(1, "import", self.store,
                   self.write("m.jsonl", '{"id":1,"payload":"a","payload_hex":"62"}'),
                   says=["line 1", "payload_hex"])
        self.assertEqual(self.memories(), 0)

    def test_writes_answer_in_json(self):
        self.assertEqual(self.answer("create", self.store, "--dim", 2),
                         {"store": str(self.store), "dimension": 2, "metric": "cosine"})
        self.assertEqual(self.answer("put", self.store, "--id", 4), {"id": 4})
        self.assertEqual(self.answer("put", self.store, "--key", "new"), {"id": 5})
        self.assertEqual(self.answer("put", self.store, "--key", "new"), {"id": 5})
        self.assertIn("6", self.ok("put", self.store, "--key", "newer"))
        lines = self.write("m.jsonl", '{"id":6}\n{"id":7}\n{"id":7,"payload":"last"}\n')
        self.assertEqual(self.answer("import", self.store, lines),
                         {"imported": 3, "replaced": 2, "memories": 4})
        self.assertIn("3 of them in place of an earlier one; the store holds 4",
                      self.ok("import", self.store, lines))
        self.assertEqual(self.answer("delete", self.store, "--id", 4, 7), {"deleted": 2})
        self.assertEqual(self.answer("backup", self.store, self.folder / "copy"),
                         {"directory": str(self.folder / "copy"), "memories": 2})
        self.assertEqual(set(self.answer("compact", self.store)), {"bytes_before", "bytes_after"})
        said = self.answer("version", "--kernels")
        self.assertIn(True, [kernel["default"] for kernel in said["kernels"]])
        self.assertNotIn("kernels", self.answer("version"))

    def test_keys_of_two_memories_need_an_id(self):
        self.create()
        self.ok("put", self.store, "--id", 1, "--key", "a", "--payload", "one")
        self.ok("put", self.store, "--id", 2, "--key", "b", "--payload", "two")
        self.fails(1, "put", self.store, "--key", "a", "--key", "b", says=["memory 1", "memory 2"])
        self.assertEqual(self.answer("get", self.store, "--key", "b")["payload"], "two")
        # A new key beside a known one, in either order, names the known memory.
        self.assertEqual(self.answer("put", self.store, "--key", "c", "--key", "b"), {"id": 2})
        self.ok("put", self.store, "--id", 1, "--key", "a", "--key", "b")
        self.assertEqual(self.answer("get", self.store, "--key", "b")["id"], 1)
        # A key is never taken for a list.
        self.ok("put", self.store, "--id", 3, "--key", "[a,b]")
        self.assertEqual(self.answer("get", self.store, "--id", 3)["keys"], ["[a,b]"])
        self.ok("delete", self.store, "--key", "[a,b]")
        self.assertEqual(self.memories(), 2)

    def test_delete_of_a_memory_named_twice(self):
        self.create()
        self.ok("put", self.store, "--id", 1, "--key", "a")
        self.ok("put", self.store, "--id", 2)
        self.ok("delete", self.store, "--id", 1, 1, "--key", "a")
        self.assertEqual(self.memories(), 1)
        self.fails(1, "delete", self.store, "--id", 2, 3, says="3")
        self.assertEqual(self.memories(), 1)

    def test_backup_into_the_store_is_refused(self):
        self.create()
        self.fails(1, "backup", self.store, self.store / "sub", says="sub")
        self.assertFalse((self.store / "sub").exists())

    def test_files_from_elsewhere(self):
        self.create()
        rows = self.write("ROWS.NPY", npy("f", "(2, 2)", [1, 2, 3, 4]))
        payloads = self.write("lines.txt", b"one\r\ntwo\r\n")
        self.ok("import", self.store, rows, "--payloads", payloads)
        self.assertEqual(self.answer("get", self.store, "--id", 1)["payload"], "two")
        lines = b'{"id":7}\r\n\r\n{"id":8}\r\n'
        self.ok("import", self.store, "-", "--format", "jsonl", input=lines)
        self.assertEqual(self.memories(), 4)
        self.fails(1, "import", self.store, "-", "--format", "jsonl", input=b"{\n",
                   says="standard input: line 1")
        self.fails(2, "import", self.store, "-", says="--format")
        self.fails(1, "import", self.store, self.folder, "--format", "jsonl", says="directory")
        self.fails(1, "import", self.store, rows, "--payloads", self.folder,
                   "--first-id", 100, says="directory")
        said = self.ok("search", self.store, "--vectors", "-", "--format", "f16", "--json",
                       input=struct.pack("<4e", 1, 2, 3, 4))
        self.assertEqual(len(said.splitlines()), 2)

    def test_a_reader_that_leaves_is_no_error(self):
        self.create()
        lines = "".join(json.dumps({"id": i, "payload": "x" * 1000}) + "\n" for i in range(500))
        self.ok("import", self.store, self.write("m.jsonl", lines))
        export = subprocess.Popen([ENGRAM, "export", self.store], stdout=subprocess.PIPE,
                                  stderr=subprocess.PIPE)
        export.stdout.readline()
        export.stdout.close()
        self.assertEqual((export.stderr.read(), export.wait()), (b"", 0))
        export.stderr.close()
        with open("/dev/full", "wb") as full:
            done = subprocess.run([ENGRAM, "export", self.store], stdout=full,
                                  stderr=subprocess.PIPE)
        self.assertEqual(done.returncode, 1)
        self.assertIn(b"takes no more", done.stderr)

    def test_nothing_of_a_memory_reaches_the_terminal_raw(self):
        self.create()
        payload = "red \x1b[31m\x07\u009b\x7f\n\tend"
        memory = {"id": 1, "vector": [1, -0.0], "payload": payload, "keys": ["\x1b]0;k"]}
        self.ok("import", self.store, self.write("m.jsonl", json.dumps(memory)))
        for said in (self.ok("get", self.store, "--id", 1),
                     self.ok("search", self.store, "--id", 1)):
            self.assertFalse([c for c in said if c != "\n" and (c < " " or "\x7f" <= c < "\xa0")])
            self.assertIn("red \\x1b[31m\\x07\\xc2\\x9b\\x7f\\n\\tend", said)
            self.assertIn("\\x1b]0;k", said)
        self.assertEqual(self.answer("get", self.store, "--id", 1)["payload"], payload)
        self.fails(1, "get", self.store, "--key", "\x1b[31m", says="\\x1b")

    def test_what_people_see(self):
        self.create(dimension=9)
        self.ok("put", self.store, "--id", 7, "--key", "lucky", "--payload", "seven",
                "--vector", json.dumps([1, 2, 3, 4, 5, 6, 7, 8, 0.5]))
        self.assertIn("9 values: 1 2 3 4 5 6 7 8 …", self.ok("get", self.store, "--id", 7))
        orthogonal = json.dumps([-8e-9, 0, 0, 0, 0, 0, 0, 1e-9, 0])
        found = self.ok("search", self.store, "--vector", orthogonal)
        self.assertIn("7 lucky", found)
        self.assertNotIn("-0.000000", found)
        self.assertIn("no hits", self.ok("search", self.store, "--id", 7, "--min-score", "1.5"))
        stats = self.ok("stats", self.store)
        self.assertRegex(stats, r"metric +cosine\n")
        self.assertRegex(stats, r"bytes_on_disk +\d+\.\d [kM]B\n")
        self.assertRegex(self.ok("compact", self.store), r"^\d+\.\d [kM]B before, \d+\.\d [kM]B")
        self.assertIn("threads", self.ok("bench", self.store, "--seconds", "0.05"))

    def test_progress_ends_its_line(self):
        self.create()
        lines = "".join(json.dumps({"id": i}) + "\n" for i in range(50))
        for content in (lines, lines + "nonsense\n"):
            path = self.write("m.jsonl", content)
            ours, theirs = pty.openpty()
            done = subprocess.run([ENGRAM, "import", str(self.store), str(path)], stderr=theirs,
                                  stdout=theirs, timeout=60)
            os.close(theirs)
            said = os.read(ours, 65536).decode()
            os.close(ours)
            self.assertEqual(done.returncode, 0 if content == lines else 1)
            last = said.replace("\r\n", "\n").splitlines()[-1]
            self.assertTrue(last.startswith("50 memories" if content == lines else "engram: "), said)


if __name__ == "__main__":
    unittest.main()
