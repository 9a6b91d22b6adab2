"""What an answer says in the image: labels, tokens and detections."""

from __future__ import annotations

from array import array
from collections import defaultdict

import numpy as np
from sensor_msgs.msg import Image

from textregion_ros.core.results import Answer, Region
from textregion_ros.msg import RegionTokens
from textregion_ros.node.conversions.arrays import flat_array
from textregion_ros.node.conversions.headers import ros_header
from textregion_ros.node.conversions.images import to_message
from textregion_ros.node.conversions.messages import box_message, pose_message, scene_of

# None where vision_msgs is not installed; then there are no detections.
try:
    from vision_msgs.msg import Detection2D, Detection2DArray, ObjectHypothesisWithPose
except ImportError:
    Detection2DArray = None


def region_tokens(answer: Answer) -> RegionTokens:
    """Return all regions of the answer's scene with their vectors."""
    encoded = scene_of(answer).encoded
    return RegionTokens(
        header=ros_header(answer.image),
        encoder=encoded.encoder,
        dimension=encoded.tokens.shape[1],
        ids=array("I", range(len(encoded))),
        boxes=[box_message(box) for box in encoded.boxes.tolist()],
        tokens=flat_array("f", encoded.tokens.astype(np.float32, copy=False)),
    )


def label_image(answer: Answer) -> Image:
    """Return which text each pixel answers: k for the k-th, 0 for none. The best score wins."""
    labels = np.zeros(scene_of(answer).image_size, np.uint16)
    found = [(r, k) for k, one in enumerate(answer.groundings, 1) for r in one.regions]
    for region, label in sorted(found, key=lambda pair: pair[0].score):
        x, y, width, height = region.box
        labels[y : y + height, x : x + width][region.crop] = label
    return to_message(labels, ros_header(answer.image))


def detections(answer: Answer) -> Detection2DArray:
    """Return every region once, with all the texts it answers, best first. Needs vision_msgs."""
    header = ros_header(answer.image)
    found: dict[int, list[tuple[Region, str]]] = defaultdict(list)
    for grounding in answer.groundings:
        for region in grounding.regions:
            found[region.id].append((region, grounding.text))
    message = Detection2DArray(header=header)
    for number, pairs in found.items():
        x, y, width, height = pairs[0][0].box
        one = Detection2D(header=header, id=str(number))
        one.bbox.center.position.x, one.bbox.center.position.y = x + width / 2, y + height / 2
        one.bbox.size_x, one.bbox.size_y = float(width), float(height)
        for region, text in sorted(pairs, key=lambda pair: -pair[0].score):
            result = ObjectHypothesisWithPose()
            result.hypothesis.class_id, result.hypothesis.score = text, float(region.score)
            if region.pose is not None:
                result.pose.pose = pose_message(region.pose)
            one.results.append(result)
        message.detections.append(one)
    return message
