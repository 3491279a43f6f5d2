"""The tables on stdout."""


def limit(name, row, sizes):
    """The time of a query beside that of only reading what its scan reads."""
    kind = "f32"
    if name.startswith("turbovec"):
        return ""
    if name.startswith("engram") and row.get("paths") != ["plain scan"]:
        kind = "codes"
    if kind not in sizes:
        return ""
    size, bandwidth = sizes[kind]
    return f"{1 / row['queries_per_second']['median'] / (size / bandwidth / 1e9):.2f}"


def print_cell(name, cell, sizes):
    """One batch size and one k: fastest first."""
    reads = ", ".join(f"{kind} {size / 1e6:.0f} MB at {bandwidth:.1f} GB/s"
                      for kind, (size, bandwidth) in sizes.items())
    print(f"\n{name}, batch {cell['batch']}, k {cell['k']}; read alone: {reads}")
    print(f"{'':22}{'queries/s':>10}  {'x faiss (min-max)':>22}{'recall':>9}{'of':>6}"
          f"{'p99/median':>12}{'x read':>8}  path")
    peers = sorted(cell["peers"].items(), key=lambda item: -item[1]["queries_per_second"]["median"])
    for peer, row in peers:
        ratio = row.get("ratio_to_faiss")
        times = "" if ratio is None else (f"{ratio['median']:.2f} "
                                          f"({ratio['min']:.2f}-{ratio['max']:.2f})")
        alone = cell["batch"] == 1
        tail = f"{row['call_ms']['p99'] / row['call_ms']['median']:.2f}" if alone else ""
        told = ", ".join(row.get("paths", []))
        if row.get("rows_rescored", [0, 0])[1]:
            told += ", rescored {:.0f} (at most {})".format(*row["rows_rescored"])
        if row["threads_busy"] > 1.2:
            told += f" {row['threads_busy']} threads were busy"
        print(f"{peer:22}{row['queries_per_second']['median']:10.1f}  {times:>22}"
              f"{row['recall']:9.4f}{row['checked']:6}{tail:>12}"
              f"{limit(peer, row, sizes) if alone else '':>8}  {told}", flush=True)
