"""Every error raised on purpose, each with a sentence that a person can act on."""

from __future__ import annotations

from textregion_ros.core.status import Status


class TextRegionError(ValueError):
    """Base of every error of the library."""


class UnknownProfile(TextRegionError):
    """No profile has that name or path, or the profile has no SAM 2 of that size."""


class BadProfile(TextRegionError):
    """A profile has a wrong value, or contradicts the model that it names."""


class CheckpointMissing(TextRegionError):
    """A weight file is not where the profile says. Loading downloads nothing."""


class CheckpointAltered(TextRegionError):
    """A weight file's SHA-256 is not the one pinned or recorded for it."""


class FetchFailed(TextRegionError):
    """The hub cannot be reached or does not give a file; the text says what to do."""


class BadImage(TextRegionError):
    """An image, its depth or its intrinsics cannot be used: type, shape, encoding or size."""


class BadText(TextRegionError):
    """A list of texts is empty, or a text is blank, too long, or no text at all."""


class BadQuery(TextRegionError):
    """An argument of a query is out of range, or the scene cannot be asked in this way."""


class MissingExtra(TextRegionError):
    """The profile needs an optional Python package that is not installed."""


class QueryFailed(Exception):
    """A node's query got no answer; the text says why.

    Attributes:
        status: How the query ended; None where no node answered at all.
    """

    status: Status | None = None


class NoImage(QueryFailed):
    """No image has come from the camera yet."""

    status = Status.NO_IMAGE


class Stale(QueryFailed):
    """No image came that is newer than `newer_than` and no older than `max_age`."""

    status = Status.STALE


class BadRequest(QueryFailed):
    """The request cannot be answered as it stands."""

    status = Status.BAD_REQUEST


class NotReady(QueryFailed):
    """The node is not configured, not active, or still loads its model."""

    status = Status.NOT_READY


class Busy(QueryFailed):
    """Too many queries are waiting; ask again later."""

    status = Status.BUSY


class Timeout(QueryFailed, TimeoutError):
    """The answer was not ready within the timeout."""

    status = Status.TIMEOUT


class NodeError(QueryFailed):
    """Something failed in the node."""

    status = Status.ERROR


class Unavailable(QueryFailed):
    """No node answers to the name, it went away while it was asked, or the client is closed."""


FAILURES: dict[Status, type[QueryFailed]] = {
    failure.status: failure
    for failure in (NoImage, Stale, BadRequest, NotReady, Busy, Timeout, NodeError)
}
