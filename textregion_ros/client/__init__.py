"""The client of robot programs. It needs the messages and numpy, and no network of the method."""

from textregion_ros.client.client import FindOptions, TextRegionClient
from textregion_ros.core.camera import Intrinsics
from textregion_ros.core.errors import (
    BadImage,
    BadQuery,
    BadRequest,
    BadText,
    Busy,
    NodeError,
    NoImage,
    NotReady,
    QueryFailed,
    Stale,
    Timeout,
    Unavailable,
)
from textregion_ros.core.query import Query, StandingQueries
from textregion_ros.core.results import Answer, Embedding, Grounding, ImageHeader, Pose, Region
from textregion_ros.node.conversions.replies import to_answer, to_standing_queries

__all__ = [
    "Answer",
    "BadImage",
    "BadQuery",
    "BadRequest",
    "BadText",
    "Busy",
    "Embedding",
    "FindOptions",
    "Grounding",
    "ImageHeader",
    "Intrinsics",
    "NoImage",
    "NodeError",
    "NotReady",
    "Pose",
    "Query",
    "QueryFailed",
    "Region",
    "Stale",
    "StandingQueries",
    "TextRegionClient",
    "Timeout",
    "Unavailable",
    "to_answer",
    "to_standing_queries",
]
