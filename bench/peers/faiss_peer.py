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


class Store(peer.Store):
    """Saved and read as a whole; it has no payloads."""
    name, package = "faiss write_index", "faiss-cpu"
    payloads = False

    def create(self, folder, dimension, promise=None):
        faiss.omp_set_num_threads(1)
        self.path, self.index = str(folder / "rows"), faiss.IndexFlatIP(dimension)

    def load(self, vectors, payloads):
        self.index.add(vectors)
        faiss.write_index(self.index, self.path)

    def open(self, folder, dimension):
        faiss.omp_set_num_threads(1)
        self.index = faiss.read_index(str(folder / "rows"))

    def first(self, query, k):
        return self.index.search(query[None], k)[1][0]
