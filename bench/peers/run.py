"""Exact search beside peers: run.py ENGRAM_PEER DATA OUT.json

One thread, one query at a time, in turn for several rounds, so that what else the machine does
hits all alike. Answers are compared before any time is taken."""
import importlib
import json
import pathlib
import platform
import statistics
import sys

import numpy

sys.path.insert(0, str(pathlib.Path(__file__).parent))
ROUNDS = 7
K = 10


def agree(a, b):
    """Whether two answers name the same rows, but for near-ties at the end."""
    return sum(len(set(x) & set(y)) for x, y in zip(a, b)) >= 0.999 * a.size


def cpu():
    lines = pathlib.Path("/proc/cpuinfo").read_text().splitlines()
    return next((line.split(": ")[1] for line in lines if line.startswith("model name")),
                platform.machine())


def main(program, data, out):
    folder = pathlib.Path(data) / "glove-100d"
    base = numpy.fromfile(folder / "base.f16", dtype="<f2").astype("<f4").reshape(-1, 100)
    queries = numpy.fromfile(folder / "queries.f16", dtype="<f2").astype("<f4").reshape(-1, 100)
    queries = numpy.ascontiguousarray(queries[:200])
    engram = importlib.import_module("engram_peer").Peer(base, program)
    peers = [engram]
    try:
        peers.append(importlib.import_module("faiss_peer").Peer(base))
    except ImportError as error:
        print(f"skipped faiss: {error}")
    expected = engram.top(queries, K)[0]
    for peer in peers[1:]:
        if not agree(expected, peer.top(queries, K)[0]):
            sys.exit(f"{peer.name} and engram answer differently")
    rates = {peer.name: [] for peer in peers}
    for _ in range(ROUNDS):
        for peer in peers:
            rates[peer.name].append(peer.top(queries, K)[1])
    result = {"set": f"glove {len(base)} x 100", "k": K, "cpu": cpu(), "kernel": engram.kernel,
              "queries_per_second": rates,
              "median": {name: statistics.median(all_) for name, all_ in rates.items()},
              "ratio_to_engram": {name: statistics.median(
                  a / b for a, b in zip(rates["engram"], all_)) for name, all_ in rates.items()}}
    pathlib.Path(out).write_text(json.dumps(result, indent=1) + "\n")
    for name, rate in result["median"].items():
        print(f"{name:20} {rate:8.1f} queries/s   engram/{name}: "
              f"{result['ratio_to_engram'][name]:.3f}")


if __name__ == "__main__":
    main(*sys.argv[1:])
