"""Photographs that features are read off, or that are asked about: their names and sources.

The pictures themselves are others' and not kept here. Those of scikit-image and scikit-learn are in
their wheels; the others are in the public repositories that the .json files name.
"""
