"""Stores beside peers: stores.py [--quick] DATA RESULTS, in the folder of the build.

GloVe words, each with a payload of 200 bytes. Every phase has a process of its own; peers take
turns. What was put is counted after reopening, and the first answer is compared with a float64
brute force, before any figure is shown."""
import argparse
import json
import pathlib
import random
import shutil
import subprocess
import sys
import tempfile

import one_thread  # first: numpy reads it
import numpy

import sets
import truth
from machine import describe
from worker import version

PAYLOAD, K = 200, 10
PATIENCE = 600  # seconds for the slowest phase
MODULES = ("faiss_peer", "usearch_peer", "sqlite_vec_peer", "lancedb_peer", "zvec_peer")


class Engram:
    name, package, payloads = "engram", "engram", True
    promises = ("kPower", "kProcess")
    command = [str(pathlib.Path("bench/store_peer").resolve())]


class Python:
    """A peer's Store, by store_phase.py; raises RuntimeError where its library is missing."""

    def __init__(self, module):
        script = pathlib.Path(__file__).parent / "store_phase.py"
        self.command = [sys.executable, str(script), module]
        about = run(self, "about", "", "", "0")
        self.name, self.package = about["name"], about["package"]
        self.promises, self.payloads = about["promises"], about["payloads"]


def run(store, *arguments):
    try:
        done = subprocess.run([*store.command, *map(str, arguments)], capture_output=True,
                              text=True, timeout=PATIENCE)
    except subprocess.TimeoutExpired:
        raise RuntimeError(f"{arguments[0]} took longer than {PATIENCE} s") from None
    if done.returncode != 0:
        why = (done.stderr.strip().splitlines() or ["no word of why"])[-1]
        raise RuntimeError(f"{arguments[0]} ended with {done.returncode}: {why}")
    return json.loads(done.stdout.strip().splitlines()[-1])


def disk_bytes(folder):
    return sum(path.stat().st_blocks * 512 for path in folder.rglob("*") if path.is_file())


class Task:
    """The rows on disk, as every phase reads them."""

    def __init__(self, data, folder, quick):
        self.set = sets.glove(data)
        if quick:
            self.set.base = self.set.base[:20_000]
        self.seconds = 0.5 if quick else 4
        self.dimension = self.set.base.shape[1]
        self.vectors, self.payloads = folder / "vectors", folder / "payloads"
        self.query, self.folder = folder / "query", folder
        self.set.base.tofile(self.vectors)
        # Letters at random: no library is to gain by compressing what is nothing.
        letters = random.Random(200).choices("abcdefghijklmnopqrstuvwxyz234567",
                                             k=PAYLOAD * len(self.set.base))
        self.payloads.write_text("".join(letters))
        self.set.queries[:1].tofile(self.query)
        self.expected = truth.best(self.set.base, self.set.queries[:1], K)

    def place(self, name):
        path = self.folder / name
        shutil.rmtree(path, ignore_errors=True)
        path.mkdir()
        return path


def one_round(store, task):
    """The figures of one peer, by name."""
    figures = {"put": {}}
    for promise in store.promises:
        place = task.place("put")
        got = run(store, "put", place, task.vectors, task.dimension, task.payloads, promise,
                  task.seconds)
        if got["held"] != got["rows"]:
            raise RuntimeError(f"{promise}: {got['rows']} rows were put, {got['held']} are held")
        figures["put"][promise] = got["rows"] / got["seconds"]
    place = task.place("import")
    got = run(store, "import", place, task.vectors, task.dimension, task.payloads)
    figures["import_rows_per_second"] = got["rows"] / got["seconds"]
    figures["disk_bytes"] = disk_bytes(place)
    got = run(store, "reopen", place, task.query, task.dimension, K)
    if truth.differences(task.set.base, task.set.queries[:1], numpy.array([got["ids"]]),
                         task.expected):
        raise RuntimeError(f"its first answer is wrong: {got['ids']}")
    figures["reopen_ms"] = got["seconds"] * 1e3
    figures["anonymous_bytes"] = got["anonymous"]
    figures["anonymous_bytes_more"] = got["anonymous"] - got["anonymous_before"]
    return figures


def spread(values):
    return {"median": float(numpy.median(values)), "min": min(values), "max": max(values)}


def summary(store, rounds):
    kept = {"version": version(store.package), "payloads": store.payloads, "put_rows_per_second": {
        promise: spread([one["put"][promise] for one in rounds]) for promise in store.promises}}
    for figure in rounds[0]:
        if figure != "put":
            kept[figure] = spread([one[figure] for one in rounds])
    return kept


def print_table(stores, rows):
    print(f"\n{'':24}{'import rows/s':>14}{'reopen ms':>11}{'disk MB':>9}{'anon MB':>9}"
          f"{'more':>7}  put rows/s, one at a time (min-max)")
    for name, row in stores.items():
        puts = ", ".join(f"{promise}: {rate['median']:.0f} ({rate['min']:.0f}-{rate['max']:.0f})"
                         for promise, rate in row["put_rows_per_second"].items())
        print(f"{name:24}{row['import_rows_per_second']['median']:14.0f}"
              f"{row['reopen_ms']['median']:11.1f}{row['disk_bytes']['median'] / 1e6:9.1f}"
              f"{row['anonymous_bytes']['median'] / 1e6:9.1f}"
              f"{row['anonymous_bytes_more']['median'] / 1e6:7.1f}"
              f"  {puts or 'none'}{'' if row['payloads'] else ' (no payloads)'}")
    print(f"{rows} rows; anon: of the process after its first answer, and how much more than "
          "before it opened the store")


def start():
    stores, skipped = [Engram()], []
    for module in MODULES:
        try:
            stores.append(Python(module))
        except RuntimeError as error:
            skipped.append(module)
            print(f"  skipped {module}: {error}")
    return stores, skipped


def main():
    parser = argparse.ArgumentParser(allow_abbrev=False)
    parser.add_argument("--quick", action="store_true", help="1 short round: proves that it works")
    parser.add_argument("data")
    parser.add_argument("results")
    options = parser.parse_args()
    stores, skipped = start()
    rounds = {store.name: [] for store in stores}
    # In the build's folder, because /tmp may lie in memory.
    with tempfile.TemporaryDirectory(dir=".") as folder:
        task = Task(options.data, pathlib.Path(folder).resolve(), options.quick)
        for _ in range(1 if options.quick else 3):
            for store in list(stores):
                try:
                    rounds[store.name].append(one_round(store, task))
                except RuntimeError as error:
                    if store.name == "engram":
                        sys.exit(f"engram: {error}")
                    print(f"  {store.name} failed, and is left out: {error}")
                    skipped.append(store.name)
                    stores.remove(store)
        result = {"machine": describe(), "quick": options.quick, "skipped": skipped,
                  "rows": len(task.set.base), "dimension": task.dimension, "payload_bytes": PAYLOAD,
                  "stores": {store.name: summary(store, rounds[store.name]) for store in stores}}
    print_table(result["stores"], result["rows"])
    out = pathlib.Path(options.results) / "peer_stores.json"
    out.write_text(json.dumps(result, indent=1) + "\n")


if __name__ == "__main__":
    main()
