"""The right answers, by brute force in float64, and how far others are from them."""
import numpy

# Scores of unit vectors nearer than this tie: float32 cannot always tell them apart.
TIE = 1e-6


def scores_of(base, queries, ids):
    """The float64 scores of the rows `ids` for each query."""
    return numpy.stack([base[some].astype("f8") @ query for some, query in
                        zip(ids, queries.astype("f8"))])


def best(base, queries, k):
    """The k best float64 scores of each query, largest first."""
    wide, found = base.astype("f8"), []
    for first in range(0, len(queries), 50):
        scores = queries[first:first + 50].astype("f8") @ wide.T
        found.append(-numpy.sort(-numpy.partition(scores, -k, axis=1)[:, -k:], axis=1))
    return numpy.concatenate(found)


def recall(base, queries, ids, expected):
    """The share of `ids`, each counted once, that are as good as the k-th best or tie with it."""
    k, good = ids.shape[1], 0
    for query, some, scores in zip(queries, ids, expected):
        some = numpy.unique(some)
        some = some[(some >= 0) & (some < len(base))]
        good += (scores_of(base, query[None], some[None])[0] >= scores[k - 1] - TIE).sum()
    return good / ids.size


def differences(base, queries, ids, expected):
    """How many answers are not the best rows in the right order, but for ties."""
    right = numpy.abs(scores_of(base, queries, ids) - expected[:, :ids.shape[1]]) <= TIE
    distinct = [len(set(some)) == len(some) for some in ids]
    return int((~right.all(axis=1) | ~numpy.array(distinct)).sum())
