"""Which machine figures are of: its CPU alone, since all else is nobody's business."""
import pathlib
import platform


def cpu():
    lines = pathlib.Path("/proc/cpuinfo").read_text().splitlines()
    return next((line.split(": ")[1] for line in lines if line.startswith("model name")),
                platform.machine())


def describe():
    return {"cpu": cpu()}
