"""Image messages and numpy arrays, both ways; the only place that knows encodings."""

from __future__ import annotations

import sys
from collections.abc import Mapping

import cv2
import numpy as np
from sensor_msgs.msg import CompressedImage, Image
from std_msgs.msg import Header

from textregion_ros.core.errors import BadImage
from textregion_ros.core.text import shown
from textregion_ros.node.conversions.arrays import flat_array
from textregion_ros.node.conversions.compressed import check_pixels, decode
from textregion_ros.node.conversions.converter import converter
from textregion_ros.node.conversions.encodings import COLOURS, Layout

LEAST_MOSAIC = 3  # px; OpenCV leaves smaller Bayer images black
# Without EXIF's rotation: boxes and masks are in the pixels of the sensor.
AS_COLOUR = cv2.IMREAD_COLOR | cv2.IMREAD_ANYDEPTH | cv2.IMREAD_IGNORE_ORIENTATION


def to_rgb(message: Image | CompressedImage, max_pixels: int | None = None) -> np.ndarray:
    """Return an image message as RGB uint8 H×W×3, px of the camera.

    16-bit values are scaled by 255/65535. An rgb8 image without padding comes back as a view of the
    message's data.

    Args:
        message: An Image in any encoding of COLOURS, in either byte order, with any `step` that
            holds a row; or a CompressedImage with a JPEG, PNG or TIFF.
        max_pixels: Most pixels of a picture, looked at before it is decoded; None for any number.

    Raises:
        BadImage: The encoding is another one, the data cannot be decoded, size, step and data
            contradict each other, or there are too many pixels.
    """
    if isinstance(message, CompressedImage):
        return _compressed_rgb(message, max_pixels)
    pixels = stored_pixels(message, COLOURS, "a colour image", max_pixels)
    return _rgb(pixels, COLOURS[message.encoding].name)


def _rgb(pixels: np.ndarray, name: str) -> np.ndarray:
    """Convert H×W or H×W×C of the encoding named to RGB uint8."""
    if name == "rgb8":
        return pixels
    height, width = pixels.shape[:2]
    if name.startswith("bayer") and min(height, width) < LEAST_MOSAIC:
        raise BadImage(f"the image is {width}×{height} px, too small to be {name}")
    convert = converter()
    if pixels.dtype == np.uint8:
        return convert(pixels, name, "rgb8")
    wide = pixels if name == "rgb16" else convert(pixels, name, "rgb16")
    return cv2.convertScaleAbs(wide, alpha=255 / 65535)


def _compressed_rgb(message: CompressedImage, max_pixels: int | None) -> np.ndarray:
    # The format begins with the encoding before the compression: a mosaic may still be one.
    before = message.format.partition(";")[0].strip()
    mosaic = before.startswith("bayer_") and before in COLOURS
    flags = cv2.IMREAD_UNCHANGED if mosaic else AS_COLOUR
    picture = decode(message.data, message.format, flags, max_pixels)
    if picture.dtype not in (np.uint8, np.uint16):
        name = shown(message.format)
        raise BadImage(f"a picture of {picture.dtype} (format {name}) has no colours")
    bits = 8 * picture.itemsize
    if picture.ndim == 2:
        return _rgb(picture, before.rstrip("168") + str(bits))
    return _rgb(np.ascontiguousarray(picture[..., :3]), f"bgr{bits}")


def stored_pixels(
    message: Image, layouts: Mapping[str, Layout], kind: str, max_pixels: int | None = None
) -> np.ndarray:
    """Return an Image's data as H×W or H×W×C, in this machine's byte order and without padding.

    Args:
        message: The image.
        layouts: The encodings that are wanted.
        kind: What is wanted, for people.
        max_pixels: Most pixels; None for any number.

    Raises:
        BadImage: As `to_rgb`.
    """
    layout = layouts.get(message.encoding)
    if layout is None:
        raise BadImage(
            f"encoding {shown(message.encoding)} is not supported for {kind}; supported are "
            + ", ".join(layouts)
        )
    check_pixels(message.width, message.height, max_pixels)
    _check_size(message, layout)
    stored = np.dtype(layout.dtype).newbyteorder(">" if message.is_bigendian else "<")
    row = message.width * layout.channels * stored.itemsize
    rows = np.frombuffer(message.data, np.uint8).reshape(message.height, message.step)[:, :row]
    pixels = np.ascontiguousarray(rows).view(stored).astype(layout.dtype, copy=False)
    channels = (layout.channels,) if layout.channels > 1 else ()
    return pixels.reshape(message.height, message.width, *channels)


def _check_size(message: Image, layout: Layout) -> None:
    height, width, step, length = message.height, message.width, message.step, len(message.data)
    row = width * layout.channels * np.dtype(layout.dtype).itemsize
    if not height or not width:
        raise BadImage(f"the image is {width}×{height} px: it has no pixel")
    if layout.name.startswith("yuv422") and width % 2:
        raise BadImage(
            f"the image is {width} px wide, but in {message.encoding} pixels come in pairs"
        )
    if step < row:
        raise BadImage(
            f"step is {step} bytes, but a row of {width} px in {message.encoding} takes {row}"
        )
    if step * height != length:
        raise BadImage(f"step {step} × height {height} is not the data's length, {length} bytes")


def is_given(image: Image) -> bool:
    """Return whether the image of a request was filled in."""
    return bool(image.encoding or image.width or image.height or image.data)


def to_message(pixels: np.ndarray, header: Header) -> Image:
    """Return an array as a message, in this machine's byte order.

    Args:
        pixels: uint8 H×W×3 RGB (rgb8), uint8 H×W (mono8) or uint16 H×W (mono16).
        header: The message's header.
    """
    encoding = f"mono{8 * pixels.itemsize}" if pixels.ndim == 2 else "rgb8"
    return encoded_message(pixels, encoding, header)


def encoded_message(pixels: np.ndarray, encoding: str, header: Header) -> Image:
    """Return an array H×W or H×W×C as a message of the encoding named."""
    data = flat_array("B", pixels)
    return Image(
        header=header,
        height=pixels.shape[0],
        width=pixels.shape[1],
        encoding=encoding,
        is_bigendian=sys.byteorder == "big",
        step=len(data) // max(pixels.shape[0], 1),
        data=data,
    )
