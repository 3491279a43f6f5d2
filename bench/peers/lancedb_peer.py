"""LanceDB: flat search of a table in memory, without an index."""
import lancedb
import numpy
import pyarrow

import peer


def table_of(base):
    flat = pyarrow.array(base.reshape(-1), pyarrow.float32())
    return pyarrow.table({"id": pyarrow.array(numpy.arange(len(base))), "vector":
                          pyarrow.FixedSizeListArray.from_arrays(flat, base.shape[1])})


class Peer(peer.Peer):
    name, package = "LanceDB flat", "lancedb"

    def build(self, base):
        self.table = lancedb.connect("memory://").create_table("rows", table_of(base))

    def answer(self, queries, k):
        one = len(queries) == 1
        found = self.table.search(queries[0] if one else queries).distance_type("dot").limit(k)
        rows = found.select(["id", "_distance"]).to_arrow()
        if not one:
            rows = rows.sort_by([("query_index", "ascending"), ("_distance", "ascending")])
        return rows["id"].to_numpy().reshape(len(queries), k)


class Store(peer.Store):
    name, package = "LanceDB", "lancedb"
    promises = ("a version of the table, not synced",)

    def create(self, folder, dimension, promise=None):
        self.table = lancedb.connect(folder).create_table("rows", schema=pyarrow.schema([
            ("id", pyarrow.int64()), ("vector", pyarrow.list_(pyarrow.float32(), dimension)),
            ("payload", pyarrow.string())]))

    def put(self, row, vector, payload):
        self.table.add([{"id": row, "vector": vector, "payload": payload}])

    def load(self, vectors, payloads):
        self.table.add(table_of(vectors).append_column("payload", pyarrow.array(payloads)))

    def open(self, folder, dimension):
        self.table = lancedb.connect(folder).open_table("rows")

    def first(self, query, k):
        found = self.table.search(query).distance_type("dot").limit(k)
        return found.select(["id", "_distance"]).to_arrow()["id"].to_numpy()

    def count(self):
        return self.table.count_rows()
