"""One phase of a peer's store in a process of its own, as store_peer is for Engram:
store_phase.py MODULE put FOLDER VECTORS DIMENSION PAYLOADS PROMISE SECONDS
store_phase.py MODULE import FOLDER VECTORS DIMENSION PAYLOADS
store_phase.py MODULE reopen FOLDER QUERY DIMENSION K
Prints its figures in JSON."""
import importlib
import json
import pathlib
import sys
import time

import one_thread  # first: the libraries of a peer read it
import numpy

PAYLOAD = 200


def anonymous_bytes():
    lines = pathlib.Path("/proc/self/status").read_text().splitlines()
    return next(int(line.split()[1]) * 1024 for line in lines if line.startswith("RssAnon:"))


def rows_of(vectors, dimension, payloads):
    text = pathlib.Path(payloads).read_bytes().decode()
    return (numpy.fromfile(vectors, "<f4").reshape(-1, dimension),
            [text[at:at + PAYLOAD] for at in range(0, len(text), PAYLOAD)])


def put(make, folder, vectors, dimension, payloads, promise, seconds):
    vectors, payloads = rows_of(vectors, dimension, payloads)
    store, row = make(), 0
    store.create(folder, dimension, promise)
    begin = time.perf_counter()
    while row < len(vectors) and time.perf_counter() < begin + float(seconds):
        store.put(row, vectors[row], payloads[row])
        row += 1
    taken = time.perf_counter() - begin
    store.close()
    return {"rows": row, "seconds": taken, "held": held(make, folder, dimension)}


def held(make, folder, dimension):
    store = make()
    store.open(folder, dimension)
    return store.count()


def load(make, folder, vectors, dimension, payloads):
    vectors, payloads = rows_of(vectors, dimension, payloads)
    store = make()
    store.create(folder, dimension)
    begin = time.perf_counter()
    store.load(vectors, payloads)
    store.close()
    return {"rows": len(vectors), "seconds": time.perf_counter() - begin}


def reopen(make, folder, query, dimension, k):
    query, store = numpy.fromfile(query, "<f4"), make()
    before, begin = anonymous_bytes(), time.perf_counter()
    store.open(folder, dimension)
    ids = store.first(query, int(k))
    return {"seconds": time.perf_counter() - begin, "anonymous_before": before,
            "anonymous": anonymous_bytes(), "ids": [int(row) for row in ids]}


def main(module, phase, folder, data, dimension, *more):
    make = importlib.import_module(module).Store
    if phase == "about":
        figures = {key: getattr(make, key) for key in ("name", "package", "promises", "payloads")}
    else:
        figures = {"put": put, "import": load, "reopen": reopen}[phase](
            make, pathlib.Path(folder), data, int(dimension), *more)
    # Some libraries print to stdout themselves: the figures are its last line.
    print("\n" + json.dumps(figures), flush=True)


if __name__ == "__main__":
    main(*sys.argv[1:])
