"""usearch's exact search over an index: its graph is made as thin as can be, since it is not used.
The search without an index, over an array, takes longer for each call."""
import numpy
import usearch.index

import peer


class Peer(peer.Peer):
    name, package = "usearch exact", "usearch"

    def build(self, base):
        self.index = usearch.index.Index(
            ndim=base.shape[1], metric=usearch.index.MetricKind.IP, dtype="f32", connectivity=2,
            expansion_add=1, expansion_search=1, enable_key_lookups=False)
        self.index.add(numpy.arange(len(base)), base, threads=1)

    def answer(self, queries, k):
        return self.index.search(queries, k, threads=1, exact=True).keys
