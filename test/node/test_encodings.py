import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from std_msgs.msg import Header

from textregion_ros.node.encodings import Encodings, KeptFrames
from textregion_ros.node.frames import Frame
from textregion_ros.node.images import to_message
from textregion_ros.regions import EncodedFrame


def encoded(nbytes, size=(1, 1), rest=None):
    return EncodedFrame(
        image_size=size,
        masks=np.zeros((0, 1, 1), np.float16),
        boxes=np.zeros((0, 4), np.int32),
        tokens=np.zeros(nbytes // 4, np.float32),
        overlaps=np.zeros((0, 0), np.float32),
        rest=rest,
    )


class CountingModel:
    """Notes its calls. What is left out for a text is the picture itself, as bytes."""

    def __init__(self):
        self.calls = []

    def encode(self, rgb):
        self.calls.append("encode")
        return encoded(4, rgb.shape[:2])

    def encode_for(self, rgb, texts, negatives):
        self.calls.append(("encode_for", *texts, *negatives))
        return encoded(4, rgb.shape[:2], rest=rgb)

    def complete(self, frame):
        self.calls.append("complete")
        return encoded(8, frame.image_size)


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
    assert (len(model.calls), encodings.count) == (2, 2)


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


MUG = ("red mug",), ("object",)
FIRST = ("encode_for", "red mug", "object")


def test_a_new_frame_is_searched_for_the_texts_and_filled_in_when_it_is_asked_again(model):
    encodings = Encodings(KeptFrames(2, 1 << 20))
    first = encodings.about(model, frame(SCENE), *MUG)
    assert not first.regions.complete
    second = encodings.about(model, frame(SCENE), ("blue ball",), ())
    assert second.regions.complete
    assert second.ms > 0.0
    third = encodings.about(model, frame(SCENE), *MUG)
    assert (third.regions, third.ms) == (second.regions, 0.0)
    assert model.calls == [FIRST, "complete"]
    assert (encodings.count, len(encodings.kept)) == (1, 1)
    assert encodings.kept.nbytes == second.regions.nbytes


def test_who_wants_all_regions_never_gets_those_of_a_text_alone(model):
    """Standing queries and ~/tokens ask so."""
    encodings = Encodings(KeptFrames(2, 1 << 20))
    encodings.about(model, frame(SCENE), *MUG)
    assert encodings.of(model, frame(SCENE)).regions.complete
    assert encodings.of(model, frame(MOVED)).regions.complete
    assert encodings.about(model, frame(MOVED), *MUG).ms == 0.0
    assert model.calls == [FIRST, "complete", "encode"]


@pytest.mark.parametrize("most", [1, 2])
def test_a_camera_that_rests_has_what_was_left_out_filled_in_once(model, most):
    """Also where the frame itself is not kept any more."""
    encodings = Encodings(KeptFrames(most, 1 << 20), static_threshold=12.0)
    encodings.about(model, frame(SCENE), *MUG)
    encodings.of(model, frame(MOVED, "right"))
    again = encodings.of(model, frame(NOISY))
    assert (again.reused, again.regions.complete) == (True, True)
    assert again.ms > 0.0
    once_more = encodings.about(model, frame(SCENE), *MUG)
    assert (once_more.regions, once_more.ms) == (again.regions, 0.0)
    assert encodings.of(model, frame(NOISY)).ms == 0.0
    assert model.calls == [FIRST, "encode", "complete"]


def test_a_frame_that_could_not_be_filled_in_is_tried_again(model):
    encodings = Encodings(KeptFrames(2, 1 << 20))
    encodings.about(model, frame(SCENE), *MUG)
    complete, model.complete = model.complete, None
    with pytest.raises(TypeError):
        encodings.of(model, frame(SCENE))
    model.complete = complete
    assert encodings.of(model, frame(SCENE)).regions.complete
