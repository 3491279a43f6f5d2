"""usearch's exact search over an index: its graph is made as thin as can be, since it is not used.
The search without an index, over an array, takes longer for each call."""
import numpy
import usearch.index

import peer


def thin(dimension):
    return usearch.index.Index(ndim=dimension, metric=usearch.index.MetricKind.IP, dtype="f32",
                               connectivity=2, expansion_add=1, expansion_search=1,
                               enable_key_lookups=False)


class Peer(peer.Peer):
    name, package = "usearch exact", "usearch"

    def build(self, base):
        self.index = thin(base.shape[1])
        self.index.add(numpy.arange(len(base)), base, threads=1)

    def answer(self, queries, k):
        return self.index.search(queries, k, threads=1, exact=True).keys


class Store(peer.Store):
    """Saved as a whole, and viewed where it lies; it has no payloads."""
    name, package = "usearch save and view", "usearch"
    payloads = False

    def create(self, folder, dimension, promise=None):
        self.path, self.index = folder / "rows", thin(dimension)

    def load(self, vectors, payloads):
        self.index.add(numpy.arange(len(vectors)), vectors, threads=1)
        self.index.save(self.path)

    def open(self, folder, dimension):
        self.index = usearch.index.Index.restore(folder / "rows", view=True)

    def first(self, query, k):
        return self.index.search(query, k, threads=1, exact=True).keys
