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
