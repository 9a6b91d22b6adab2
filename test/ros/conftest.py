import pytest
from robot import FAKE, Robot


@pytest.fixture(scope="module")
def robot():
    """The node with the colour model, its camera and a client, for one module."""
    robot = Robot(FAKE)
    robot.wait_until_ready()
    yield robot
    robot.close()
