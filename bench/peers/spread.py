"""A step of spreading over all of a graph beside scipy's sparse product:
spread.py [--quick] DATA RESULTS, in the folder of the build.

One thread, float32, in turn for several rounds. Answers are compared before any time is taken."""
import argparse
import json
import pathlib
import statistics
import subprocess
import sys
import tempfile
import time

import one_thread  # first: numpy reads it
import numpy
import scipy
import scipy.sparse

from machine import cpu

PROGRAM = "bench/spread_peer"
RESTART = numpy.float32(0.15)


def wordnet(data):
    path = pathlib.Path(data) / "wordnet-minilm" / "edges.tsv"
    rows = [line.split("\t")[:2] for line in path.read_text().splitlines()[1:]]
    edges = numpy.unique(numpy.array(rows, dtype="<u4"), axis=0)
    return edges[:, 0], edges[:, 1], numpy.ones(len(edges), "<f4"), int(edges.max()) + 1


def power_law():
    """A million nodes and ten million edges; few nodes have most of them, scattered."""
    random = numpy.random.default_rng(3)
    nodes = 1_000_000

    def pick():
        return ((random.random(10_000_000) ** 3 * nodes).astype("u8") * 2654435761 % nodes)

    edges = numpy.unique(pick() * nodes + pick())
    weights = random.random(len(edges), dtype="f4") + numpy.float32(0.001)
    return (edges // nodes).astype("<u4"), (edges % nodes).astype("<u4"), weights, nodes


class Engram:
    def __init__(self, program, folder, graph):
        paths = [pathlib.Path(folder) / name for name in ("from", "to", "weights")]
        for path, array in zip(paths, graph):
            array.tofile(path)
        self.process = subprocess.Popen([program, *paths, str(graph[3])], stdin=subprocess.PIPE,
                                        stdout=subprocess.PIPE, text=True)
        self.kernel = self.process.stdout.readline().strip()

    def ask(self, what):
        self.process.stdin.write(what + "\n")
        self.process.stdin.flush()
        return [float(x) for x in self.process.stdout.readline().split()]


def products(graph):
    """The transposed matrix of out-normalised weights, by rows and by columns."""
    source, target, weights, nodes = graph
    sums = numpy.bincount(source, weights, nodes)
    normal = (weights / sums[source]).astype("f4")
    by_rows = scipy.sparse.csr_matrix((normal, (target, source)), shape=(nodes, nodes))
    return {"scipy csr": by_rows, "scipy csc": by_rows.tocsc()}


def seconds(matrix, activation):
    begin = time.perf_counter()
    for _ in range(20):
        activation = matrix @ activation
    return (time.perf_counter() - begin) / 20


def compare(name, graph, rounds):
    with tempfile.TemporaryDirectory(dir=".") as folder:
        engram = Engram(PROGRAM, folder, graph)
        matrices = products(graph)
        start = numpy.zeros(graph[3], "f4")
        start[numpy.arange(64) * (graph[3] // 64)] = 1 / 64
        expected = start
        for _ in range(30):
            expected = RESTART * start + (1 - RESTART) * (matrices["scipy csr"] @ expected)
        top = engram.ask("top")
        for node, activation in zip(top[::2], top[1::2]):
            if abs(expected[int(node)] - activation) > 1e-4 * activation:
                sys.exit(f"{name}: node {node:.0f} has {activation}, scipy {expected[int(node)]}")
        times = {"engram": [], **{peer: [] for peer in matrices}}
        for _ in range(rounds):
            times["engram"] += engram.ask("time")
            for peer, matrix in matrices.items():
                times[peer].append(seconds(matrix, expected))
        engram.process.stdin.close()
        engram.process.wait()
    edges = len(graph[0])
    result = {"graph": name, "nodes": graph[3], "edges": edges, "kernel": engram.kernel,
              "Medges_per_second": {peer: statistics.median(edges / s / 1e6 for s in all_)
                                    for peer, all_ in times.items()},
              "engram_to_peer": {peer: statistics.median(
                  s / e for e, s in zip(times["engram"], all_)) for peer, all_ in times.items()}}
    for peer, rate in result["Medges_per_second"].items():
        print(f"{name:10} {peer:10} {rate:7.0f} Medge/s   engram/{peer}: "
              f"{result['engram_to_peer'][peer]:.3f}")
    return result


def main():
    parser = argparse.ArgumentParser(allow_abbrev=False)
    parser.add_argument("--quick", action="store_true", help="2 rounds: proves that it works")
    parser.add_argument("data")
    parser.add_argument("results")
    options = parser.parse_args()
    rounds = 2 if options.quick else 9
    print("\nA step of spreading")
    graphs = {"wordnet": wordnet(options.data), "1M-10M": power_law()}
    result = {"cpu": cpu(), "scipy": scipy.__version__,
              "graphs": [compare(name, graph, rounds) for name, graph in graphs.items()]}
    out = pathlib.Path(options.results) / "spread_peers.json"
    out.write_text(json.dumps(result, indent=1) + "\n")


if __name__ == "__main__":
    main()
