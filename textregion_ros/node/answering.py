"""From a query about a frame to its answer, in the worker's thread."""

from __future__ import annotations

import time
from itertools import chain

from textregion_ros.core.query import Query
from textregion_ros.core.results import Answer
from textregion_ros.language import phrases
from textregion_ros.node.frames import Source
from textregion_ros.node.jobs import Turn
from textregion_ros.node.scenes import Scenes


def answer(turn: Turn, scenes: Scenes, frame: Source, query: Query, guided: bool = False) -> Answer:
    """Answer a query about a frame, and encode the frame only where it is not known.

    A query without texts is answered with the scene alone.

    Args:
        turn: The job's turn with the model.
        scenes: Makes the frame's scene.
        frame: What is asked about.
        query: What is looked for.
        guided: Whether of a new frame only the regions that the texts speak of are needed.

    Raises:
        BadImage: The frame, or depth that came with a request, cannot be used.
        BadText, BadQuery: The query cannot be answered as it stands.
        Timeout, NotReady: Nobody waits for the answer any more.
    """
    start = time.perf_counter()
    if query.texts:  # first, since it may refuse a text, and many texts take long
        turn.model.embed([*_asked(query), *query.negatives], turn.check)
    if guided and query.texts:
        found = scenes.about(turn.model, frame, query.texts, query.negatives)
    else:
        found = scenes.of(turn.model, frame)
    turn.check()
    groundings = (
        turn.model.ground(
            found.scene,
            query.texts,
            query.negatives,
            query.threshold,
            1 if query.top_k is None else query.top_k,
            query.language,
        )
        if query.texts
        else []
    )
    total = 1e3 * (time.perf_counter() - start)
    return Answer(
        image=frame.header,
        groundings=tuple(groundings),
        encode_ms=found.ms,
        query_ms=total - found.ms,
        reused=found.reused,
        fault=found.fault,
        scene=found.scene,
    )


def _asked(query: Query) -> list[str]:
    """Return what the model must know to answer, each text once."""
    if not query.language:
        return list(dict.fromkeys(query.texts))
    return list(dict.fromkeys(chain(*map(phrases, query.texts))))
