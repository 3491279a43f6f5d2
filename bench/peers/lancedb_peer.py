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
