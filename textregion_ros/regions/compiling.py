"""torch.compile for the three networks: fixed shapes, and CUDA graphs on a GPU."""

from __future__ import annotations

import logging
import subprocess
import time
from collections.abc import Callable
from typing import Any

import torch
from torch import nn
from torch.utils._pytree import tree_map_only

from textregion_ros.regions.decoder import ImageDecoder
from textregion_ros.regions.prompts import Proposer

LOG = logging.getLogger(__name__)


def compile_models(
    proposer: Proposer,
    vision: nn.Module,
    warm_up: Callable[[], Any],
    backend: str | Callable = "inductor",
) -> float | None:
    """Compile SAM2's encoder and the attention of its decoder, and `vision`'s values.

    `warm_up` then runs them, on the shapes they are to serve; other shapes are compiled when they
    come. Returns the seconds it took. Where nothing can be compiled (no C++ compiler, no Triton)
    that is one warning in the log, the models run as before, and None is returned.
    """
    start = time.perf_counter()
    on_gpu = proposer.mean.device.type == "cuda"
    proposer.sam2.forward_image = _compiled(proposer.sam2.forward_image, on_gpu, backend)
    vision.values = _compiled(vision.values, on_gpu, backend)
    proposer.attend = _compiled(ImageDecoder.attend, on_gpu, backend)
    proposer.fixed_chunks = True
    try:
        warm_up()
    except (RuntimeError, OSError, subprocess.SubprocessError) as error:
        reason = " ".join(str(error).split("\n")[:2])  # who failed, and how
        LOG.warning("torch.compile cannot be used here, running without it: %s", reason)
        del proposer.sam2.forward_image, vision.values  # what the classes define shows again
        proposer.attend, proposer.fixed_chunks = ImageDecoder.attend, False
        return None
    took = time.perf_counter() - start
    LOG.info("compiled and warmed up in %.1f s", took)
    return took


def _compiled(function: Callable, on_gpu: bool, backend: str | Callable) -> Callable:
    mode = "reduce-overhead" if on_gpu and backend == "inductor" else None
    fast = torch.compile(function, dynamic=False, backend=backend, mode=mode)
    if not on_gpu:
        return fast

    def run(*arguments: Any) -> Any:
        # A CUDA graph writes its next answer where this one is.
        return tree_map_only(torch.Tensor, torch.clone, fast(*arguments))

    return run
