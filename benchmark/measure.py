"""Time and peak memory of a call: warm-up, repeats, median and quartiles."""

from __future__ import annotations

import ctypes
import re
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch

MIB = 1 << 20
M_TRIM_THRESHOLD, M_MMAP_THRESHOLD = -1, -3  # of glibc's mallopt
# What glibc comes to by itself in a process that once freed a large block.
USUAL = ((M_TRIM_THRESHOLD, 64 * MIB), (M_MMAP_THRESHOLD, 32 * MIB))
# Every large block goes back to the system when it is freed, and so shows when it is used again.
EXACT = ((M_TRIM_THRESHOLD, 64 << 10), (M_MMAP_THRESHOLD, 64 << 10))


@dataclass(frozen=True)
class Figure:
    """Times, ms: median and quartiles of `repeats` calls.

    peak_mib: most memory that one call held beyond what was held before it, None where unknown.
    """

    median_ms: float
    q1_ms: float
    q3_ms: float
    repeats: int
    peak_mib: float | None = None


def spread(samples: list[float], peak_mib: float | None = None) -> Figure:
    """The median and quartiles of times, ms."""
    low, median, high = np.percentile(samples, (25, 50, 75))
    return Figure(float(median), float(low), float(high), len(samples), peak_mib)


def measure(call: Callable[[], object], repeats: int, device: str = "cpu") -> Figure:
    """Call once to warm up and once for its memory, then `repeats` times for its time.

    With one repeat there is one call for all of it: for what takes many seconds.
    """
    if repeats > 1:
        call()
    with memory(device) as peak:
        once = timed(call, device)
    return spread([timed(call, device) for _ in range(repeats)] if repeats > 1 else [once], peak())


def timed(call: Callable[[], object], device: str) -> float:
    """Time of one call, ms."""
    start = time.perf_counter()
    call()
    wait(device)
    return 1e3 * (time.perf_counter() - start)


def wait(device: str) -> None:
    """Until a GPU has done what it was given."""
    if device.startswith("cuda"):
        torch.cuda.synchronize(device)


@contextmanager
def memory(device: str) -> Iterator[Callable[[], float | None]]:
    """Watch the memory within; afterwards what is yielded tells the peak beyond the start, MiB.

    On a GPU of what torch allocated there, else of the process's resident memory (Linux only).
    """
    meter = Meter(device)
    with returning_memory(device):
        meter.restart()
        yield lambda: peak
        peak = meter.peak()


class Meter:
    """The most memory held since the last restart, beyond what was held then."""

    def __init__(self, device: str) -> None:
        self._device = device
        self._held = 0.0

    def restart(self) -> None:
        """Forget the peak so far."""
        if self._device.startswith("cuda"):
            torch.cuda.synchronize(self._device)
            torch.cuda.reset_peak_memory_stats(self._device)
            self._held = torch.cuda.memory_allocated(self._device) / MIB
        elif Path("/proc/self/clear_refs").exists():
            Path("/proc/self/clear_refs").write_text("5")  # the peak of resident memory
            self._held = _resident("VmRSS")

    def peak(self) -> float | None:
        """MiB; None where the system does not tell."""
        if self._device.startswith("cuda"):
            return torch.cuda.max_memory_allocated(self._device) / MIB - self._held
        if not Path("/proc/self/clear_refs").exists():
            return None
        return max(0.0, _resident("VmHWM") - self._held)


def _resident(name: str) -> float:
    return int(re.search(rf"{name}:\s+(\d+)", Path("/proc/self/status").read_text())[1]) / 1024


@contextmanager
def returning_memory(device: str) -> Iterator[None]:
    """Have freed memory go back to the system at once, so that no use of it goes unseen."""
    try:
        libc = ctypes.CDLL(None)
        set_option, trim = libc.mallopt, libc.malloc_trim
    except (OSError, AttributeError):  # not glibc
        set_option, trim = None, None
    if set_option is None or device.startswith("cuda"):
        yield
        return
    for option in EXACT:
        set_option(*option)
    trim(0)
    try:
        yield
    finally:
        for option in USUAL:
            set_option(*option)
