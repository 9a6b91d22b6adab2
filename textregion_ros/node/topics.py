"""The topics of the node: names, types, and what is on them."""

from __future__ import annotations

import builtins
from dataclasses import dataclass
from importlib import import_module


@dataclass(frozen=True)
class Topic:
    """A topic of the node.

    Attributes:
        name: Its name; below `~/` where the node publishes it.
        type: Its type, as package/msg/Name.
        description: What is on it.
    """

    name: str
    type: str
    description: str

    @property
    def kind(self) -> builtins.type | None:
        """The message's class; None where its package is not installed."""
        package, _, name = self.type.split("/")
        try:
            return getattr(import_module(f"{package}.msg"), name)
        except ImportError:
            return None


INPUTS = (
    Topic(
        "image",
        "sensor_msgs/msg/Image",
        "The camera's images; only the newest is kept. With `transport` at compressed: "
        "sensor_msgs/msg/CompressedImage on `image/compressed`",
    ),
    Topic(
        "depth",
        "sensor_msgs/msg/Image",
        "Depth aligned to the images: 16UC1 in millimetres, 32FC1 in metres; 0, NaN and infinity "
        "are missing. With `depth_transport` at compressedDepth: "
        "sensor_msgs/msg/CompressedImage on `depth/compressedDepth`",
    ),
    Topic(
        "camera_info",
        "sensor_msgs/msg/CameraInfo",
        "Intrinsics of the camera, stamped as the images are",
    ),
)
DETECTIONS = Topic(
    "detections",
    "vision_msgs/msg/Detection2DArray",
    "The same answers for other packages; only where vision_msgs is installed",
)
OUTPUTS = (
    Topic(
        "groundings",
        "textregion_ros/msg/GroundingArray",
        "Answers to the standing queries, one message per image",
    ),
    Topic(
        "tokens",
        "textregion_ros/msg/RegionTokens",
        "Boxes and unit vectors of all regions of an image, with the encoder's identity; needs no "
        "standing query",
    ),
    Topic(
        "label_image",
        "sensor_msgs/msg/Image",
        "mono16 of the image's size: 0 unknown, k the k-th standing query",
    ),
    Topic(
        "overlay",
        "sensor_msgs/msg/Image",
        "rgb8: the newest answer, to a single query too, drawn over its image",
    ),
    Topic(
        "markers",
        "visualization_msgs/msg/MarkerArray",
        "Boxes in space and names of what was found, in the image's frame, metres",
    ),
    Topic(
        "object_points",
        "sensor_msgs/msg/PointCloud2",
        "x, y, z (metres, in the image's frame) and rgb of what was found, and of nothing else",
    ),
    DETECTIONS,
)
NODE_OUTPUTS = (
    Topic(
        "queries",
        "textregion_ros/msg/Queries",
        "The standing queries in force; latched, so that late joiners are told too",
    ),
)
