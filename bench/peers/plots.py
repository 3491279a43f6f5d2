"""Draws what run.py wrote: plots.py RESULTS, the folder with peers.json.

peers_bars: how many times faster than faiss IndexFlatIP, by set and batch.
peers_recall: recall against speed."""
import json
import math
import pathlib
import sys

import matplotlib

matplotlib.use("Agg")
import matplotlib.pyplot as pyplot
import matplotlib.ticker

FAISS, OURS = "faiss IndexFlatIP", ("engram", "engram plain")
COLOURS = {"engram": "#1f6f8b", "engram plain": "#8fbccb", "exact": "#c9ced6", "not": "#e8c48a"}
INK, GRID = "#333333", "#e6e6e6"
K = 10


def kind(name, recall):
    if name in OURS:
        return name
    return "not" if name.startswith("turbovec") or recall < 1 else "exact"


def cell_of(compared, batch):
    return next(c for c in compared["cells"] if c["batch"] == batch and c["k"] == K)["peers"]


def bare(axes):
    for side in ("top", "right", "left"):
        axes.spines[side].set_visible(False)
    axes.spines["bottom"].set_color("#bbbbbb")
    axes.tick_params(length=0, labelsize=8, colors=INK)
    axes.set_axisbelow(True)


def times(value):
    return f"{value:.0f}×" if value >= 10 else f"{value:.1f}×" if value >= 1 else f"{value:.2f}×"


def plain_ticks(axes, low, high):
    ticks = [t for t in (0.01, 0.03, 0.1, 0.3, 1, 3, 10, 30, 100, 300, 1000) if low <= t <= high]
    axes.set_xscale("log")
    axes.set_xlim(low, high)
    axes.set_xticks(ticks, [f"{t:g}×" for t in ticks])
    axes.minorticks_off()


def bars(axes, peers, title):
    rows = sorted(peers.items(), key=lambda item: item[1]["ratio_to_faiss"]["median"])
    ratios = [row["ratio_to_faiss"] for _, row in rows]
    low, high = min(r["min"] for r in ratios) / 1.5, max(r["max"] for r in ratios) * 2.5
    for place, ((name, row), ratio) in enumerate(zip(rows, ratios)):
        # Bars of a logarithmic scale begin at 1: shorter is slower than faiss, to the left.
        axes.barh(place, ratio["median"] - 1, left=1, height=0.7,
                  color=COLOURS[kind(name, row["recall"])])
        axes.plot([ratio["min"], ratio["max"]], [place, place], color=INK, linewidth=0.8, alpha=0.6)
        axes.text(max(ratio["max"], 1) * 1.1, place, times(ratio["median"]), va="center",
                  fontsize=7.5, color=INK, fontweight="bold" if name in OURS else "normal")
    axes.set_yticks(range(len(rows)), [name for name, _ in rows])
    for label, (name, _) in zip(axes.get_yticklabels(), rows):
        label.set_fontweight("bold" if name in OURS else "normal")
    bare(axes)
    plain_ticks(axes, low, high)
    axes.axvline(1, color="#999999", linewidth=0.8)
    axes.grid(axis="x", color=GRID, linewidth=0.7)
    axes.set_title(title, fontsize=9.5, loc="left", color=INK)


def legend(figure):
    handles = [pyplot.Rectangle((0, 0), 1, 1, color=COLOURS[name]) for name in COLOURS]
    figure.legend(handles, ["engram", "engram, plain scan", "others, exact",
                            "others, not exact"], loc="lower center", ncol=4,
                  fontsize=8, frameon=False)


def title(figure, result, text, figures):
    kernel = result["machine"].get("kernel", "")
    figure.suptitle(text, x=0.01, y=0.99, ha="left", fontsize=11, color=INK)
    figure.text(0.01, 0.962, f"{result['machine']['cpu']}, kernels {kernel}, one thread, k = {K}, "
                f"{figures} of {result['rounds']} rounds", fontsize=8, color="#666666")


def draw_bars(result, out):
    batches = (1, 32)
    figure, all_axes = pyplot.subplots(len(result["sets"]), len(batches), figsize=(10, 10.5),
                                       squeeze=False)
    for compared, line in zip(result["sets"], all_axes):
        for batch, axes in zip(batches, line):
            bars(axes, cell_of(compared, batch), f"{compared['set']}, {compared['rows']:,} rows, "
                 + (f"batches of {batch}" if batch > 1 else "one query at a time"))
    title(figure, result, "Queries a second beside faiss IndexFlatIP", "median and range")
    legend(figure)
    figure.tight_layout(rect=(0, 0.03, 1, 0.985))
    save(figure, out / "peers_bars")


def apart(places, gap):
    """Moves sorted `places` as little as makes neighbours at least `gap` apart."""
    places = list(places)
    for _ in range(500):
        for i in range(1, len(places)):
            missing = gap - (places[i] - places[i - 1])
            if missing > 1e-9:
                places[i - 1] -= missing / 2
                places[i] += missing / 2
    return places


def points(axes, peers, heading):
    """Those with the same recall share a line: their names stand above it, each with a leader."""
    rows = sorted(peers.items(), key=lambda item: item[1]["ratio_to_faiss"]["median"])
    ratios = [row["ratio_to_faiss"]["median"] for _, row in rows]
    lowest = min(0.99, min(row["recall"] for _, row in rows))
    room = 1 - lowest
    low, high = min(ratios) / 2, max(ratios) * 4
    lines = {}
    for (name, row), ratio in zip(rows, ratios):
        group = kind(name, row["recall"])
        axes.scatter(ratio, row["recall"], s=46 if name in OURS else 30, color=COLOURS[group],
                     edgecolor=INK, linewidth=0.6, zorder=3)
        lines.setdefault(round(row["recall"], 3), []).append((name, ratio, row["recall"]))
    for line in lines.values():
        logs = apart([math.log(ratio) for _, ratio, _ in line], math.log(high / low) / 34)
        for (name, ratio, recall), place in zip(line, logs):
            at, above = math.exp(place), recall + room * 0.2
            axes.plot([ratio, at], [recall + room * 0.02, above], color="#bbbbbb", linewidth=0.6)
            axes.text(at, above + room * 0.02, name, fontsize=7.5, rotation=50, ha="left",
                      va="bottom", rotation_mode="anchor", color=INK,
                      fontweight="bold" if name in OURS else "normal")
    bare(axes)
    plain_ticks(axes, low, high)
    axes.set_ylim(lowest - room * 0.1, 1 + room * 1.3)
    axes.set_yticks([lowest, (1 + lowest) / 2, 1])
    axes.yaxis.set_major_formatter(matplotlib.ticker.FormatStrFormatter("%.4f"))
    axes.grid(color=GRID, linewidth=0.7)
    axes.set_title(heading, fontsize=9.5, loc="left", color=INK)


def draw_recall(result, out):
    figure, all_axes = pyplot.subplots(len(result["sets"]), 1, figsize=(9, 11), squeeze=False)
    for compared, axes in zip(result["sets"], all_axes[:, 0]):
        points(axes, cell_of(compared, 1), f"{compared['set']}, one query at a time: recall@{K}")
    all_axes[-1, 0].set_xlabel("queries a second, times faiss IndexFlatIP", fontsize=8.5, color=INK)
    title(figure, result, "Recall against speed", "median")
    legend(figure)
    figure.tight_layout(rect=(0, 0.03, 1, 0.985))
    save(figure, out / "peers_recall")


def save(figure, path):
    figure.patch.set_facecolor("white")
    # Without a date, so that equal figures give equal files.
    figure.savefig(path.with_suffix(".png"), dpi=130)
    figure.savefig(path.with_suffix(".svg"), metadata={"Date": None})
    pyplot.close(figure)


def main(folder):
    matplotlib.rcParams.update({"font.family": "DejaVu Sans", "svg.hashsalt": "engram",
                                "svg.fonttype": "none"})
    out = pathlib.Path(folder)
    result = json.loads((out / "peers.json").read_text())
    if FAISS not in result["peers"]:
        print("No plots: faiss is missing, and all of them are beside it")
        return
    draw_bars(result, out)
    draw_recall(result, out)


if __name__ == "__main__":
    main(*sys.argv[1:])
