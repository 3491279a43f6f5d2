"""hnswlib's BFIndex: brute force."""
import hnswlib

import peer


class Peer(peer.Peer):
    name, package = "hnswlib BFIndex", "hnswlib"

    def build(self, base):
        self.index = hnswlib.BFIndex("ip", base.shape[1])
        self.index.init_index(len(base))
        self.index.set_num_threads(1)
        self.index.add_items(base)

    def answer(self, queries, k):
        return self.index.knn_query(queries, k, num_threads=1)[0]
