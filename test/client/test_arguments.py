"""Fault 3: whatever a program passes, it gets an answer or an exception, and goes on."""

from fractions import Fraction

import builtin_interfaces.msg
import numpy as np
import pytest
from rclpy.clock import ClockType
from rclpy.time import Time
from sensor_msgs.msg import CameraInfo, CompressedImage, Image
from std_msgs.msg import Header

from textregion_ros.client import BadImage, BadQuery, BadText, Intrinsics
from textregion_ros.client import arguments as a
from textregion_ros.node.conversions.depth import intrinsics_of, metres_of
from textregion_ros.node.conversions.headers import nanoseconds
from textregion_ros.node.conversions.images import to_message, to_rgb

RGB = np.arange(2 * 3 * 3, dtype=np.uint8).reshape(2, 3, 3)
CAMERA = Intrinsics(100.0, 100.0, 1.5, 1.0, 3, 2)
LARGE = 10**400


@pytest.mark.parametrize("text", [None, b"red", 3, 1.5, ["red"], np.array("red"), object()])
def test_what_is_no_text_is_refused(text):
    with pytest.raises(TypeError, match=r"text is .* and must be a str"):
        a.text_of(text, "text")


@pytest.mark.parametrize("text", ["red\0mug", "\0", "\ud800"])
def test_what_a_message_would_cut_or_not_hold_is_refused(text):
    with pytest.raises(BadText, match="text ") as raised:
        a.text_of(text, "text")
    assert str(raised.value).isprintable()


def test_texts_of_numpy_are_texts():
    assert a.texts_of(np.array(["red", "blue"]), "texts") == ("red", "blue")
    assert {type(text) for text in a.texts_of(np.array(["red"]), "texts")} == {str}
    assert a.texts_of((text for text in ["red"]), "texts") == ("red",)


@pytest.mark.parametrize("texts", ["red", b"red", None, 3, {"red": 1}, object()])
def test_what_is_no_list_of_texts_is_refused(texts):
    with pytest.raises(TypeError, match=r"negatives is .* and must be a list of str"):
        a.texts_of(texts, "negatives")


@pytest.mark.parametrize("texts", [[1], ["red", None], ["red", b"blue"], [["red"]]])
def test_a_list_of_something_else_is_refused(texts):
    with pytest.raises(TypeError, match=r"negatives\[\d\] is .* and must be a str"):
        a.texts_of(texts, "negatives")


def query(threshold=None, top_k=None):
    asked = a.query_of(["red"], [], threshold, top_k)
    asked.check()
    return asked


@pytest.mark.parametrize("top_k", [1, np.int64(1), np.uint8(1), np.int32(1)])
def test_whole_numbers_are_welcome(top_k):
    found = query(top_k=top_k).top_k
    assert (found, type(found)) == (1, int)


@pytest.mark.parametrize("top_k", [1.0, np.float64(1), "1", True, np.True_, np.array(1), [1]])
def test_what_is_no_whole_number_is_refused(top_k):
    with pytest.raises(TypeError, match=r"top_k is .* and must be an int"):
        query(top_k=top_k)


@pytest.mark.parametrize("top_k", [-1, 2**31, 2**32, 10**30, np.int64(-5), np.uint64(2**63)])
def test_a_top_k_out_of_range_is_refused(top_k):
    with pytest.raises(BadQuery, match=r"top_k is .* and must be within 0\.\.2147483647"):
        query(top_k=top_k)


@pytest.mark.parametrize("threshold", [0, 0.0, 1, 0.5, np.float32(0.5), np.int8(1), Fraction(1, 3)])
def test_numbers_are_welcome(threshold):
    found = query(threshold=threshold).threshold
    assert (found, type(found)) == (float(threshold), float)


@pytest.mark.parametrize("threshold", ["0.5", True, 0.5j, np.array([0.5]), [0.5], object()])
def test_what_is_no_number_is_refused(threshold):
    with pytest.raises(TypeError, match=r"threshold is .* and must be a number"):
        query(threshold=threshold)


@pytest.mark.parametrize("threshold", [-1, -0.1, 1.1, float("nan"), float("inf"), LARGE])
def test_a_threshold_out_of_range_is_refused(threshold):
    with pytest.raises(BadQuery, match=r"threshold is .* and must be within 0\.\.1"):
        query(threshold=threshold)


@pytest.mark.parametrize("seconds", [1e-12, 0.5, 3, np.float32(0.5), 2**31 - 1])
def test_durations_are_welcome(seconds):
    assert nanoseconds(a.max_age_of(seconds)) == max(round(float(seconds) * 1e9), 1)
    assert a.timeout_of(seconds) == float(seconds)


@pytest.mark.parametrize("read", [a.max_age_of, a.timeout_of])
@pytest.mark.parametrize(
    "seconds", [0, -1, -1e-9, 1e12, 2**31, float("inf"), float("-inf"), float("nan"), LARGE]
)
def test_durations_out_of_range_are_refused(read, seconds):
    with pytest.raises(BadQuery, match="must be more than 0 and at most 2147483647"):
        read(seconds)


@pytest.mark.parametrize("read", [a.max_age_of, a.timeout_of])
@pytest.mark.parametrize("seconds", ["1", True, b"1", [1.0], builtin_interfaces.msg.Duration()])
def test_what_is_no_duration_is_refused(read, seconds):
    with pytest.raises(TypeError, match="must be a number"):
        read(seconds)


def test_only_max_age_may_be_left_open():
    assert nanoseconds(a.max_age_of(None)) == 0
    with pytest.raises(TypeError, match="timeout is None"):
        a.timeout_of(None)


@pytest.mark.parametrize(
    "stamp",
    [
        Time(seconds=12, nanoseconds=34),
        Time(seconds=12, nanoseconds=34, clock_type=ClockType.ROS_TIME),
        builtin_interfaces.msg.Time(sec=12, nanosec=34),
        12_000_000_034,
        np.int64(12_000_000_034),
    ],
)
def test_times_are_welcome(stamp):
    assert a.stamp_of(stamp) == builtin_interfaces.msg.Time(sec=12, nanosec=34)
    assert a.stamp_of(None) == builtin_interfaces.msg.Time()


@pytest.mark.parametrize("stamp", ["now", 1.5, True, Header(), builtin_interfaces.msg.Duration()])
def test_what_is_no_time_is_refused(stamp):
    with pytest.raises(TypeError, match=r"newer_than is .* and must be a Time"):
        a.stamp_of(stamp)


@pytest.mark.parametrize("stamp", [-1, 10**30, builtin_interfaces.msg.Time(sec=-1)])
def test_times_out_of_range_are_refused(stamp):
    with pytest.raises(BadQuery, match="newer_than is "):
        a.stamp_of(stamp)


@pytest.mark.parametrize("given", [RGB, RGB[:, ::-1], RGB[::-1], np.asfortranarray(RGB)])
def test_pictures_are_welcome(given):
    np.testing.assert_array_equal(to_rgb(a.image_of(given)), given)
    message = to_message(given, Header())
    assert a.image_of(message) is message
    assert a.image_of(None) == Image()


@pytest.mark.parametrize(
    "image", [RGB[..., 0], RGB.astype(float), RGB[:, :0], RGB[None], RGB[..., :2], Image()]
)
def test_other_pictures_are_refused(image):
    with pytest.raises(BadImage, match=r"image is .*(uint8 H×W×3|an empty message)"):
        a.image_of(image)


@pytest.mark.parametrize("image", [RGB.tolist(), "a.png", 3, CompressedImage(), CameraInfo()])
@pytest.mark.parametrize("read", [a.image_of, a.depth_of])
def test_what_is_no_picture_is_refused(image, read):
    with pytest.raises(TypeError, match="is a "):
        read(image)


@pytest.mark.parametrize("kind", [np.uint16, np.float16, np.float32, np.float64, ">f4"])
def test_depth_is_welcome(kind):
    depth = np.array([[1, 2, 3], [4, 5, 6]], kind)
    metres = metres_of(a.depth_of(depth))
    np.testing.assert_allclose(metres, depth / 1000 if depth.dtype == np.uint16 else depth)


@pytest.mark.parametrize("depth", [RGB, RGB[..., 0], RGB[..., 0].astype(int), np.zeros((0, 3))])
def test_other_depth_is_refused(depth):
    with pytest.raises(BadImage, match=r"depth is .* and must be H×W"):
        a.depth_of(depth)


def test_cameras_are_welcome():
    assert intrinsics_of(a.info_of(CAMERA)) == CAMERA
    numpy = Intrinsics(*np.array([100, 100, 1.5, 1.0]), np.int64(3), np.int32(2))
    assert intrinsics_of(a.info_of(numpy)) == CAMERA
    message = a.info_of(CAMERA)
    assert a.info_of(message) is message
    assert a.info_of(None) == CameraInfo()


@pytest.mark.parametrize("info", [3, "camera", Image(), {"fx": 1.0}])
def test_what_is_no_camera_is_refused(info):
    with pytest.raises(TypeError, match=r"camera_info is .* and must be Intrinsics"):
        a.info_of(info)


def test_a_camera_of_a_size_that_no_message_holds_is_refused():
    with pytest.raises(TypeError, match="must be an int"):
        a.info_of(Intrinsics(1.0, 1.0, 1.0, 1.0, 3.5, 2))
    with pytest.raises(BadQuery, match="must be within"):
        a.info_of(Intrinsics(1.0, 1.0, 1.0, 1.0, 2**40, 2))


def test_depth_comes_with_what_belongs_to_it():
    image, depth, info = a.image_of(RGB), a.depth_of(np.ones((2, 3))), a.info_of(CAMERA)
    a.check_picture(image, depth, info)
    a.check_picture(image, Image(), info)
    a.check_picture(Image(), Image(), CameraInfo())
    with pytest.raises(BadImage, match="without the image"):
        a.check_picture(Image(), depth, info)
    with pytest.raises(BadImage, match="without camera_info"):
        a.check_picture(image, depth, CameraInfo())
    with pytest.raises(BadImage, match="depth is 3×4 px and the image 3×2"):
        a.check_picture(image, a.depth_of(np.ones((4, 3))), info)
    with pytest.raises(BadImage, match="camera_info is 4×3 px"):
        a.check_picture(image, depth, CameraInfo(width=4, height=3))


@pytest.mark.parametrize("value", [None, 0, 1, "no", np.int64(1)])
def test_a_flag_is_true_or_false(value):
    assert a.flag_of(np.bool_(False), "masks") is False
    with pytest.raises(TypeError, match="must be True or False"):
        a.flag_of(value, "masks")
