"""SigLIP 2 and Perception Encoder: timm trunks that end in an attention pool."""

from __future__ import annotations

from typing import Any

from torch import Tensor, nn
from torch.nn import functional as F

from textregion_ros.core.errors import BadProfile
from textregion_ros.regions.settings import EncoderSettings


class AttentionPoolTower(nn.Module):
    """The visual tower of SigLIP 2 or Perception Encoder.

    With one key for all patches the pool's attention is uniform over a region, so its output is
    the projected mean of the region's patches. The pool's MLP is not applied.
    """

    global_weight = 0.5

    def __init__(self, visual: nn.Module) -> None:
        """Read an open_clip tower with a timm trunk by its own weights."""
        super().__init__()
        self.trunk: Any = visual.trunk
        self.head: Any = getattr(visual, "head", None) or nn.Identity()

    def values(self, views: Tensor) -> Tensor:
        """Return the trunk's final patch tokens V×N×D of normalised views V×3×c×c."""
        return self.trunk.forward_features(views)[:, self.trunk.num_prefix_tokens :]

    def pool(self, values: Tensor, masks: Tensor) -> Tensor:
        """Return tokens R×d of values P×D and masks R×P; any positive weight is inside."""
        inside = (masks > 0).to(values.dtype)
        return self.project(inside @ values / inside.sum(1, keepdim=True))

    def project(self, pooled: Tensor) -> Tensor:
        """Return a token for each row of mean values R×D, or of single patches' P×D."""
        pool, width = self.trunk.attn_pool, pooled.shape[-1]
        bias = None if pool.kv.bias is None else pool.kv.bias[width:]
        pooled = pool.proj(F.linear(pooled, pool.kv.weight[width:], bias))
        return self.head(self.trunk.head(self.trunk.fc_norm(pooled)))


def attention_pool_tower(visual: nn.Module, settings: EncoderSettings) -> AttentionPoolTower:
    """Wrap the visual tower of an open_clip model.

    Raises:
        BadProfile: It has no trunk with an attention pool, or the profile wants what only CLIP has.
    """
    if settings.normalise_values or settings.last_block_mlp:
        raise BadProfile("encoder: normalise_values and last_block_mlp are for family clip")
    if getattr(visual, "trunk", None) is None:
        raise BadProfile(f"encoder.family: the model is not of the family {settings.family}")
    return AttentionPoolTower(visual)
