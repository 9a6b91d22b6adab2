"""Measure one profile on a 640×480 frame and write the figures to a file named by the machine.

    python -m benchmark --profile demo

Every figure is the median of the repeats, with the quartiles as its spread.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import re
import resource
import time
from collections.abc import Callable
from datetime import datetime, timezone
from importlib.metadata import version
from pathlib import Path

import numpy as np
import torch
from rich.console import Console
from rich.table import Table

from textregion_ros import __version__
from textregion_ros.app.recording import load_recording
from textregion_ros.regions import TextRegion

RESULTS = Path(__file__).with_name("results")
WARM_UP = 2
PACKAGES = ("torch", "torchvision", "open_clip_torch", "sam2", "timm", "numpy")


def spread(samples: list[float]) -> dict[str, float]:
    """Median and quartiles of times, ms."""
    low, median, high = np.percentile(samples, (25, 50, 75))
    return {"median": round(median, 3), "q1": round(low, 3), "q3": round(high, 3)}


def timed(call: Callable[[int], object], repeats: int) -> dict[str, float]:
    """Time call(0), call(1)… after a warm-up, ms."""
    samples = []
    for number in range(WARM_UP + repeats):
        start = time.perf_counter()
        call(number)
        samples.append(1e3 * (time.perf_counter() - start))
    return spread(samples[WARM_UP:])


def measure_encode(model: TextRegion, rgb: np.ndarray, repeats: int) -> dict[str, dict]:
    """Times of encoding a frame, in all and stage by stage."""
    stages: list[dict[str, float]] = []

    def encode(_number: int) -> None:
        stages.append(model.encode(rgb).stage_ms)

    total = timed(encode, repeats)
    kept = stages[WARM_UP:]
    return {"total": total, **{name: spread([s[name] for s in kept]) for name in kept[0]}}


def measure_query(model: TextRegion, rgb: np.ndarray, repeats: int) -> dict[str, dict]:
    """Times of one more sentence about a frame, its text known already or new each time."""
    frame = model.encode(rgb)
    return {
        "cached": timed(lambda _number: model.ground(frame, ["red mug"]), repeats),
        "new": timed(lambda number: model.ground(frame, [f"red mug {number}"]), repeats),
    }


def peak_memory() -> dict[str, float]:
    """Most memory held so far, MiB: resident, and on the GPU where one was used."""
    kib = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss  # KiB on Linux
    memory = {"resident": round(kib / 1024, 1)}
    if torch.cuda.is_available() and torch.cuda.max_memory_allocated():
        memory["cuda"] = round(torch.cuda.max_memory_allocated() / 2**20, 1)
    return memory


def cpu_model() -> str:
    """The processor's name as the system tells it."""
    cpuinfo = Path("/proc/cpuinfo")
    if cpuinfo.is_file():
        names = re.findall(r"^model name\s*:\s*(.+)$", cpuinfo.read_text(), re.MULTILINE)
        if names:
            return names[0]
    return platform.processor() or platform.machine()


def describe_machine(model: TextRegion) -> dict[str, object]:
    """What the figures were measured on."""
    gpu = torch.cuda.get_device_name(model.device) if model.device.type == "cuda" else None
    return {
        "cpu": cpu_model(),
        "cores": len(os.sched_getaffinity(0)),
        "threads": torch.get_num_threads(),
        "gpu": gpu,
        "load_before": round(os.getloadavg()[0], 2),
        "system": f"{platform.system()} {platform.machine()}",
        "python": platform.python_version(),
        **{name: version(name) for name in PACKAGES},
    }


def default_name(machine: dict[str, object]) -> str:
    """A file name from the processor, its cores and the GPU."""
    parts = (machine["cpu"], f"{machine['cores']} cores", machine["gpu"] or "")
    return re.sub(r"[^a-z0-9]+", "-", " ".join(map(str, parts)).lower()).strip("-")


def tabulate(results: dict) -> Table:
    """The times as a table, ms."""
    table = Table(title=f"{results['profile']}, {results['frame']}, {results['machine']['cpu']}")
    for name in ("ms", "median", "q1", "q3"):
        table.add_column(name, justify="left" if name == "ms" else "right")
    for group in ("encode", "query"):
        for name, row in results[f"{group}_ms"].items():
            table.add_row(f"{group} {name}", *(f"{value:.2f}" for value in row.values()))
    return table


def measure(profile: str, device: str, repeats: int) -> dict:
    """All figures of a profile on the first frame of the bundled recording."""
    rgb = load_recording().frames[0].rgb
    start = time.perf_counter()
    model = TextRegion.from_profile(profile, device)
    load_s = time.perf_counter() - start
    machine = describe_machine(model)
    return {
        "textregion_ros": __version__,
        "date": datetime.now(timezone.utc).strftime("%Y-%m-%d"),
        "profile": model.profile.name,
        "frame": f"{rgb.shape[1]}×{rgb.shape[0]}",
        "regions": len(model.encode(rgb).tokens),
        "repeats": repeats,
        "machine": machine,
        "load_s": round(load_s, 2),
        "encode_ms": measure_encode(model, rgb, repeats),
        "query_ms": measure_query(model, rgb, repeats),
        "peak_memory_mib": peak_memory(),
    }


def main() -> None:
    """The command line."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--profile", default="demo")
    parser.add_argument("--device", default="auto")
    parser.add_argument("--repeats", type=int, default=15)
    parser.add_argument("--name", help="of the machine; made from its processor if left out")
    args = parser.parse_args()
    if args.repeats < 1:
        parser.error("--repeats must be 1 or more")
    results = measure(args.profile, args.device, args.repeats)
    name = args.name or default_name(results["machine"])
    path = RESULTS / f"{results['profile']}-{name}.json"
    path.write_text(json.dumps(results, indent=2, ensure_ascii=False) + "\n", encoding="utf-8")
    console = Console()
    console.print(tabulate(results))
    memory = ", ".join(f"{kind} {value:.0f}" for kind, value in results["peak_memory_mib"].items())
    console.print(f"peak memory, MiB: {memory}; {results['regions']} regions")
    console.print(f"written: {path}", soft_wrap=True, markup=False)


if __name__ == "__main__":
    main()
