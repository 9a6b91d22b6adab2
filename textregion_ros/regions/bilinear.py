"""Bilinear resampling (pixel centres at half integers) evaluated only where it is asked for."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor


@dataclass(frozen=True, eq=False)
class Taps:
    """Along one axis, the two source samples that each target sample blends.

    Attributes:
        low, high: int64 [n], their indices.
        weight: float32 [n], the share of `high`.
    """

    low: Tensor
    high: Tensor
    weight: Tensor

    def at(self, index: Tensor | slice) -> Taps:
        """Return the taps of some of the target samples."""
        return Taps(self.low[index], self.high[index], self.weight[index])


def make_taps(source: int, target: int, device: torch.device | str = "cpu") -> Taps:
    """Return what resizes an axis of samples: no anti-aliasing, edges clamped."""
    centre = (torch.arange(target, dtype=torch.float64) + 0.5) * (source / target) - 0.5
    centre = centre.clamp(min=0.0)
    low = centre.long().clamp(max=source - 1)
    high = (low + 1).clamp(max=source - 1)
    weight = (centre - low).float()
    return Taps(low.to(device), high.to(device), weight.to(device))


def sample(maps: Tensor, rows: Taps, columns: Taps) -> Tensor:
    """Return float maps …×H×W at the crossings of rows and columns: …×(rows)×(columns)."""
    weight = rows.weight[:, None].to(maps.dtype)
    maps = torch.lerp(maps[..., rows.low, :], maps[..., rows.high, :], weight)
    return torch.lerp(
        maps[..., columns.low], maps[..., columns.high], columns.weight.to(maps.dtype)
    )


def sample_weights(source: int, taps: Taps) -> Tensor:
    """Return how much each source sample adds to the sum over all target samples: float32 [n]."""
    total = torch.zeros(source, device=taps.weight.device)
    total.index_add_(0, taps.low, 1.0 - taps.weight)
    return total.index_add_(0, taps.high, taps.weight)
