"""turbovec's 4-bit codes: the best 2 k or 5 k by them (20 or 50 for k = 10), re-ranked by us in
float32. Not exact: the recall that is measured proves nothing of the next query."""
import numpy
import turbovec

import peer


class Peer(peer.Peer):
    package = "turbovec"

    def __init__(self, of_k):
        self.of_k = of_k
        self.name = f"turbovec 4 bit + {of_k}k"

    def build(self, base):
        self.base = base
        rows = self.padded(base)
        self.index = turbovec.TurboQuantIndex(dim=rows.shape[1], bit_width=4)
        # As its manual asks: a random sample, before anything is added.
        sample = numpy.random.default_rng(5).choice(len(rows), 4096, replace=False)
        self.index.calibrate(rows[sample])
        self.index.add(rows)
        self.index.prepare()

    @staticmethod
    def padded(rows):
        """It takes multiples of 8 dimensions."""
        return numpy.pad(rows, ((0, 0), (0, -rows.shape[1] % 8)))

    def answer(self, queries, k):
        some = self.index.search(self.padded(queries), self.of_k * k)[1]
        # Query by query: quicker than all rows of a batch gathered at once.
        scores = numpy.stack([self.base[rows] @ query for rows, query in zip(some, queries)])
        return numpy.take_along_axis(some, peer.best_of(scores, k), 1)
