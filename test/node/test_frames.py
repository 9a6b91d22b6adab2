import threading
import time
from array import array

import numpy as np
import pytest
from sensor_msgs.msg import CameraInfo, Image
from std_msgs.msg import Header

from textregion_ros.node.frames import Closed, Frame, Mailbox
from textregion_ros.node.images import to_message
from textregion_ros.regions import BadImage


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
    assert mailbox.wait(lambda newest: newest.stamp == late.stamp, timeout=30.0)
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
    frame.offer(depth(1020, metres=2.0))
    frame.offer(info(980))
    assert (frame.space.depth == 2.0).all()
    assert (frame.space.camera.fx, frame.space.camera.cx) == (2.0, 1.0)


@pytest.mark.parametrize("apart", [-21, 21, 10**9])
def test_depth_of_another_moment_does_not(apart):
    """Pitfall 5, wrong stamps: depth of another moment is no depth."""
    frame = camera_frame(1000)
    frame.offer(depth(1000 + apart))
    frame.offer(info(1000))
    assert frame.space is None


def test_the_nearest_depth_is_taken():
    frame = camera_frame(1000)
    for stamp, metres in ((985, 1.0), (1005, 2.0), (1015, 3.0)):
        frame.offer(depth(stamp, metres))
    frame.offer(info(1000))
    assert (frame.space.depth == 2.0).all()


def test_without_camera_info_there_is_no_space():
    frame = camera_frame(1000)
    frame.offer(depth(1000))
    assert frame.space is None


def test_depth_that_comes_late_is_waited_for():
    frame = camera_frame(1000, wait=30.0)
    frame.offer(info(1000))
    threading.Timer(0.05, frame.offer, [depth(1000)]).start()
    assert frame.space is not None


def test_nobody_waits_for_depth_that_has_passed():
    frame = camera_frame(1000, wait=30.0)
    start = time.monotonic()
    frame.offer(info(1000))
    frame.offer(depth(2000))
    assert frame.space is None
    assert time.monotonic() - start < 20.0


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
    frame.offer(depth)
    frame.offer(info)
    with pytest.raises(BadImage, match=sentence):
        _ = frame.space


def test_a_rectified_image_has_the_intrinsics_of_p():
    message = info(1000)
    message.p = [4.0, 0.0, 1.5, 0.0, 0.0, 5.0, 0.5, 0.0, 0.0, 0.0, 1.0, 0.0]
    frame = camera_frame(1000)
    frame.offer(depth(1000))
    frame.offer(message)
    camera = frame.space.camera
    assert (camera.fx, camera.fy, camera.cx, camera.cy) == (4.0, 5.0, 1.5, 0.5)
