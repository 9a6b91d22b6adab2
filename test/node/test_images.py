import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays
from sensor_msgs.msg import Image
from std_msgs.msg import Header

from textregion_ros.node.images import CHANNELS, to_message, to_rgb
from textregion_ros.regions import BadImage

# What each encoding's channels are, of red, green, blue, alpha.
ORDER = {
    "rgb8": [0, 1, 2],
    "bgr8": [2, 1, 0],
    "rgba8": [0, 1, 2, 3],
    "bgra8": [2, 1, 0, 3],
}
SIZES = st.tuples(st.integers(1, 9), st.integers(1, 9))
PICTURES = SIZES.flatmap(lambda size: arrays.arrays(np.uint8, (*size, 4)))


def message_of(pixels, encoding, padding=0):
    """An Image of uint8 H×W×C pixels whose rows end in `padding` bytes of 77."""
    height, width, channels = pixels.shape
    rows = np.full((height, width * channels + padding), 77, np.uint8)
    rows[:, : width * channels] = pixels.reshape(height, -1)
    return Image(
        height=height, width=width, encoding=encoding, step=rows.shape[1], data=rows.tobytes()
    )


@pytest.mark.parametrize("encoding", ORDER)
@given(picture=PICTURES, padding=st.integers(0, 5))
def test_colour_of_any_encoding_and_step_is_read(encoding, picture, padding):
    message = message_of(picture[..., ORDER[encoding]], encoding, padding)
    rgb = to_rgb(message)
    assert rgb.dtype == np.uint8
    np.testing.assert_array_equal(rgb, picture[..., :3])


@given(picture=PICTURES, padding=st.integers(0, 5))
def test_mono_is_read_as_grey(picture, padding):
    rgb = to_rgb(message_of(picture[..., :1], "mono8", padding))
    np.testing.assert_array_equal(rgb, picture[..., [0, 0, 0]])


def test_rgb_is_not_copied():
    message = message_of(np.zeros((2, 3, 3), np.uint8), "rgb8")
    rgb = to_rgb(message)
    message.data[0] = 9
    assert rgb[0, 0, 0] == 9


@pytest.mark.parametrize("encoding", ["", "RGB8", "yuv422", "16UC1", "bayer_rggb8", "rgb16"])
def test_another_encoding_is_refused_by_name(encoding):
    message = message_of(np.zeros((2, 3, 3), np.uint8), encoding)
    with pytest.raises(BadImage, match=f'"{encoding}" is not supported'):
        to_rgb(message)


@pytest.mark.parametrize("encoding", CHANNELS)
@given(size=st.sampled_from([(0, 4), (4, 0), (0, 0)]))
def test_no_pixels_are_refused(encoding, size):
    message = Image(height=size[0], width=size[1], encoding=encoding, step=4 * CHANNELS[encoding])
    with pytest.raises(BadImage, match="no pixel"):
        to_rgb(message)


@given(picture=PICTURES, change=st.integers(-4, 4).filter(bool))
def test_step_and_data_that_disagree_are_refused(picture, change):
    message = message_of(picture, "rgba8", padding=4)
    message.step += change
    with pytest.raises(BadImage, match="is not the data's length"):
        to_rgb(message)


def test_a_step_too_short_for_a_row_is_refused():
    message = message_of(np.zeros((2, 4, 3), np.uint8), "rgb8")
    message.step, message.data = 11, bytes(22)
    with pytest.raises(BadImage, match="a row of 4 px in rgb8 takes 12"):
        to_rgb(message)


@given(picture=PICTURES)
def test_a_picture_comes_back_from_its_message(picture):
    header = Header(frame_id="camera")
    message = to_message(picture[..., :3], header)
    assert (message.encoding, message.step) == ("rgb8", 3 * picture.shape[1])
    assert message.header == header
    np.testing.assert_array_equal(to_rgb(message), picture[..., :3])


@given(picture=PICTURES)
def test_a_mask_becomes_a_mono_message(picture):
    mask = picture[..., 0]
    message = to_message(mask, Header())
    assert (message.encoding, message.step) == ("mono8", mask.shape[1])
    assert bytes(message.data) == mask.tobytes()
