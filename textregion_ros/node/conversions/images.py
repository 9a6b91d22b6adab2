"""Image messages and numpy arrays, both ways; the only place that knows encodings."""

from __future__ import annotations

import struct
import sys
from array import array
from collections.abc import Mapping
from dataclasses import dataclass

import cv2
import numpy as np
from sensor_msgs.msg import CompressedImage, Image
from std_msgs.msg import Header

from textregion_ros.regions.errors import BadImage

# Both take (pixels, from, to) and call the same OpenCV conversions.
try:
    from cv_bridge.boost import cv_bridge_boost

    convert_color = cv_bridge_boost.cvtColor2
except Exception:  # one that was built for another numpy fails in many ways
    from rosbags.image.image import convert_color


@dataclass(frozen=True)
class Layout:
    """How an encoding lies in memory, and what the colour conversion calls it."""

    dtype: str
    channels: int
    name: str


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
LEAST_MOSAIC = 3  # px; OpenCV leaves smaller Bayer images black
# Without EXIF's rotation: boxes and masks are in the pixels of the sensor.
AS_COLOUR = cv2.IMREAD_COLOR | cv2.IMREAD_ANYDEPTH | cv2.IMREAD_IGNORE_ORIENTATION
DEPTH_HEADER = struct.Struct("<iff")  # compressedDepth: format and quantisation constants


def to_rgb(message: Image | CompressedImage) -> np.ndarray:
    """Return an image message as RGB uint8 H×W×3, px of the camera.

    Takes an Image in any encoding of COLOURS, in either byte order, with any `step` that holds a
    row, and a CompressedImage of any format that OpenCV decodes (jpeg, png, …). 16-bit values are
    scaled by 255/65535. An rgb8 image without padding comes back as a view of the message's data.
    Raises BadImage for every other encoding, for data that cannot be decoded, and where size, step
    and data contradict each other.
    """
    if isinstance(message, CompressedImage):
        return _decode_colours(message)
    pixels = _pixels(message, COLOURS, "a colour image")
    return _rgb(pixels, COLOURS[message.encoding].name)


def to_depth(message: Image | CompressedImage) -> np.ndarray:
    """Return a depth message as H×W: uint16 in millimetres, or float32 in metres.

    Takes 16UC1 and mono16 (mm) and 32FC1 (m), and a CompressedImage that holds a 16-bit png or is
    in image_transport's compressedDepth format (png). What is missing stays as it came: 0 in
    millimetres; 0, NaN or infinite in metres. Raises BadImage as `to_rgb` does.
    """
    if isinstance(message, CompressedImage):
        return _decode_depth(message)
    return _pixels(message, DEPTHS, "a depth image")


def _rgb(pixels: np.ndarray, name: str) -> np.ndarray:
    """Convert H×W or H×W×C of the encoding named to RGB uint8."""
    if name == "rgb8":
        return pixels
    height, width = pixels.shape[:2]
    if name.startswith("bayer") and min(height, width) < LEAST_MOSAIC:
        raise BadImage(f"the image is {width}×{height} px, too small to be {name}")
    if pixels.dtype == np.uint8:
        return convert_color(pixels, name, "rgb8")
    wide = pixels if name == "rgb16" else convert_color(pixels, name, "rgb16")
    return cv2.convertScaleAbs(wide, alpha=255 / 65535)


def _pixels(message: Image, layouts: Mapping[str, Layout], kind: str) -> np.ndarray:
    """Return the data as H×W or H×W×C in the machine's byte order, without what pads the rows."""
    layout = layouts.get(message.encoding)
    if layout is None:
        known = ", ".join(layouts)
        raise BadImage(
            f'encoding "{message.encoding}" is not supported for {kind}; supported are {known}'
        )
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


def _decode_colours(message: CompressedImage) -> np.ndarray:
    # The format begins with the encoding before the compression: a mosaic may still be one.
    before = message.format.partition(";")[0].strip()
    mosaic = before.startswith("bayer_") and before in COLOURS
    picture = _decode(message, message.data, cv2.IMREAD_UNCHANGED if mosaic else AS_COLOUR)
    if picture.dtype not in (np.uint8, np.uint16):
        raise BadImage(f'a picture of {picture.dtype} (format "{message.format}") has no colours')
    bits = 8 * picture.itemsize
    if picture.ndim == 2:
        return _rgb(picture, before.rstrip("168") + str(bits))
    return _rgb(np.ascontiguousarray(picture[..., :3]), f"bgr{bits}")


def _decode_depth(message: CompressedImage) -> np.ndarray:
    original, _, compression = (part.strip() for part in message.format.partition(";"))
    if "compressedDepth" not in compression:
        return _millimetres(message, message.data)
    if "rvl" in compression.lower():
        raise BadImage(f'format "{message.format}" is not supported; png is')
    if len(message.data) <= DEPTH_HEADER.size:
        raise BadImage(f"the compressed depth image is cut short: {len(message.data)} bytes")
    stored = _millimetres(message, message.data[DEPTH_HEADER.size :])
    if original != "32FC1":
        return stored
    # Metres are stored as the inverse: depth = a / (value - b), 0 for missing.
    _, a, b = DEPTH_HEADER.unpack(bytes(message.data[: DEPTH_HEADER.size]))
    with np.errstate(divide="ignore"):
        metres = np.float32(a) / (stored.astype(np.float32) - np.float32(b))
    return np.where(stored == 0, np.float32(np.nan), metres)


def _millimetres(message: CompressedImage, data: array) -> np.ndarray:
    picture = _decode(message, data, cv2.IMREAD_UNCHANGED)
    if picture.dtype != np.uint16 or picture.ndim != 2:
        raise BadImage(
            f'a picture of {picture.dtype} (format "{message.format}") is no depth image'
        )
    return picture


def _decode(message: CompressedImage, data: array, flags: int) -> np.ndarray:
    """Decode to what OpenCV makes of it: H×W, or H×W×C in its order, BGR."""
    try:
        picture = cv2.imdecode(np.frombuffer(data, np.uint8), flags)
    except (cv2.error, ValueError):
        picture = None
    if picture is None:
        raise BadImage(
            f'the {len(data)} bytes of the compressed image (format "{message.format}") cannot be '
            "decoded: they are cut short, damaged, or no picture"
        )
    return picture


def to_message(pixels: np.ndarray, header: Header) -> Image:
    """Return uint8 or uint16 H×W as mono8 or mono16, or uint8 H×W×3 RGB as rgb8.

    The message has the header given and, in mono16, this machine's byte order.
    """
    data = array("B")
    data.frombytes(np.ascontiguousarray(pixels).data.cast("B"))
    return Image(
        header=header,
        height=pixels.shape[0],
        width=pixels.shape[1],
        encoding=f"mono{8 * pixels.itemsize}" if pixels.ndim == 2 else "rgb8",
        is_bigendian=sys.byteorder == "big",
        step=len(data) // pixels.shape[0],
        data=data,
    )
