"""sensor_msgs/Image and numpy arrays, both ways; the only place that knows encodings."""

from __future__ import annotations

from array import array

import cv2
import numpy as np
from sensor_msgs.msg import Image
from std_msgs.msg import Header

from textregion_ros.regions.errors import BadImage

CHANNELS = {"rgb8": 3, "bgr8": 3, "rgba8": 4, "bgra8": 4, "mono8": 1}
TO_RGB = {
    "bgr8": cv2.COLOR_BGR2RGB,
    "rgba8": cv2.COLOR_RGBA2RGB,
    "bgra8": cv2.COLOR_BGRA2RGB,
    "mono8": cv2.COLOR_GRAY2RGB,
}


def to_rgb(message: Image) -> np.ndarray:
    """Return an image message as RGB uint8 H×W×3, px of the camera.

    Takes rgb8, bgr8, rgba8, bgra8 and mono8 with any `step` that holds a row. An rgb8 image comes
    back as a view of the message's data. Raises BadImage for every other encoding and where size,
    step and data contradict each other.
    """
    pixels = _pixels(message)
    if message.encoding == "rgb8":
        return pixels
    return cv2.cvtColor(pixels, TO_RGB[message.encoding])


def _pixels(message: Image) -> np.ndarray:
    """View the data as H×W×C, leaving out what pads the rows."""
    channels = CHANNELS.get(message.encoding)
    if channels is None:
        known = ", ".join(CHANNELS)
        raise BadImage(f'encoding "{message.encoding}" is not supported; supported are {known}')
    height, width, step, length = message.height, message.width, message.step, len(message.data)
    if not height or not width:
        raise BadImage(f"the image is {width}×{height} px: it has no pixel")
    if step < width * channels:
        raise BadImage(
            f"step is {step} bytes, but a row of {width} px in {message.encoding} takes "
            f"{width * channels}"
        )
    if step * height != length:
        raise BadImage(f"step {step} × height {height} is not the data's length, {length} bytes")
    shape, strides = (height, width, channels), (step, channels, 1)
    return np.ndarray(shape, np.uint8, buffer=message.data, strides=strides)


def to_message(pixels: np.ndarray, header: Header) -> Image:
    """Return uint8 H×W as a mono8 message, or H×W×3 RGB as an rgb8 one, with the header given."""
    data = array("B")
    data.frombytes(np.ascontiguousarray(pixels).data.cast("B"))
    return Image(
        header=header,
        height=pixels.shape[0],
        width=pixels.shape[1],
        encoding="mono8" if pixels.ndim == 2 else "rgb8",
        step=len(data) // pixels.shape[0],
        data=data,
    )
