"""The depth of a frame and where its regions lie in it; no ROS beyond the messages it reads."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from sensor_msgs.msg import CameraInfo, Image

from textregion_ros.geometry import Camera, Plane, RegionShape, depth_metres, find_table
from textregion_ros.geometry import region_shape as shape_of
from textregion_ros.node.images import to_depth
from textregion_ros.regions import BadImage, Grounding


@dataclass(frozen=True)
class Space:
    """What depth says about a frame, in the camera's optical frame.

    depth: float32 H×W, metres, NaN where missing. table: the plane that things stand on, if any.
    """

    depth: np.ndarray
    camera: Camera
    table: Plane | None

    def shapes(self, groundings: Sequence[Grounding]) -> dict[int, RegionShape]:
        """Return by Region.id the shape of every region of the answers that has enough depth."""
        regions = {region.id: region for found in groundings for region in found.regions}
        shapes = {
            number: shape_of(region.mask, self.depth, self.camera, self.table)
            for number, region in regions.items()
        }
        return {number: shape for number, shape in shapes.items() if shape is not None}


def space_of(depth: Image, info: CameraInfo, size: tuple[int, int]) -> Space:
    """Read depth and intrinsics that belong to an image of the size (H, W).

    Raises BadImage where they do not fit the image, or where the camera is not calibrated.
    """
    metres = depth_metres(to_depth(depth))
    _check_size("depth", metres.shape, size)
    camera = camera_of(info)
    _check_size("camera_info", (camera.height, camera.width), size)
    return Space(metres, camera, find_table(metres, camera))


def camera_of(info: CameraInfo) -> Camera:
    """Return the pinhole camera of P, or of K where P is not set. Raises BadImage without either.

    Lens distortion is not seen to: as for all uses of aligned depth, the image is rectified, or its
    distortion is small.
    """
    if info.p[0] > 0.0:
        fx, fy, cx, cy = info.p[0], info.p[5], info.p[2], info.p[6]
    else:
        fx, fy, cx, cy = info.k[0], info.k[4], info.k[2], info.k[5]
    try:
        return Camera(fx, fy, cx, cy, info.width, info.height)
    except ValueError as error:
        raise BadImage(f"camera_info is not that of a calibrated camera: {error}") from None


def _check_size(name: str, found: tuple[int, ...], size: tuple[int, int]) -> None:
    if tuple(found) != size:
        raise BadImage(
            f"{name} is {found[1]}×{found[0]} px and the image {size[1]}×{size[0]}: they must be "
            "aligned"
        )
