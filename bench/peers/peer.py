"""What every peer of the exact search is: build() takes the base, search() answers queries."""
import time

import numpy


class Peer:
    """A library that finds the k best rows by inner product, with one thread.

    `name` is what tables call it; `package` is the distribution whose version is shown."""
    name = package = ""
    version = None  # None: the package's
    # Batches that are asked of it.
    batches = (1, 32)
    # Whether one call answers several queries. Where not, a batch is one call after another.
    batched = True

    def build(self, base):
        """Takes in `base`: rows of unit length, float32. A row's id is its number."""
        raise NotImplementedError

    def answer(self, queries, k):
        """One call: the ids of the k best rows for each of `queries`, best first."""
        raise NotImplementedError

    def search(self, queries, k, batch):
        """The ids for each of `queries`, asked `batch` at a time, and the seconds of each call."""
        step = batch if self.batched else 1
        ids, seconds = [], []
        for first in range(0, len(queries), step):
            some = queries[first:first + step]
            begin = time.perf_counter()
            found = self.answer(some, k)
            seconds.append(time.perf_counter() - begin)
            ids.append(found)
        return numpy.concatenate(ids).reshape(len(queries), k).astype("i8"), numpy.array(seconds)

    def cpu_seconds(self):
        """Of the process that searches, until now: tells how many threads were busy."""
        return time.process_time()

    def details(self):
        """What it tells of itself or of the last search, by name."""
        return {}

    def end(self):
        """No more is asked of it."""


def best_of(scores, k):
    """The places of the k largest of each row of `scores`, largest first."""
    places = numpy.argpartition(scores, -k, axis=1)[:, -k:]
    order = numpy.argsort(-numpy.take_along_axis(scores, places, 1), axis=1, kind="stable")
    return numpy.take_along_axis(places, order, 1)


class Store:
    """A library that keeps rows with their payloads, for stores.py. A phase has an object, and a
    process, of its own."""
    name = package = ""
    # What put() promises once it returned, by the library's own words for it.
    promises = ()
    payloads = True

    def create(self, folder, dimension, promise=None):
        """A new store in `folder`, where nothing is yet."""
        raise NotImplementedError

    def put(self, row, vector, payload):
        """One row, and what was promised of it."""
        raise NotImplementedError

    def load(self, vectors, payloads):
        """All rows, the fastest way there is, ready to be searched when it returns."""
        raise NotImplementedError

    def close(self):
        """What was written is found by open()."""

    def open(self, folder, dimension):
        raise NotImplementedError

    def first(self, query, k):
        """The ids of the k best rows of one query."""
        raise NotImplementedError

    def count(self):
        raise NotImplementedError
