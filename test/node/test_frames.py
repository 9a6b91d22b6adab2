import threading

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from sensor_msgs.msg import Image
from std_msgs.msg import Header

from textregion_ros.node.frames import Closed, Frame, KeptFrames, Mailbox
from textregion_ros.node.images import to_message
from textregion_ros.regions import EncodedFrame


def frame(value=0, seconds=0, size=(2, 3)):
    header = Header()
    header.stamp.sec = seconds
    return Frame(to_message(np.full((*size, 3), value, np.uint8), header))


def encoded(nbytes):
    return EncodedFrame(
        image_size=(1, 1),
        masks=np.zeros((0, 1, 1), np.float16),
        boxes=np.zeros((0, 4), np.int32),
        tokens=np.zeros(nbytes // 4, np.float32),
        overlaps=np.zeros((0, 0), np.float32),
    )


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
