"""Results to messages; the only place that fills them."""

from __future__ import annotations

from sensor_msgs.msg import RegionOfInterest
from std_msgs.msg import Header

from textregion_ros import msg, regions
from textregion_ros.node.answers import Answer, Question, Refusal
from textregion_ros.node.images import to_message
from textregion_ros.srv import Query


def box_message(box: tuple[int, int, int, int] | None) -> RegionOfInterest:
    """Return x y w h, camera px, as a message; all zero for no box."""
    x, y, width, height = box or (0, 0, 0, 0)
    return RegionOfInterest(x_offset=x, y_offset=y, width=width, height=height)


def region_message(region: regions.Region, header: Header) -> msg.Region:
    """Return a region with its mask cropped to its box, 0 or 255, under the image's header."""
    x, y, width, height = region.box
    mask = region.mask[y : y + height, x : x + width].astype("uint8") * 255
    return msg.Region(
        id=region.id,
        box=box_message(region.box),
        mask=to_message(mask, header),
        score=float(region.score),
        margin=float(region.margin),
    )


def grounding_message(grounding: regions.Grounding, header: Header) -> msg.Grounding:
    """Return the answer to one text, under the image's header."""
    return msg.Grounding(
        text=grounding.text,
        found=bool(grounding.found),
        score=float(grounding.score),
        regions=[region_message(region, header) for region in grounding.regions],
        box=box_message(grounding.box),
    )


def grounding_array(answer: Answer, revision: int) -> msg.GroundingArray:
    """Return the answer to the standing queries of that revision."""
    header = answer.frame.header
    return msg.GroundingArray(
        header=header,
        revision=revision,
        groundings=[grounding_message(grounding, header) for grounding in answer.groundings],
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
    header = answer.frame.header
    response.header = header
    response.groundings = [grounding_message(found, header) for found in answer.groundings]
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
