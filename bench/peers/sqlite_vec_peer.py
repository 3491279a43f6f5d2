"""sqlite-vec: brute force over a vec0 table in memory."""
import sqlite3

import numpy
import sqlite_vec

import peer


def connect(path):
    database = sqlite3.connect(path)
    database.enable_load_extension(True)
    sqlite_vec.load(database)
    return database


class Peer(peer.Peer):
    name, package = "sqlite-vec vec0", "sqlite-vec"
    batched = False

    def build(self, base):
        self.database = connect(":memory:")
        # Of unit vectors the order by L2 is that by cosine, and cheaper.
        self.database.execute(
            f"create virtual table rows using vec0(embedding float[{base.shape[1]}])")
        self.database.executemany("insert into rows(rowid, embedding) values (?, ?)",
                                  ((i, row.tobytes()) for i, row in enumerate(base)))
        self.database.commit()

    def answer(self, queries, k):
        found = self.database.execute(
            "select rowid from rows where embedding match ? and k = ? order by distance",
            (queries[0].tobytes(), k)).fetchall()
        return numpy.array(found, "i8").reshape(1, k)


class Store(peer.Store):
    name, package = "sqlite-vec", "sqlite-vec"
    promises = ("journal_mode=wal synchronous=full", "journal_mode=wal synchronous=normal")

    def connect(self, folder, promise=None):
        self.database = connect(folder / "rows")
        for pragma in (promise or self.promises[0]).split():
            self.database.execute(f"pragma {pragma}")

    def create(self, folder, dimension, promise=None):
        self.connect(folder, promise)
        self.database.execute("create virtual table rows using vec0("
                              f"embedding float[{dimension}], +payload text)")
        self.database.commit()

    def put(self, row, vector, payload):
        self.database.execute("insert into rows(rowid, embedding, payload) values (?, ?, ?)",
                              (row, vector.tobytes(), payload))
        self.database.commit()

    def load(self, vectors, payloads):
        self.database.executemany(
            "insert into rows(rowid, embedding, payload) values (?, ?, ?)",
            ((row, vector.tobytes(), payload)
             for row, (vector, payload) in enumerate(zip(vectors, payloads))))
        self.database.commit()

    def close(self):
        self.database.close()

    def open(self, folder, dimension):
        self.connect(folder)

    def first(self, query, k):
        found = self.database.execute(
            "select rowid from rows where embedding match ? and k = ? order by distance",
            (query.tobytes(), k))
        return numpy.array(found.fetchall(), "i8")[:, 0]

    def count(self):
        return self.database.execute("select count(*) from rows").fetchone()[0]
