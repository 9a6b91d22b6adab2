"""Runs the real node with a model that knows coloured blocks and needs no weights.

It finds what is of one of its colours, splits it into connected blobs and answers "red block".
Two texts are for tests of trouble: "break" makes it raise, "slow block" makes it take its time.
In the environment, ENCODE_SECONDS, LOAD_SECONDS and EMBED_SECONDS are how long a frame, the loading
and each text take.
"""

import os
import time
from dataclasses import replace

import numpy as np
from scipy import ndimage

from textregion_ros.core.boxes import mask_box, union_box
from textregion_ros.core.errors import BadText
from textregion_ros.core.results import Grounding, Region
from textregion_ros.core.scene import EncodedFrame, Observation, Scene
from textregion_ros.node.node import TextRegionNode
from textregion_ros.node.running import run

COLOURS = {
    "red": (200, 30, 30),
    "green": (30, 200, 30),
    "blue": (30, 30, 200),
    "yellow": (200, 200, 30),
}
LONGEST_TEXT = 64
ENCODE_SECONDS = float(os.environ.get("ENCODE_SECONDS", "0"))
LOAD_SECONDS = float(os.environ.get("LOAD_SECONDS", "0"))
EMBED_SECONDS = float(os.environ.get("EMBED_SECONDS", "0"))


class Unfinished:
    """The picture that an incomplete frame is of."""

    def __init__(self, rgb):
        self.rgb, self.nbytes, self.device_nbytes = rgb, rgb.nbytes, 0


class ColourModel:
    """Finds blobs of pixels that are within 40 of a colour in every channel."""

    identity = "colours"

    def __init__(self, settings):
        if settings.profile != "demo":
            raise ValueError(f"there is no profile {settings.profile}")
        time.sleep(LOAD_SECONDS)

    def compile(self, image_size):
        return None if image_size == (1, 1) else float(image_size[0])

    def embed(self, texts, between=None):
        for text in texts:
            if len(text) > LONGEST_TEXT:
                raise BadText(f"the text is longer than {LONGEST_TEXT}")
        for _ in texts if EMBED_SECONDS else ():
            time.sleep(EMBED_SECONDS)
            between()
        colours = list(COLOURS)
        vectors = np.zeros((len(texts), len(colours)), np.float32)
        for vector, text in zip(vectors, texts, strict=True):
            colour = text.partition(" ")[0]
            vector[colours.index(colour) if colour in colours else 0] = 1.0
        return vectors

    def encode(self, rgb):
        return self.scene(rgb, COLOURS)

    def encode_for(self, rgb, texts, negatives=()):
        scene = self.scene(rgb, {text.partition(" ")[0] for text in texts})
        return Scene(scene.observation, replace(scene.encoded, rest=Unfinished(rgb)))

    def complete(self, scene):
        return self.scene(scene.encoded.rest.rgb, COLOURS)

    def scene(self, rgb, colours):
        time.sleep(ENCODE_SECONDS)
        masks, tokens = [], []
        for index, (name, colour) in enumerate(COLOURS.items()):
            if name not in colours:
                continue
            near = (np.abs(rgb.astype(int) - colour) < 40).all(axis=2)
            labels, count = ndimage.label(near)
            masks += [labels == blob for blob in range(1, count + 1)]
            tokens += [np.eye(len(COLOURS), dtype=np.float32)[index]] * count
        encoded = EncodedFrame(
            image_size=rgb.shape[:2],
            # Whole numbers away from 0, so that a pixel is in or out.
            masks=np.array(masks, dtype=np.float16).reshape(-1, *rgb.shape[:2]) * 2 - 1,
            boxes=np.array([mask_box(mask) for mask in masks], dtype=np.int32).reshape(-1, 4),
            tokens=np.array(tokens, dtype=np.float32).reshape(-1, len(COLOURS)),
            overlaps=np.eye(len(masks), dtype=np.float32),
            stage_ms={"look": 1.5},
            encoder=self.identity,
        )
        return Scene(Observation(rgb), encoded)

    def ground(self, scene, texts, negatives=(), threshold=None, top_k=1, language=True):
        threshold = 0.5 if threshold is None else threshold
        return [self.find(scene, text, negatives, threshold, top_k) for text in texts]

    def find(self, scene, text, negatives, threshold, top_k):
        if text == "break":
            raise RuntimeError("the model broke")
        colour, _, thing = text.partition(" ")
        if colour == "slow":
            time.sleep(1.0)
        regions = []
        if thing == "block" and colour in COLOURS and text not in negatives:
            frame = scene.encoded
            of_colour = frame.tokens[:, list(COLOURS).index(colour)] == 1.0
            largest_first = np.argsort(-frame.boxes[:, 2:].prod(axis=1))
            regions = [
                region_of(scene, index)
                for index in largest_first[of_colour[largest_first]].tolist()
            ]
        score = 0.9 if regions else 0.1
        found = tuple(regions[: top_k or None]) if score >= threshold else ()
        box = union_box([region.box for region in found])
        image = scene.observation.header
        return Grounding(text, bool(found), score, found, box, image=image)


def region_of(scene, index):
    shape = scene.shape(index)
    pose = None if shape is None else shape.pose
    return Region(index, scene.box(index), scene.crop(index), scene.image_size, 0.9, 0.8, pose)


if __name__ == "__main__":
    run(lambda: TextRegionNode(ColourModel))
