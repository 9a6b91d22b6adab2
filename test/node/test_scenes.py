import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from std_msgs.msg import Header

from textregion_ros.core.scene import EncodedFrame, Observation, Scene
from textregion_ros.node.conversions.images import to_message
from textregion_ros.node.frames import Frame, Picture
from textregion_ros.node.scenes import KeptFrames, Scenes


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
    """Notes its calls."""

    def __init__(self):
        self.calls = []

    def encode(self, rgb):
        self.calls.append("encode")
        return Scene(Observation(rgb), encoded(4, rgb.shape[:2]))

    def encode_for(self, rgb, texts, negatives):
        self.calls.append(("encode_for", *texts, *negatives))
        return Scene(Observation(rgb), encoded(4, rgb.shape[:2], rest=Rest(rgb.nbytes)))

    def complete(self, scene):
        self.calls.append("complete")
        return Scene(scene.observation, encoded(8, scene.image_size))


class Rest:
    """What is left out for a text: so many bytes, on the GPU too where `device_nbytes` says so."""

    def __init__(self, nbytes, device_nbytes=0):
        self.nbytes, self.device_nbytes = nbytes, device_nbytes


def frame(rgb, camera="left"):
    return Frame(to_message(rgb, Header()), camera)


def picture(rgb):
    return Picture(Observation(rgb))


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
    scenes = Scenes(KeptFrames(1, 1 << 20), static_threshold=12.0)
    first = scenes.of(model, frame(SCENE))
    again = scenes.of(model, frame(NOISY))
    assert not first.reused
    assert (again.reused, again.ms) == (True, 0.0)
    assert again.scene.encoded is first.scene.encoded
    moved = scenes.of(model, frame(MOVED))
    assert not moved.reused
    assert (len(model.calls), scenes.count) == (2, 2)


def test_only_a_camera_rests_and_only_where_it_is_wanted(model):
    off, on = (Scenes(KeptFrames(1, 1 << 20), threshold) for threshold in (0.0, 12.0))
    off.of(model, frame(SCENE))
    assert not off.of(model, frame(NOISY)).reused
    on.of(model, picture(SCENE))
    assert not on.of(model, picture(NOISY)).reused
    on.of(model, frame(SCENE, "left"))
    assert not on.of(model, frame(NOISY, "right")).reused


def test_drift_adds_up(model):
    """Each frame is like the one before it, and not like the one that was encoded."""
    scenes = Scenes(KeptFrames(1, 1 << 20), static_threshold=12.0)
    scene = np.full((48, 64, 3), 100, np.uint8)
    reused = []
    for step in range(6):
        scene = scene.copy()
        scene[10:30, 10:30] = 100 + 5 * step
        reused.append(scenes.of(model, frame(scene)).reused)
    assert reused == [False, True, True, False, True, True]


def test_another_size_is_another_scene(model):
    scenes = Scenes(KeptFrames(1, 1 << 20), static_threshold=12.0)
    flat = np.full((960, 1280, 3), 90, np.uint8)
    scenes.of(model, frame(flat[::2, ::2]))
    assert not scenes.of(model, frame(flat)).reused


MUG = ("red mug",), ("object",)
FIRST = ("encode_for", "red mug", "object")


def test_a_new_frame_is_searched_for_the_texts_and_filled_in_when_it_is_asked_again(model):
    scenes = Scenes(KeptFrames(2, 1 << 20))
    first = scenes.about(model, frame(SCENE), *MUG)
    assert not first.scene.encoded.complete
    second = scenes.about(model, frame(SCENE), ("blue ball",), ())
    assert second.scene.encoded.complete
    assert second.ms > 0.0
    third = scenes.about(model, frame(SCENE), *MUG)
    assert (third.scene.encoded, third.ms) == (second.scene.encoded, 0.0)
    assert model.calls == [FIRST, "complete"]
    assert (scenes.count, len(scenes.kept)) == (1, 1)
    assert scenes.kept.nbytes == second.scene.encoded.nbytes


def test_who_wants_all_regions_never_gets_those_of_a_text_alone(model):
    """Standing queries and ~/tokens ask so."""
    scenes = Scenes(KeptFrames(2, 1 << 20))
    scenes.about(model, frame(SCENE), *MUG)
    assert scenes.of(model, frame(SCENE)).scene.encoded.complete
    assert scenes.of(model, frame(MOVED)).scene.encoded.complete
    assert scenes.about(model, frame(MOVED), *MUG).ms == 0.0
    assert model.calls == [FIRST, "complete", "encode"]


def test_a_camera_that_rests_has_what_was_left_out_filled_in_once(model):
    scenes = Scenes(KeptFrames(2, 1 << 20), static_threshold=12.0)
    scenes.about(model, frame(SCENE), *MUG)
    scenes.of(model, frame(MOVED, "right"))
    again = scenes.of(model, frame(NOISY))
    assert (again.reused, again.scene.encoded.complete) == (True, True)
    assert again.ms > 0.0
    once_more = scenes.about(model, frame(SCENE), *MUG)
    assert (once_more.scene.encoded, once_more.ms) == (again.scene.encoded, 0.0)
    assert scenes.of(model, frame(NOISY)).ms == 0.0
    assert model.calls == [FIRST, "encode", "complete"]


def test_what_is_not_kept_any_more_takes_no_memory(model):
    """A resting camera's frame was held beside those that are kept, and not counted."""
    scenes = Scenes(KeptFrames(1, 1 << 20), static_threshold=12.0)
    scenes.of(model, frame(SCENE))
    scenes.of(model, frame(MOVED, "right"))
    assert not scenes.of(model, frame(NOISY)).reused
    assert model.calls == ["encode"] * 3


def test_memory_on_the_gpu_counts_and_is_told_apart():
    kept = KeptFrames(4, most_bytes=100)
    kept.put(b"1", encoded(4, rest=Rest(0, device_nbytes=90)))
    assert (kept.nbytes, kept.device_nbytes) == (4, 90)
    kept.put(b"2", encoded(8))
    assert (len(kept), kept.device_nbytes) == (1, 0)


def test_what_was_made_of_a_scene_is_there_for_the_next_query_about_it(model):
    scenes, same = Scenes(KeptFrames(2, 1 << 20)), frame(SCENE)
    assert scenes.of(model, same).scene is scenes.of(model, same).scene


def test_a_frame_that_could_not_be_filled_in_is_tried_again(model):
    scenes = Scenes(KeptFrames(2, 1 << 20))
    scenes.about(model, frame(SCENE), *MUG)
    complete, model.complete = model.complete, None
    with pytest.raises(TypeError):
        scenes.of(model, frame(SCENE))
    model.complete = complete
    assert scenes.of(model, frame(SCENE)).scene.encoded.complete
