"""What the node publishes about one camera."""

from __future__ import annotations

from rclpy.node import Node
from rclpy.publisher import Publisher

from textregion_ros.app.drawing import draw
from textregion_ros.core.results import Answer
from textregion_ros.node.conversions.headers import ros_header
from textregion_ros.node.conversions.images import to_message
from textregion_ros.node.conversions.messages import grounding_array, scene_of
from textregion_ros.node.conversions.regions import detections, label_image, region_tokens
from textregion_ros.node.conversions.spatial import markers, object_points
from textregion_ros.node.topics import OUTPUTS

# Of the answers to the standing queries, and of those to single queries too.
STANDING = ("groundings", "label_image", "detections")
SHOWN = ("overlay", "markers", "object_points")


class Outputs:
    """The publishers of one camera; a message is only made where somebody listens to it."""

    def __init__(self, node: Node, camera: str = "") -> None:
        """Make the publishers, for a camera by its name."""
        self._node = node
        prefix = f"~/{camera}/" if camera else "~/"
        self._publishers = {
            topic.name: node.create_publisher(topic.kind, prefix + topic.name, 1)
            for topic in OUTPUTS
            if topic.kind is not None
        }

    def _heard(self, name: str) -> Publisher | None:
        """Return the publisher where it has a listener."""
        publisher = self._publishers.get(name)
        return publisher if publisher and publisher.get_subscription_count() else None

    def wants_tokens(self) -> bool:
        """Return whether somebody listens to the tokens, which need no query."""
        return self._heard("tokens") is not None

    def wants_answers(self) -> bool:
        """Return whether somebody listens to what the standing queries give."""
        return any(self._heard(name) for name in STANDING) or self.is_watched()

    def is_watched(self) -> bool:
        """Return whether somebody looks at the answers, of single queries too."""
        return any(self._heard(name) for name in SHOWN)

    def publish(self, answer: Answer, revision: int) -> None:
        """Publish the answer to the standing queries of that revision."""
        if listened := self._heard("tokens"):
            listened.publish(region_tokens(answer))
        if not answer.groundings:
            return
        if listened := self._heard("groundings"):
            listened.publish(grounding_array(answer, revision))
        if listened := self._heard("label_image"):
            listened.publish(label_image(answer))
        if listened := self._heard("detections"):
            listened.publish(detections(answer))
        self.show(answer)

    def show(self, answer: Answer) -> None:
        """Publish what people look at, for the answer to a single query too."""
        if listened := self._heard("overlay"):
            picture = draw(scene_of(answer).observation.rgb, answer.groundings)
            listened.publish(to_message(picture, ros_header(answer.image)))
        if listened := self._heard("markers"):
            listened.publish(markers(answer))
        if listened := self._heard("object_points"):
            listened.publish(object_points(answer))

    def destroy(self) -> None:
        """Take the publishers away."""
        for publisher in self._publishers.values():
            self._node.destroy_publisher(publisher)
