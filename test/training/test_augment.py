import numpy as np
import pytest

from training import augment, data, drawn

SIDE = 96


@pytest.fixture
def scenes():
    """One scene: a table with a bright object on it, and the room above."""
    regions = np.full((1, 60, 80), data.FIRST_OBJECT - 1, np.uint8)
    regions[0, :10] = 0
    regions[0, 20:40, 30:60] = data.FIRST_OBJECT
    colour = np.stack([40 + 80 * regions] * 3, -1).astype(np.uint8)
    return [data.PackedScenes(colour, regions, [[]])]


def test_a_seed_gives_one_picture(scenes):
    first, again, other = (
        augment.draw(scenes, SIDE, np.random.default_rng(seed)) for seed in (3, 3, 4)
    )
    assert np.array_equal(first.colour, again.colour)
    assert np.array_equal(first.regions, again.regions)
    assert not np.array_equal(first.colour, other.colour)


def test_pictures_are_of_one_scene_or_of_several_and_number_objects_apart(scenes):
    rng = np.random.default_rng(0)
    pictures = [augment.draw(scenes, SIDE, rng) for _ in range(40)]
    assert {p.colour.shape for p in pictures} == {(SIDE, SIDE, 3)}
    assert {p.regions.shape for p in pictures} == {(SIDE // 2, SIDE // 2)}
    assert {x.dtype.name for p in pictures for x in (p.colour, p.regions)} == {"uint8"}
    assert {p.whole for p in pictures} == {True, False}
    several = [int(p.regions.max()) for p in pictures if not p.whole]
    assert max(several) > data.FIRST_OBJECT


def test_new_surfaces_stay_within_their_regions(scenes):
    colour, regions = scenes[0].colour[0], scenes[0].regions[0]
    for seed in range(20):
        new = augment.retexture(colour, regions, np.random.default_rng(seed))
        for region in np.unique(regions):
            changed = (new != colour).any(-1)[regions == region]
            assert changed.mean() == 0 or changed.mean() > 0.5


def test_motion_keeps_the_light_and_spreads_a_point_along_a_line():
    image = np.zeros((21, 21, 3), np.uint8)
    image[10, 10] = 220
    moved = augment.move(image, 8, 0.0).astype(int)
    assert (moved[10].sum(1) > 0).sum() == 9
    assert moved.sum() == moved[10].sum() == pytest.approx(660, rel=0.1)


def test_drawn_shapes_lie_where_their_regions_say():
    def plain(size, rng):
        return np.zeros((size[1], size[0], 3), np.float32) + rng.uniform(60, 200)

    seen = set()
    for seed in range(10):
        colour, regions = drawn.draw(SIDE, np.random.default_rng(seed), plain)
        again, _ = drawn.draw(SIDE, np.random.default_rng(seed), plain)
        assert np.array_equal(colour, again)
        assert colour.shape == (SIDE, SIDE, 3)
        assert regions.shape == (SIDE // 2, SIDE // 2)
        assert (regions == data.FIRST_OBJECT - 1).any()
        seen |= set(np.unique(regions))
    assert max(seen) > data.FIRST_OBJECT + 5
