"""torch.compile for the networks: fixed shapes, and CUDA graphs on a GPU."""

from __future__ import annotations

import logging
import subprocess
import time
from collections.abc import Callable
from typing import cast

import torch
from torch.utils._pytree import tree_map_only

from textregion_ros.regions.encoders import Encoder
from textregion_ros.regions.networks import Compile, Function
from textregion_ros.regions.proposers import Proposer

LOG = logging.getLogger(__name__)

Parts = tuple[Proposer, Encoder]


def compiled_parts(
    proposer: Proposer,
    encoder: Encoder,
    warm_up: Callable[[Proposer, Encoder], object],
    backend: str | Callable[..., object] = "inductor",
) -> tuple[Parts, float] | None:
    """Return the same proposer and encoder with their networks compiled, and warmed up.

    Args:
        proposer: Gives the masks.
        encoder: Gives the tokens.
        warm_up: Runs both, on the shapes that they are to serve. Other shapes are compiled when
            they come.
        backend: Of `torch.compile`.

    Returns:
        The two, and the seconds that it took. None where nothing can be compiled (no C++ compiler,
        no Triton), which one warning in the log tells.
    """
    start = time.perf_counter()
    compile_ = torch_compile(encoder.device, backend)
    parts = proposer.compiled(compile_), encoder.compiled(compile_)
    try:
        warm_up(*parts)
    except (RuntimeError, OSError, subprocess.SubprocessError) as error:
        reason = " ".join(str(error).split("\n")[:2])  # who failed, and how
        LOG.warning("torch.compile cannot be used here, running without it: %s", reason)
        return None
    took = time.perf_counter() - start
    LOG.info("compiled and warmed up in %.1f s", took)
    return parts, took


def torch_compile(device: torch.device, backend: str | Callable[..., object]) -> Compile:
    """Return what compiles a function for a device."""
    on_gpu = device.type == "cuda"
    mode = "reduce-overhead" if on_gpu and backend == "inductor" else None

    def compile_(function: Function) -> Function:
        fast = torch.compile(function, dynamic=False, backend=backend, mode=mode)
        if not on_gpu:
            return cast(Function, fast)

        def run(*arguments: object) -> object:
            # A CUDA graph writes its next answer where this one is.
            return tree_map_only(torch.Tensor, torch.clone, fast(*arguments))

        return cast(Function, run)

    return compile_
