"""zvec's flat index, optimised and opened for reading, by its shortest way to ids."""
import os
import tempfile

import numpy
import zvec

import peer


def schema(dimension, fields=()):
    index = zvec.FlatIndexParam(zvec.MetricType.IP, use_contiguous_memory=True)
    return zvec.CollectionSchema("rows", fields=list(fields), vectors=zvec.VectorSchema(
        "embedding", zvec.DataType.VECTOR_FP32, dimension, index))


def start():
    zvec.init(query_threads=1, optimize_threads=1, log_level=zvec.LogLevel.ERROR)


def insert(collection, documents):
    for status in collection.insert(documents):
        if not status.ok():
            raise RuntimeError(f"zvec insert: {status.message()}")


class Peer(peer.Peer):
    name, package = "zvec flat", "zvec"
    batched = False

    def build(self, base):
        start()
        self.folder = tempfile.TemporaryDirectory(dir=".")
        path = os.path.join(self.folder.name, "rows")
        collection = zvec.create_and_open(path, schema(base.shape[1]))
        for first in range(0, len(base), 1000):
            insert(collection, [zvec.Doc(str(row), vectors={"embedding": base[row]})
                                for row in range(first, min(first + 1000, len(base)))])
        collection.optimize()
        collection.close()
        self.collection = zvec.open(path, zvec.CollectionOption(read_only=True))
        rows = numpy.arange(len(base))
        if self.collection.resolve_internal_ids(rows) != [str(row) for row in rows]:
            raise RuntimeError("zvec's internal ids are not the order of insertion")

    def answer(self, queries, k):
        return self.collection.query_internal_ids(zvec.Query("embedding", vector=queries[0]),
                                                  topk=k)


class Store(peer.Store):
    name, package = "zvec", "zvec"
    promises = ("insert", "insert and flush")

    def create(self, folder, dimension, promise=None):
        start()
        self.flushed = promise == "insert and flush"
        self.collection = zvec.create_and_open(str(folder / "rows"), schema(
            dimension, [zvec.FieldSchema("payload", zvec.DataType.STRING)]))

    def put(self, row, vector, payload):
        insert(self.collection, [zvec.Doc(str(row), vectors={"embedding": vector},
                                          fields={"payload": payload})])
        if self.flushed:
            self.collection.flush()

    def load(self, vectors, payloads):
        for first in range(0, len(vectors), 1000):
            insert(self.collection, [
                zvec.Doc(str(row), vectors={"embedding": vectors[row]},
                         fields={"payload": payloads[row]})
                for row in range(first, min(first + 1000, len(vectors)))])
        self.collection.optimize()
        self.collection.flush()

    def close(self):
        self.collection.close()

    def open(self, folder, dimension):
        start()
        self.collection = zvec.open(str(folder / "rows"))

    def first(self, query, k):
        found = self.collection.query(zvec.Query("embedding", vector=query), topk=k,
                                      output_fields=[])
        return numpy.array([int(document.id) for document in found])

    def count(self):
        return self.collection.stats.doc_count
