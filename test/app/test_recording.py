import json
from importlib.resources import files
from pathlib import Path

import numpy as np
import pytest
from rosbags.image import message_to_cvimage
from rosbags.typesys import Stores, get_typestore

from textregion_ros.app.recording import load_recording
from textregion_ros.core.boxes import box_iou

STORE = get_typestore(Stores.ROS2_HUMBLE)
FOLDER = Path(str(files("textregion_ros.app.tabletop")))


@pytest.fixture(scope="module")
def recording():
    return load_recording()


def read(frame, recording, topic):
    return STORE.deserialize_cdr(frame.messages[topic], recording.topics[topic])


def test_it_is_small_and_a_few_seconds_long(recording):
    assert sum(path.stat().st_size for path in FOLDER.iterdir()) < 8_000_000
    stamps = np.array([frame.stamp for frame in recording.frames])
    assert (np.diff(stamps) > 0).all()
    assert 2e9 < stamps[-1] - stamps[0] < 10e9


def test_every_frame_is_an_rgbd_camera_s(recording):
    for frame in recording.frames:
        colour = read(frame, recording, "/image")
        depth = read(frame, recording, "/depth")
        info = read(frame, recording, "/camera_info")
        assert (colour.encoding, depth.encoding) == ("rgb8", "16UC1")
        for message in (colour, depth, info):
            stamp = message.header.stamp
            assert stamp.sec * 1_000_000_000 + stamp.nanosec == frame.stamp
            assert message.header.frame_id == colour.header.frame_id != ""
            assert (message.height, message.width) == (480, 640)
        assert frame.rgb.shape == (480, 640, 3)
        assert np.ptp(frame.rgb) > 100


def test_depth_and_intrinsics_agree_with_where_the_objects_are(recording):
    """An object's pixels, taken into space, lie within its size of the spot it stands on."""
    truth = json.loads((FOLDER / "truth.json").read_text())
    for frame, entry in zip(recording.frames[::8], truth["frames"][::8], strict=True):
        depth = message_to_cvimage(read(frame, recording, "/depth")).astype(float) / 1000
        matrix = read(frame, recording, "/camera_info").k.reshape(3, 3)
        for item in entry["objects"]:
            v, u = np.nonzero(frame.masks == item["id"])
            rays = np.linalg.solve(matrix, np.stack([u, v, np.ones_like(u)]).astype(float))
            distance = np.linalg.norm((rays * depth[v, u]).T - item["position"], axis=1)
            assert distance.max() < np.linalg.norm(item["size"]) + 0.005


def test_boxes_and_masks_are_the_same_truth(recording):
    for frame in recording.frames:
        assert set(np.unique(frame.masks)) == {0, *(item.id for item in frame.objects)}
        for item in frame.objects:
            rows, columns = np.nonzero(frame.masks == item.id)
            x, y, width, height = item.box
            assert (columns.min(), columns.max() + 1) == (x, x + width)
            assert (rows.min(), rows.max() + 1) == (y, y + height)


def test_all_objects_are_in_view_all_the_time(recording):
    first = recording.frames[0]
    names = [item.name for item in first.objects]
    assert len(names) == len(set(names)) >= 5
    for frame in recording.frames:
        assert [item.name for item in frame.objects] == names
        for item in frame.objects:
            x, y, width, height = item.box
            assert min(x, y, 640 - x - width, 480 - y - height) > 0


def test_colour_and_category_both_matter(recording):
    objects = recording.frames[0].objects
    assert len({item.colour for item in objects}) < len(objects)
    assert len({item.category for item in objects}) < len(objects)


def test_the_camera_moves_so_far_that_an_old_frame_s_boxes_are_wrong(recording):
    first, last = recording.frames[0].objects, recording.frames[-1].objects
    overlaps = [box_iou(a.box, b.box) for a, b in zip(first, last, strict=True)]
    assert np.mean(np.array(overlaps) < 0.5) > 0.5


def test_a_frame_is_found_by_its_stamp(recording):
    frame = recording.frames[3]
    assert recording.at(frame.stamp) is frame
    assert recording.at(frame.stamp + 1) is None
