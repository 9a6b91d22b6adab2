"""Results to messages; the only place that fills them."""

from __future__ import annotations

import sys
from array import array
from collections import defaultdict
from collections.abc import Mapping

import cv2
import numpy as np
import supervision as sv
from builtin_interfaces.msg import Duration
from geometry_msgs.msg import Point, Pose, Quaternion, Vector3
from sensor_msgs.msg import Image, PointCloud2, PointField, RegionOfInterest
from std_msgs.msg import ColorRGBA, Header
from visualization_msgs.msg import Marker, MarkerArray

from textregion_ros import msg, regions
from textregion_ros.geometry import RegionShape
from textregion_ros.node.answers import Answer, Question, Refusal
from textregion_ros.node.images import to_message
from textregion_ros.srv import Query

# None where vision_msgs is not installed; then there are no detections.
try:
    from vision_msgs.msg import Detection2D, Detection2DArray, ObjectHypothesisWithPose
except ImportError:
    Detection2DArray = None

# RViz lets go of what it shows after this time, should the node end; well above an encoding's time.
MARKER_LIFETIME = Duration(sec=10)
PALETTE = sv.ColorPalette.DEFAULT  # of the overlay too; made anew each time it is read
LABEL_HEIGHT = 0.025  # m, of a capital letter
LEAST_SIZE = 0.001  # m; RViz refuses a box without extent


def buffer(typecode: str, values: np.ndarray) -> array:
    """Return numbers as the flat array that rclpy takes as it is, not one by one."""
    data = array(typecode)
    data.frombytes(np.ascontiguousarray(values).reshape(-1).view(np.uint8).data)
    return data


def box_message(box: tuple[int, int, int, int] | None) -> RegionOfInterest:
    """Return x y w h, camera px, as a message; all zero for no box."""
    x, y, width, height = box or (0, 0, 0, 0)
    return RegionOfInterest(x_offset=x, y_offset=y, width=width, height=height)


def pose_message(shape: RegionShape) -> Pose:
    """Return centre and axes of a region's box, in the optical frame, m."""
    x, y, z, w = shape.orientation.tolist()
    return Pose(position=_point(shape.position), orientation=Quaternion(x=x, y=y, z=z, w=w))


def region_message(
    region: regions.Region, header: Header, shape: RegionShape | None = None
) -> msg.Region:
    """Return a region with its mask cropped to its box, 0 or 255, under the image's header."""
    x, y, width, height = region.box
    mask = region.mask[y : y + height, x : x + width].astype("uint8") * 255
    message = msg.Region(
        id=region.id,
        box=box_message(region.box),
        mask=to_message(mask, header),
        score=float(region.score),
        margin=float(region.margin),
    )
    if shape is not None:
        message.has_pose = True
        message.centroid = _point(shape.centroid)
        message.pose = pose_message(shape)
        message.size = _vector(shape.size)
    return message


def _point(values: np.ndarray) -> Point:
    x, y, z = values.tolist()
    return Point(x=x, y=y, z=z)


def _vector(values: np.ndarray) -> Vector3:
    x, y, z = values.tolist()
    return Vector3(x=x, y=y, z=z)


def grounding_message(
    grounding: regions.Grounding, header: Header, shapes: Mapping[int, RegionShape]
) -> msg.Grounding:
    """Return the answer to one text, under the image's header. shapes: by Region.id."""
    return msg.Grounding(
        text=grounding.text,
        found=bool(grounding.found),
        score=float(grounding.score),
        regions=[
            region_message(region, header, shapes.get(region.id)) for region in grounding.regions
        ],
        box=box_message(grounding.box),
    )


def grounding_messages(answer: Answer) -> list[msg.Grounding]:
    """Return the answers to all texts, in the order asked."""
    header = answer.frame.header
    return [grounding_message(found, header, answer.shapes) for found in answer.groundings]


def grounding_array(answer: Answer, revision: int) -> msg.GroundingArray:
    """Return the answer to the standing queries of that revision."""
    return msg.GroundingArray(
        header=answer.frame.header,
        revision=revision,
        groundings=grounding_messages(answer),
        reused=answer.reused,
        encode_ms=answer.encode_ms,
        query_ms=answer.query_ms,
    )


def queries_message(question: Question, revision: int) -> msg.Queries:
    """Return the standing queries in force."""
    return msg.Queries(
        revision=revision,
        texts=list(question.texts),
        negatives=list(question.negatives),
        threshold=question.threshold or 0.0,
        top_k=question.top_k,
    )


def fill_answer(response: Query.Response, answer: Answer) -> Query.Response:
    """Fill the reply to a query that was answered, found or not."""
    response.header = answer.frame.header
    response.groundings = grounding_messages(answer)
    response.reused = answer.reused
    response.encode_ms = answer.encode_ms
    response.query_ms = answer.query_ms
    response.status = Query.Response.OK
    if not any(grounding.found for grounding in answer.groundings):
        best = max(answer.groundings, key=lambda grounding: grounding.score)
        response.status = Query.Response.NOT_FOUND
        response.message = f'nothing was found; the best was "{best.text}", {best.score:.3f}'
    return response


def fill_refusal(response: Query.Response, refusal: Refusal) -> Query.Response:
    """Fill the reply to a query that got no answer."""
    response.status = refusal.status
    response.message = str(refusal)
    return response


def region_tokens(answer: Answer) -> msg.RegionTokens:
    """Return all regions of the answer's frame with their vectors."""
    found = answer.regions
    return msg.RegionTokens(
        header=answer.frame.header,
        encoder=found.encoder,
        dimension=found.tokens.shape[1],
        ids=array("I", range(len(found.tokens))),
        boxes=[box_message(box) for box in found.boxes.tolist()],
        tokens=buffer("f", found.tokens.astype(np.float32, copy=False)),
    )


def label_image(answer: Answer) -> Image:
    """Return which text each pixel answers: k for the k-th, 0 for none. The best score wins."""
    height, width = answer.frame.rgb.shape[:2]
    labels = np.zeros((height, width), np.uint16)
    found = [(r, k) for k, one in enumerate(answer.groundings, 1) for r in one.regions]
    for region, label in sorted(found, key=lambda pair: pair[0].score):
        labels[region.mask] = label
    return to_message(labels, answer.frame.header)


def markers(answer: Answer) -> MarkerArray:
    """Return a box and a name for every region with a shape, in a namespace for each text.

    The first marker takes everything away that was shown before.
    """
    header = answer.frame.header
    shown = [Marker(header=header, action=Marker.DELETEALL)]
    texts = {}
    for number, grounding in enumerate(answer.groundings):
        texts.setdefault(grounding.text, (number, grounding.regions))
    for text, (number, found) in texts.items():
        for region in found:
            shape = answer.shapes.get(region.id)
            if shape is not None:
                shown += _region_markers(header, text, region, shape, number)
    return MarkerArray(markers=shown)


def _region_markers(
    header: Header, text: str, region: regions.Region, shape: RegionShape, number: int
) -> tuple[Marker, Marker]:
    red, green, blue = (value / 255 for value in PALETTE.by_idx(number).as_rgb())
    common = {"header": header, "ns": text, "action": Marker.ADD, "lifetime": MARKER_LIFETIME}
    box = Marker(
        id=2 * int(region.id),
        type=Marker.CUBE,
        pose=pose_message(shape),
        scale=_vector(np.maximum(shape.size, LEAST_SIZE)),
        color=ColorRGBA(r=red, g=green, b=blue, a=0.4),
        **common,
    )
    x, _, z = shape.position.tolist()
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
    shapes = list(answer.shapes.values())
    pixels = np.concatenate([np.zeros(0, np.int32), *(shape.pixels for shape in shapes)])
    points = np.concatenate([np.zeros((0, 3), np.float32), *(shape.points for shape in shapes)])
    order = np.arange(len(pixels), dtype=np.int32)
    # Where regions share a pixel the one written last keeps it.
    owner = np.empty(answer.frame.rgb.shape[0] * answer.frame.rgb.shape[1], np.int32)
    owner[pixels] = order
    own = owner[pixels] == order
    if not own.all():
        points, pixels = points[own], pixels[own]
    cloud = np.empty((len(points), 4), np.float32)
    cloud[:, :3] = points
    cloud[:, 3] = _packed(answer.frame.rgb)[pixels]
    return PointCloud2(
        header=answer.frame.header,
        height=1,
        width=len(cloud),
        fields=[
            PointField(name=name, offset=4 * place, datatype=PointField.FLOAT32, count=1)
            for place, name in enumerate(("x", "y", "z", "rgb"))
        ],
        is_bigendian=sys.byteorder == "big",
        point_step=16,
        row_step=16 * len(cloud),
        data=buffer("B", cloud),
        is_dense=True,
    )


def _packed(rgb: np.ndarray) -> np.ndarray:
    """RGB uint8 H×W×3 as RViz wants colours in a cloud: the bits of 0x00RRGGBB, float32 H·W."""
    words = cv2.cvtColor(rgb, cv2.COLOR_RGB2BGRA).view("<u4").ravel().astype(np.uint32, copy=False)
    return (words & 0xFFFFFF).view(np.float32)


def detections(answer: Answer) -> Detection2DArray:
    """Return every region once, with all the texts it answers, best first. Needs vision_msgs."""
    found = defaultdict(list)
    for grounding in answer.groundings:
        for region in grounding.regions:
            found[region.id].append((region, grounding.text))
    message = Detection2DArray(header=answer.frame.header)
    for number, pairs in found.items():
        x, y, width, height = pairs[0][0].box
        one = Detection2D(header=answer.frame.header, id=str(number))
        one.bbox.center.position.x, one.bbox.center.position.y = x + width / 2, y + height / 2
        one.bbox.size_x, one.bbox.size_y = float(width), float(height)
        for region, text in sorted(pairs, key=lambda pair: -pair[0].score):
            result = ObjectHypothesisWithPose()
            result.hypothesis.class_id, result.hypothesis.score = text, float(region.score)
            if number in answer.shapes:
                result.pose.pose = pose_message(answer.shapes[number])
            one.results.append(result)
        message.detections.append(one)
    return message
