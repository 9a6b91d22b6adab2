"""A model that knows what is in its pictures, and the scenes they are made of."""

from pathlib import Path
from types import SimpleNamespace

import cv2
import numpy as np
import torch

from textregion_ros.core.scene import EncodedFrame, Observation, Scene
from textregion_ros.regions import TextRegion

SCENES = Path(__file__).parents[1] / "data" / "scenes"
SIZE = (48, 96)  # H, W
DIM = 2048


class OneHotText:
    """Every text has a direction of its own, so that only its own regions answer it."""

    def __init__(self):
        self.known = {}

    def check(self, texts, truncate=False):
        return [text.strip() for text in texts]

    def __call__(self, texts, truncate=False):
        indices = [self.known.setdefault(text, len(self.known)) for text in self.check(texts)]
        return np.eye(DIM, dtype=np.float32)[indices]


class Oracle(TextRegion):
    """Sees in a picture the regions that it was taught; everything else is the library's own."""

    def __init__(self, profile):
        self.profile = profile
        self.encoder = SimpleNamespace(
            text=OneHotText(),
            identity="oracle",
            device=torch.device("cpu"),
            has_dense=profile.encoder.family == "clip",
            logit_scale=1.0,
            logit_bias=0.0,
        )
        self.seen = {}
        self.encoded = 0

    def teach(self, rgb, regions, elsewhere=None):
        """regions: (bool mask of SIZE, text); elsewhere: what pixels in none of them look like."""
        side = max(SIZE)
        masks = [
            cv2.resize(mask.astype(np.uint8), (side, side), interpolation=cv2.INTER_NEAREST)
            for mask, _ in regions
        ]
        dense = None if elsewhere is None else self.encoder.text([elsewhere])[None]
        self.seen[rgb.tobytes()] = EncodedFrame(
            image_size=rgb.shape[:2],
            masks=np.array(masks, np.float16).reshape(-1, side, side) * 16 - 8,
            boxes=np.zeros((len(regions), 4), np.int32),
            tokens=self.encoder.text([text for _, text in regions]).reshape(-1, DIM),
            overlaps=np.eye(len(regions), dtype=np.float32),
            encoder="oracle",
            dense=dense,
        )

    def encode(self, rgb, dense=False):
        self.encoded += 1
        frame = self.seen[rgb.tobytes()]
        assert (frame.dense is not None) or not dense
        return Scene(Observation(rgb), frame)


def scene(number):
    """A scene's picture uint8 H×W×3 and its map of objects uint8 H×W, 0 for none."""
    rgb = cv2.imread(str(SCENES / f"{number:02d}_colour.jpg"))[..., ::-1]
    objects = cv2.imread(str(SCENES / f"{number:02d}_masks.png"), cv2.IMREAD_UNCHANGED)
    small = cv2.resize(rgb, SIZE[::-1], interpolation=cv2.INTER_AREA)
    return small, cv2.resize(objects, SIZE[::-1], interpolation=cv2.INTER_NEAREST)
