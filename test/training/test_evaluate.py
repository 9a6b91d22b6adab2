import numpy as np

from textregion_ros.core.results import Grounding, Region
from textregion_ros.core.scene import EncodedFrame, Observation, Scene
from training.evaluate import PAIRS, LabelledScene, evaluate

TRUTH = np.zeros((8, 8), np.uint8)
TRUTH[2:6, 2:6] = 3
OBJECTS = [
    {"id": 3, "colour": "red", "category": "mug", "visible": 1.0},
    {"id": 4, "colour": "blue", "category": "can", "visible": 0.2},
]
SCENE = LabelledScene(0, np.zeros((8, 8, 3), np.uint8), TRUTH, OBJECTS)


class Knowing:
    """Answers every text with the mug's mask, and keeps what it was asked."""

    def __init__(self):
        self.asked = []

    def encode(self, rgb):
        self.asked.append([])
        none = np.zeros((0, 4))
        return Scene(Observation(rgb), EncodedFrame(rgb.shape[:2], none, none, none, none))

    def ground(self, scene, texts, threshold, top_k):
        self.asked[-1] += texts
        region = Region(0, (2, 2, 4, 4), np.ones((4, 4), bool), (8, 8), 0.9, 0.1)
        scores = [0.9 if text == "a red mug" else 0.1 for text in texts]
        return [
            Grounding(text, True, score, (region,), region.box)
            for text, score in zip(texts, scores, strict=True)
        ]


def test_every_pair_is_asked_for():
    model = Knowing()
    result = evaluate(model, [SCENE])
    assert model.asked == [[f"a {colour} {category}" for colour, category in PAIRS]]
    assert (result.accuracy(), result.auroc()) == (1.0, 1.0)
    assert (len(result.present), len(result.absent)) == (1, len(PAIRS) - 2)


def test_of_absent_pairs_so_many_as_wanted_always_the_same():
    model = Knowing()
    first, again = (evaluate(model, [SCENE], absent=5) for _ in range(2))
    assert model.asked[0] == model.asked[1]
    assert len(set(model.asked[0])) == 7
    assert {"a red mug", "a blue can"} <= set(model.asked[0])
    assert (len(first.present), len(first.absent)) == (1, 5)
    assert again.accuracy() == first.accuracy() == 1.0
