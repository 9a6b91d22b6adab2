"""Pictures and messages as a robot publishes them, and masks read back from replies."""

from array import array

import numpy as np
from builtin_interfaces.msg import Duration, Time
from sensor_msgs.msg import CameraInfo, Image
from std_msgs.msg import Header


def picture(*blocks, size=(120, 160)):
    """Grey H×W×3 picture with blocks, each (colour, x, y, w, h)."""
    rgb = np.full((*size, 3), 128, np.uint8)
    for colour, x, y, width, height in blocks:
        rgb[y : y + height, x : x + width] = colour
    return rgb


def header(seconds=0.0, frame_id="camera"):
    stamp = Time(sec=int(seconds), nanosec=round(seconds % 1 * 1e9))
    return Header(stamp=stamp, frame_id=frame_id)


def seconds_of(stamp):
    """Seconds of a Time message."""
    return stamp.sec + stamp.nanosec / 1e9


def duration(seconds):
    return Duration(sec=int(seconds), nanosec=round(seconds % 1 * 1e9))


def depth_message(metres, seconds=0.0):
    """Depth, float m H×W, as a 32FC1 message."""
    data = array("B", metres.astype("<f4").tobytes())
    height, width = metres.shape
    fields = {"height": height, "width": width, "encoding": "32FC1", "step": 4 * width}
    return Image(header=header(seconds), data=data, **fields)


def info_message(size, seconds=0.0, focal=100.0):
    """Intrinsics of a pinhole camera whose axis goes through pixel (0, 0)."""
    k = [focal, 0.0, 0.0, 0.0, focal, 0.0, 0.0, 0.0, 1.0]
    return CameraInfo(header=header(seconds), height=size[0], width=size[1], k=k)


def mask_of(region, size):
    """The mask of a Region message as a bool array of the camera image's size."""
    box, mask = region.box, region.mask
    assert (mask.encoding, mask.height, mask.width) == ("mono8", box.height, box.width)
    full = np.zeros(size, bool)
    cropped = np.frombuffer(mask.data, np.uint8).reshape(mask.height, mask.step)[:, : mask.width]
    assert set(np.unique(cropped)) <= {0, 255}
    rows = slice(box.y_offset, box.y_offset + box.height)
    full[rows, box.x_offset : box.x_offset + box.width] = cropped == 255
    return full


def values_of(status):
    """What a diagnostic status says, by its keys."""
    return {entry.key: entry.value for entry in status.values}
