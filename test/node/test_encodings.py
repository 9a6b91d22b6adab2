import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from std_msgs.msg import Header

from textregion_ros.node.encodings import Encodings, KeptFrames
from textregion_ros.node.frames import Frame
from textregion_ros.node.images import to_message
from textregion_ros.regions import EncodedFrame


def encoded(nbytes, size=(1, 1)):
    return EncodedFrame(
        image_size=size,
        masks=np.zeros((0, 1, 1), np.float16),
        boxes=np.zeros((0, 4), np.int32),
        tokens=np.zeros(nbytes // 4, np.float32),
        overlaps=np.zeros((0, 0), np.float32),
    )


class CountingModel:
    def __init__(self):
        self.count = 0

    def encode(self, rgb):
        self.count += 1
        return encoded(4, rgb.shape[:2])


def frame(rgb, camera="left"):
    return Frame(to_message(rgb, Header()), camera)


@given(
    puts=st.lists(st.tuples(st.binary(max_size=1), st.integers(1, 30)), max_size=20),
    most=st.integers(1, 4),
)
def test_kept_frames_stay_within_their_bounds(puts, most):
    kept = KeptFrames(most, most_bytes=80)
    for key, quads in puts:
        kept.put(key, encoded(4 * quads))
        assert len(kept) <= most
        assert kept.nbytes <= 80


def test_the_frame_used_least_recently_goes_first():
    kept = KeptFrames(2, most_bytes=1000)
    first, second, third = encoded(4), encoded(8), encoded(12)
    kept.put(b"1", first)
    kept.put(b"2", second)
    assert kept.get(b"1") is first
    kept.put(b"3", third)
    assert kept.get(b"2") is None
    assert (kept.get(b"1"), kept.get(b"3")) == (first, third)


@pytest.fixture
def model():
    return CountingModel()


SCENE = np.random.default_rng(1).integers(60, 200, (48, 64, 3)).astype(np.uint8)
NOISY = SCENE + np.random.default_rng(2).integers(0, 3, SCENE.shape).astype(np.uint8)
MOVED = np.roll(SCENE, 9, axis=1)


def test_a_camera_that_rests_has_its_regions_again(model):
    encodings = Encodings(KeptFrames(1, 1 << 20), static_threshold=12.0)
    first = encodings.of(model, frame(SCENE))
    again = encodings.of(model, frame(NOISY))
    assert not first.reused
    assert (again.reused, again.ms) == (True, 0.0)
    assert again.regions is first.regions
    moved = encodings.of(model, frame(MOVED))
    assert not moved.reused
    assert (model.count, encodings.count) == (2, 2)


def test_only_a_camera_rests_and_only_where_it_is_wanted(model):
    off, on = (Encodings(KeptFrames(1, 1 << 20), threshold) for threshold in (0.0, 12.0))
    for camera, encodings in (("left", off), (None, on)):
        encodings.of(model, frame(SCENE, camera))
        assert not encodings.of(model, frame(NOISY, camera)).reused
    on.of(model, frame(SCENE, "left"))
    assert not on.of(model, frame(NOISY, "right")).reused


def test_drift_adds_up(model):
    """Each frame is like the one before it, and not like the one that was encoded."""
    encodings = Encodings(KeptFrames(1, 1 << 20), static_threshold=12.0)
    scene = np.full((48, 64, 3), 100, np.uint8)
    reused = []
    for step in range(6):
        scene = scene.copy()
        scene[10:30, 10:30] = 100 + 5 * step
        reused.append(encodings.of(model, frame(scene)).reused)
    assert reused == [False, True, True, False, True, True]


def test_another_size_is_another_scene(model):
    encodings = Encodings(KeptFrames(1, 1 << 20), static_threshold=12.0)
    flat = np.full((960, 1280, 3), 90, np.uint8)
    encodings.of(model, frame(flat[::2, ::2]))
    assert not encodings.of(model, frame(flat)).reused
