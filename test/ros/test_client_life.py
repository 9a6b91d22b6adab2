"""The client while its node starts, has no image, dies and comes back."""

import signal

import pytest

from test.support.colour_node import COLOURS
from test.support.messages import picture
from test.support.robot import FAKE, Robot
from textregion_ros.node.client import NoImage, TextRegionClient, Unavailable

SCENE = picture((COLOURS["red"], 10, 20, 30, 40))


@pytest.mark.slow  # DDS takes 20 s to miss a node that was killed
def test_a_client_lives_through_its_nodes_end_and_return():
    with Robot(FAKE) as robot, TextRegionClient(robot.node) as client:
        # Asked while the node still starts: the call waits for it.
        assert client.find("red block", image=SCENE, timeout=120.0).found
        with pytest.raises(NoImage, match="no camera image has come yet"):
            client.find("red block", timeout=0.3)
        pending = client.find_async("red block", timeout=120.0)
        client.find("red block", image=SCENE)  # its answer says that the one before has come in
        robot.process.send_signal(signal.SIGKILL)
        robot.process.wait()
        with pytest.raises(Unavailable, match="went away"):
            pending.result(60)
        robot.start()
        assert client.find("red block", image=SCENE, timeout=120.0).found
