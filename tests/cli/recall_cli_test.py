"""Edges, recall and strength on the command line; and files of edges that are not what they
say. ENGRAM_MUTATIONS=N changes how many broken files are tried of each format."""
import json
import os
import pathlib
import pty
import random
import struct
import subprocess
import tempfile
import time
import unittest

ENGRAM = os.environ["ENGRAM_COMMAND"]
MUTATIONS = int(os.environ.get("ENGRAM_MUTATIONS", "60"))
SEED = 43
LARGEST = 2**64 - 1

# file name, its bytes, what the message has to say
REFUSED = [
    ("empty.tsv", b"", ["line 1", "no header"]),
    ("blank.tsv", b"\n1\t2\n", ["line 1", 'column ""']),
    ("unknown.tsv", b"from\tto\tcolour\n1\t2\tred\n", ["line 1", "colour"]),
    ("twice.tsv", b"from\tto\tto\n1\t2\t2\n", ["line 1", "two columns", "to"]),
    ("both.tsv", b"from\tfrom_key\tto\n1\ta\t2\n", ["line 1", "both", "from_key"]),
    ("no_to.tsv", b"from\tweight\n1\t2\n", ["line 1", "to_key"]),
    ("narrow.tsv", b"from\tto\tweight\n1\t2\t1\n1\t2\n", ["line 3", "2 columns", "names 3"]),
    ("wide.tsv", b"from\tto\n1\t2\n\n1\t2\t3\n", ["line 4", "3 columns"]),
    ("nobody.tsv", b"from\tto\n1\t\n", ["line 2", 'column "to"', "empty"]),
    ("no_key.tsv", b"from\tto_key\n1\t\n", ["line 2", "key", "0 bytes"]),
    ("long_key.tsv", b"from\tto_key\n1\t" + b"k" * 4097, ["line 2", "4097 bytes"]),
    ("large.tsv", b"from\tto\n1\t18446744073709551616\n", ["line 2", "18446744073709551616"]),
    ("weight.tsv", b"from\tto\tweight\n1\t2\theavy\n", ["line 2", "heavy"]),
    ("nan.tsv", b"from\tto\tweight\n1\t2\tnan\n", ["line 2", "nan"]),
    ("infinite.tsv", b"from\tto\tweight\n1\t2\tinf\n", ["line 2", "inf"]),
    ("overflow.tsv", b"from\tto\tweight\n1\t2\t1e39\n", ["line 2", "inf"]),
    ("negative.tsv", b"from\tto\tweight\n1\t2\t-1\n", ["line 2", "-1"]),
    ("type.tsv", b"from\tto\ttype\n1\t2\t" + b"t" * 257, ["line 2", "257 bytes"]),
    ("long_line.tsv", b"from\tto\n" + b"x" * (3 << 20), ["line 2", "longer"]),
    ("missing.tsv", b"from\tto\n1\t2\n2\t99\n", ["line 3", "id 99", "--create-missing"]),
    ("missing_key.tsv", b"from\tto\n1\tnobody\n2\t99\n", ["line 2", "nobody"]),
    ("text.jsonl", b'{"from":1,"to":2}\nnonsense\n', ["line 2", "not JSON"]),
    ("array.jsonl", b"[1,2]\n", ["line 1", "object"]),
    ("deep.jsonl", b"[" * 100_000, ["line 1"]),
    ("no_to.jsonl", b'{"from":1}\n', ["line 1", '"to"']),
    ("field.jsonl", b'{"from":1,"to":2,"wait":3}\n', ["line 1", "wait"]),
    ("twice.jsonl", b'{"from":1,"to":2,"from":2}\n', ["line 1", '"from" twice']),
    ("minus.jsonl", b'{"from":-1,"to":2}\n', ["line 1", '"from"']),
    ("real.jsonl", b'{"from":1,"to":2.0}\n', ["line 1", '"to"']),
    ("null.jsonl", b'{"from":null,"to":2}\n', ["line 1", '"from"']),
    ("empty_key.jsonl", b'{"from":"","to":2}\n', ["line 1", "key"]),
    ("weight.jsonl", b'{"from":1,"to":2,"weight":"1"}\n', ["line 1", "weight"]),
    ("overflow.jsonl", b'{"from":1,"to":2,"weight":1e300}\n', ["line 1", "inf"]),
    ("negative.jsonl", b'{"from":1,"to":2,"weight":-0.5}\n', ["line 1", "-0.5"]),
    ("type.jsonl", b'{"from":1,"to":2,"type":4294967296}\n', ["line 1", "type"]),
    ("no_type.jsonl", b'{"from":1,"to":2,"type":""}\n', ["line 1", "type"]),
    ("missing.jsonl", b'{"from":1,"to":2}\n\n{"from":"nobody","to":2}\n', ["line 3", "nobody"]),
    ("bytes.jsonl", b'{"from":"\xff\xfe","to":2}\n', ["line 1"]),
    ("edges.npy", b"\x93NUMPY", ["npy", "tsv"]),
    ("edges", b"from\tto\n", ["--format"]),
]
SOUND = {
    "m.tsv": b"\xef\xbb\xbffrom\tto_key\tweight\ttype\r\n1\t2 cats\t0.5\tkind of\r\n\r\n2\tone\t\t\r\n",
    "m.jsonl": b'{"from":1,"to":"2 cats","weight":0.5,"type":"kind of"}\n'
               b'{"to":"one","from":2}\n',
}


class Command(unittest.TestCase):
    def setUp(self):
        folder = tempfile.TemporaryDirectory()
        self.addCleanup(folder.cleanup)
        self.folder = pathlib.Path(folder.name)
        self.store = self.folder / "store"
        self.ok("create", self.store, "--dim", 2)
        self.memories("".join(json.dumps(line) + "\n" for line in (
            {"id": 1, "vector": [1, 0], "key": "one", "payload": "the first"},
            {"id": 2, "vector": [0, 1], "key": "2 cats", "payload": "the second"},
            {"id": 3, "vector": [-1, 0.5], "payload": "the third"},
            {"id": 4, "key": "1984", "payload": "no embedding"})))

    def memories(self, lines):
        self.ok("import", self.store, self.write("memories.jsonl", lines))

    def write(self, name, content):
        path = self.folder / name
        path.write_bytes(content if isinstance(content, bytes) else content.encode())
        return path

    def run_it(self, *arguments, **more):
        return subprocess.run([ENGRAM, *map(str, arguments)], capture_output=True, timeout=60,
                              **more)

    def ok(self, *arguments, **more):
        done = self.run_it(*arguments, **more)
        self.assertEqual(done.returncode, 0, done.stderr)
        return done.stdout.decode()

    def lines(self, *arguments, **more):
        return [json.loads(line) for line in self.ok(*arguments, "--json", **more).splitlines()]

    def answer(self, *arguments, **more):
        lines = self.lines(*arguments, **more)
        self.assertEqual(len(lines), 1, lines)
        return lines[0]

    def fails(self, code, *arguments, says=(), **more):
        done = self.run_it(*arguments, **more)
        said = done.stderr.decode()
        self.assertEqual(done.returncode, code, f"{arguments}: {done.stdout} {said}")
        for part in [says] if isinstance(says, str) else says:
            self.assertIn(part, said)

    def edges(self, store=None):
        return self.ok("export", store or self.store, "--edges")

    def link(self, lines, *more, name="e.tsv"):
        return self.answer("link", self.store, self.write(name, lines), *more)


class LinkTest(Command):
    def test_both_formats_say_the_same(self):
        expected = ('{"from":1,"to":2,"weight":0.5,"type":"kind of"}\n'
                    '{"from":2,"to":1,"weight":1,"type":"link"}\n')
        for name, content in SOUND.items():
            self.assertEqual(self.link(content, name=name), {"linked": 2, "created": 0})
            self.assertEqual(self.edges(), expected)
        stats = self.answer("stats", self.store)
        self.assertEqual(stats["edge_changes"] + stats["sealed_edges"], 2)
        self.assertEqual(self.answer("verify", self.store)["edges"], 2)
        self.assertIn("2 edges linked", self.ok("link", self.store, self.folder / "m.tsv"))

    def test_a_key_that_looks_like_a_number(self):
        self.fails(1, "link", self.store, self.write("e.tsv", "from\tto\n1\t1984\n"),
                   says="id 1984")
        self.link("from\tto\ttype\n1\t=1984\t=a\n")
        self.link("from\tto_key\ttype\n2\t1984\t7\n")
        self.link('{"from":3,"to":"1984","type":9}\n', name="e.jsonl")
        said = self.lines("neighbors", self.store, "--key", "1984", "--in")
        self.assertEqual([(edge["from"], edge["to"], edge["type"]) for edge in said],
                         [(1, 4, "=a"), (2, 4, "7"), (3, 4, 9)])

    def test_bidirectional_and_later_lines(self):
        said = self.link("from\tto\tweight\n1\t2\t3\n3\t3\t4\n1\t2\t5\n", "--bidirectional")
        self.assertEqual(said, {"linked": 5, "created": 0})
        weights = {(edge["from"], edge["to"]): edge["weight"]
                   for edge in map(json.loads, self.edges().splitlines())}
        self.assertEqual(weights, {(1, 2): 5, (2, 1): 5, (3, 3): 4})

    def test_missing_memories_are_made_and_kept_apart(self):
        # The key's id must not be one that the file names: 5 would be the next.
        said = self.link("from\tto\nnew\t5\n5\tnew\nother\t7\n1\t2\n", "--create-missing")
        self.assertEqual(said, {"linked": 4, "created": 4})
        new, other = (self.answer("get", self.store, "--key", key)["id"] for key in ("new", "other"))
        self.assertEqual((new, other), (8, 9))
        self.assertEqual([edge["to"] for edge in self.lines("neighbors", self.store, "--id", 5)],
                         [new])
        five = self.answer("get", self.store, "--id", 5)
        self.assertEqual((five["id"], five["payload"], five["strength"]), (5, "", 1))
        self.assertEqual(self.answer("get", self.store, "--id", 1)["payload"], "the first")

    def test_no_id_is_left_for_a_new_key(self):
        self.memories('{"id":%d}\n' % LARGEST)
        path = self.write("e.tsv", "from\tto\n1\tnew\n")
        self.fails(1, "link", self.store, path, "--create-missing")
        self.assertEqual(self.edges(), "")

    def test_edges_read_back_whole(self):
        source = random.Random(SEED)
        kinds = ["link", "kind of", "Teil von – ü", '"quoted" \\ \x1f', 12345]
        lines = []
        for _ in range(3000):
            lines.append(json.dumps({"from": source.randrange(200), "to": source.randrange(200),
                                     "weight": source.random() * 10 ** source.randint(-9, 9),
                                     "type": source.choice(kinds)}))
        said = self.link("\n".join(lines), "--create-missing", "--durability", "power",
                         name="e.jsonl")
        self.assertEqual(said["linked"], 3000)
        distinct = {(e["from"], e["to"], e["type"]) for e in map(json.loads, lines)}
        exported = self.edges()
        self.assertEqual(len(exported.splitlines()), len(distinct))
        copy = self.folder / "copy"
        self.ok("create", copy, "--dim", 2)
        self.ok("import", copy, self.write("m.jsonl", self.ok("export", self.store)))
        self.assertEqual(self.edges(copy), "")
        self.ok("link", copy, "-", "--format", "jsonl", input=exported.encode())
        self.assertEqual(self.edges(copy), exported)

    def test_each_bad_file_is_refused_and_nothing_of_it_applied(self):
        before = self.ok("export", self.store)
        for name, content, parts in REFUSED:
            with self.subTest(name):
                self.fails(1, "link", self.store, self.write(name, content), says=[name, *parts])
                self.assertEqual(self.edges(), "")
        self.fails(1, "link", self.store, self.folder, "--format", "tsv", says="directory")
        self.fails(1, "link", self.store, "none.tsv", says="none.tsv")
        self.fails(2, "link", self.store, "-", says="--format")
        self.fails(2, "link", self.store, "", says="EDGES")
        self.assertEqual(self.ok("export", self.store), before)
        # Not even the types are known now.
        self.fails(1, "recall", self.store, "--id", 1, "--types", "red", says=["red", "link"])

    def test_no_id_is_left_for_what_is_missing(self):
        self.ok("put", self.store, "--id", LARGEST)
        self.fails(1, "link", self.store, self.write("e.tsv", "from\tto\n1\t2\n1\tnew\n"),
                   "--create-missing", says=["memories that", "e.tsv names", str(LARGEST)])
        self.fails(1, "get", self.store, "--key", "new")
        self.assertEqual(self.edges(), "")

    def test_no_bytes_crash_it(self):
        source = random.Random(SEED)
        print(f"seed {SEED}")
        for name, content in SOUND.items():
            for turn in range(MUTATIONS):
                mutated = bytearray(content)
                for _ in range(source.randint(1, 4)):
                    at = source.randrange(len(mutated))
                    kind = source.randrange(3)
                    if kind == 0:
                        mutated[at] = source.randrange(256)
                    elif kind == 1 and len(mutated) > 9:
                        del mutated[at:at + source.randint(1, 9)]
                    else:
                        mutated[at:at] = bytes(source.randrange(256) for _ in range(3))
                    if not mutated:
                        mutated = bytearray(b"\0")
                done = self.run_it("link", self.store, self.write(name, bytes(mutated)),
                                   *source.choice([[], ["--create-missing"]]))
                self.assertIn(done.returncode, (0, 1), f"turn {turn}: {bytes(mutated)!r}")
        self.assertEqual(self.answer("verify", self.store)["findings"], [])

    def test_progress_and_what_people_see(self):
        path = self.write("e.tsv", "from\tto\ttype\n" + "1\t2\tkind of\n" * 100)
        ours, theirs = pty.openpty()
        done = subprocess.run([ENGRAM, "link", str(self.store), str(path)], stderr=theirs,
                              stdout=theirs, timeout=60)
        os.close(theirs)
        said = os.read(ours, 65536).decode().replace("\r\n", "\n")
        os.close(ours)
        self.assertEqual(done.returncode, 0, said)
        self.assertIn("link [", said)
        self.assertTrue(said.splitlines()[-1].startswith("100 edges linked"), said)
        self.assertRegex(self.ok("neighbors", self.store, "--id", 1),
                         r"^type +weight  to +payload\nkind of +1  2 2 cats +the second\n$")
        self.assertEqual(self.ok("neighbors", self.store, "--id", 3), "no edges\n")
        self.assertEqual(self.lines("neighbors", self.store, "--id", 3), [])
        self.fails(1, "neighbors", self.store, "--id", 9, says="9")
        self.fails(2, "neighbors", self.store, says="exactly one")
        self.fails(2, "export", self.store, "--edges", "--format", "npy", says="jsonl")


class RecallTest(Command):
    def setUp(self):
        super().setUp()
        self.link("from\tto\tweight\ttype\n1\t4\t1\tkind of\n4\t3\t2\tlink\n"
                  "2\t1\t1\tlink\n", "--bidirectional")

    def recall(self, *arguments, **more):
        return self.answer("recall", self.store, *arguments, **more)

    def test_the_json_answer(self):
        said = self.recall("--vector", "[1,0.1]", "--seeds", 1, "--types", "kind of,link",
                           "--explain", "--payload", "-k", 2, "--hops", 2)
        self.assertEqual(said["query"], 0)
        self.assertEqual(said["named"], [])
        first = said["hits"][0]
        self.assertEqual(list(first), ["id", "score", "similarity", "activation", "strength",
                                       "hops", "via", "path", "payload"])
        self.assertEqual((first["id"], first["activation"], first["hops"], first["payload"]),
                         (1, 1, 0, "the first"))
        self.assertAlmostEqual(first["similarity"], 1 / 1.01 ** 0.5, places=6)
        self.assertAlmostEqual(first["score"], 4, places=6)
        self.assertEqual(first["path"][0], {"id": 1})
        info = said["info"]
        self.assertEqual((info["exact"], info["rows_scored"], info["rows_in_store"], info["steps"],
                          info["memories_reached"], info["truncated"]), (True, 3, 3, 2, 4, False))
        self.assertEqual((info["path"], info["rows_rescored"]), ("plain_scan", 0))
        self.assertGreater(info["edges_followed"], 0)
        self.assertNotIn("path", self.recall("--id", 1)["hits"][0])

    def test_paths_are_told(self):
        options = ["--named", "one", "--threshold", 0, "--explain", "-k", 4, "--hops", 2]
        said = self.recall(*options)
        third = next(hit for hit in said["hits"] if hit["id"] == 3)
        self.assertEqual(third["path"], [{"id": 1}, {"id": 4, "weight": 1, "type": "kind of"},
                                         {"id": 3, "weight": 2, "type": "link"}])
        self.assertEqual((third["hops"], third["via"], third["similarity"]), (2, 4, None))
        text = self.ok("recall", self.store, *options)
        self.assertIn("      names one\n", text)
        self.assertIn("\n      one --kind of--> 1984 --link--> 3\n", text)
        self.assertIn("the third", text)
        self.assertRegex(text, r"memory +score +similarity +activation +strength +hops\n")

    def test_a_hit_says_whether_activation_reached_it(self):
        self.link("from\tto\n1\t2\n")
        hits = {hit["id"]: hit for hit in self.recall("--named", "1", "-k", 9, "--seeds", 1,
                                                      "--id", 1)["hits"]}
        self.assertEqual(hits[1]["hops"], 0)
        self.assertEqual((hits[2]["hops"], hits[2]["via"]), (1, 1))
        for hit in hits.values():
            if hit["activation"] == 0:
                self.assertEqual((hit["hops"], hit["via"]), (None, None))

    def test_names_by_id_key_text_and_file(self):
        for named in ("one", "1", "=one", "1,one", " 1 , one "):
            said = self.recall("--named", named)
            self.assertEqual(set(said["named"]), {1}, named)
        self.assertEqual(self.recall("--named", "=1984")["named"], [4])
        self.assertEqual(self.recall("--text", "Two dogs, 2 CATS' and One")["named"], [2, 1])
        self.assertEqual(self.recall("--text", "nothing known")["hits"], [])
        self.memories('{"id":5,"key":"a,b"}\n')
        self.assertEqual(self.recall("--named", "a,b\t")["named"], [5])
        self.assertEqual(self.recall("--named", "a,b\t2 cats\t3", "--text", "one")["named"],
                         [5, 2, 3, 1])
        path = self.write("named.txt", "1,2 cats\n\na,b\t=1984\r\n")
        said = self.lines("recall", self.store, "--named", path, "--text", "one")
        self.assertEqual([answer["named"] for answer in said], [[1, 2, 1], [1], [5, 4, 1]])
        self.assertEqual([answer["query"] for answer in said], [0, 1, 2])
        self.assertEqual(
            [answer["named"] for answer in self.lines("recall", self.store, "--named", "-",
                                                      input=b"one\n2\n")], [[1], [2]])

    def test_a_list_that_is_the_name_of_a_file_is_that_file(self):
        for name in ("one", "1,2", "1"):
            self.write(name, "=1984\n")
        for named, ids in (("one", [4]), ("=one", [1]), ("1,2", [1, 2]), ("1", [1]), ("1,=one", [1, 1])):
            self.assertEqual(self.recall("--named", named, cwd=self.folder)["named"], ids, named)
        self.assertIn("which is taken", self.ok("recall", "--help"))

    def test_several_cue_vectors(self):
        vectors = self.write("q.f16", struct.pack("<4e", 1, 0, 0, 1))
        said = self.lines("recall", self.store, "--vectors", vectors, "--activation-weight", 0)
        self.assertEqual([answer["hits"][0]["id"] for answer in said], [1, 2])
        named = self.write("n.txt", "2\n1\n")
        said = self.lines("recall", self.store, "--vectors", vectors, "--named", named)
        self.assertEqual([answer["named"] for answer in said], [[2], [1]])
        self.fails(1, "recall", self.store, "--vectors", vectors, "--named",
                   self.write("n.txt", "1\n"), says=["n.txt has 1 line, ", "2 cue vectors"])
        bad = self.write("bad.f16", struct.pack("<4e", 1, 0, float("nan"), 1))
        self.fails(1, "recall", self.store, "--vectors", bad, says=["bad.f16: row 1", "nan"])

    def test_options_reach_the_library(self):
        # Strength falls with every second: two answers are equal only at one and the same time.
        cue = ["--vector", "[1,0.1]", "--seeds", 1, "--now", int(time.time())]
        self.assertEqual(self.recall(*cue, "--hops", 0)["info"]["steps"], 0)
        narrow = self.recall(*cue, "--types", "kind of", "--hops", 1, "--bare")
        self.assertEqual({hit["id"] for hit in narrow["hits"] if hit["hops"]}, {4})
        by_number = self.recall(*cue, "--types", "1", "--hops", 1, "--bare")
        self.assertEqual(by_number, narrow)
        self.assertNotIn(4, [hit["id"] for hit in self.recall(*cue)["hits"]])
        default = self.recall(*cue)
        for option in (["--restart", 0.5], ["--restart", 0, "--hop-decay", 0.3],
                       ["--normalisation", "sqrt-degree"], ["--activation-weight", 1],
                       ["--strength-weight", 2], ["--threshold", 0.2], ["--hops", 1]):
            self.assertNotEqual(self.recall(*cue, *option)["hits"], default["hits"], option)
        named = ["--named", "1,2", "--vector", "[0,1]", *cue[-2:]]
        for option in (["--named-weight", 5], ["--fan-exponent", 3], ["--sharpness", 0.1]):
            self.assertNotEqual(self.recall(*named, *option)["hits"], self.recall(*named)["hits"],
                                option)
        self.assertEqual(self.recall(*cue, "--threads", 1), self.recall(*cue, "--threads", 2))

    def test_wrong_cues_are_refused(self):
        def refused(code, says, *arguments):
            self.fails(code, "recall", self.store, *arguments, says=says)

        refused(2, "a cue is needed")
        refused(2, "exclude each other", "--id", 1, "--vector", "[1,0]")
        refused(2, "--format", "--id", 1, "--format", "npy")
        refused(2, "only once", "--vectors", "-", "--format", "f16", "--named", "-")
        refused(1, ["no file", "nobody"], "--named", "nobody")
        refused(1, "empty", "--named", "1,,2")
        refused(1, "follows", "--named", "=")
        refused(1, "99", "--named", "99")
        refused(1, "18446744073709551616", "--named", LARGEST + 1)
        refused(1, ["n.txt: line 2", "nobody"], "--named", self.write("n.txt", "1\nnobody\n"))
        refused(1, ["n.txt: line 2", "42"], "--named", self.write("n.txt", "1\n42\n"))
        refused(1, ["no edge type", "kinds", "kind of"], "--id", 1, "--types", "kinds")
        refused(2, ["--types", "2^32"], "--id", 1, "--types", 2**32)
        refused(2, "--types", "--id", 1, "--types", "link,,kind of")
        refused(1, "no embedding", "--id", 4)
        refused(1, "dimension is 2", "--vector", "[1]")
        for option in ("--threshold", "--restart", "--half-life", "--strength-weight"):
            for wrong in ("nan", "inf", "", "x", "1e999"):
                refused(2, option, "--id", 1, option, wrong)
        refused(2, "--hops", "--id", 1, "--hops", 1001)
        refused(2, "--seeds", "--id", 1, "--seeds", 0)
        refused(2, "--now", "--id", 1, "--now", -5)
        refused(2, "--now", "--id", 1, "--now", 2**63)
        refused(2, "--named", "--named", "")
        refused(2, "--text", "--text", "")

    def test_numbers_out_of_range_are_refused_by_the_name_of_the_option(self):
        positive, below_one, not_negative = (0, -1, "1e-400"), (-0.1, 1.5, 2), (-1, "1e39")
        for options, values in ((("--half-life", "--decay-exponent"), positive),
                                (("--restart", "--hop-decay"), below_one),
                                (("--threshold", "--named-weight", "--fan-exponent"), not_negative),
                                (("--sharpness",), (-1, 101)),
                                (("--activation-weight", "--strength-weight"), ("-1e39", "1e39"))):
            for option in options:
                for value in values:
                    self.fails(2, "recall", self.store, "--id", 1, f"{option}={value}",
                               says=[f"{option} must be", str(value)])
        # The ends of the ranges are allowed.
        for allowed in ("--restart=0", "--restart=1", "--hop-decay=1", "--sharpness=100",
                        "--threshold=0", "--half-life=1e-300", "--strength-weight=-2"):
            self.recall("--id", 1, allowed)

    def test_nothing_of_a_memory_reaches_the_terminal_raw(self):
        self.memories('{"id":6,"vector":[1,1],"key":"\\u001b[31m","payload":"\\u0007"}\n')
        self.link('{"from":1,"to":6,"type":"\\u001b]0;"}\n', name="e.jsonl")
        for arguments in (["recall", self.store, "--named", "1,=\x1b[31m", "--explain"],
                          ["neighbors", self.store, "--id", 1]):
            said = self.ok(*arguments)
            self.assertFalse([c for c in said if c != "\n" and c < " "], said)
            self.assertIn("\\x1b", said)


class StrengthTest(Command):
    def strength(self, memory, *more):
        said = self.answer("recall", self.store, "--named", memory, "--bare", "--hops", 0, *more)
        return said["hits"][0]["strength"]

    def test_reinforcement_and_decay(self):
        said = self.answer("reinforce", self.store, "--id", 1, 2, "--key", "one", "--amount", 3,
                           "--now", 4_000_000_000)
        self.assertEqual(said, {"reinforced": 2})
        self.assertEqual(self.ok("reinforce", self.store, "--id", 2, "--amount", 1,
                                 "--now", 4_000_000_000), "")
        at = ["--now", 4_000_000_100, "--half-life", 100]
        self.assertAlmostEqual(self.strength(1, *at), 2, places=5)
        self.assertAlmostEqual(self.strength(2, *at), 2.5, places=5)
        self.assertAlmostEqual(self.strength(1, *at, "--decay", "none"), 4, places=5)
        self.assertAlmostEqual(
            self.strength(1, *at, "--decay", "power-law", "--decay-exponent", 2), 1, places=5)

    def test_wrong_amounts_change_nothing(self):
        before = self.strength(1, "--decay", "none")
        for amount in (0, -1, 1025):
            self.fails(2, "reinforce", self.store, "--id", 1, f"--amount={amount}",
                       says="--amount must be")
        self.fails(1, "reinforce", self.store, "--id", 1, 99, "--amount", 1, says="99")
        self.fails(2, "reinforce", self.store, "--amount", 1, says="--id or --key")
        self.fails(2, "reinforce", self.store, "--id", 1, says="--amount")
        self.fails(2, "reinforce", self.store, "--id", 1, "--amount", "nan", says="--amount")
        self.assertEqual(self.strength(1, "--decay", "none"), before)

    def test_an_answer_without_hits_says_why(self):
        done = self.run_it("recall", self.store, "--text", "zebras graze")
        self.assertEqual(done.returncode, 0)
        self.assertIn(b"no word of --text", done.stderr)

    def test_get_tells_strength_and_last_use(self):
        self.ok("reinforce", self.store, "--id", 2, "--amount", 1.5, "--now", 5_000_000_000)
        told = self.answer("get", self.store, "--id", 2)
        self.assertEqual((told["strength"], told["last_use"]), (2.5, 5_000_000_000))
        self.assertIn("strength 2.5, when it was last used, 2128-06-11T08:53:20Z",
                      self.ok("get", self.store, "--id", 2))

    def test_forgetting_counts_first(self):
        self.link("from\tto\n1\t2\n2\t3\n1\t3\n")
        self.ok("reinforce", self.store, "--id", 2, "--amount", 1, "--now", 5_000_000_000)
        options = ["forget", self.store, "--below", 0.5, "--half-life", 100,
                   "--now", 5_000_000_000]
        self.assertEqual(self.answer(*options),
                         {"memories": 4, "forgotten": 3, "applied": False})
        self.assertEqual(self.ok(*options),
                         "3 of 4 memories would be forgotten; --apply forgets them\n")
        self.assertEqual(self.answer("stats", self.store)["memories"], 4)
        listed = self.lines(*options, "--list")
        self.assertEqual([line["id"] for line in listed[:-1]], [1, 3, 4])
        self.assertTrue(all(line["strength"] < 0.5 for line in listed[:-1]))
        self.assertEqual(listed[-1]["forgotten"], 3)
        self.assertRegex(self.ok(*options, "--list").splitlines()[0], r"^ *[0-9.e+-]+  1 .*the first")
        self.assertEqual(self.answer(*options, "--apply"),
                         {"memories": 4, "forgotten": 3, "applied": True})
        self.assertEqual(self.answer("get", self.store, "--key", "2 cats")["id"], 2)
        self.assertEqual(self.answer("stats", self.store)["memories"], 1)
        self.assertEqual(self.edges(), "")
        self.assertIn("0 of 1 memory forgotten", self.ok(*options, "--apply"))
        self.fails(2, "forget", self.store, says="--below")
        for nothing in (0, -1):
            self.fails(2, "forget", self.store, f"--below={nothing}", says="--below")
        self.fails(2, "forget", self.store, "--below", 1, "--half-life=-1", says="--half-life")


if __name__ == "__main__":
    unittest.main()
