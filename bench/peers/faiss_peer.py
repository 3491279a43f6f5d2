"""faiss IndexFlatIP. From 20 queries a call on it multiplies matrices by its own OpenBLAS."""
import faiss

import peer


class Peer(peer.Peer):
    name, package = "faiss IndexFlatIP", "faiss-cpu"

    def build(self, base):
        faiss.omp_set_num_threads(1)
        self.index = faiss.IndexFlatIP(base.shape[1])
        self.index.add(base)

    def answer(self, queries, k):
        return self.index.search(queries, k)[1]
