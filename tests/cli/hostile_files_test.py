"""Files that are not what they say: `engram import` names what is wrong and changes nothing, and
no bytes whatever make it crash. ENGRAM_MUTATIONS=N changes how many are tried of each format."""
import json
import os
import pathlib
import random
import struct
import subprocess
import tempfile
import unittest

ENGRAM = os.environ["ENGRAM_COMMAND"]
MUTATIONS = int(os.environ.get("ENGRAM_MUTATIONS", "60"))
SEED = 41
DIMENSION = 3


def npy(shape="(2, 3)", descr="<f4", data=struct.pack("<6f", 1, 2, 3, 4, 5, 6), version=1,
        order="False", header=None):
    text = header or f"{{'descr': '{descr}', 'fortran_order': {order}, 'shape': {shape}, }}"
    size = struct.pack("<H" if version == 1 else "<I", len(text) + 1)
    return b"\x93NUMPY" + bytes([version, 0]) + size + text.encode() + b"\n" + data


def fvecs(*rows):
    return b"".join(struct.pack(f"<i{len(row)}f", len(row), *row) for row in rows)


# file name, its bytes, what the message has to say
REFUSED = [
    ("empty.npy", b"", "npy"),
    ("magic.npy", b"not numpy at all, but long enough to be", "npy"),
    ("version.npy", npy(version=9), "version"),
    ("header.npy", b"\x93NUMPY\x01\x00\xff\xff{'descr'", "header"),
    ("deep.npy", npy(header="{'descr': '" + "a" * 65000), "header"),
    ("wide_header.npy", npy(shape="(" + "1," * 30000 + ")"), "header"),
    ("long_header.npy", npy(header="{'descr': '" + "a" * 4000), "header"),
    ("type.npy", npy(descr="<f8", data=b"\0" * 48), "<f8"),
    ("big_endian.npy", npy(descr=">f4"), ">f4"),
    ("fortran.npy", npy(order="True"), "fortran"),
    ("flat.npy", npy(shape="(6,)"), "shape"),
    ("cube.npy", npy(shape="(1, 2, 3)"), "shape"),
    ("huge.npy", npy(shape="(18446744073709551615, 3)"), ""),
    ("product.npy", npy(shape="(6148914691236517206, 3)"), ""),
    ("negative.npy", npy(shape="(-2, 3)"), "shape"),
    ("short.npy", npy(shape="(3, 3)"), "bytes"),
    ("long.npy", npy(shape="(1, 3)"), "bytes"),
    ("wide.npy", npy(shape="(3, 2)"), "rows of 3"),
    ("nan.npy", npy(data=struct.pack("<6f", 1, 2, 3, 4, float("nan"), 6)), "nan"),
    ("zero.npy", npy(data=struct.pack("<6f", 1, 2, 3, 0, 0, 0)), "zero"),
    ("short.fvecs", fvecs((1, 2, 3))[:-2], "fvecs"),
    ("mixed.fvecs", fvecs((1, 2, 3), (1, 2)), "fvecs"),
    ("negative.fvecs", struct.pack("<i3f", -3, 1, 2, 3), "fvecs"),
    ("huge.fvecs", struct.pack("<i3f", 2147483647, 1, 2, 3), "fvecs"),
    ("odd.f16", b"\0" * 7, "f16"),
    ("number.jsonl", b"7\n", "line 1"),
    ("deep.jsonl", b"[" * 100_000, "line 1"),
    ("text.jsonl", b'{"id":1,"vector":[1,2,3]}\n{"id":2,"vector":"x"}\n', "line 2"),
    ("field.jsonl", b'{"id":1,"vektor":[1,2,3]}\n', "vektor"),
    ("minus.jsonl", b'{"id":-1,"vector":[1,2,3]}\n', "id"),
    ("large.jsonl", b'{"id":18446744073709551616,"vector":[1,2,3]}\n', "id"),
    ("overflow.jsonl", b'{"id":1,"vector":[1e300,2,3]}\n', "1"),
    ("bytes.jsonl", b'{"id":1,"payload":"\xff\xfe"}\n', "line 1"),
    ("unknown.bin", b"\0", "format"),
]
SOUND = {
    "m.npy": npy(), "m.fvecs": fvecs((1, 2, 3), (4, 5, 6)), "m.f16": struct.pack("<6e", *range(1, 7)),
    "m.jsonl": b'{"id":1,"vector":[1,2,3],"payload":"a","keys":["k"]}\n{"key":"x","vector":[3,2,1]}\n',
}


class HostileFiles(unittest.TestCase):
    def setUp(self):
        self.folder = tempfile.TemporaryDirectory()
        self.store = os.path.join(self.folder.name, "store")
        self.run_ok("create", self.store, "--dim", str(DIMENSION))

    def tearDown(self):
        self.folder.cleanup()

    def run_ok(self, *arguments):
        return subprocess.run([ENGRAM, *arguments], check=True, capture_output=True).stdout

    def import_bytes(self, name, content, *more):
        path = pathlib.Path(self.folder.name) / name
        path.write_bytes(content)
        return subprocess.run([ENGRAM, "import", self.store, str(path), *more],
                              capture_output=True, timeout=60)

    def memories(self):
        return json.loads(self.run_ok("stats", self.store, "--json"))["memories"]

    def test_each_is_refused_by_name_and_nothing_is_added(self):
        for name, content, part in REFUSED:
            with self.subTest(name):
                done = self.import_bytes(name, content)
                said = done.stderr.decode("utf-8", "replace")
                self.assertEqual(done.returncode, 1, said)
                self.assertTrue(said.startswith("engram: "), said)
                self.assertIn(part.lower(), said.lower())
                self.assertEqual(self.memories(), 0)

    def test_what_they_were_made_from_is_sound(self):
        for number, (name, content) in enumerate(SOUND.items()):
            more = [] if name.endswith("jsonl") else ["--first-id", str(100 * (number + 1))]
            done = self.import_bytes(name, content, *more)
            self.assertEqual(done.returncode, 0, done.stderr)
            self.assertEqual(self.memories(), 2 * (number + 1))

    def test_no_bytes_crash_it(self):
        source = random.Random(SEED)
        for name, content in SOUND.items():
            for turn in range(MUTATIONS):
                mutated = bytearray(content)
                for _ in range(source.randint(1, 4)):
                    at = source.randrange(len(mutated))
                    kind = source.randrange(3)
                    if kind == 0:
                        mutated[at] = source.randrange(256)
                    elif kind == 1 and len(mutated) > 1:
                        del mutated[at:at + source.randint(1, 9)]
                    else:
                        mutated[at:at] = bytes(source.randrange(256) for _ in range(3))
                    if not mutated:
                        mutated = bytearray(b"\0")
                more = [] if name.endswith("jsonl") else ["--first-id", "0"]
                done = self.import_bytes(name, bytes(mutated), *more)
                self.assertIn(done.returncode, (0, 1),
                              f"seed {SEED}, {name}, turn {turn}: {bytes(mutated)!r}")
        self.assertEqual(subprocess.run([ENGRAM, "verify", self.store],
                                        capture_output=True).returncode, 0)


if __name__ == "__main__":
    unittest.main()
