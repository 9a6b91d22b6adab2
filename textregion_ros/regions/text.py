"""Sentences -> unit text vectors: an ensemble over prompt templates, cached by sentence."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable, Sequence

import numpy as np
import torch
import torch.nn.functional as F
from open_clip import OPENAI_IMAGENET_TEMPLATES
from torch import Tensor

from textregion_ros.regions.errors import BadText

BATCH = 320  # sentences encoded at once


def openai_templates() -> tuple[Callable[[str], str], ...]:
    """The 80 prompt templates that CLIP was evaluated on ImageNet with."""
    return tuple(OPENAI_IMAGENET_TEMPLATES)


class TextEncoder:
    """Text vectors of one encoder, the most recently used ones kept."""

    def __init__(
        self,
        encode: Callable[[Tensor], Tensor],
        tokenize: Callable[[list[str]], Tensor],
        count_tokens: Callable[[str], int],
        context_length: int,
        templates: Sequence[Callable[[str], str]],
        capacity: int = 4096,
    ) -> None:
        """`encode`: int64 n×context -> n×D; `count_tokens`: with start and end, not truncated."""
        self._encode = encode
        self._tokenize = tokenize
        self._count_tokens = count_tokens
        self._context_length = context_length
        self._templates = tuple(templates)
        self._capacity = capacity
        self._cache: OrderedDict[str, np.ndarray] = OrderedDict()

    def check(self, texts: Sequence[str], truncate: bool = False) -> list[str]:
        """The texts, stripped. Raises BadText for an empty list, a blank text or a long one.

        truncate: let a long one be cut by the tokenizer.
        """
        if isinstance(texts, str):
            raise BadText("texts must be a list of strings, not one string")
        if not texts:
            raise BadText("no text was given")
        return [self._check_one(text, truncate) for text in texts]

    def _check_one(self, text: str, truncate: bool) -> str:
        if not isinstance(text, str) or not text.strip():
            raise BadText(f"a text is blank: {text!r}")
        text = text.strip()
        if truncate or text in self._cache:
            return text
        longest = max(self._count_tokens(template(text)) for template in self._templates)
        if longest > self._context_length:
            raise BadText(
                f"the text {text[:60]!r} is too long: in its prompts it takes {longest} tokens, "
                f"and the encoder takes {self._context_length}"
            )
        return text

    def __call__(self, texts: Sequence[str], truncate: bool = False) -> np.ndarray:
        """float32 Q×D unit vectors: each the normalised mean over the templates' unit vectors.

        Raises BadText as `check` does.
        """
        texts = self.check(texts, truncate)
        vectors = {text: self._cache[text] for text in texts if text in self._cache}
        missing = [text for text in dict.fromkeys(texts) if text not in vectors]
        if missing:
            vectors.update(zip(missing, self._ensembles(missing), strict=True))
        for text in texts:
            self._cache[text] = vectors[text]
            self._cache.move_to_end(text)
        while len(self._cache) > self._capacity:
            self._cache.popitem(last=False)
        return np.stack([vectors[text] for text in texts])

    def _ensembles(self, texts: list[str]) -> np.ndarray:
        sentences = [template(text) for text in texts for template in self._templates]
        parts = [
            self._encode(self._tokenize(sentences[start : start + BATCH]))
            for start in range(0, len(sentences), BATCH)
        ]
        vectors = F.normalize(torch.cat(parts).float(), dim=-1)
        mean = vectors.unflatten(0, (len(texts), len(self._templates))).mean(1)
        return F.normalize(mean, dim=-1).cpu().numpy()
