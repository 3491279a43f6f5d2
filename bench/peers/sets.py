"""The sets that peers are compared on: unit vectors, so that inner product is cosine."""
import dataclasses
import pathlib

import numpy

QUERIES = 1000


@dataclasses.dataclass
class Set:
    name: str
    base: numpy.ndarray
    queries: numpy.ndarray
    # Bytes of the codes that a certified scan reads of every row: 4 for each group of 8 code
    # dimensions, and 6. GloVe is coded as it is, of the others 264 and 528 dimensions are kept.
    code_row_bytes: int = None


def unit(rows):
    return numpy.ascontiguousarray(
        rows / numpy.linalg.norm(rows, axis=1, keepdims=True), dtype="<f4")


def halves(path, dimension):
    return unit(numpy.fromfile(path, dtype="<f2").astype("<f4").reshape(-1, dimension))


def glove(data):
    """200,000 GloVe words; the queries are words that are not in the base."""
    folder = pathlib.Path(data) / "glove-100d"
    return Set("glove-100d", halves(folder / "base.f16", 100),
               halves(folder / "queries.f16", 100)[:QUERIES], code_row_bytes=58)


def wordnet(data):
    """117,659 synsets of WordNet; the queries are example sentences, not in the base."""
    folder = pathlib.Path(data) / "wordnet-minilm"
    return Set("wordnet-minilm-384", halves(folder / "base.f16", 384),
               halves(folder / "queries.dev.f16", 384)[:QUERIES], code_row_bytes=138)


def recipe(rows, dimension, code_row_bytes, name):
    """Rows as embeddings of texts are: topics of unequal size, a spectrum that falls, no axis
    better than another, a little noise everywhere.

    In coordinates where coordinate i has scale (i + 1) ** -0.5: 200 centres from a normal
    distribution; a row is a centre, picked with a weight of 1 / (rank + 10), and 0.8 times a
    normal deviation; then all is turned by one random rotation, white noise of 0.03 is added,
    and rows are scaled to length 1. The queries are rows of the same draw that the base lacks."""
    random = numpy.random.default_rng(dimension)
    rows, centres = rows + QUERIES, 200
    scale = (numpy.arange(dimension) + 1.0) ** -0.5
    middle = random.standard_normal((centres, dimension)) * scale
    rotation = numpy.linalg.qr(random.standard_normal((dimension, dimension)))[0]
    weight = 1 / (numpy.arange(centres) + 10)
    topic = random.choice(centres, rows, p=weight / weight.sum())
    made = numpy.empty((rows, dimension), "<f4")
    for first in range(0, rows, 10_000):
        some = topic[first:first + 10_000]
        deviation = random.standard_normal((len(some), dimension)) * scale
        turned = (middle[some] + 0.8 * deviation) @ rotation
        made[first:first + 10_000] = turned + 0.03 * random.standard_normal(turned.shape)
    made = unit(made)
    return Set(name, made[QUERIES:].copy(), made[:QUERIES].copy(), code_row_bytes)


def seeded(_data):
    """100,000 rows of 768 dimensions by the recipe above."""
    return recipe(100_000, 768, 270, "seeded-768")


def million(_data):
    """A million rows of 384 dimensions by the same recipe: its codes are larger than any cache."""
    return recipe(1_000_000, 384, 138, "million-384")


ALL = (glove, wordnet, seeded)
MORE = (million,)
