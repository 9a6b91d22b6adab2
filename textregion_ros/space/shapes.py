"""Masks, depth and a camera to the shapes of objects in space.

Everything is in the camera's optical frame (x right, y down, z forward), in metres.
"""

from __future__ import annotations

import cv2
import numpy as np

from textregion_ros.core.boxes import Box
from textregion_ros.core.camera import Intrinsics
from textregion_ros.core.errors import BadImage
from textregion_ros.core.results import Pose, RegionShape
from textregion_ros.space.oriented_boxes import principal_box, quaternion, upright_box
from textregion_ros.space.points import check_size, measurable, points_at
from textregion_ros.space.surface import MIN_POINTS, filled_depth, find_surface, large_parts
from textregion_ros.space.table import Plane

# Pixels around the mask that are looked at too.
MARGIN = 2
# The rest of a region is the table only if at least this share of its points rises above it.
MIN_RAISED = 0.5
# Points less than this many standard deviations of the table's noise above it are the table's.
TABLE_NOISE = 2.0
# A depth camera tells nothing of what is thinner than this in two directions, m.
MIN_EXTENT = 0.001


def region_shape(
    crop: np.ndarray, box: Box, depth: np.ndarray, intrinsics: Intrinsics, table: Plane | None
) -> RegionShape | None:
    """Return the shape of a region.

    Left out are pixels that do not show its surface, and the table where the mask runs over onto
    it.

    Args:
        crop: bool h×w, the mask cropped to its box.
        box: x y w h, px of the depth image.
        depth: float32 H×W, m, NaN where missing.
        intrinsics: The depth image's camera.
        table: What the region stands on, if known.

    Returns:
        The shape; None where depth is missing, too sparse, or of nothing that has one.

    Raises:
        BadImage: The sizes differ, or the box reaches out of the image.
    """
    check_size(depth.shape, intrinsics)
    _check_box(crop, box, depth.shape)
    if not crop.any():
        return None
    (left, top), inside, depth = _window(crop, box, depth)
    kept = find_surface(inside, depth, intrinsics)
    if kept is None:
        return None
    rows, columns = np.nonzero(inside)
    rays = points_at(columns + left, rows + top, np.ones(len(rows)), intrinsics)
    if not measurable(rays).all():
        return None
    if table is not None:
        # Before small parts are left out: a strip of table is no gap to be filled.
        smooth = cv2.medianBlur(filled_depth(depth, kept), 5)
        raised = _raised(rays, smooth[inside], kept[inside], table)
        kept[rows[~raised], columns[~raised]] = False
        rays, rows, columns = rays[raised], rows[raised], columns[raised]
    kept, filled = large_parts(depth, kept, intrinsics)
    on = kept[rows, columns]
    if on.sum() < MIN_POINTS:
        return None
    points = rays * filled[rows, columns, None]
    centroid = points.mean(0, dtype=np.float64)
    pixels = (rows + top) * intrinsics.width + columns + left
    return _shape(points[on], pixels[on].astype(np.int32), centroid, table)


def _check_box(crop: np.ndarray, box: Box, image_size: tuple[int, ...]) -> None:
    x, y, w, h = box
    if crop.shape != (h, w) or min(x, y) < 0 or y + h > image_size[0] or x + w > image_size[1]:
        height, width = image_size
        raise BadImage(
            f"a mask of {crop.shape[1]}×{crop.shape[0]} px does not fit the box {box} of an image "
            f"of {width}×{height} px"
        )


def _window(
    crop: np.ndarray, box: Box, depth: np.ndarray
) -> tuple[tuple[int, int], np.ndarray, np.ndarray]:
    """Left and top of the box with its margin, and mask and depth within it."""
    x, y, w, h = box
    left, top = max(0, x - MARGIN), max(0, y - MARGIN)
    depth = depth[top : y + h + MARGIN, left : x + w + MARGIN]
    inside = np.zeros(depth.shape, bool)
    inside[y - top : y - top + h, x - left : x - left + w] = crop
    return (left, top), inside, depth


def _raised(rays: np.ndarray, depth: np.ndarray, on: np.ndarray, table: Plane) -> np.ndarray:
    """Which pixels lie above the table, bool N; all of them where too few of those kept do.

    A flat object is lost in the table's noise, and then nothing tells it from the table.
    """
    raised = table.heights(rays * depth[:, None]) > TABLE_NOISE * table.noise
    enough = max(MIN_RAISED * on.sum(), MIN_POINTS)
    return raised if (raised & on).sum() >= enough else np.ones_like(raised)


def _shape(
    points: np.ndarray, pixels: np.ndarray, centroid: np.ndarray, table: Plane | None
) -> RegionShape | None:
    """The shape of a surface's points N×3; None where they span no plane."""
    if table is None:
        axes, low, high = principal_box(points)
    else:
        axes, low, high = upright_box(points, table.normal, table.offset)
    size = high - low
    if np.sort(size)[1] < MIN_EXTENT:
        return None
    pose = Pose(centroid, axes @ (low + high) / 2, quaternion(axes), size)
    return RegionShape(points, pixels, pose)
