"""Scalable Vector Search's Flat index in float32."""
import svs

import peer


class Peer(peer.Peer):
    name, package = "SVS Flat", "scalable-vs"

    def build(self, base):
        self.index = svs.Flat(base, svs.DistanceType.MIP, num_threads=1)

    def answer(self, queries, k):
        return self.index.search(queries, k)[0]
