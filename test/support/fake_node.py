"""The node's services without its models; in this process, or as a program in one of its own."""

from __future__ import annotations

import sys
import threading
from collections.abc import Callable

import numpy as np
import rclpy
from rclpy.callback_groups import ReentrantCallbackGroup
from rclpy.context import Context
from rclpy.executors import MultiThreadedExecutor
from rclpy.node import Node

from textregion_ros.core.query import StandingQueries
from textregion_ros.core.status import Status
from textregion_ros.msg import Grounding
from textregion_ros.node.conversions import messages, requests
from textregion_ros.srv import Embed, Query, SetQueries

Answering = Callable[[Query.Request, Query.Response], object]


class FakeNode:
    """Offers the services; tests look at `asked`, and put what fills a reply into `answering`."""

    def __init__(self, domain: int, name: str = "textregion") -> None:
        self.context = Context()
        rclpy.init(context=self.context, domain_id=domain)
        self.node = Node(name, context=self.context)
        self.asked: list[object] = []
        self.answering: Answering = found_all
        self.standing = 0
        group = ReentrantCallbackGroup()
        for kind, service, callback in (
            (Query, "~/query", self._on_query),
            (Embed, "~/embed", self._on_embed),
            (SetQueries, "~/set_queries", self._on_set_queries),
        ):
            self.node.create_service(kind, service, callback, callback_group=group)
        self.executor = MultiThreadedExecutor(8, context=self.context)
        self.executor.add_node(self.node)
        self.thread = threading.Thread(target=self.executor.spin, daemon=True)
        self.thread.start()

    def _on_query(self, request: Query.Request, response: Query.Response) -> Query.Response:
        self.asked.append(request)
        self.answering(request, response)
        return response

    def _on_embed(self, request: Embed.Request, response: Embed.Response) -> Embed.Response:
        self.asked.append(request)
        lengths = np.array([[len(text), 1.0] for text in request.texts], np.float32)
        return messages.fill_vectors(response, "an encoder", lengths)

    def _on_set_queries(
        self, request: SetQueries.Request, response: SetQueries.Response
    ) -> SetQueries.Response:
        self.asked.append(request)
        self.standing += 1
        response.success = "refuse" not in request.texts
        response.message = "" if response.success else "refused"
        standing = StandingQueries(self.standing, requests.query_of(request))
        response.queries = messages.queries_message(standing)
        return response

    def close(self) -> None:
        self.executor.shutdown()
        self.thread.join()
        self.node.destroy_node()
        rclpy.shutdown(context=self.context)

    def __enter__(self) -> FakeNode:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()


def found_all(request: Query.Request, response: Query.Response) -> None:
    """Every text is found, nowhere."""
    response.status = Status.OK
    response.image_height, response.image_width = 4, 6
    response.header = request.image.header
    response.groundings = [Grounding(text=text, found=True, score=0.5) for text in request.texts]


if __name__ == "__main__":
    FakeNode(int(sys.argv[1]))
    threading.Event().wait()
