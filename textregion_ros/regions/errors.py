"""The errors of the library: one family, each with a sentence a person can act on."""


class TextRegionError(ValueError):
    """Base of every error this library raises on purpose."""


class UnknownProfile(TextRegionError):
    """No profile of that name or path, or no SAM2 size of that name in it."""


class BadProfile(TextRegionError):
    """A profile with a wrong value, or one that contradicts the model it names."""


class CheckpointMissing(TextRegionError):
    """A weight file is not where the profile says; nothing is downloaded while loading."""


class CheckpointAltered(TextRegionError):
    """A weight file's SHA-256 differs from the one pinned or recorded for it."""


class FetchFailed(TextRegionError):
    """The hub cannot be reached, or does not give a file; says which and what to do."""


class BadImage(TextRegionError):
    """Not an H×W×3 uint8 RGB array with at least one pixel."""


class BadText(TextRegionError):
    """An empty list, a blank text, or a text longer than the tokenizer takes."""


class BadQuery(TextRegionError):
    """A threshold outside 0..1 or a negative top_k."""


class MissingExtra(TextRegionError):
    """An optional Python package that the chosen profile needs is not installed."""
