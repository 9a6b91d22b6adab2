"""The services of the node: requests in, replies out, and no exception out of a callback."""

from __future__ import annotations

import threading
from contextlib import suppress
from functools import partial

from rclpy.callback_groups import CallbackGroup
from rclpy.node import Node
from rclpy.qos import DurabilityPolicy, HistoryPolicy, QoSProfile, ReliabilityPolicy

from textregion_ros import msg, srv
from textregion_ros.core.errors import BadRequest, BadText, QueryFailed
from textregion_ros.core.query import Query
from textregion_ros.core.results import Answer
from textregion_ros.node import memory
from textregion_ros.node.conversions import messages, requests
from textregion_ros.node.engine import Engine
from textregion_ros.node.failures import Failures
from textregion_ros.node.frames import Freshness, Picture
from textregion_ros.node.parameters import completed, flag, limits, strings
from textregion_ros.node.pending import Pending
from textregion_ros.node.standing import StandingWork

# Requests wait here for a thread; with rclpy's own depth of 10 the surplus of a burst is lost.
REQUESTS = QoSProfile(
    depth=500, history=HistoryPolicy.KEEP_LAST, reliability=ReliabilityPolicy.RELIABLE
)
LATCHED = QoSProfile(depth=1, durability=DurabilityPolicy.TRANSIENT_LOCAL)
LARGE = 16 << 20  # bytes of masks in a reply, after which their memory is given back


class Services:
    """Answers ~/query, ~/embed and ~/set_queries, and publishes ~/queries."""

    def __init__(
        self,
        node: Node,
        engine: Engine,
        standing: StandingWork,
        failures: Failures,
        pending: Pending,
        group: CallbackGroup,
    ) -> None:
        """Serve.

        Args:
            node: The node, its parameters declared.
            engine: Answers queries.
            standing: Answers the standing ones.
            failures: Says what went wrong.
            pending: Counts the requests that are being answered.
            group: Lets several queries run at once.
        """
        self._node = node
        self._engine = engine
        self._standing = standing
        self._failures = failures
        self._pending = pending
        self._replacing = threading.Lock()
        self._large_reply = False
        self._queries = node.create_publisher(msg.Queries, "~/queries", LATCHED)
        self._begin_queries()
        serve = partial(node.create_service, qos_profile=REQUESTS, callback_group=group)
        serve(srv.Query, "~/query", self._on_query)
        serve(srv.Embed, "~/embed", self._on_embed)
        node.create_service(
            srv.SetQueries, "~/set_queries", self._on_set_queries, qos_profile=REQUESTS
        )

    # Queries

    def _on_query(
        self, request: srv.Query.Request, response: srv.Query.Response
    ) -> srv.Query.Response:
        with self._pending.one():
            try:
                found = self._ask(request)
                messages.fill_answer(response, found, masks=not request.without_masks)
            except Exception as error:
                return messages.fill_failure(response, self._failures.as_failure(error))
            self._show(request, found)
            return response

    def _ask(self, request: srv.Query.Request) -> Answer:
        allowed = limits(self._node)
        query = requests.query_of(request)
        query.check()
        allowed.check(query)
        given = requests.observation_of(request, allowed.image_pixels)
        is_new = given is not None or not self._standing.follows(request.camera)
        found = self._engine.ask(
            completed(self._node, query),
            Picture(given) if given else request.camera,
            Freshness(
                requests.nanoseconds(request.newer_than, "newer_than"),
                requests.nanoseconds(request.max_age, "max_age"),
            ),
            min(requests.seconds(request.timeout, "timeout"), allowed.timeout),
            allowed.timeout,
            guided=flag(self._node, "guided") and is_new,
        )
        if not request.without_masks:
            self._check_size(found, allowed.reply_bytes)
        return found

    def _check_size(self, found: Answer, most: int) -> None:
        regions = [region for grounding in found.groundings for region in grounding.regions]
        total = sum(region.crop.size for region in regions)
        self._large_reply |= total > LARGE
        if total > most:
            raise BadRequest(
                f"the masks of {len(regions)} regions take {total / 2**20:.0f} MiB, more than "
                "max_reply_mib: ask for fewer texts, for a smaller top_k, or without_masks"
            )

    def _show(self, request: srv.Query.Request, found: Answer) -> None:
        """Show an answer to who watches. The reply does not depend on it."""
        try:
            outputs = self._standing.outputs_of(found.image.camera or request.camera)
            if outputs is not None and outputs.is_watched():
                self._engine.work(lambda _turn: outputs.show(found))
        except Exception as error:
            self._failures.log("an answer could not be shown", error)

    def give_memory_back(self) -> None:
        """Give back what a large reply took, once it is gone."""
        if not self._large_reply or self._pending.count:
            return
        self._large_reply = False
        with suppress(Exception):  # the node has just been deactivated
            self._engine.work(lambda _turn: self._engine.trim(LARGE))
        memory.release()

    # Vectors of texts

    def _on_embed(
        self, request: srv.Embed.Request, response: srv.Embed.Response
    ) -> srv.Embed.Response:
        with self._pending.one():
            try:
                allowed, query = limits(self._node), Query(tuple(request.texts))
                query.check()
                allowed.check(query)
                found = self._engine.embed(query.texts, allowed.timeout)
                return messages.fill_vectors(response, found.encoder, found.vectors)
            except Exception as error:
                return messages.fill_failure(response, self._failures.as_failure(error))

    # Standing queries

    def _on_set_queries(
        self, request: srv.SetQueries.Request, response: srv.SetQueries.Response
    ) -> srv.SetQueries.Response:
        with self._pending.one():
            try:
                self.replace_queries(requests.query_of(request))
                response.success = True
            except Exception as error:
                response.message = str(self._failures.as_failure(error))
            response.queries = messages.queries_message(self._standing.queries)
            self._standing.tick()
            return response

    def replace_queries(self, query: Query) -> None:
        """Put other standing queries in force.

        Args:
            query: What to look for in every image; without texts, nothing.

        Raises:
            BadText, BadQuery: They can never be answered; those in force stay.
        """
        allowed = limits(self._node)
        query.check_standing()
        allowed.check(query)
        self._engine.check_texts((*query.texts, *query.negatives), allowed.timeout)
        self._put_in_force(query)

    def _put_in_force(self, query: Query) -> None:
        with self._replacing:  # so that what is published last is what is in force
            self._queries.publish(messages.queries_message(self._standing.replace(query)))

    def _begin_queries(self) -> None:
        """Put the standing queries of the parameters in force."""
        query = Query(strings(self._node, "queries"))
        try:
            limits(self._node).check(query)
        except BadText as error:
            self._node.get_logger().error(f"the parameter queries is left aside: {error}")
            query = Query(())
        self._put_in_force(query)

    def drop_bad_queries(self) -> None:
        """Drop the standing queries that the model, once it is loaded, cannot take."""
        query = self._standing.queries.query
        texts = tuple(filter(self._is_taken, query.texts))
        negatives = tuple(filter(self._is_taken, query.negatives))
        if (texts, negatives) != (query.texts, query.negatives):
            self._put_in_force(Query(texts, negatives, query.threshold, query.top_k))

    def _is_taken(self, text: str) -> bool:
        try:
            self._engine.check_texts([text], limits(self._node).timeout)
        except BadText as error:
            self._node.get_logger().error(f"a standing query is left aside: {error}")
            return False
        except QueryFailed:  # the node is being shut down
            pass
        return True
