"""Where the networks run, and in which precision."""

from __future__ import annotations

from contextlib import AbstractContextManager, nullcontext
from typing import Literal

import torch

from textregion_ros.core.errors import TextRegionError

Precision = Literal["float32", "bfloat16", "float16"]


def choose_device(name: str) -> torch.device:
    """Return a torch device by name; "auto" is CUDA where there is one, else the CPU.

    Raises:
        TextRegionError: The device cannot be used here.
    """
    if name == "auto":
        return torch.device("cuda" if torch.cuda.is_available() else "cpu")
    try:
        device = torch.device(name)
        torch.empty(0, device=device)
    except (RuntimeError, AssertionError) as error:
        raise TextRegionError(f"the device {name!r} cannot be used here: {error}") from error
    return device


def cuda_precision(device: torch.device, name: Precision) -> AbstractContextManager[object]:
    """Return a context in which networks on a GPU run in this precision; a CPU keeps float32."""
    if device.type != "cuda" or name == "float32":
        return nullcontext()
    return torch.autocast(device.type, getattr(torch, name))
