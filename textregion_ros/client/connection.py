"""The client's own node, and calls of services that outlive the node that they ask."""

from __future__ import annotations

import math
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from typing import Any

from rclpy.client import Client
from rclpy.executors import SingleThreadedExecutor
from rclpy.node import Node
from rclpy.task import Future

from textregion_ros.core.errors import Timeout, Unavailable

GRACE = 1.0  # s; for the node's own word that the time is up to arrive
LOOK = 0.1  # s; how often to look whether another node offers the service
UNHEARD, MOST_SENT = 3.0, 4  # s without a first reply, and how often a request goes out at most
SOON = 0.02  # s; the same, while none does
ANY = frozenset({b""})  # stands for servers that the middleware does not tell apart


class Connection:
    """A small node in the program's context, which a thread of its own spins.

    So a reply never waits for the program's executor.
    """

    def __init__(self, node: Node) -> None:
        """Make the node.

        Args:
            node: The program's node. Names of services are resolved by it.

        Raises:
            Unavailable: The node's context is shut down.
        """
        self._program = node
        self._context = node.context
        self._closed = threading.Event()
        self._heard: set[Client] = set()
        self._closing = threading.Lock()
        self._gone = False
        with self._using():
            self._node = Node(
                f"{node.get_name()}_textregion_client",
                namespace=node.get_namespace(),
                context=node.context,
                use_global_arguments=False,  # a remapped node name is not for this one
                enable_rosout=False,
                start_parameter_services=False,
            )
            self._executor = SingleThreadedExecutor(context=node.context)
            self._executor.add_node(self._node)
        self._spinning = threading.Thread(target=self._spin, daemon=True)
        self._spinning.start()

    def client(self, kind: type, name: str) -> Client:
        """Return a client of a service, by the name that the program's node would give it."""
        with self._using():
            return self._node.create_client(kind, self._program.resolve_service_name(name))

    def call(
        self,
        client: Client,
        request_for: Callable[[float], object],
        end: float,
        changes: bool = False,
    ) -> Any:
        """Ask every node that offers the service, or comes to offer it, and wait for a reply.

        A node that was killed counts as there for some 20 s, and what it is sent is lost. So the
        request goes out again as soon as another node offers the service. And a busy node may not
        know a new client yet, and then its middleware drops the reply: until a first reply has
        come, a request that changes nothing goes out again a few times.

        Args:
            client: Of the service.
            request_for: Makes the request from the time that is left, s.
            end: When the time is up, by time.monotonic.
            changes: Whether a request changes something in the node.

        Raises:
            Timeout: The node did not reply in time.
            Unavailable: No node offers the service, or the client is closed.
        """
        arrived = threading.Event()
        sent: list[Future] = []
        asked: frozenset[bytes] = frozenset()
        again = math.inf
        try:
            while not arrived.is_set():
                now = time.monotonic()
                servers = self._servers(client)
                unheard = client not in self._heard and not changes and now >= again
                if (servers - asked or (servers and unheard)) and (now < end or not sent):
                    sent.append(self._send(client, request_for(max(end - now, 1e-3)), arrived))
                    again = now + UNHEARD if len(sent) < MOST_SENT else math.inf
                asked = servers
                if now >= end + (GRACE if servers else 0.0):
                    raise _late(client, bool(servers), bool(sent))
                arrived.wait(LOOK if servers else SOON)
            self._heard.add(client)
            return next(future.result() for future in sent if future.done())
        finally:
            with suppress(Exception):  # closed meanwhile
                for future in sent:
                    client.remove_pending_request(future)

    def _send(self, client: Client, request: object, arrived: threading.Event) -> Future:
        with self._using():
            future = client.call_async(request)
            future.add_done_callback(lambda _: arrived.set())
            return future

    def _servers(self, client: Client) -> frozenset[bytes]:
        """Return the identities of those who offer the service."""
        with self._using():
            if not client.service_is_ready():
                return frozenset()
            # Where DDS carries a service, this is the topic of its replies.
            topic = f"rr{client.srv_name}Reply"
            replies = self._node.get_publishers_info_by_topic(topic, no_mangle=True)
            return frozenset(bytes(reply.endpoint_gid) for reply in replies) or ANY

    def pause(self, seconds: float) -> None:
        """Wait.

        Raises:
            Unavailable: The client is closed.
        """
        self._closed.wait(seconds)
        self.check_open()

    def check_open(self) -> None:
        """Check that the client can be used.

        Raises:
            Unavailable: It is closed, or the program's context is shut down.
        """
        if self._closed.is_set():
            raise Unavailable("the client is closed")
        if not self._context.ok():
            raise Unavailable("the program's ROS context is shut down")

    @contextmanager
    def _using(self) -> Iterator[None]:
        """Use rclpy; what it raises because the client was closed meanwhile is Unavailable."""
        self.check_open()
        try:
            yield
        except Exception:
            self.check_open()
            raise

    def _spin(self) -> None:
        try:
            self._executor.spin()
        except Exception:
            # Also rclpy's own word that the context is shut down.
            if self._context.ok() and not self._closed.is_set():
                raise

    def give_up(self) -> None:
        """Have all calls that wait raise Unavailable."""
        self._closed.set()

    def close(self) -> None:
        """Give up what waits, and leave ROS. May be called from any thread, and again."""
        self.give_up()
        with self._closing:
            if self._gone:
                return
            with suppress(Exception):  # the context may be gone
                self._executor.shutdown()
            self._spinning.join()
            with suppress(Exception):
                self._node.destroy_node()
            self._gone = True


def _late(client: Client, is_there: bool, was_asked: bool) -> Timeout | Unavailable:
    if is_there:
        return Timeout(f"{client.srv_name} did not reply in time")
    if was_asked:
        return Unavailable(f"the node that offers {client.srv_name} went away while it was asked")
    return Unavailable(f"no node offers {client.srv_name}")
