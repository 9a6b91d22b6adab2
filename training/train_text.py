"""Teach the text tower to put every phrase where its concept lies (training/concepts.py).

    python -m training.train_text --out runs/text

No picture is needed. Only rows of the token table that some phrase uses are trained; the others
stay zero.
"""

from __future__ import annotations

import argparse
import json
import time
from dataclasses import dataclass
from importlib.resources import files
from pathlib import Path

import open_clip
import torch
import torch.nn.functional as F
from numpy.random import Generator, default_rng
from safetensors.torch import load_file, save_file
from torch import Tensor, nn

from textregion_ros.regions.encoders.open_clip_model import make_clip
from training.concepts import phrase_vector
from training.vocabulary import CATEGORIES, COLOURS, HELD_OUT
from training.words import PATTERNS, SURFACES, THINGS, Noun, colour_words, nouns

BATCH, STEPS, RATE = 192, 2600, 2e-3
SHARPNESS = 12.0
ARTICLES = ("", "", "", "a ", "a ", "the ", "the ", "an ", "some ", "my ")
TEMPLATES = ("{}", "{}", "a {}", "the {}", "a photo of a {}.", "a photo of the {}.")
"""Those of the profile are among them; a third of the phrases wear one of OpenAI's eighty."""
HELD_OUT_INDICES = {(list(COLOURS).index(c), CATEGORIES.index(k)) for c, k in HELD_OUT}


@dataclass(frozen=True)
class Phrases:
    """All that can be said: nouns, those of the tabletop, words for colours."""

    nouns: tuple[Noun, ...]
    tabletop: tuple[Noun, ...]
    colours: tuple[tuple[str, int], ...]

    @classmethod
    def make(cls) -> Phrases:
        """From the word lists."""
        every = nouns()
        tabletop = tuple(noun for noun in every if noun.categories)
        return cls(every, tabletop, tuple(colour_words().items()))

    def draw(self, rng: Generator) -> tuple[str, Tensor]:
        """A sentence and its place; held-out pairs of colour and category are never drawn."""
        sort = rng.random()
        noun, word, colour = None, "", None
        if sort < 0.9:
            pool = self.nouns if sort < 0.4 else self.tabletop
            noun = pool[rng.integers(len(pool))]
        else:
            names = THINGS if sort < 0.965 else SURFACES
            noun = Noun(names[rng.integers(len(names))], (), ())
        if (0.3 < sort < 0.8) or (0.9 < sort < 0.95):
            word, colour = self.colours[rng.integers(len(self.colours))]
            if any((colour, category) in HELD_OUT_INDICES for category in noun.categories):
                word, colour = "", None
        if sort > 0.985:
            word, colour = self.colours[rng.integers(len(self.colours))]
            return dress(word, rng), phrase_vector(None, colour)
        pattern = PATTERNS[rng.integers(len(PATTERNS))] if word else "{n}"
        return dress(pattern.format(n=noun.name, c=word), rng), phrase_vector(noun, colour)


def dress(phrase: str, rng: Generator) -> str:
    """A phrase with an article, in a template."""
    phrase = ARTICLES[rng.integers(len(ARTICLES))] + phrase
    if rng.random() < 0.33:
        openai = open_clip.OPENAI_IMAGENET_TEMPLATES
        return openai[rng.integers(len(openai))](phrase)
    return TEMPLATES[rng.integers(len(TEMPLATES))].replace("{}", phrase)


class SmallVocabulary(nn.Module):
    """The text tower with only the rows of its token table that the phrases use."""

    def __init__(self, tower: nn.Module, context_length: int, phrases: Phrases) -> None:
        super().__init__()
        self.tokenizer = open_clip.SimpleTokenizer(context_length=context_length)
        names = [noun.name for noun in phrases.nouns] + [word for word, _ in phrases.colours]
        names += [*THINGS, *SURFACES, *PATTERNS, *ARTICLES, *TEMPLATES]
        names += [template("x") for template in open_clip.OPENAI_IMAGENET_TEMPLATES]
        # A word's tokens do not depend on its neighbours, but a comma or full stop may follow.
        self.used = self.tokenizer([f"{name}. , {name}" for name in names]).unique()
        self.rows = tower.token_embedding.num_embeddings
        table = tower.token_embedding.weight[self.used]
        tower.token_embedding = nn.Embedding.from_pretrained(table.detach(), freeze=False)
        self.tower = tower

    def forward(self, sentences: list[str]) -> Tensor:
        """Unit vectors of sentences."""
        ids = self.tokenizer(sentences)
        length = int(ids.argmax(1).max()) + 1  # the tower is causal: what follows need not be run
        # Sorted as they are, the largest is the end of text still, by which the tower finds it.
        tokens = torch.searchsorted(self.used, ids[:, :length].contiguous())
        tower = self.tower
        x = tower.token_embedding(tokens) + tower.positional_embedding[:length]
        x = tower.ln_final(tower.transformer(x, attn_mask=tower.attn_mask[:length, :length]))
        x = x[torch.arange(len(x)), ids.argmax(1)] @ tower.text_projection
        return F.normalize(x, dim=-1)

    def whole_state(self) -> dict[str, Tensor]:
        """The tower's weights with the whole token table, in half precision."""
        state = {name: value.half() for name, value in self.tower.state_dict().items()}
        table = torch.zeros(self.rows, state["token_embedding.weight"].shape[1]).half()
        table[self.used] = state["token_embedding.weight"]
        return {**state, "token_embedding.weight": table}


def loss_of(found: Tensor, wanted: Tensor) -> Tensor:
    """Distance to the place wanted, and confusion with the other places of the batch."""
    distance = (1.0 - (found * wanted).sum(1)).mean()
    likeness = SHARPNESS * found @ wanted.T
    soft = (SHARPNESS * wanted @ wanted.T).softmax(1)
    return 4.0 * distance + F.cross_entropy(likeness, soft)


def main() -> None:
    """The command line."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--steps", type=int, default=STEPS)
    parser.add_argument("--start", type=Path, help="text.safetensors to go on from")
    parser.add_argument("--rate", type=float, default=RATE)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument(
        "--config", type=Path, default=Path(str(files("textregion_ros.models.demo") / "clip.json"))
    )
    args = parser.parse_args()
    torch.manual_seed(args.seed)
    torch.set_num_threads(1)
    rng, phrases = default_rng(args.seed), Phrases.make()
    model = make_clip(json.loads(args.config.read_text()))
    if args.start:
        model.text.load_state_dict(load_file(args.start))
    tower = SmallVocabulary(model.text, model.context_length, phrases)
    optimizer = torch.optim.AdamW(
        tower.parameters(), lr=args.rate, betas=(0.9, 0.98), weight_decay=0.01
    )
    args.out.mkdir(parents=True, exist_ok=True)
    start = time.monotonic()
    with (args.out / "log.csv").open("w") as log:
        for step in range(args.steps):
            rate = args.rate * min(1, (step + 1) / 50, 1.5 * (1 - step / args.steps))
            for group in optimizer.param_groups:
                group["lr"] = rate
            sentences, places = zip(*(phrases.draw(rng) for _ in range(BATCH)), strict=True)
            wanted = torch.stack(places)
            found = tower(list(sentences))
            loss = loss_of(found, wanted)
            optimizer.zero_grad()
            loss.backward()
            nn.utils.clip_grad_norm_(tower.parameters(), 1.0)
            optimizer.step()
            if step % 20 == 0:
                cosine = (found * wanted).sum(1).mean().item()
                spent = time.monotonic() - start
                row = f"{step},{spent:.0f}s,loss={loss.item():.4f},cosine={cosine:.4f}"
                print(row, file=log, flush=True)
            if step % 50 == 49 or step + 1 == args.steps:
                save_file(tower.whole_state(), args.out / "text.safetensors")


if __name__ == "__main__":
    main()
