"""A robot program for the tests: publishes a camera's images and talks to the node over DDS."""

import ctypes
import os
import signal
import subprocess
import sys
import threading
import time
from contextlib import ExitStack

import rclpy
from diagnostic_msgs.msg import DiagnosticArray
from lifecycle_msgs.msg import Transition
from lifecycle_msgs.srv import ChangeState, GetState
from rcl_interfaces.srv import SetParameters
from rclpy.context import Context
from rclpy.executors import SingleThreadedExecutor
from rclpy.node import Node
from rclpy.parameter import Parameter
from rclpy.qos import qos_profile_sensor_data
from sensor_msgs.msg import Image

from test.support.domains import free_domain
from test.support.messages import duration, header, picture, seconds_of
from test.support.waiting import repeat_until, wait_for
from textregion_ros.node.conversions.images import to_message
from textregion_ros.srv import Query, SetQueries

PR_SET_PDEATHSIG = 1  # of Linux's prctl
FAKE = [sys.executable, "-m", "test.support.colour_node"]


def ros_arguments(*remaps, **parameters):
    """Command-line arguments for a node: remaps such as "image:=rgb", and parameters."""
    arguments = ["--ros-args"]
    for remap in remaps:
        arguments += ["-r", remap]
    for name, value in parameters.items():
        arguments += ["-p", f"{name}:={value}"]
    return arguments


def end_with_the_tests():
    """Have Linux kill this process where that of the tests is killed, which cleans nothing up."""
    ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, signal.SIGKILL)


class Robot:
    """Runs the node in a process of its own; images and queries go through real topics.

    node: its name, with its namespace. domain: that of another robot, to be in one graph with it.
    more: further environment variables of the node.

    Images are best effort, and a message that is published while only one side has discovered the
    other is lost. So what a test needs to arrive is published again until it has an effect:
    `query_published`, `repeat_until`.
    """

    END = signal.SIGTERM  # what the node's process is ended with

    def __init__(self, command, arguments=(), node="textregion", domain=None, **more):
        self.name = node
        self.process = None
        self.command = [*command, *arguments]
        self.publishers, self.subscriptions, self.clients = {}, [], {}
        with ExitStack() as cleanup:
            self.domain = cleanup.enter_context(free_domain()) if domain is None else domain
            self.environment = {**os.environ, "ROS_DOMAIN_ID": str(self.domain), **more}
            self.context = Context()
            rclpy.init(context=self.context, domain_id=self.domain)
            cleanup.callback(rclpy.shutdown, context=self.context)
            self.node = Node("robot", context=self.context)
            cleanup.callback(self.node.destroy_node)
            self.executor = SingleThreadedExecutor(context=self.context)
            self.executor.add_node(self.node)
            self.images = self.publisher(Image, "image")
            self.query_client = self.node.create_client(Query, f"{node}/query")
            self.set_client = self.node.create_client(SetQueries, f"{node}/set_queries")
            self.thread = threading.Thread(target=self.executor.spin, daemon=True)
            self.thread.start()
            # Else the participant may end in that thread only when the next robot's is there.
            cleanup.callback(self.thread.join)
            cleanup.callback(self.executor.shutdown)
            cleanup.callback(self.end)
            self.start()
            self.cleanup = cleanup.pop_all()

    def start(self):
        """Start the node's process."""
        self.process = subprocess.Popen(
            self.command, env=self.environment, preexec_fn=end_with_the_tests
        )

    def end(self):
        """End the node's process; fails where it must be killed."""
        if self.process is None:
            return
        self.process.send_signal(self.END)
        try:
            self.process.wait(60)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()
            raise AssertionError("the node did not end by itself") from None

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.cleanup.close()

    def is_running(self):
        """True; fails where the node has ended."""
        assert self.process.poll() is None, f"the node ended: {self.process.returncode}"
        return True

    # What the node is told

    def publisher(self, message_type, topic, qos=qos_profile_sensor_data):
        """The publisher of a topic, made once."""
        if topic not in self.publishers:
            self.publishers[topic] = self.node.create_publisher(message_type, topic, qos)
        return self.publishers[topic]

    def publish(self, rgb, seconds=0.0):
        """Publish one camera image, stamped with `seconds`."""
        self.images.publish(to_message(rgb, header(seconds)))

    def call(self, service_type, service, request):
        """Call a service of the node and wait for its reply."""
        if service not in self.clients:
            self.clients[service] = self.node.create_client(service_type, f"{self.name}/{service}")
            self.wait_until_known()
        return self.result(self.clients[service].call_async(request))

    def wait_until_known(self, timeout=180.0):
        """Until the node knows the clients that this robot has by now.

        The middleware drops a reply to a client that the node does not know yet. It learns of them
        in the order in which they are made, so the last one is asked until it has a reply.
        """
        last = self.node.create_client(GetState, f"{self.name}/get_state")
        pending = []

        def ask():
            self.is_running()
            if last.service_is_ready():
                pending.append(last.call_async(GetState.Request()))

        repeat_until(lambda: any(one.done() for one in pending), ask, timeout, every=0.5)
        self.node.destroy_client(last)

    def change_state(self, transition):
        """Have the node do a transition, such as "configure"; return whether it did."""
        number = getattr(Transition, f"TRANSITION_{transition.upper()}")
        request = ChangeState.Request(transition=Transition(id=number))
        return self.call(ChangeState, "change_state", request).success

    def bring_to(self, state):
        """Have the node do the transitions that lead to a state."""
        states, ups = ("unconfigured", "inactive", "active"), ("configure", "activate")
        downs = ("cleanup", "deactivate")
        wanted = states.index(state)
        while (now := states.index(self.state())) != wanted:
            assert self.change_state(ups[now] if now < wanted else downs[now - 1])

    def set_parameter(self, name, value):
        """Set a parameter of the node and return the result."""
        request = SetParameters.Request(
            parameters=[Parameter(name, value=value).to_parameter_msg()]
        )
        return self.call(SetParameters, "set_parameters", request).results[0]

    def set_queries(self, texts, **fields):
        """Replace the standing queries and wait for the reply."""
        return self.result(self.set_client.call_async(SetQueries.Request(texts=texts, **fields)))

    # What the node is asked

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

    def query_published(self, rgb, texts, seconds, partners=(), fits=None, **fields):
        """Publish an image until a query is answered about it, and return the reply.

        partners: messages that belong to the image, by their topic, published just before it.
        fits: whether the reply shows that all of them have come; asked again, where not.
        """
        partners = dict(partners)

        def publish():
            self.is_running()
            for topic, message in partners.items():
                self.publisher(type(message), topic).publish(message)
            self.publish(rgb, seconds)

        def answer():
            pending = self.ask(texts, newer_than=seconds - 0.001, timeout=60.0, **fields)
            repeat_until(pending.done, publish)
            reply = pending.result()
            if reply.status not in (Query.Response.OK, Query.Response.NOT_FOUND):
                return reply
            is_about_it = reply.header.stamp == header(seconds).stamp
            return is_about_it and (fits is None or fits(reply)) and reply

        return wait_for(answer)

    def state(self):
        """The name of the node's state."""
        return self.call(GetState, "get_state", GetState.Request()).current_state.label

    @staticmethod
    def result(future, timeout=180.0):
        wait_for(future.done, timeout)
        return future.result()

    # What the node publishes

    def listen(self, message_type, topic, qos=10):
        """Return a list that fills with what comes on a topic, once the publisher is known here.

        The node may learn of the listener later: what it publishes at once need not arrive.
        """
        heard = []
        subscription = self.node.create_subscription(message_type, topic, heard.append, qos)
        self.subscriptions.append(subscription)
        wait_for(lambda: self.node.count_publishers(subscription.topic_name))
        return heard

    def stop_listening(self):
        """Let go of all topics that were listened to."""
        while self.subscriptions:
            self.node.destroy_subscription(self.subscriptions.pop())

    def diagnostics(self, name):
        """Return a function that waits for a status, whose name ends so, of after its call."""
        heard = self.listen(DiagnosticArray, "/diagnostics")

        def following():
            called = time.time()
            heard.clear()
            return wait_for(
                lambda: next(
                    (
                        status
                        for message in list(heard)
                        for status in message.status
                        if status.name == f"/{self.name}: {name}"
                        and seconds_of(message.header.stamp) >= called
                    ),
                    None,
                )
            )

        return following

    # Whether the node is there

    def wait_for_service(self, timeout=180.0):
        """Until the node offers its services."""
        clients = (self.query_client, self.set_client)
        wait_for(lambda: self.is_running() and all(c.service_is_ready() for c in clients), timeout)
        self.wait_until_known(timeout)

    def wait_until_ready(self, timeout=180.0):
        """Until the services are there, the camera is connected and the model is loaded."""
        self.wait_for_service(timeout)
        wait_for(self.images.get_subscription_count, timeout)
        blank = to_message(picture(), header())
        reply = self.query(["anything"], image=blank, timeout=timeout)
        assert reply.status == Query.Response.NOT_FOUND, reply.message
