"""engram repair: what is sound goes to a new store, what is lost is told, nothing is changed."""
import glob
import json
import os
import shutil
import subprocess
import tempfile
import unittest

ENGRAM = os.environ["ENGRAM_COMMAND"]
MEMORIES = 600
DIMENSION = 4
METRIC = "cosine"


def run(*arguments):
    return subprocess.run([ENGRAM, *map(str, arguments)], capture_output=True, text=True)


class RepairTest(unittest.TestCase):
    def setUp(self):
        self.folder = tempfile.TemporaryDirectory()
        self.store, self.into = self.path("store"), self.path("into")
        with open(self.path("m.jsonl"), "w", encoding="utf-8") as file:
            for i in range(MEMORIES):
                file.write(json.dumps({"id": i, "vector": [1, i, i * i, 3], "payload": f"p{i}",
                                       "key": f"k{i}"}) + "\n")
        with open(self.path("e.jsonl"), "w", encoding="utf-8") as file:
            for i in range(MEMORIES - 1):
                file.write(json.dumps({"from": i, "to": i + 1, "type": "next"}) + "\n")
        self.ok("create", self.store, "--dim", DIMENSION, "--metric", METRIC)
        self.ok("import", self.store, self.path("m.jsonl"))
        self.ok("link", self.store, self.path("e.jsonl"))
        self.ok("reinforce", self.store, "--id", 7, "--amount", 2.5, "--now", 1000)
        self.before = self.whole(self.store)

    def tearDown(self):
        self.folder.cleanup()

    def path(self, name):
        return os.path.join(self.folder.name, name)

    def ok(self, *arguments):
        result = run(*arguments)
        self.assertEqual(result.returncode, 0, result.stderr)
        return result.stdout

    def whole(self, store):
        return self.ok("export", store), self.ok("export", store, "--edges")

    def repair(self, code):
        bytes_before = self.bytes()
        result = run("repair", self.store, self.into, "--json")
        self.assertEqual(result.returncode, code, result.stdout + result.stderr)
        self.assertEqual(self.bytes(), bytes_before)
        self.assertFalse(os.path.exists(self.into + ".repair"))
        if code == 1:
            return result.stderr
        self.ok("verify", self.into)
        return json.loads(result.stdout)

    def bytes(self):
        found = {}
        for name in sorted(os.listdir(self.store)):
            with open(os.path.join(self.store, name), "rb") as file:
                found[name] = file.read()
        return found

    def test_a_sound_store_is_copied_whole(self):
        report = self.repair(0)
        self.assertEqual((report["memories"], report["edges"], report["keys"]),
                         (MEMORIES, MEMORIES - 1, MEMORIES))
        self.assertEqual(self.whole(self.into), self.before)

    def test_without_current_nothing_is_lost(self):
        os.remove(os.path.join(self.store, "CURRENT"))
        report = self.repair(3)
        self.assertIn("CURRENT", report["findings"][0])
        self.assertEqual(self.whole(self.into), self.before)

    def test_without_a_manifest_nothing_is_lost(self):
        for manifest in glob.glob(os.path.join(self.store, "MANIFEST-*")):
            os.remove(manifest)
        self.repair(3)
        self.assertEqual(self.whole(self.into), self.before)

    def test_a_damaged_table_costs_only_what_it_held(self):
        whole = {json.loads(line)["id"]: line for line in self.before[0].splitlines()}
        repaired = told = 0
        for table in sorted(glob.glob(os.path.join(self.store, "*.sst"))):
            with open(table, "rb") as file:
                sound = file.read()
            for damage in ("flip", "cut"):
                damaged = bytearray(sound)
                if damage == "flip":
                    damaged[len(damaged) // 3] ^= 16
                else:
                    damaged = damaged[:len(damaged) // 2]
                os.remove(table)
                with open(table, "wb") as file:
                    file.write(damaged)
                with self.subTest(table=os.path.basename(table), damage=damage):
                    before = self.bytes()
                    result = run("repair", self.store, self.into, "--json")
                    self.assertEqual(self.bytes(), before)
                    if result.returncode == 1:  # the table with what the store is
                        self.assertIn("dimension and metric", result.stderr)
                        result = run("repair", self.store, self.into, "--json", "--dim", DIMENSION,
                                     "--metric", METRIC)
                        self.assertEqual(result.returncode, 3, result.stderr)
                        told += 1
                    repaired += 1
                    report = json.loads(result.stdout)
                    self.ok("verify", self.into)
                    kept = [json.loads(line) for line in self.ok("export", self.into).splitlines()]
                    self.assertEqual(len(kept) + report["lost_memories"], MEMORIES)
                    for memory in kept:
                        true = json.loads(whole[memory["id"]])
                        for part in ("vector", "payload", "key", "keys"):
                            if memory.get(part):
                                self.assertEqual(memory[part], true[part])
                        if memory != true:
                            self.assertGreater(report["losses"], 0)
                    shutil.rmtree(self.into)
            with open(table, "wb") as file:
                file.write(sound)
        self.assertGreater(repaired, 4)
        self.assertEqual(told, 2)

    def test_what_is_no_store(self):
        shutil.rmtree(self.store)
        os.mkdir(self.store)
        self.assertIn("not an Engram store", self.repair(1))

    def test_into_must_not_exist(self):
        os.mkdir(self.into)
        self.assertEqual(run("repair", self.store, self.into).returncode, 1)
        self.assertEqual(run("repair", self.store, self.store + "/x").returncode, 1)
        self.assertEqual(run("repair", self.store).returncode, 2)


if __name__ == "__main__":
    unittest.main()
