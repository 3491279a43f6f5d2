"""That the comparison sees what is wrong: run by ./dev bench peers before it compares."""
import os
import pathlib
import sys
import tempfile
import unittest

import one_thread  # first: numpy reads it
import numpy

import peer
import truth
from plots import apart
from worker import Worker


class Peer(peer.Peer):
    """A peer that does what its arguments say."""
    name, version = "made up", "1"

    def __init__(self, way):
        self.way = way

    def build(self, base):
        self.base = base
        if self.way == "refuses":
            raise ValueError("no such rows")

    def answer(self, queries, k):
        if self.way == "dies":
            os._exit(9)
        return peer.best_of(queries @ self.base.T, k)


class HarnessTest(unittest.TestCase):
    def setUp(self):
        random = numpy.random.default_rng(11)
        self.base = random.standard_normal((500, 16)).astype("f4")
        self.base /= numpy.linalg.norm(self.base, axis=1, keepdims=True)
        self.base[7] = self.base[3]
        self.queries = numpy.concatenate([self.base[3:4], -self.base[:9]])
        self.expected = truth.best(self.base, self.queries, 10)
        self.ids = peer.best_of(self.queries @ self.base.T, 10)

    def judge(self, ids):
        return (truth.recall(self.base, self.queries, ids, self.expected),
                truth.differences(self.base, self.queries, ids, self.expected))

    def test_the_right_answer_is_right(self):
        self.assertEqual(self.judge(self.ids), (1.0, 0))

    def test_ties_may_come_in_any_order(self):
        self.assertEqual(set(self.ids[0, :2]), {3, 7})
        self.ids[0, :2] = self.ids[0, 1::-1]
        self.assertEqual(self.judge(self.ids), (1.0, 0))

    def test_a_wrong_row_is_seen(self):
        worst = numpy.argmin(self.queries[4] @ self.base.T)
        self.ids[4, 9] = worst
        self.assertEqual(self.judge(self.ids), (0.99, 1))

    def test_a_row_given_twice_counts_once(self):
        self.ids[0, 1] = self.ids[0, 0]
        self.assertEqual(self.judge(self.ids), (0.99, 1))

    def test_the_wrong_order_is_seen(self):
        self.ids[4, [0, 9]] = self.ids[4, [9, 0]]
        self.assertEqual(self.judge(self.ids), (1.0, 1))

    def test_names_of_a_plot_keep_their_order_and_distance(self):
        places = apart([0.0, 0.01, 0.02, 5.0], 1.0)
        self.assertEqual(places, sorted(places))
        self.assertGreaterEqual(numpy.diff(places).min(), 1.0 - 1e-6)
        self.assertAlmostEqual(places[3], 5.0)

    def start(self, module, way):
        with tempfile.TemporaryDirectory(dir=".") as folder:
            path = pathlib.Path(folder) / "base.npy"
            numpy.save(path, self.base)
            return Worker(module, {"way": way}, path)

    def test_a_worker_answers(self):
        worker = self.start("harness_test", "well")
        answer = worker.ask(self.queries, 10, 4)
        worker.end()
        self.assertEqual(self.judge(answer["ids"]), (1.0, 0))
        self.assertEqual(len(answer["seconds"]), 3)

    def test_a_missing_library_is_named(self):
        with self.assertRaisesRegex(RuntimeError, "ModuleNotFoundError.*no_such_peer"):
            self.start("no_such_peer", "well")

    def test_what_a_build_says_is_told(self):
        with self.assertRaisesRegex(RuntimeError, "ValueError: no such rows"):
            self.start("harness_test", "refuses")

    def test_a_death_is_told(self):
        worker = self.start("harness_test", "dies")
        with self.assertRaisesRegex(RuntimeError, "its process ended with 9"):
            worker.ask(self.queries, 10, 4)
        worker.end()


if __name__ == "__main__":
    unittest.main(argv=sys.argv[:1])
