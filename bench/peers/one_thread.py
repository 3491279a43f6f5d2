"""Imported before any library of a peer: each reads how many threads it may have when it loads."""
import os

# Not LANCE_IO_THREADS: with one, LanceDB 0.40 waits for itself when it adds a row.
for variable in ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS", "RAYON_NUM_THREADS",
                 "LANCE_CPU_THREADS", "TOKIO_WORKER_THREADS"):
    os.environ[variable] = "1"
# What makes OpenBLAS take older kernels than the CPU has would flatter us.
for variable in ("OPENBLAS_CORETYPE", "OPENBLAS_L2_SIZE"):
    os.environ.pop(variable, None)
