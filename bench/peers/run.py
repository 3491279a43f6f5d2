"""Exact search beside peers: run.py [--quick] DATA RESULTS, in the folder of the build.

Each peer answers with one thread (Engram with two as well, under that name), in turn for several rounds, so that what else the machine does
hits all alike. Answers are compared with a float64 brute force before any time is shown."""
import argparse
import json
import pathlib
import subprocess
import sys
import tempfile

import one_thread  # first: numpy reads it
import numpy

import sets
import truth
from machine import describe
from tables import print_cell
from worker import Worker

FAISS = "faiss IndexFlatIP"
PEERS = (("faiss_peer", {}), ("engram_peer", {}), ("engram_peer", {"plain": True}),
         ("engram_peer", {"threads": 2}),
         ("usearch_peer", {}), ("hnswlib_peer", {}), ("svs_peer", {}), ("simsimd_peer", {}),
         ("zvec_peer", {}), ("lancedb_peer", {}), ("sqlite_vec_peer", {}), ("blas_peer", {}),
         ("turbovec_peer", {"of_k": 2}), ("turbovec_peer", {"of_k": 5}))
CELLS = ((1, 10), (1, 100), (32, 10), (32, 100))


class Effort:
    """How long everything takes."""

    def __init__(self, quick, without):
        self.without = without
        self.rounds = 2 if quick else 5
        self.seconds = 0.1 if quick else 0.7      # of one peer in one round of one cell
        self.checking = 0.5 if quick else 1.0     # of the comparison with the brute force
        self.queries = 64 if quick else sets.QUERIES


class Bandwidth:
    """read_bandwidth, kept open for one size."""

    def __init__(self, size):
        self.process = subprocess.Popen(["bench/read_bandwidth", str(size)], text=True,
                                        stdin=subprocess.PIPE, stdout=subprocess.PIPE)
        self.figures = []

    def measure(self):
        self.process.stdin.write("\n")
        self.process.stdin.flush()
        line = self.process.stdout.readline()
        if not line:
            sys.exit(f"read_bandwidth ended with {self.process.wait()}")
        self.figures.append(float(line))

    def end(self):
        self.process.stdin.close()
        self.process.wait()


def start(path, without):
    """The workers of all peers that can be had, and the names of those that cannot: the reason,
    which may name this machine's paths, is only printed."""
    workers, skipped = [], []
    for module, arguments in PEERS:
        if module.removesuffix("_peer") in without:
            skipped.append(module)
            continue
        try:
            workers.append(Worker(module, arguments, path))
            print(f"  built {workers[-1].name} in {workers[-1].about['build_seconds']:.1f} s",
                  flush=True)
        except RuntimeError as error:
            give_up(module == "engram_peer", f"skipped {module}", error)
            skipped.append(module)
    return workers, skipped


def give_up(ours, what, error):
    """Without a peer the others go on; without Engram there is nothing to compare."""
    if ours:
        sys.exit(f"{what}: {error}")
    print(f"  {what}: {error}", flush=True)


def is_ours(worker):
    return worker.about["package"] == "engram"


def asked_for(worker, batch, rate, seconds, most):
    """How many queries take about so many seconds: whole batches, at least one."""
    step = batch if worker.about["batched"] else 1
    return max(step, min(most, int(rate * seconds)) // step * step)


def check(worker, one, expected, batch, k, effort):
    """Compares answers with the brute force; returns (first answer, row of the table)."""
    step = batch if worker.about["batched"] else 1
    trial = worker.ask(one.queries[:max(4, step)], k, batch)
    rate = max(4, step) / trial["seconds"].sum()
    ours = is_ours(worker)
    count = len(expected) if ours else asked_for(worker, batch, rate, effort.checking,
                                                 len(expected))
    queries = one.queries[:count]
    answer = worker.ask(queries, k, batch)
    if ours:
        wrong = truth.differences(one.base, queries, answer["ids"], expected[:count])
        if wrong:
            sys.exit(f"{worker.name} on {one.name}, batch {batch}, k {k}: "
                     f"{wrong} of {count} answers are wrong")
    rate = count / answer["seconds"].sum()
    row = {"recall": truth.recall(one.base, queries, answer["ids"], expected[:count]),
           "checked": count, "seconds": [], "calls": [], "threads": 0.0,
           "count": asked_for(worker, batch, rate, effort.seconds, 8192)}
    return answer, row


def same_bits(one, first, answer, what):
    """Every way of ours gives the same ids and the same bits of scores."""
    for name, left, right in (("ids", first["ids"], answer["ids"]),
                              ("scores", first["details"]["scores"].view("u4"),
                               answer["details"]["scores"].view("u4"))):
        if not numpy.array_equal(left, right):
            sys.exit(f"engram on {one.name}, {what}: {name} differ from the first way's in "
                     f"{(left != right).any(axis=1).sum()} of {len(left)} answers")


def note(row, answer):
    row["seconds"].append(float(answer["seconds"].sum()) / len(answer["ids"]))
    row["calls"] += answer["seconds"].tolist()
    row["threads"] = max(row["threads"], answer["threads"])
    details = answer["details"]
    for name in ("rows_scored", "rows_rescored"):
        if name in details:
            row[name] = [float(details[name].mean()), int(details[name].max())]
    row["paths"] = details.get("paths", row.get("paths", []))


def measure(one, workers, expected, cell, effort, first, bandwidths):
    """One batch size and one k: all peers checked, then timed round by round."""
    batch, k = cell
    rows = {}

    def attempt(worker, action):
        try:
            action()
        except RuntimeError as error:
            give_up(is_ours(worker), f"{worker.name} failed, and is left out from here", error)
            workers.remove(worker)
            worker.end()
            rows.pop(worker.name, None)

    def compare_answers(worker):
        answer, rows[worker.name] = check(worker, one, expected, batch, k, effort)
        if is_ours(worker):
            same_bits(one, first.setdefault(k, answer), answer, f"{worker.name}, {cell}")

    def take_time(worker):
        row = rows[worker.name]
        queries = numpy.resize(one.queries, (row["count"], one.queries.shape[1]))
        note(row, worker.ask(queries, k, batch))

    for worker in [w for w in workers if batch in w.batches]:
        attempt(worker, lambda: compare_answers(worker))
    for turn in range(effort.rounds):
        for bandwidth in bandwidths.values():
            bandwidth.measure()  # so that each cell has its own
        present = [w for w in workers if w.name in rows]
        # Nobody is always the one who comes after the same other.
        for worker in present[turn % len(present):] + present[:turn % len(present)]:
            attempt(worker, lambda: take_time(worker))
    read = {name: float(numpy.median(bandwidth.figures[-effort.rounds:]))
            for name, bandwidth in bandwidths.items()}
    return {"batch": batch, "k": k, "read_GB_per_second": read,
            "peers": {name: figures(row, rows.get(FAISS)) for name, row in rows.items()}}


def figures(row, faiss):
    """What is kept of a peer's rounds."""
    kept = {key: row[key] for key in ("recall", "checked", "rows_scored", "rows_rescored", "paths")
            if row.get(key)}
    kept["queries_per_second"] = spread(1 / numpy.array(row["seconds"]))
    if faiss:
        kept["ratio_to_faiss"] = spread(numpy.array(faiss["seconds"]) / row["seconds"])
    kept["call_ms"] = {"median": 1e3 * float(numpy.median(row["calls"])),
                       "p99": 1e3 * float(numpy.percentile(row["calls"], 99))}
    kept["threads_busy"] = round(row["threads"], 2)
    return kept


def spread(values):
    return {"median": float(numpy.median(values)), "min": float(numpy.min(values)),
            "max": float(numpy.max(values))}


def compare(make, data, effort):
    """All of one set; returns what was measured, and what the peers tell of themselves."""
    one = make(data)
    one.queries = one.queries[:effort.queries]
    rows, dimension = one.base.shape
    print(f"\n{one.name}: {rows} x {dimension}, {len(one.queries)} queries", flush=True)
    sizes = {"f32": rows * dimension * 4}
    if one.code_row_bytes:
        sizes["codes"] = rows * one.code_row_bytes
    bandwidths = {name: Bandwidth(size) for name, size in sizes.items()}
    with tempfile.TemporaryDirectory(dir=".") as folder:
        path = pathlib.Path(folder) / "base.npy"
        numpy.save(path, one.base)
        workers, skipped = start(path, effort.without)
    try:
        expected = truth.best(one.base, one.queries, max(k for _, k in CELLS))
        first, cells = {}, []
        for cell in CELLS:
            cells.append(measure(one, workers, expected, cell, effort, first, bandwidths))
            print_cell(one.name, cells[-1],
                       {name: (sizes[name], speed)
                        for name, speed in cells[-1]["read_GB_per_second"].items()})
        told = {w.name: {**w.about, **w.ask(one.queries[:32], 10, 32)["details"]} for w in workers}
    finally:
        for worker in workers:
            worker.end()
    for bandwidth in bandwidths.values():
        bandwidth.end()
    return {"set": one.name, "rows": rows, "dimension": dimension, "skipped": skipped,
            "read": {name: {"bytes": sizes[name], "GB_per_second": spread(b.figures)}
                     for name, b in bandwidths.items()}, "cells": cells}, told


def main():
    parser = argparse.ArgumentParser(allow_abbrev=False)
    parser.add_argument("--quick", action="store_true", help="2 short rounds: proves that it works")
    parser.add_argument("--without", default="", metavar="PEERS",
                        help="leave out these, as in zvec,lancedb")
    parser.add_argument("--sets", default=",".join(make.__name__ for make in sets.ALL),
                        metavar="SETS", help="these, of %s (default: %%(default)s)" % ", ".join(
                            make.__name__ for make in sets.ALL + sets.MORE))
    parser.add_argument("data")
    parser.add_argument("results")
    options = parser.parse_args()
    effort = Effort(options.quick, options.without.split(","))
    out = pathlib.Path(options.results) / "peers.json"
    out.parent.mkdir(parents=True, exist_ok=True)  # now, and not when all is measured
    result = {"machine": describe(), "rounds": effort.rounds, "quick": options.quick,
              "peers": {}, "sets": []}
    for make in [getattr(sets, name) for name in options.sets.split(",")]:
        compared, told = compare(make, options.data, effort)
        result["sets"].append(compared)
        for name, about in told.items():
            result["peers"][name] = {key: about[key] for key in ("package", "version")}
            result["machine"].update({key: about[key] for key in ("kernel", "blas")
                                      if key in about})
    out.write_text(json.dumps(result, indent=1) + "\n")


if __name__ == "__main__":
    main()
