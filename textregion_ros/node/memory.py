"""How much memory the process holds, and giving back what it does not need any more."""

from __future__ import annotations

import ctypes
import gc
import os
import sys
from contextlib import suppress
from pathlib import Path

MIB = 1 << 20


def resident_mib() -> float | None:
    """Physical memory of this process, MiB; None where the system does not tell."""
    try:
        pages = int(Path("/proc/self/statm").read_text().split()[1])
    except OSError:
        return None
    return pages * os.sysconf("SC_PAGE_SIZE") / MIB


def gpu_mib() -> float | None:
    """Memory that the process's tensors hold on the GPU, MiB; None where none is in use."""
    cuda = sys.modules.get("torch.cuda")
    # While another thread imports torch, its modules are there and have nothing in them yet.
    is_initialized = getattr(cuda, "is_initialized", None)
    if cuda is None or is_initialized is None or not is_initialized():
        return None
    return cuda.memory_reserved() / MIB


def release() -> None:
    """Give memory that is no longer used back to the system and to the GPU."""
    gc.collect()
    if gpu_mib() is not None:
        sys.modules["torch"].cuda.empty_cache()
    # glibc keeps freed blocks for itself; other C libraries have no such call.
    with suppress(OSError, AttributeError):
        ctypes.CDLL(None).malloc_trim(0)
