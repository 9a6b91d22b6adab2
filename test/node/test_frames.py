import threading
import time
from array import array

import numpy as np
import pytest
from sensor_msgs.msg import CameraInfo, Image
from std_msgs.msg import Header

from textregion_ros.core.camera import Intrinsics
from textregion_ros.core.errors import BadImage, NoImage, Stale
from textregion_ros.core.scene import Observation
from textregion_ros.node.cameras import Camera
from textregion_ros.node.conversions.images import to_message
from textregion_ros.node.frames import UNMATCHED, Closed, Frame, Freshness, Mailbox, Picture


def frame(value=0, seconds=0, size=(2, 3)):
    header = Header()
    header.stamp.sec = seconds
    return Frame(to_message(np.full((*size, 3), value, np.uint8), header))


def stamped(message, nanoseconds):
    message.header.stamp.sec, message.header.stamp.nanosec = divmod(nanoseconds, 10**9)
    return message


def depth(nanoseconds, metres=1.0, size=(2, 3)):
    message = Image(height=size[0], width=size[1], encoding="32FC1", step=4 * size[1])
    message.data = array("B", np.full(size, metres, np.float32).tobytes())
    return stamped(message, nanoseconds)


def info(nanoseconds, size=(2, 3), focal=2.0):
    k = [focal, 0.0, 1.0, 0.0, focal, 0.5, 0.0, 0.0, 1.0]
    return stamped(CameraInfo(height=size[0], width=size[1], k=k), nanoseconds)


def camera_frame(nanoseconds, tolerance=20, wait=0.0):
    message = stamped(to_message(np.zeros((2, 3, 3), np.uint8), Header()), nanoseconds)
    return Frame(message, "", tolerance, wait)


def test_equal_pictures_have_equal_keys_whatever_their_stamps():
    assert frame(7, seconds=1).key == frame(7, seconds=2).key
    assert frame(7).key != frame(8).key
    assert frame(7, size=(2, 3)).key != frame(7, size=(3, 2)).key


def test_the_stamp_is_in_nanoseconds():
    message = Image()
    message.header.stamp.sec, message.header.stamp.nanosec = 12, 34
    assert Frame(message).stamp == 12_000_000_034


def test_the_newest_frame_replaces_the_one_before():
    mailbox = Mailbox()
    assert mailbox.newest is None
    first, second = frame(), frame()
    mailbox.put(first)
    mailbox.put(second)
    assert mailbox.newest is second


def test_waiting_ends_with_the_frame_that_fits():
    mailbox = Mailbox()
    mailbox.put(frame(seconds=1))
    late = frame(seconds=2)
    sender = threading.Timer(0.05, mailbox.put, [late])
    sender.start()
    assert mailbox.wait(lambda newest: newest.stamp == late.stamp, timeout=30.0) is late
    assert mailbox.newest is late


def test_waiting_ends_with_the_time():
    mailbox = Mailbox()
    assert not mailbox.wait(lambda newest: newest is not None, timeout=0.0)
    assert not mailbox.wait(lambda newest: newest is not None, timeout=0.05)


def test_closing_sends_away_who_waits():
    mailbox = Mailbox()
    threading.Timer(0.05, mailbox.close).start()
    with pytest.raises(Closed):
        mailbox.wait(lambda newest: newest is not None, timeout=30.0)


def test_depth_within_the_tolerance_belongs_to_the_frame():
    frame = camera_frame(1000)
    frame.offer_depth(depth(1020, metres=2.0))
    frame.offer_info(info(980))
    observation, space, fault = frame.observe()
    assert (observation.depth == 2.0).all()
    assert (observation.intrinsics.fx, observation.intrinsics.cx) == (2.0, 1.0)
    assert (space is not None, fault) == (True, "")


@pytest.mark.parametrize("apart", [-21, 21, 10**9])
def test_depth_of_another_moment_does_not(apart):
    """Pitfall 5, wrong stamps: depth of another moment is no depth."""
    frame = camera_frame(1000)
    frame.offer_depth(depth(1000 + apart))
    frame.offer_info(info(1000))
    assert frame.observe()[1] is None


def test_the_nearest_depth_is_taken():
    frame = camera_frame(1000)
    for stamp, metres in ((985, 1.0), (1005, 2.0), (1015, 3.0)):
        frame.offer_depth(depth(stamp, metres))
    frame.offer_info(info(1000))
    assert (frame.observe()[0].depth == 2.0).all()


def test_without_camera_info_there_is_no_space():
    frame = camera_frame(1000)
    frame.offer_depth(depth(1000))
    assert frame.observe()[1] is None


def test_an_image_is_ready_when_its_depth_has_come():
    mailbox, late = Mailbox(), camera_frame(1000, wait=30.0)
    mailbox.put(late)
    assert mailbox.newest is None
    late.offer_info(info(1000))
    threading.Timer(0.05, lambda: (late.offer_depth(depth(1000)), mailbox.wake())).start()
    assert mailbox.wait(lambda newest: newest is late, timeout=20.0) is late
    assert late.observe()[1] is not None


def test_nobody_waits_for_depth_that_has_passed():
    frame = camera_frame(1000, wait=30.0)
    assert not frame.is_settled
    frame.offer_info(info(1000))
    frame.offer_depth(depth(2000))
    assert frame.is_settled
    assert frame.observe()[1:] == (None, UNMATCHED)


def test_depth_is_waited_for_no_longer_than_it_may_take():
    mailbox, late = Mailbox(), camera_frame(1000, wait=0.05)
    mailbox.put(late)
    assert mailbox.wait(lambda newest: newest is late, timeout=20.0) is late


def test_an_image_that_waits_for_its_depth_keeps_its_place_while_newer_ones_come():
    """Else, at a high rate, none would ever be ready."""
    mailbox, frames = Mailbox(), [camera_frame(1000 * n, wait=30.0) for n in range(1, 4)]
    for frame in frames:
        mailbox.put(frame)
    frames[0].offer_depth(depth(1000))
    frames[0].offer_info(info(1000))
    assert mailbox.newest is frames[0]
    frames[2].offer_depth(depth(3000))
    frames[2].offer_info(info(3000))
    assert mailbox.newest is frames[2]


def test_a_camera_whose_depth_has_ceased_is_not_waited_for(monkeypatch):
    camera = Camera(tolerance=20)
    camera.put_info(info(1000))
    camera.put_depth(depth(1000))
    camera.put_image(stamped(to_message(np.zeros((2, 3, 3), np.uint8), Header()), 2000))
    assert camera.mailbox.newest is None
    later = time.monotonic() + 5.0
    monkeypatch.setattr(time, "monotonic", lambda: later)
    camera.put_image(stamped(to_message(np.ones((2, 3, 3), np.uint8), Header()), 6000))
    assert camera.mailbox.newest.stamp == 6000


@pytest.mark.parametrize(
    ("depth", "info", "sentence"),
    [
        (depth(1000, size=(4, 6)), info(1000), "depth is 6×4 px and the image 3×2"),
        (depth(1000), info(1000, size=(4, 6)), "camera_info is 6×4 px and the image 3×2"),
        (depth(1000), info(1000, focal=0.0), "calibrated"),
    ],
)
def test_depth_that_does_not_fit_the_image(depth, info, sentence):
    """Pitfall 5, wrong resolution: depth that is not aligned is refused."""
    frame = camera_frame(1000)
    frame.offer_depth(depth)
    frame.offer_info(info)
    observation, space, fault = frame.observe()
    assert (observation.depth, space) == (None, None)
    assert sentence in fault


def test_depth_that_does_not_fit_a_picture_of_ones_own_is_refused():
    camera = Intrinsics(2.0, 2.0, 1.0, 1.0, 6, 4)
    rgb = np.zeros((2, 3, 3), np.uint8)
    given = Picture(Observation(rgb, np.ones((4, 6), np.float32), camera))
    with pytest.raises(BadImage, match="6×4"):
        given.observe()


def test_the_age_of_an_image_from_the_future_is_not_known():
    """After the clock was set back the old image counted as fresh."""
    image, limit = frame(seconds=100), Freshness(max_age=10**9)
    limit.check(image, 100 * 10**9)
    with pytest.raises(Stale, match=r"10\.000 s ahead of the node's clock"):
        limit.check(image, 90 * 10**9)
    Freshness().check(image, 90 * 10**9)


def test_an_image_is_at_least_as_old_as_it_has_been_here(monkeypatch):
    image = frame(seconds=100)
    later = time.monotonic() + 5.0
    monkeypatch.setattr(time, "monotonic", lambda: later)
    with pytest.raises(Stale, match=r"5\.\d+ s old"):
        Freshness(max_age=10**9).check(image, 100 * 10**9)


def test_what_came_before_the_clock_was_set_back_is_forgotten():
    camera = Camera()
    camera.put_image(to_message(np.zeros((2, 3, 3), np.uint8), Header()))
    camera.forget()
    with pytest.raises(NoImage):
        Freshness().check(camera.mailbox.newest, 0)


def test_a_rectified_image_has_the_intrinsics_of_p():
    message = info(1000)
    message.p = [4.0, 0.0, 1.5, 0.0, 0.0, 5.0, 0.5, 0.0, 0.0, 0.0, 1.0, 0.0]
    frame = camera_frame(1000)
    frame.offer_depth(depth(1000))
    frame.offer_info(message)
    camera = frame.observe()[0].intrinsics
    assert (camera.fx, camera.fy, camera.cx, camera.cy) == (4.0, 5.0, 1.5, 0.5)
