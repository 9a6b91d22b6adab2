"""What the figures are measured on."""

from __future__ import annotations

import os
import platform
import re
from datetime import datetime, timezone
from importlib.metadata import version
from pathlib import Path

import torch

from textregion_ros import __version__

PACKAGES = ("torch", "torchvision", "open_clip_torch", "sam2", "timm", "numpy")


def cpu_model() -> str:
    """The processor's name as the system tells it."""
    cpuinfo = Path("/proc/cpuinfo")
    if cpuinfo.is_file():
        names = re.findall(r"^model name\s*:\s*(.+)$", cpuinfo.read_text(), re.MULTILINE)
        if names:
            return names[0]
    return platform.processor() or platform.machine()


def describe_machine(device: str) -> dict[str, object]:
    """Processor, cores, GPU, load before, versions and date."""
    return {
        "textregion_ros": __version__,
        "date": datetime.now(timezone.utc).strftime("%Y-%m-%d"),
        "cpu": cpu_model(),
        "cores": len(os.sched_getaffinity(0)),
        "threads": torch.get_num_threads(),
        "gpu": torch.cuda.get_device_name(device) if device.startswith("cuda") else None,
        "load_before": round(os.getloadavg()[0], 2),
        "system": f"{platform.system()} {platform.machine()}",
        "python": platform.python_version(),
        **{name: version(name) for name in PACKAGES},
    }


def default_name(machine: dict[str, object]) -> str:
    """A folder name from the processor, its cores and the GPU."""
    parts = (machine["cpu"], f"{machine['cores']} cores", machine["gpu"] or "")
    return re.sub(r"[^a-z0-9]+", "-", " ".join(map(str, parts)).lower()).strip("-")
