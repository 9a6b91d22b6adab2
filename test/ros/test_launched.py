"""The launch file at work, where launch is installed; test/test_launch.py reads it everywhere."""

import re
import signal
import sys
from pathlib import Path

import numpy as np
import pytest
from sensor_msgs.msg import Image

from test.support.messages import header
from test.support.robot import Robot
from test.support.waiting import repeat_until, wait_for
from textregion_ros.node.conversions.images import to_message
from textregion_ros.srv import Query

pytest.importorskip("launch_ros")
ROOT = Path(__file__).parents[2]
RUN = [sys.executable, "-m", "test.support.run_launch"]


class Launch(Robot):
    """Runs a launch file, which has the node in a process of its own."""

    END = signal.SIGINT  # at SIGTERM launch leaves its nodes behind


def test_the_example_of_the_documents_starts_a_node_that_answers(tmp_path):
    example = tmp_path / "example.launch.py"
    document = (ROOT / "docs/launch.md").read_text()
    (program,) = re.findall(r"```python\n(.*?)```", document, re.DOTALL)
    example.write_text(program)
    picture = to_message(np.full((48, 64, 3), 90, np.uint8), header(3.0))
    with Launch([*RUN, str(example)]) as robot:
        client = robot.node.create_client(Query, "/arm/textregion/query")
        images = robot.node.create_publisher(Image, "/camera/color/image_raw", 1)
        assert client.wait_for_service(180)
        wait_for(images.get_subscription_count, 180)
        request = Query.Request(texts=["red mug"])
        request.timeout.sec = 120
        reply = client.call_async(request)
        repeat_until(reply.done, lambda: images.publish(picture), timeout=180, every=0.2)
        assert reply.result().status in (Query.Response.OK, Query.Response.NOT_FOUND)
        assert reply.result().header == header(3.0)


def test_a_node_that_is_not_to_start_by_itself_waits():
    command = [*RUN, str(ROOT / "launch/textregion.launch.py"), "autostart:=false"]
    with Launch(command) as robot:
        assert robot.query_client.wait_for_service(180)
        reply = robot.query(["red mug"], timeout=0.5)
        assert reply.status == Query.Response.NOT_READY
        assert "not configured" in reply.message
