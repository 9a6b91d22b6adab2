"""Pictures that come compressed: their size is read, and bounded, before they are decoded."""

from __future__ import annotations

import io
from array import array

import cv2
import numpy as np

from textregion_ros.core.errors import BadImage
from textregion_ros.core.text import shown


def decode(
    data: array[int], image_format: str, flags: int, max_pixels: int | None = None
) -> np.ndarray:
    """Return what OpenCV makes of a JPEG, PNG or TIFF: H×W, or H×W×C in its order, BGR.

    Args:
        data: The bytes of the file.
        image_format: What the message says of it, for people.
        flags: Of cv2.imdecode.
        max_pixels: Most pixels; None for any number.

    Raises:
        BadImage: The bytes cannot be decoded, or hold too many pixels.
    """
    picture = None
    size = _size(data)
    if size is not None:
        check_pixels(*size, max_pixels)
        try:
            picture = cv2.imdecode(np.frombuffer(data, np.uint8), flags)
        except cv2.error:
            picture = None
    if picture is None:
        raise BadImage(
            f"the {len(data)} bytes of the compressed image (format {shown(image_format)}) "
            "cannot be decoded: they are cut short, damaged, or no JPEG, PNG or TIFF"
        )
    return picture


def check_pixels(width: int, height: int, max_pixels: int | None) -> None:
    """Check the size of a picture, px.

    Raises:
        BadImage: It has more than `max_pixels`, where these are not None.
    """
    if max_pixels is not None and width * height > max_pixels:
        raise BadImage(
            f"the image is {width}×{height} px, {width * height} in all; at most {max_pixels} are "
            "taken"
        )


def _size(data: array[int]) -> tuple[int, int] | None:
    """Return (W, H) as the file's header tells it, px; None for another kind of file."""
    from PIL import JpegImagePlugin, PngImagePlugin, TiffImagePlugin

    # Not Image.open, whose own bound warns and raises by a setting of the whole process.
    kinds = {
        b"\xff\xd8\xff": JpegImagePlugin.JpegImageFile,
        b"\x89PNG\r\n\x1a\n": PngImagePlugin.PngImageFile,
        b"II*\x00": TiffImagePlugin.TiffImageFile,
        b"MM\x00*": TiffImagePlugin.TiffImageFile,
    }
    start = bytes(data[:8])
    for signature, kind in kinds.items():
        if start.startswith(signature):
            try:
                with kind(io.BytesIO(memoryview(data))) as picture:
                    return picture.size
            except Exception:  # a damaged file makes Pillow raise nearly anything
                return None
    return None
