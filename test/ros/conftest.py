import pytest
from robot import FAKE, Robot


@pytest.fixture(scope="module")
def robot():
    """The node with the colour model, its camera and a client, for one module."""
    with Robot(FAKE) as robot:
        robot.wait_until_ready()
        yield robot
