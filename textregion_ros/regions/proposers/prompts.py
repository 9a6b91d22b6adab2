"""At which points of an image SAM 2 is asked."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor


def grid(side: int, device: torch.device) -> Tensor:
    """Return a grid of points, row by row: float32 side²×2, x y as shares of width and height."""
    axis = (torch.arange(side, device=device) + 0.5) / side
    y, x = torch.meshgrid(axis, axis, indexing="ij")
    return torch.stack([x.flatten(), y.flatten()], 1)


def lattice(side: int, step: int) -> Tensor:
    """Return which points of a grid are every `step`-th of every `step`-th row: bool [side²]."""
    axis = torch.arange(side) % step == step // 2
    if not axis.any():  # the grid is smaller than one step
        axis[side // 2] = True
    return (axis[:, None] & axis).flatten()


def peaks(relevance: Tensor, count: int) -> Tensor:
    """Return where texts are most relevant.

    Args:
        relevance: Q×h×w, of any scale. It is smoothed over 3×3 cells, so that a speck counts less
            than a thing.
        count: How many of the highest local maxima each text gets, if it has as many.

    Returns:
        float32 P×2, x y as shares of the width and height, no cell twice.
    """
    relevance = F.avg_pool2d(relevance[None], 3, stride=1, padding=1, count_include_pad=False)[0]
    highest = F.max_pool2d(relevance[None], 3, stride=1, padding=1)[0]
    maxima = relevance.masked_fill(relevance < highest, float("-inf")).flatten(1)
    best = maxima.topk(min(count, maxima.shape[1]))
    cells = best.indices[best.values.isfinite()].unique()
    width, height = relevance.shape[2], relevance.shape[1]
    return torch.stack([(cells % width + 0.5) / width, (cells // width + 0.5) / height], 1)
