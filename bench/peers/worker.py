"""A peer in a process of its own: what it loads, and how it ends, is no matter of the others."""
import importlib
import importlib.metadata
import multiprocessing
import time
import traceback

import one_thread  # first: the libraries of a peer read it
import numpy

PATIENCE = 600  # seconds for the slowest answer


def version(package):
    try:
        return importlib.metadata.version(package)
    except importlib.metadata.PackageNotFoundError:
        return None


def serve(pipe, module, arguments, path):
    """The process: builds, tells of itself, and answers (queries, k, batch) until None."""
    try:
        served = importlib.import_module(module).Peer(**arguments)
        begin = time.perf_counter()
        served.build(numpy.load(path))
        pipe.send({"name": served.name, "package": served.package,
                   "version": served.version or version(served.package), "batches": served.batches,
                   "batched": served.batched, "build_seconds": time.perf_counter() - begin})
        while (asked := pipe.recv()) is not None:
            busy, begin = served.cpu_seconds(), time.perf_counter()
            ids, seconds = served.search(*asked)
            threads = (served.cpu_seconds() - busy) / (time.perf_counter() - begin)
            pipe.send({"ids": ids, "seconds": seconds, "threads": threads,
                       "details": served.details()})
        served.end()
    except BaseException as error:
        pipe.send({"error": f"{type(error).__name__}: {error}", "trace": traceback.format_exc()})


class Worker:
    """The other end: raises RuntimeError with what went wrong in the process."""

    def __init__(self, module, arguments, path):
        self.pipe, other = multiprocessing.get_context("spawn").Pipe()
        self.process = multiprocessing.get_context("spawn").Process(
            target=serve, args=(other, module, arguments, path), daemon=True)
        self.process.start()
        other.close()
        try:
            self.about = self.receive()
        except RuntimeError:
            self.end()
            raise
        self.name, self.batches = self.about["name"], self.about["batches"]

    def receive(self):
        try:
            if not self.pipe.poll(PATIENCE):
                raise RuntimeError(f"no answer in {PATIENCE} s")
            got = self.pipe.recv()
        except EOFError:
            self.process.join()
            raise RuntimeError(f"its process ended with {self.process.exitcode}") from None
        if "error" in got:
            raise RuntimeError(got["error"])
        return got

    def ask(self, queries, k, batch):
        try:
            self.pipe.send((queries, k, batch))
        except OSError:
            pass  # receive() tells how the process ended
        return self.receive()

    def end(self):
        if self.process.is_alive():
            try:
                self.pipe.send(None)
            except OSError:
                pass
            self.process.join(20)
        if self.process.is_alive():
            self.process.kill()
            self.process.join()
