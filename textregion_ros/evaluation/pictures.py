"""Picture and label files of data sets, read with errors that name the file."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from textregion_ros.evaluation.errors import BadData


def read_rgb(path: Path) -> np.ndarray:
    """uint8 H×W×3, the pixels as stored: labels and boxes know no rotation tag. Raises BadData."""
    return np.asarray(_open(path).convert("RGB"))


def read_label(path: Path) -> np.ndarray:
    """int64 H×W of the values stored, palette indices where there is a palette. Raises BadData."""
    image = _open(path)
    values = np.asarray(image)
    if values.ndim != 2 or values.dtype.kind not in "biu":
        raise BadData(f"{path} is not a label map: it has the mode {image.mode}")
    return values.astype(np.int64)


def _open(path: Path) -> Image.Image:
    if not path.is_file():
        raise BadData(f"there is no file {path}")
    try:
        image = Image.open(path)
        image.load()
    except (OSError, SyntaxError, ValueError, Image.DecompressionBombError) as error:
        raise BadData(f"{path} cannot be read as a picture: {error}") from error
    return image


def read_json(path: Path, encodings: tuple[str, ...] = ("utf-8",)) -> Any:
    """What a JSON file holds, in the first encoding that can be. Raises BadData."""
    if not path.is_file():
        raise BadData(f"there is no file {path}")
    content = path.read_bytes()
    for encoding in encodings:
        try:
            return json.loads(content.decode(encoding))
        except UnicodeDecodeError:
            continue
        except ValueError as error:
            raise BadData(f"{path} is not JSON: {error}") from error
    raise BadData(f"{path} is not text in {' or '.join(encodings)}")
