"""A robot program for the tests: publishes a camera's images and talks to the node over DDS."""

import fcntl
import os
import signal
import subprocess
import sys
import tempfile
import threading
import time
from array import array
from pathlib import Path

import numpy as np
import rclpy
from builtin_interfaces.msg import Duration, Time
from diagnostic_msgs.msg import DiagnosticArray
from lifecycle_msgs.msg import Transition
from lifecycle_msgs.srv import ChangeState, GetState
from rcl_interfaces.srv import SetParameters
from rclpy.context import Context
from rclpy.executors import SingleThreadedExecutor
from rclpy.node import Node
from rclpy.parameter import Parameter
from rclpy.qos import qos_profile_sensor_data
from sensor_msgs.msg import CameraInfo, Image
from std_msgs.msg import Header

from textregion_ros.node.images import to_message
from textregion_ros.srv import Query, SetQueries

FAKE = [sys.executable, str(Path(__file__).with_name("fake_model_node.py"))]
DOMAINS = range(1, 101)  # Linux has ports for these


def free_domain():
    """Return a ROS domain that no other test run on this machine has, and the lock that says so."""
    folder = Path(tempfile.gettempdir()) / f"textregion_ros_domains_{os.getuid()}"
    folder.mkdir(exist_ok=True)
    for number in DOMAINS:
        lock = (folder / str(number)).open("w")
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            lock.close()
        else:
            return number, lock
    raise AssertionError("all ROS domains are taken")


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


def ros_arguments(*remaps, **parameters):
    """Command-line arguments for a node: remaps such as "image:=rgb", and parameters."""
    arguments = ["--ros-args"]
    for remap in remaps:
        arguments += ["-r", remap]
    for name, value in parameters.items():
        arguments += ["-p", f"{name}:={value}"]
    return arguments


def depth_message(metres, seconds=0.0):
    """Depth, float m H×W, as a 32FC1 message."""
    data = array("B", metres.astype("<f4").tobytes())
    height, width = metres.shape
    fields = {"height": height, "width": width, "encoding": "32FC1", "step": 4 * width}
    return Image(header=header(seconds), data=data, **fields)


def info_message(size, seconds=0.0, focal=100.0):
    """Intrinsics of a pinhole camera whose axis goes through pixel (0, 0)."""
    k = [focal, 0.0, 0.0, 0.0, focal, 0.0, 0.0, 0.0, 1.0]
    return CameraInfo(header=header(seconds), height=size[0], width=size[1], k=k)


class Robot:
    """Runs the node in a process of its own; images and queries go through real topics.

    node: its name, with its namespace. domain: that of another robot, to be in one graph with it.
    more: further environment variables of the node.
    """

    END = signal.SIGTERM  # what the node's process is ended with

    def __init__(self, command, arguments=(), node="textregion", domain=None, **more):
        self.domain, self.lock = free_domain() if domain is None else (domain, None)
        self.context = Context()
        rclpy.init(context=self.context, domain_id=self.domain)
        self.node = Node("robot", context=self.context)
        self.executor = SingleThreadedExecutor(context=self.context)
        self.executor.add_node(self.node)
        self.name = node
        self.publishers, self.subscriptions = {}, []
        self.images = self.publisher(Image, "image")
        self.query_client = self.node.create_client(Query, f"{node}/query")
        self.set_client = self.node.create_client(SetQueries, f"{node}/set_queries")
        self.clients = {}
        self.command = [*command, *arguments]
        self.environment = {**os.environ, "ROS_DOMAIN_ID": str(self.domain), **more}
        self.start()
        self.thread = threading.Thread(target=self.executor.spin, daemon=True)
        self.thread.start()

    def start(self):
        """Start the node's process."""
        self.process = subprocess.Popen(self.command, env=self.environment)

    def publisher(self, message_type, topic, qos=qos_profile_sensor_data):
        """The publisher of a topic, made once."""
        if topic not in self.publishers:
            self.publishers[topic] = self.node.create_publisher(message_type, topic, qos)
        return self.publishers[topic]

    def send(self, message, topic):
        """Publish a message once the node listens to its topic."""
        publisher = self.publisher(type(message), topic)
        wait_for(publisher.get_subscription_count)
        publisher.publish(message)

    def call(self, service_type, service, request):
        """Call a service of the node and wait for its reply."""
        if service not in self.clients:
            self.clients[service] = self.node.create_client(service_type, f"{self.name}/{service}")
        assert self.clients[service].wait_for_service(180)
        return self.result(self.clients[service].call_async(request))

    def change_state(self, transition):
        """Have the node do a transition, such as "configure"; return whether it did."""
        number = getattr(Transition, f"TRANSITION_{transition.upper()}")
        request = ChangeState.Request(transition=Transition(id=number))
        return self.call(ChangeState, "change_state", request).success

    def state(self):
        """The name of the node's state."""
        return self.call(GetState, "get_state", GetState.Request()).current_state.label

    def set_parameter(self, name, value):
        """Set a parameter of the node and return the result."""
        request = SetParameters.Request(
            parameters=[Parameter(name, value=value).to_parameter_msg()]
        )
        return self.call(SetParameters, "set_parameters", request).results[0]

    def diagnostics(self, name):
        """Return a function that waits for the next status whose name ends so."""
        heard = self.listen(DiagnosticArray, "/diagnostics")

        def following():
            heard.clear()
            return wait_for(
                lambda: next(
                    (
                        status
                        for message in heard
                        for status in message.status
                        if status.name == f"/{self.name}: {name}"
                    ),
                    None,
                )
            )

        return following

    def wait_for_service(self, timeout=180.0):
        """Until the node offers its services."""
        clients = (self.query_client, self.set_client)
        wait_for(lambda: self.is_running() and all(c.service_is_ready() for c in clients), timeout)

    def is_running(self):
        """True; fails where the node has ended."""
        assert self.process.poll() is None, f"the node ended: {self.process.returncode}"
        return True

    def wait_until_ready(self, timeout=180.0):
        """Until the services are there, the camera is connected and the model is loaded."""
        self.wait_for_service(timeout)
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

    def listen(self, message_type, topic, qos=10):
        """Return a list that fills with what comes on a topic, once the node is connected."""
        heard = []
        subscription = self.node.create_subscription(message_type, topic, heard.append, qos)
        self.subscriptions.append(subscription)
        wait_for(lambda: self.node.count_publishers(subscription.topic_name))
        return heard

    def stop_listening(self):
        """Let go of all topics that were listened to."""
        while self.subscriptions:
            self.node.destroy_subscription(self.subscriptions.pop())

    @staticmethod
    def result(future, timeout=180.0):
        wait_for(future.done, timeout)
        return future.result()

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.process.send_signal(self.END)
        try:
            self.process.wait(60)
        except subprocess.TimeoutExpired:
            self.process.kill()
        self.executor.shutdown()
        # Else the participant may end in that thread only when the next robot's is there already.
        self.thread.join()
        self.node.destroy_node()
        rclpy.shutdown(context=self.context)
        if self.lock:
            self.lock.close()


def values_of(status):
    """What a diagnostic status says, by its keys."""
    return {entry.key: entry.value for entry in status.values}


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
