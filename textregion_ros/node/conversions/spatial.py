"""What an answer says in space: boxes and names for RViz, and the points of what was found."""

from __future__ import annotations

import sys

import cv2
import numpy as np
from builtin_interfaces.msg import Duration
from geometry_msgs.msg import Point, Pose, Vector3
from sensor_msgs.msg import PointCloud2, PointField
from std_msgs.msg import ColorRGBA, Header
from visualization_msgs.msg import Marker, MarkerArray

from textregion_ros.core.palette import colour
from textregion_ros.core.results import Answer, Region, RegionShape
from textregion_ros.node.conversions.arrays import flat_array
from textregion_ros.node.conversions.headers import ros_header
from textregion_ros.node.conversions.messages import pose_message, scene_of, vector_message

# RViz lets go of what it shows after this time, should the node end; well above an encoding's time.
MARKER_LIFETIME = Duration(sec=10)
LABEL_HEIGHT = 0.025  # m, of a capital letter
LEAST_SIZE = 0.001  # m; RViz refuses a box without extent


def markers(answer: Answer) -> MarkerArray:
    """Return a box and a name for every region with a shape, in a namespace for each text.

    The first marker takes everything away that was shown before.
    """
    header, scene = ros_header(answer.image), scene_of(answer)
    shown = [Marker(header=header, action=Marker.DELETEALL)]
    texts: dict[str, tuple[int, tuple[Region, ...]]] = {}
    for number, grounding in enumerate(answer.groundings):
        texts.setdefault(grounding.text, (number, grounding.regions))
    for text, (number, found) in texts.items():
        for region in found:
            shape = scene.shape(region.id)
            if shape is not None:
                shown += _region_markers(header, text, region, shape, number)
    return MarkerArray(markers=shown)


def _region_markers(
    header: Header, text: str, region: Region, shape: RegionShape, number: int
) -> tuple[Marker, Marker]:
    red, green, blue = (value / 255 for value in colour(number))
    common = {"header": header, "ns": text, "action": Marker.ADD, "lifetime": MARKER_LIFETIME}
    box = Marker(
        id=2 * int(region.id),
        type=Marker.CUBE,
        pose=pose_message(shape.pose),
        scale=vector_message(np.maximum(shape.pose.size, LEAST_SIZE)),
        color=ColorRGBA(r=red, g=green, b=blue, a=0.4),
        **common,
    )
    x, _, z = shape.pose.position.tolist()
    top = float(shape.points[:, 1].min())
    label = Marker(
        id=2 * int(region.id) + 1,
        type=Marker.TEXT_VIEW_FACING,
        pose=Pose(position=Point(x=x, y=top - LABEL_HEIGHT, z=z)),
        scale=Vector3(z=LABEL_HEIGHT),
        color=ColorRGBA(r=1.0, g=1.0, b=1.0, a=1.0),
        text=f"{text} {region.score:.2f}",
        **common,
    )
    return box, label


def object_points(answer: Answer) -> PointCloud2:
    """Return the points of all regions with a shape, every pixel once, with their colours."""
    rgb = scene_of(answer).observation.rgb
    shapes = _shapes(answer)
    pixels = np.concatenate([np.zeros(0, np.int32), *(shape.pixels for shape in shapes)])
    points = np.concatenate([np.zeros((0, 3), np.float32), *(shape.points for shape in shapes)])
    order = np.arange(len(pixels), dtype=np.int32)
    # Where regions share a pixel the one written last keeps it.
    owner = np.empty(rgb.shape[0] * rgb.shape[1], np.int32)
    owner[pixels] = order
    own = owner[pixels] == order
    if not own.all():
        points, pixels = points[own], pixels[own]
    cloud = np.empty((len(points), 4), np.float32)
    cloud[:, :3] = points
    cloud[:, 3] = _packed(rgb)[pixels]
    return PointCloud2(
        header=ros_header(answer.image),
        height=1,
        width=len(cloud),
        fields=[
            PointField(name=name, offset=4 * place, datatype=PointField.FLOAT32, count=1)
            for place, name in enumerate(("x", "y", "z", "rgb"))
        ],
        is_bigendian=sys.byteorder == "big",
        point_step=16,
        row_step=16 * len(cloud),
        data=flat_array("B", cloud),
        is_dense=True,
    )


def _shapes(answer: Answer) -> list[RegionShape]:
    """Return the shapes of all regions that were found, each once."""
    scene = scene_of(answer)
    found = dict.fromkeys(region.id for one in answer.groundings for region in one.regions)
    shapes = (scene.shape(number) for number in found)
    return [shape for shape in shapes if shape is not None]


def _packed(rgb: np.ndarray) -> np.ndarray:
    """RGB uint8 H×W×3 as RViz wants colours in a cloud: the bits of 0x00RRGGBB, float32 H·W."""
    words = cv2.cvtColor(rgb, cv2.COLOR_RGB2BGRA).view("<u4").ravel().astype(np.uint32, copy=False)
    return (words & 0xFFFFFF).view(np.float32)
