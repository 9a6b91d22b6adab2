"""A robot program for the tests: publishes a camera's images and talks to the node over DDS."""

import itertools
import os
import subprocess
import sys
import threading
import time
from pathlib import Path

import numpy as np
import rclpy
from builtin_interfaces.msg import Duration, Time
from rclpy.context import Context
from rclpy.executors import SingleThreadedExecutor
from rclpy.node import Node
from rclpy.qos import qos_profile_sensor_data
from sensor_msgs.msg import Image
from std_msgs.msg import Header

from textregion_ros.node.images import to_message
from textregion_ros.srv import Query, SetQueries

FAKE = [sys.executable, str(Path(__file__).with_name("fake_model_node.py"))]
# Several test runs on one machine must not hear each other.
DOMAINS = itertools.cycle((os.getpid() + step) % 100 + 1 for step in range(100))


def picture(*blocks, size=(120, 160)):
    """Grey H×W×3 picture with blocks, each (colour, x, y, w, h)."""
    rgb = np.full((*size, 3), 128, np.uint8)
    for colour, x, y, width, height in blocks:
        rgb[y : y + height, x : x + width] = colour
    return rgb


def header(seconds=0.0, frame_id="camera"):
    stamp = Time(sec=int(seconds), nanosec=round(seconds % 1 * 1e9))
    return Header(stamp=stamp, frame_id=frame_id)


def duration(seconds):
    return Duration(sec=int(seconds), nanosec=round(seconds % 1 * 1e9))


class Robot:
    """Runs the node in a process of its own; images and queries go through real topics."""

    def __init__(self, command, arguments=()):
        self.domain = next(DOMAINS)
        self.context = Context()
        rclpy.init(context=self.context, domain_id=self.domain)
        self.node = Node("robot", context=self.context)
        self.executor = SingleThreadedExecutor(context=self.context)
        self.executor.add_node(self.node)
        self.images = self.node.create_publisher(Image, "image", qos_profile_sensor_data)
        self.query_client = self.node.create_client(Query, "textregion/query")
        self.set_client = self.node.create_client(SetQueries, "textregion/set_queries")
        environment = {**os.environ, "ROS_DOMAIN_ID": str(self.domain)}
        self.process = subprocess.Popen([*command, *arguments], env=environment)
        self.thread = threading.Thread(target=self.executor.spin, daemon=True)
        self.thread.start()

    def wait_until_ready(self, timeout=180.0):
        """Until the services are there, the camera is connected and the model is loaded."""
        assert self.query_client.wait_for_service(timeout)
        assert self.set_client.wait_for_service(timeout)
        wait_for(self.images.get_subscription_count, timeout)
        blank = to_message(picture(), header())
        reply = self.query(["anything"], image=blank, timeout=timeout)
        assert reply.status == Query.Response.NOT_FOUND, reply.message

    def publish(self, rgb, seconds=0.0):
        """Publish one camera image, stamped with `seconds`."""
        self.images.publish(to_message(rgb, header(seconds)))

    def ask(self, texts, image=None, timeout=0.0, newer_than=0.0, max_age=0.0, **fields):
        """Send a query and return the future of its reply."""
        request = Query.Request(texts=texts, **fields)
        request.image = image or Image()
        request.timeout = duration(timeout)
        request.newer_than = header(newer_than).stamp
        request.max_age = duration(max_age)
        return self.query_client.call_async(request)

    def query(self, texts, **fields):
        """Send a query and wait for its reply."""
        return self.result(self.ask(texts, **fields))

    def set_queries(self, texts, **fields):
        """Replace the standing queries and wait for the reply."""
        return self.result(self.set_client.call_async(SetQueries.Request(texts=texts, **fields)))

    def query_published(self, rgb, texts, seconds, **fields):
        """Publish an image until it is the one that a query is answered about."""
        newer_than = seconds - 0.001
        pending = self.ask(texts, newer_than=newer_than, timeout=60.0, **fields)
        while not pending.done():
            self.publish(rgb, seconds)
            time.sleep(0.1)
        return pending.result()

    def listen(self, message_type, topic):
        """Return a list that fills with what comes on a topic, once the node is connected."""
        heard = []
        subscription = self.node.create_subscription(message_type, topic, heard.append, 10)
        wait_for(lambda: self.node.count_publishers(subscription.topic_name))
        return heard

    @staticmethod
    def result(future, timeout=180.0):
        wait_for(future.done, timeout)
        return future.result()

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.process.terminate()
        try:
            self.process.wait(60)
        except subprocess.TimeoutExpired:
            self.process.kill()
        self.executor.shutdown()
        self.node.destroy_node()
        rclpy.shutdown(context=self.context)


def wait_for(condition, timeout=60.0):
    """Wait until the condition holds and return its value."""
    end = time.monotonic() + timeout
    while not (value := condition()):
        assert time.monotonic() < end, "waited too long"
        time.sleep(0.01)
    return value


def mask_of(region, size):
    """The mask of a Region message as a bool array of the camera image's size."""
    box, mask = region.box, region.mask
    assert (mask.encoding, mask.height, mask.width) == ("mono8", box.height, box.width)
    full = np.zeros(size, bool)
    cropped = np.frombuffer(mask.data, np.uint8).reshape(mask.height, mask.step)[:, : mask.width]
    assert set(np.unique(cropped)) <= {0, 255}
    rows = slice(box.y_offset, box.y_offset + box.height)
    full[rows, box.x_offset : box.x_offset + box.width] = cropped == 255
    return full
