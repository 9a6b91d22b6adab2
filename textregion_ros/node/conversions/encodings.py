"""The encodings of image messages that are read, and how each lies in memory."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Layout:
    """How an encoding lies in memory.

    Attributes:
        dtype: Of a channel.
        channels: How many there are.
        name: What the colour conversion calls the encoding.
    """

    dtype: str
    channels: int
    name: str

    @property
    def bits(self) -> int:
        """Of a channel."""
        return 16 if self.dtype == "uint16" else 8


def _layouts(dtype: str, channels: int, *names: str, **renamed: str) -> dict[str, Layout]:
    own_names = {name: name for name in names} | renamed
    return {key: Layout(dtype, channels, name) for key, name in own_names.items()}


# A generic name says nothing about colours; RViz and OpenCV take 3 and 4 channels as BGR.
COLOURS = {
    **_layouts("uint8", 3, "rgb8", "bgr8"),
    **_layouts("uint8", 4, "rgba8", "bgra8"),
    **_layouts("uint8", 1, "mono8"),
    **_layouts("uint16", 3, "rgb16", "bgr16"),
    **_layouts("uint16", 4, "rgba16", "bgra16"),
    **_layouts("uint16", 1, "mono16"),
    **_layouts("uint8", 2, "yuv422", "yuv422_yuy2", uyvy="yuv422", yuyv="yuv422_yuy2"),
    **_layouts("uint8", 1, "bayer_rggb8", "bayer_bggr8", "bayer_gbrg8", "bayer_grbg8"),
    **_layouts("uint16", 1, "bayer_rggb16", "bayer_bggr16", "bayer_gbrg16", "bayer_grbg16"),
    **_layouts("uint8", 1, **{"8UC1": "mono8"}),
    **_layouts("uint8", 3, **{"8UC3": "bgr8"}),
    **_layouts("uint8", 4, **{"8UC4": "bgra8"}),
    **_layouts("uint16", 3, **{"16UC3": "bgr16"}),
    **_layouts("uint16", 4, **{"16UC4": "bgra16"}),
}
DEPTHS = {
    **_layouts("uint16", 1, "16UC1", "mono16"),
    **_layouts("float32", 1, "32FC1"),
}
