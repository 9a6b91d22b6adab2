"""Runs the real node with a model that knows coloured blocks and needs no weights.

It finds what is of one of its colours, splits it into connected blobs and answers "red block".
Two texts are for tests of trouble: "break" makes it raise, "slow block" makes it take its time.
ENCODE_SECONDS and LOAD_SECONDS in the environment are how long a frame and the loading take.
"""

import os
import time
from dataclasses import replace

import numpy as np
import rclpy
from scipy import ndimage

from textregion_ros.node.node import TextRegionNode, spin
from textregion_ros.regions import BadText, EncodedFrame, Grounding, Region

COLOURS = {
    "red": (200, 30, 30),
    "green": (30, 200, 30),
    "blue": (30, 30, 200),
    "yellow": (200, 200, 30),
}
LONGEST_TEXT = 64
ENCODE_SECONDS = float(os.environ.get("ENCODE_SECONDS", "0"))
LOAD_SECONDS = float(os.environ.get("LOAD_SECONDS", "0"))


class ColourModel:
    """Finds blobs of pixels that are within 40 of a colour in every channel."""

    def __init__(self, profile, device):
        if profile != "demo":
            raise ValueError(f"there is no profile {profile}")
        time.sleep(LOAD_SECONDS)

    def compile(self, image_size):
        return None if image_size == (1, 1) else float(image_size[0])

    def encode(self, rgb):
        return self.look(rgb, COLOURS)

    def encode_for(self, rgb, texts, negatives=()):
        colours = {text.partition(" ")[0] for text in texts}
        return replace(self.look(rgb, colours), rest=rgb)

    def complete(self, frame):
        return self.look(frame.rest, COLOURS)

    def look(self, rgb, colours):
        time.sleep(ENCODE_SECONDS)
        masks, tokens = [], []
        for index, (name, colour) in enumerate(COLOURS.items()):
            if name not in colours:
                continue
            near = (np.abs(rgb.astype(int) - colour) < 40).all(axis=2)
            labels, count = ndimage.label(near)
            masks += [labels == blob for blob in range(1, count + 1)]
            tokens += [np.eye(len(COLOURS), dtype=np.float32)[index]] * count
        return EncodedFrame(
            image_size=rgb.shape[:2],
            masks=np.array(masks, dtype=np.float16).reshape(-1, *rgb.shape[:2]),
            boxes=np.array([box_of(mask) for mask in masks], dtype=np.int32).reshape(-1, 4),
            tokens=np.array(tokens, dtype=np.float32).reshape(-1, len(COLOURS)),
            overlaps=np.eye(len(masks), dtype=np.float32),
            stage_ms={"look": 1.5},
            encoder="colours",
        )

    def ground(self, frame, texts, negatives=(), threshold=None, top_k=1):
        return [self.find(frame, text, negatives, threshold or 0.5, top_k) for text in texts]

    def find(self, frame, text, negatives, threshold, top_k):
        if text == "break":
            raise RuntimeError("the model broke")
        if len(text) > LONGEST_TEXT:
            raise BadText(f"the text is longer than {LONGEST_TEXT}")
        colour, _, thing = text.partition(" ")
        if colour == "slow":
            time.sleep(1.0)
        regions = []
        if thing == "block" and colour in COLOURS and text not in negatives:
            of_colour = frame.tokens[:, list(COLOURS).index(colour)] == 1.0
            largest_first = np.argsort(-frame.boxes[:, 2:].prod(axis=1))
            for index in largest_first[of_colour[largest_first]].tolist():
                mask = frame.masks[index] > 0
                regions.append(Region(index, tuple(frame.boxes[index].tolist()), mask, 0.9, 0.8))
        score = 0.9 if regions else 0.1
        found = tuple(regions[: top_k or None]) if score >= threshold else ()
        return Grounding(text, bool(found), score, found, union(found))


def box_of(mask):
    ys, xs = np.nonzero(mask)
    return int(xs.min()), int(ys.min()), int(np.ptp(xs)) + 1, int(np.ptp(ys)) + 1


def union(regions):
    if not regions:
        return None
    return box_of(np.logical_or.reduce([region.mask for region in regions]))


if __name__ == "__main__":
    rclpy.init()
    spin(TextRegionNode(model_factory=ColourModel))
