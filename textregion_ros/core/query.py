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
        language: Whether texts such as "the mug left of the bowl" are read; else they are asked as
            they stand.
    """

    texts: tuple[str, ...]
    negatives: tuple[str, ...] = ()
    threshold: float | None = None
    top_k: int | None = None
    language: bool = True

    def check(self) -> None:
        """Check what can be checked without a model.

        Raises:
            BadText: There is no text, or a text or a negative is blank.
            BadQuery: The threshold is not within 0..1, or `top_k` is negative.
        """
        if not self.texts:
            raise BadText("texts is empty: name what to look for")
        self.check_standing()

    def check_standing(self) -> None:
        """Check as `check` does, but let texts be empty: then nothing is looked for.

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

    def completed(
        self,
        negatives: tuple[str, ...],
        threshold: float | None,
        top_k: int,
        language: bool = True,
    ) -> Query:
        """Return the query with what it leaves open.

        Args:
            negatives: To be added to its own.
            threshold: Where it has none; None leaves it to the profile.
            top_k: Where it has none.
            language: Whether texts may be read at all.
        """
        return Query(
            self.texts,
            (*self.negatives, *negatives),
            threshold if self.threshold is None else self.threshold,
            top_k if self.top_k is None else self.top_k,
            self.language and language,
        )


@dataclass(frozen=True)
class StandingQueries:
    """The queries that a node answers in every image.

    Attributes:
        revision: Counts their changes, from 1.
        query: What is looked for; without texts, nothing is.
    """

    revision: int
    query: Query
