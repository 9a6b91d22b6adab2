import pytest

from test.support.robot import FAKE, Robot


@pytest.fixture(scope="module")
def robot():
    """The node with the colour model; each module begins with one that has seen no image."""
    with Robot(FAKE) as robot:
        robot.wait_until_ready()
        yield robot
