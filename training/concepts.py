"""Where each phrase lies in the space that tokens and text share, fixed before any training.

The first dimensions hold ImageNet's thousand classes: the rows of the frozen trunk's own
classifier, centred, in their 256 strongest directions. The rest are axes: one for each category
and colour of the tabletop, one for things as such, and one along which every token is the same, so
that a phrase can ask for more than one of its parts: "red mug" is mug + red − a constant. So the
projection and the text tower are taught the same targets, neither waiting for the other.
"""

from __future__ import annotations

from functools import cache

import torch
import torch.nn.functional as F
from torch import Tensor

from training.trunk import read_classifier
from training.vocabulary import CATEGORIES, COLOURS
from training.words import THINGS, Noun

CLASS_DIMS, AXES = 256, 32
DIMS = CLASS_DIMS + AXES
FIRST_CATEGORY = CLASS_DIMS
FIRST_COLOUR = FIRST_CATEGORY + len(CATEGORIES)
THING = FIRST_COLOUR + len(COLOURS)
CONSTANT = THING + 1
FILLER = DIMS - 1
"""What a token lacks to unit length; no text has it."""
KIN = 0.8
"""How much ImageNet's classes of the same name weigh in a noun beside a tabletop category."""
BOTH = 0.7
"""What is taken off where a phrase names two things: with one of them alone little is left."""


@cache
def class_basis() -> Tensor:
    """256×1280: the strongest directions of the centred classifier, orthonormal rows."""
    weight, _ = read_classifier()
    return torch.linalg.svd(weight - weight.mean(0), full_matrices=False)[2][:CLASS_DIMS]


@cache
def class_directions() -> Tensor:
    """1000×256: unit vectors of ImageNet's classes."""
    weight, _ = read_classifier()
    return F.normalize((weight - weight.mean(0)) @ class_basis().T, dim=1)


def axis(index: int) -> Tensor:
    """A unit vector [DIMS] along one dimension."""
    return F.one_hot(torch.tensor(index), DIMS).float()


def noun_vector(noun: Noun) -> Tensor:
    """A unit vector [DIMS]: the mean of the noun's classes beside that of its categories."""
    vector = torch.zeros(DIMS)
    if noun.classes:
        mean = class_directions()[list(noun.classes)].mean(0)
        vector[:CLASS_DIMS] = F.normalize(mean, dim=0) * (KIN if noun.categories else 1.0)
    for category in noun.categories:
        vector[FIRST_CATEGORY + category] = len(noun.categories) ** -0.5
    if not (noun.classes or noun.categories):
        vector = axis(THING) if noun.name in THINGS else axis(CONSTANT) - axis(THING)
    return F.normalize(vector, dim=0)


def phrase_vector(noun: Noun | None, colour: int | None) -> Tensor:
    """A unit vector [DIMS] of a noun, of a colour, or of both."""
    if colour is None:
        return noun_vector(noun)
    vector = axis(FIRST_COLOUR + colour)
    if noun is not None:
        vector = vector + noun_vector(noun) - BOTH * axis(CONSTANT)
    return F.normalize(vector, dim=0)
