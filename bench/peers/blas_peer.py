"""A matrix product by numpy's OpenBLAS (sgemm), and argpartition for the k best: batches alone,
since of one query nothing is shared."""
import threadpoolctl

import peer


class Peer(peer.Peer):
    name, package = "OpenBLAS sgemm", "numpy"
    batches = (32,)

    def build(self, base):
        self.base = base

    def answer(self, queries, k):
        return peer.best_of(queries @ self.base.T, k)

    def details(self):
        return {"blas": [f"{library['internal_api']} {library['version']} "
                         f"{library.get('architecture', '')} x {library['num_threads']}"
                         for library in threadpoolctl.threadpool_info()]}
