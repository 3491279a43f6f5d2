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


class Peer(peer.Peer):
    name, package = "zvec flat", "zvec"
    batched = False

    def build(self, base):
        zvec.init(query_threads=1, optimize_threads=1, log_level=zvec.LogLevel.ERROR)
        self.folder = tempfile.TemporaryDirectory(dir=".")
        path = os.path.join(self.folder.name, "rows")
        collection = zvec.create_and_open(path, schema(base.shape[1]))
        for first in range(0, len(base), 1000):
            for status in collection.insert(
                    [zvec.Doc(str(i), vectors={"embedding": base[i]})
                     for i in range(first, min(first + 1000, len(base)))]):
                if not status.ok():
                    raise RuntimeError(f"zvec insert: {status.message()}")
        collection.optimize()
        collection.close()
        self.collection = zvec.open(path, zvec.CollectionOption(read_only=True))
        some = numpy.arange(len(base))
        names = self.collection.resolve_internal_ids(some)
        if names != [str(i) for i in some]:
            raise RuntimeError("zvec's internal ids are not the order of insertion")

    def answer(self, queries, k):
        return self.collection.query_internal_ids(zvec.Query("embedding", vector=queries[0]),
                                                  topk=k)
