import pytest
from builtin_interfaces.msg import Duration, Time
from sensor_msgs.msg import CameraInfo, Image
from std_msgs.msg import Header

from textregion_ros.core.errors import BadQuery, BadRequest
from textregion_ros.core.query import Query
from textregion_ros.core.results import ImageHeader
from textregion_ros.msg import Queries
from textregion_ros.node.conversions import headers, requests
from textregion_ros.srv import Query as QueryService
from textregion_ros.srv import SetQueries

PICTURE = Image(encoding="rgb8", height=1, width=1, step=3, data=bytes(3))


@pytest.mark.parametrize("kind", [QueryService.Request, SetQueries.Request, Queries])
def test_what_is_left_open_is_none(kind):
    assert requests.query_of(kind(texts=["mug"])) == Query(("mug",), (), None, None)


@pytest.mark.parametrize("kind", [QueryService.Request, SetQueries.Request, Queries])
@pytest.mark.parametrize("threshold", [0.0, 0.1, 0.25, 1.0])
def test_what_is_said_is_taken(kind, threshold):
    """Fault 17: a threshold of 0, always the best region, can be said."""
    message = kind(texts=["mug", "cup"], negatives=["table"], threshold=threshold, top_k=0)
    assert requests.query_of(message) == Query(("mug", "cup"), ("table",), threshold, 0)


@pytest.mark.parametrize("threshold", [float("nan"), float("inf"), 5.0])
def test_a_threshold_that_is_none_does_not_pass_a_check(threshold):
    query = requests.query_of(SetQueries.Request(threshold=threshold))
    with pytest.raises(BadQuery, match=r"must be within 0\.\.1"):
        query.check_standing()


def test_depth_needs_its_image_and_its_camera():
    info = CameraInfo(width=1, height=1, k=[1.0, 0, 0, 0, 1.0, 0, 0, 0, 1.0])
    depth = Image(encoding="16UC1", height=1, width=1, step=2, data=bytes([232, 3]))
    given = {"image": PICTURE, "depth": depth, "camera_info": info}
    assert requests.observation_of(QueryService.Request()) is None
    plain = requests.observation_of(QueryService.Request(image=PICTURE))
    assert (plain.rgb.shape, plain.depth) == ((1, 1, 3), None)
    whole = requests.observation_of(QueryService.Request(**given))
    assert (whole.depth[0, 0], whole.intrinsics.width) == (1.0, 1)
    for missing, sentence in (("image", "without the image"), ("camera_info", "without camera")):
        rest = {name: part for name, part in given.items() if name != missing}
        with pytest.raises(BadRequest, match=sentence):
            requests.observation_of(QueryService.Request(**rest))
    with pytest.raises(BadRequest, match="depth: "):
        requests.observation_of(QueryService.Request(**{**given, "depth": PICTURE}))


def test_times_that_are_negative_are_refused():
    assert requests.nanoseconds(Time(sec=1, nanosec=5), "newer_than") == 1_000_000_005
    assert requests.seconds(Duration(sec=1, nanosec=500_000_000), "timeout") == 1.5
    with pytest.raises(BadRequest, match="newer_than is negative"):
        requests.nanoseconds(Time(sec=-1, nanosec=999_999_999), "newer_than")
    with pytest.raises(BadRequest, match="timeout is negative"):
        requests.seconds(Duration(sec=-1), "timeout")


@pytest.mark.parametrize("stamp", [0, 1, 999_999_999, 10**9, 2**31 * 10**9 - 1])
def test_a_header_comes_back_from_its_message(stamp):
    header = ImageHeader("left", stamp, "camera")
    message = headers.ros_header(header)
    assert isinstance(message, Header)
    assert headers.image_header(message, "left") == header
    assert headers.stamp_of(message) == stamp
