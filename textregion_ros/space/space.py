"""The depth of one image, and what it says about the image's regions."""

from __future__ import annotations

import numpy as np

from textregion_ros.core.boxes import Box
from textregion_ros.core.camera import Intrinsics
from textregion_ros.core.depth import depth_metres
from textregion_ros.core.errors import BadImage
from textregion_ros.core.results import RegionShape
from textregion_ros.space.shapes import region_shape
from textregion_ros.space.table import Plane, find_table


class Space:
    """What depth says about an image, in the camera's optical frame.

    Not for use from several threads at once.

    Attributes:
        depth: float32 H×W, m, NaN where missing.
        intrinsics: The depth image's camera.
    """

    def __init__(self, depth: np.ndarray, intrinsics: Intrinsics) -> None:
        """Join depth in metres, as `depth_metres` gives it, with its camera."""
        self.depth = depth
        self.intrinsics = intrinsics
        self._tables: list[Plane | None] = []

    @property
    def table(self) -> Plane | None:
        """The plane that things stand on, found when first asked for; None where there is none."""
        if not self._tables:
            self._tables.append(find_table(self.depth, self.intrinsics))
        return self._tables[0]

    @property
    def up(self) -> np.ndarray | None:
        """Float64 3, unit vector out of the table; None where there is none."""
        return None if self.table is None else self.table.normal

    def shape(self, crop: np.ndarray, box: Box) -> RegionShape | None:
        """Return the shape of a region.

        Args:
            crop: bool h×w, the mask cropped to its box.
            box: x y w h, px of the image.

        Returns:
            The shape; None where depth is missing, too sparse, or of nothing that has one.

        Raises:
            BadImage: Crop and box do not fit each other or the image.
        """
        return region_shape(crop, box, self.depth, self.intrinsics, self.table)

    def __repr__(self) -> str:
        height, width = self.depth.shape
        return f"Space({width}×{height} px, {np.isfinite(self.depth).mean():.0%} with depth)"


def space_of(depth: np.ndarray, intrinsics: Intrinsics, image_size: tuple[int, int]) -> Space:
    """Return what depth says about an image that it is aligned to.

    Args:
        depth: H×W, uint16 in mm or floating in m; 0, NaN and infinite are missing.
        intrinsics: The camera of image and depth.
        image_size: (H, W) of the image, px.

    Raises:
        BadImage: Depth or camera have another size than the image, or depth another type.
    """
    metres = depth_metres(depth)
    camera_size = (intrinsics.height, intrinsics.width)
    for name, size in (("depth", metres.shape), ("camera_info", camera_size)):
        if size != tuple(image_size):
            raise BadImage(
                f"{name} is {size[1]}×{size[0]} px and the image {image_size[1]}×{image_size[0]}: "
                "they must be aligned"
            )
    return Space(metres, intrinsics)
