"""The programs in the README run as they stand there."""

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

from test.support.domains import free_domain
from textregion_ros.app.demo_robot import running_node
from textregion_ros.app.recording import load_recording

ROOT = Path(__file__).parents[2]
NODE = [sys.executable, "-m", "test.support.truth_node", "truthful"]
# The camera the README's program leaves to the robot.
CAMERA = """
import rclpy
from sensor_msgs.msg import Image
from textregion_ros.app.recording import load_recording

rclpy.init()
camera = rclpy.create_node("camera")
images = camera.create_publisher(Image, "image", 1)
image = load_recording().frames[0].messages["/image"]
camera.create_timer(0.2, lambda: images.publish(image))
rclpy.spin(camera)
"""


def program(word):
    blocks = re.findall(r"```python\n(.*?)```", (ROOT / "README.md").read_text(), re.DOTALL)
    return next(block for block in blocks if word in block)


def test_the_robot_program_is_answered(tmp_path):
    robot = program("rclpy").replace('"spoon"', '"blue mug", "spoon"')
    with free_domain() as domain, running_node(NODE, domain, tmp_path / "node.log"):
        environment = {**os.environ, "ROS_DOMAIN_ID": str(domain)}
        camera = subprocess.Popen([sys.executable, "-c", CAMERA], env=environment)
        try:
            said = subprocess.run(
                [sys.executable, "-c", robot],
                env=environment,
                capture_output=True,
                text=True,
                timeout=250,
                check=True,
            ).stdout
        finally:
            camera.kill()
            camera.wait()
    assert "red mug True" in said
    assert "blue mug True" in said
    assert "spoon False" in said


def test_the_library_program_runs(capsys):
    names = {"rgb": load_recording().frames[0].rgb}
    exec(program("from_profile"), names)
    assert names["labels"].shape == names["rgb"].shape[:2]


@pytest.mark.parametrize("link", re.findall(r"\]\(([^)#:]+)\)", (ROOT / "README.md").read_text()))
def test_links_lead_somewhere(link):
    assert (ROOT / link).exists()
