"""Texts -> unit vectors: the mean over prompt templates, cached by text."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

import numpy as np
import torch
import torch.nn.functional as F
from open_clip import OPENAI_IMAGENET_TEMPLATES
from torch import Tensor

from textregion_ros.core.errors import BadText
from textregion_ros.core.text import shown
from textregion_ros.regions.networks import TextVectors

BATCH = 320  # sentences encoded at once
MAX_CHARACTERS = 2000  # a longer text is not even counted in tokens
MAX_TEXTS = 4096  # as many as are kept

Template = Callable[[str], str]


def make_templates(templates: str | Sequence[str]) -> tuple[Template, ...]:
    """Return functions from a text to a sentence.

    Args:
        templates: Sentences with {} where the text goes, or "openai" for the 80 with which CLIP
            was evaluated on ImageNet.
    """
    if templates == "openai":
        return tuple(OPENAI_IMAGENET_TEMPLATES)
    return tuple(lambda text, t=template: t.replace("{}", text) for template in templates)


def knows_all(text: str) -> tuple[str, ...]:
    """Return no word: a model that may have met every word."""
    return ()


@dataclass(eq=False)
class TextEncoder:
    """The text vectors of one encoder; the most recently used are kept.

    Attributes:
        text_vectors: The text network.
        tokenize: Sentences -> token numbers int64 n×context.
        count_tokens: How many tokens a sentence takes, start and end included, uncut.
        context_length: Most tokens of a sentence.
        templates: Sentences around a text.
        unknown: A text -> its words that the encoder does not know. Such a text is not found.
        capacity: How many texts' vectors are kept.
    """

    text_vectors: TextVectors
    tokenize: Callable[[list[str]], Tensor]
    count_tokens: Callable[[str], int]
    context_length: int
    templates: tuple[Template, ...]
    unknown: Callable[[str], tuple[str, ...]] = knows_all
    capacity: int = MAX_TEXTS
    _cache: OrderedDict[str, np.ndarray] = field(default_factory=OrderedDict, repr=False)

    def check(self, texts: Sequence[str], truncate: bool = False) -> list[str]:
        """Check texts before anything is done with them.

        Args:
            texts: What to check.
            truncate: Whether the tokenizer may cut a text that takes too many tokens.

        Returns:
            The texts, without white space around them.

        Raises:
            BadText: There is none or too many of them, one is blank, or one is too long.
        """
        if isinstance(texts, str):
            raise BadText("texts must be a list of strings, not one string")
        if not len(texts):
            raise BadText("no text was given")
        if len(texts) > MAX_TEXTS:
            raise BadText(f"{len(texts)} texts are too many: at most {MAX_TEXTS} at once")
        return [self._check_one(text, truncate) for text in texts]

    def _check_one(self, text: str, truncate: bool) -> str:
        if not isinstance(text, str) or not text.strip():
            raise BadText(f"a text is blank: {text!r}")
        text = text.strip()
        if len(text) > MAX_CHARACTERS:
            raise BadText(
                f"the text {shown(text)} is too long: it has {len(text)} characters, "
                f"and may have {MAX_CHARACTERS}"
            )
        if truncate or text in self._cache:
            return text
        longest = self.count_tokens(text)
        if longest <= self.context_length:
            longest = max(self.count_tokens(template(text)) for template in self.templates)
        if longest > self.context_length:
            raise BadText(
                f"the text {shown(text)} is too long: in its prompts it takes {longest} tokens, "
                f"and the encoder takes {self.context_length}"
            )
        return text

    def __call__(
        self,
        texts: Sequence[str],
        truncate: bool = False,
        between: Callable[[], object] | None = None,
    ) -> np.ndarray:
        """Return a unit vector for each text: the normalised mean of its sentences' unit vectors.

        Args:
            texts: What to encode.
            truncate: Whether the tokenizer may cut a text that takes too many tokens.
            between: Called between two batches. It may raise to give up; what was encoded by
                then is kept.

        Returns:
            float32 Q×D.

        Raises:
            BadText: As `check` does, before anything is encoded.
        """
        texts = self.check(texts, truncate)
        vectors = {text: self._cache[text] for text in texts if text in self._cache}
        missing = [text for text in dict.fromkeys(texts) if text not in vectors]
        batch = max(1, BATCH // len(self.templates))
        for start in range(0, len(missing), batch):
            if start and between is not None:
                between()
            part = missing[start : start + batch]
            vectors.update(zip(part, self._encode(part), strict=True))
            self._keep({text: vectors[text] for text in part})
        self._keep({text: vectors[text] for text in texts})
        return np.stack([vectors[text] for text in texts])

    def _encode(self, texts: list[str]) -> np.ndarray:
        sentences = [template(text) for text in texts for template in self.templates]
        with torch.inference_mode():
            vectors = F.normalize(self.text_vectors(self.tokenize(sentences)).float(), dim=-1)
            mean = vectors.unflatten(0, (len(texts), len(self.templates))).mean(1)
            return F.normalize(mean, dim=-1).cpu().numpy()

    def _keep(self, vectors: dict[str, np.ndarray]) -> None:
        for text, vector in vectors.items():
            self._cache[text] = vector
            self._cache.move_to_end(text)
        while len(self._cache) > self.capacity:
            self._cache.popitem(last=False)
