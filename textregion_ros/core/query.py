"""What is asked of a scene."""

from __future__ import annotations

import math
from dataclasses import dataclass

from textregion_ros.core.errors import BadQuery, BadText


@dataclass(frozen=True)
class Query:
    """Texts to find, and what counts as found.

    Attributes:
        texts: What to look for, such as "red mug".
        negatives: What each text must beat, besides the profile's own negatives.
        threshold: Least score that is found, 0..1; 0 always gives the best region. None leaves it
            to the node's parameter, or else to the profile.
        top_k: Most regions for each text; 0 for all at or above the threshold. None leaves it to
            the node's parameter.
    """

    texts: tuple[str, ...]
    negatives: tuple[str, ...] = ()
    threshold: float | None = None
    top_k: int | None = None

    def check(self) -> None:
        """Check what can be checked without a model.

        Raises:
            BadText: There is no text, or a text or a negative is blank.
            BadQuery: The threshold is not within 0..1, or `top_k` is negative.
        """
        if not self.texts:
            raise BadText("texts is empty: name what to look for")
        self.check_options()

    def check_options(self) -> None:
        """Check all but that there is a text.

        Raises:
            BadText: A text or a negative is blank.
            BadQuery: The threshold is not within 0..1, or `top_k` is negative.
        """
        for name, texts in (("text", self.texts), ("negative", self.negatives)):
            for number, text in enumerate(texts, 1):
                if not text.strip():
                    raise BadText(f"{name} {number} is blank")
        threshold = self.threshold
        if threshold is not None and not (math.isfinite(threshold) and 0.0 <= threshold <= 1.0):
            raise BadQuery(f"threshold is {threshold:g} and must be within 0..1")
        if self.top_k is not None and self.top_k < 0:
            raise BadQuery(f"top_k is {self.top_k} and must be 0 (all) or more")


@dataclass(frozen=True)
class StandingQueries:
    """The queries that a node answers in every image.

    Attributes:
        revision: Counts their changes, from 1.
        query: What is looked for; without texts, nothing is.
    """

    revision: int
    query: Query
