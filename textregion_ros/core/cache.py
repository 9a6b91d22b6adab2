"""Where the package keeps files between its runs."""

from __future__ import annotations

import os
from pathlib import Path


def cache_dir() -> Path:
    """Return $TEXTREGION_CACHE, or the folder textregion under the user's cache folder."""
    named = os.environ.get("TEXTREGION_CACHE")
    if named:
        return Path(named).expanduser()
    return Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "textregion"
