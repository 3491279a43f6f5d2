"""Engram's Search and SearchBatch through engram_peer, a small program that keeps a store open."""
import os
import pathlib
import subprocess
import tempfile

import numpy

import peer

PROGRAM = pathlib.Path("bench/engram_peer")  # from the build folder, where the harness runs
PATHS = ("plain scan", "certified scan", "graph")  # by SearchPath


class Peer(peer.Peer):
    package = "engram"

    def __init__(self, plain=False, threads=1):
        self.plain, self.threads = plain, threads
        self.name = "engram plain" if plain else "engram"
        if threads > 1:
            self.name += f" {threads} threads"
        self.told = {}

    def build(self, base):
        self.folder = tempfile.TemporaryDirectory(dir=".")
        path = pathlib.Path(self.folder.name) / "base.f32"
        base.tofile(path)
        # Its own store lies in its working folder, and goes with it.
        self.process = subprocess.Popen([PROGRAM.resolve(), path.name, str(base.shape[1])],
                                        cwd=self.folder.name, stdin=subprocess.PIPE,
                                        stdout=subprocess.PIPE)
        told = self.process.stdout.readline().decode().split()
        if not told:
            raise RuntimeError(f"engram_peer ended with {self.process.wait()}")
        self.kernel, self.version = told
        path.unlink()

    def read(self, kind, count):
        size = numpy.dtype(kind).itemsize * count
        got = self.process.stdout.read(size)
        if len(got) != size:
            raise RuntimeError(f"engram_peer ended with {self.process.wait()}")
        return numpy.frombuffer(got, kind)

    def search(self, queries, k, batch):
        count = len(queries)
        header = numpy.array([count, k, batch, self.plain, self.threads], "<u8").tobytes()
        self.process.stdin.write(header + queries.astype("<f4").tobytes())
        self.process.stdin.flush()
        ids = self.read("<u8", k * count).reshape(count, k).astype("i8")
        scores = self.read("<f4", k * count).reshape(count, k)
        seconds = self.read("<f8", -(-count // batch))
        infos = self.read("<u8", 3 * count).reshape(count, 3)
        self.told = {"kernel": self.kernel, "scores": scores,
                     "paths": sorted({PATHS[path] for path in infos[:, 0]}),
                     "rows_scored": infos[:, 1], "rows_rescored": infos[:, 2]}
        return ids, seconds

    def cpu_seconds(self):
        with open(f"/proc/{self.process.pid}/stat", encoding="ascii") as file:
            user, system = file.read().rpartition(")")[2].split()[11:13]
        return (int(user) + int(system)) / os.sysconf("SC_CLK_TCK")

    def details(self):
        return self.told

    def end(self):
        # It removes its store when its input ends.
        self.process.stdin.close()
        if self.process.wait() != 0:
            raise RuntimeError(f"engram_peer ended with {self.process.returncode}")
