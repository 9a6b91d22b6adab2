import pytest
from robot import FAKE, Robot


@pytest.fixture(scope="session")
def robot():
    """The node with the colour model, for all tests that leave it as it was."""
    with Robot(FAKE) as robot:
        robot.wait_until_ready()
        yield robot
