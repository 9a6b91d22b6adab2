"""Depth messages and intrinsics, both ways."""

from __future__ import annotations

import struct
from array import array

import cv2
import numpy as np
from sensor_msgs.msg import CameraInfo, CompressedImage, Image
from std_msgs.msg import Header

from textregion_ros.core.camera import Intrinsics
from textregion_ros.core.depth import depth_metres
from textregion_ros.core.errors import BadImage
from textregion_ros.core.text import shown
from textregion_ros.node.conversions.compressed import decode
from textregion_ros.node.conversions.encodings import DEPTHS
from textregion_ros.node.conversions.images import encoded_message, stored_pixels

DEPTH_HEADER = struct.Struct("<iff")  # compressedDepth: format and quantisation constants


def metres_of(message: Image | CompressedImage, max_pixels: int | None = None) -> np.ndarray:
    """Return a depth message as float32 H×W, m, NaN where depth is missing.

    Args:
        message: An Image in 16UC1 or mono16 (mm) or 32FC1 (m); or a CompressedImage with a 16-bit
            PNG (mm) or in image_transport's compressedDepth format (PNG). 0, negative, NaN and
            infinite values are missing.
        max_pixels: Most pixels, looked at before a picture is decoded; None for any number.

    Raises:
        BadImage: As `to_rgb`.
    """
    return depth_metres(_stored_depth(message, max_pixels))


def _stored_depth(message: Image | CompressedImage, max_pixels: int | None) -> np.ndarray:
    """Return depth as it was sent: uint16 H×W, mm, or float32 H×W, m."""
    if isinstance(message, Image):
        return stored_pixels(message, DEPTHS, "a depth image", max_pixels)
    original, _, compression = (part.strip() for part in message.format.partition(";"))
    if "compressedDepth" not in compression:
        return _grey16(message.data, message.format, max_pixels)
    if "rvl" in compression.lower():
        raise BadImage(f"format {shown(message.format)} is not supported; png is")
    if len(message.data) <= DEPTH_HEADER.size:
        raise BadImage(f"the compressed depth image is cut short: {len(message.data)} bytes")
    stored = _grey16(message.data[DEPTH_HEADER.size :], message.format, max_pixels)
    if original != "32FC1":
        return stored
    # Metres are stored as the inverse: depth = a / (value - b), 0 for missing.
    _, a, b = DEPTH_HEADER.unpack(bytes(message.data[: DEPTH_HEADER.size]))
    with np.errstate(all="ignore"):
        metres = np.float32(a) / (stored.astype(np.float32) - np.float32(b))
    return np.where(stored == 0, np.float32(np.nan), metres)


def _grey16(data: array[int], image_format: str, max_pixels: int | None) -> np.ndarray:
    picture = decode(data, image_format, cv2.IMREAD_UNCHANGED, max_pixels)
    if picture.dtype != np.uint16 or picture.ndim != 2:
        name = shown(image_format)
        raise BadImage(f"a picture of {picture.dtype} (format {name}) is no depth image")
    return picture


def depth_message(depth: np.ndarray, header: Header) -> Image:
    """Return depth H×W, uint16 in mm or floating point in m, as 16UC1 or 32FC1."""
    if depth.dtype == np.uint16:
        return encoded_message(depth, "16UC1", header)
    return encoded_message(depth.astype(np.float32, copy=False), "32FC1", header)


def intrinsics_of(info: CameraInfo) -> Intrinsics:
    """Return the pinhole camera of P, or of K where P is not set.

    Lens distortion is left out: as for all uses of aligned depth, the image is rectified, or its
    distortion is small.

    Raises:
        BadImage: Neither P nor K is that of a calibrated camera.
    """
    if info.p[0] > 0.0:
        fx, fy, cx, cy = info.p[0], info.p[5], info.p[2], info.p[6]
    else:
        fx, fy, cx, cy = info.k[0], info.k[4], info.k[2], info.k[5]
    try:
        return Intrinsics(
            float(fx), float(fy), float(cx), float(cy), int(info.width), int(info.height)
        )
    except ValueError as error:
        raise BadImage(f"camera_info is not that of a calibrated camera: {error}") from None


def info_message(camera: Intrinsics, header: Header) -> CameraInfo:
    """Return intrinsics as a message, in K and in P."""
    fx, fy, cx, cy = camera.fx, camera.fy, camera.cx, camera.cy
    return CameraInfo(
        header=header,
        width=camera.width,
        height=camera.height,
        k=[fx, 0.0, cx, 0.0, fy, cy, 0.0, 0.0, 1.0],
        p=[fx, 0.0, cx, 0.0, 0.0, fy, cy, 0.0, 0.0, 0.0, 1.0, 0.0],
    )
