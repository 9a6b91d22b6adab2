import numpy as np
import pytest

from training.evaluate import Answer, Evaluation, LabelledScene
from training.robustness import CONDITIONS, Row, tabulate


@pytest.fixture
def scene():
    rgb = np.random.default_rng(0).integers(0, 255, (48, 64, 3)).astype(np.uint8)
    masks = np.zeros((48, 64), np.uint16)
    masks[10:20, 30:50] = 2
    return LabelledScene(3, rgb, masks, [])


@pytest.mark.parametrize(
    ("condition", "size"),
    [
        ("as they are", (48, 64)),
        ("half size", (24, 32)),
        ("double size", (96, 128)),
        ("JPEG, quality 30", (48, 64)),
        ("motion blur, 9 px", (48, 64)),
    ],
)
def test_pictures_change_and_their_masks_with_them(scene, condition, size):
    changed = CONDITIONS[condition](scene)
    assert changed.rgb.shape == (*size, 3)
    assert changed.masks.shape == size
    assert np.array_equal(changed.rgb, scene.rgb) == (condition == "as they are")
    share = (changed.masks == 2).mean()
    assert share == pytest.approx((scene.masks == 2).mean())
    assert changed.rgb.flags.c_contiguous


def test_the_table_gives_each_profile_its_figures():
    def answer(category, iou, best):
        return Answer(0, "red", category, 1, 1.0, iou, best, 0.9, None)

    better = Evaluation([answer("mug", 0.9, 0.9), answer("can", 0.8, 0.8)], [0.9], [0.1], [])
    worse = Evaluation([answer("mug", 0.1, 0.9), answer("can", 0.0, 0.2)], [0.5], [0.5], [])
    page = tabulate([Row("own", "as they are", {"old": worse, "new": better})])
    assert "| own | as they are | 2 | 50.0% | 100.0% | 0.0% | 100.0% | 0.500 | 1.000 |" in page
    assert "| can | 1 | 0% | 100% | 0% | 100% |" in page
