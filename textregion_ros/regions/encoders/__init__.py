"""Where tokens come from. A new encoder is a new file, and a line in FAMILIES."""

from textregion_ros.regions.encoders.attention_pool import AttentionPoolTower, attention_pool_tower
from textregion_ros.regions.encoders.clip import ClipTower, clip_tower
from textregion_ros.regions.encoders.crops import CropEncoder
from textregion_ros.regions.encoders.open_clip_model import OpenClipFamily
from textregion_ros.regions.encoders.protocol import BuildEncoder, Encoder
from textregion_ros.regions.encoders.pyramid import WholeImageEncoder, pyramid_tower

OPEN_CLIP = {
    "clip": OpenClipFamily(clip_tower),
    "siglip2": OpenClipFamily(attention_pool_tower, scaled_logits=True),
    "pe": OpenClipFamily(attention_pool_tower),
    "pyramid": OpenClipFamily(pyramid_tower, encoder=WholeImageEncoder),
}
"""The families whose models open_clip defines."""

FAMILIES: dict[str, BuildEncoder] = {
    **{name: family.build for name, family in OPEN_CLIP.items()},
}
"""`encoder.family` of a profile -> what makes its encoder."""

__all__ = [
    "FAMILIES",
    "OPEN_CLIP",
    "AttentionPoolTower",
    "BuildEncoder",
    "ClipTower",
    "CropEncoder",
    "Encoder",
]
