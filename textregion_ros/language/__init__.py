"""English phrases to readings: which thing is meant, and by what it stands. No torch, no ROS."""

from textregion_ros.language.parsing import parse, phrases, read, whole
from textregion_ros.language.reading import (
    ALL,
    Exclusion,
    NounPhrase,
    Reading,
    Relation,
    Selection,
)

__all__ = [
    "ALL",
    "Exclusion",
    "NounPhrase",
    "Reading",
    "Relation",
    "Selection",
    "parse",
    "phrases",
    "read",
    "whole",
]
