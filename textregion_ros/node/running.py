"""Runs a node until it is told to end, and ends it with everybody answered."""

from __future__ import annotations

import os
import signal
import sys
import threading
from collections.abc import Callable
from types import FrameType

import rclpy
from rclpy.executors import ExternalShutdownException, MultiThreadedExecutor, ShutdownException
from rclpy.signals import SignalHandlerOptions

from textregion_ros.node.engine import MOST_ANSWERING, MOST_WAITING
from textregion_ros.node.node import TextRegionNode

# Besides the queries that hold a thread: transitions, images, timers, and queries to send away.
THREADS = MOST_ANSWERING + MOST_WAITING + 8
QUIET = 0.1  # s without a request, after which none is on its way any more
LAST_REPLIES = 0.5  # s; longest time to answer those who still wait at the end
LEAVING = 2.0  # s; longest time to leave ROS, on a busy machine


def run(make_node: Callable[[], TextRegionNode], args: list[str] | None = None) -> None:
    """Run a node until SIGINT, SIGTERM or the shutdown of ROS.

    ROS is shut down only when everybody who waits has a reply, which takes at most two seconds.

    Args:
        make_node: Makes the node, in a context that is initialised.
        args: Command line; None for the process's own.
    """
    # rclpy's own handlers would end the context at once, and with it every reply.
    rclpy.init(args=args, signal_handler_options=SignalHandlerOptions.NO)
    ending = threading.Event()

    def end(_number: int, _frame: FrameType | None) -> None:
        ending.set()

    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, end)
    node = make_node()
    executor = MultiThreadedExecutor(THREADS)
    executor.add_node(node)
    spinning = threading.Thread(target=_spin, args=(executor, ending), daemon=True)
    spinning.start()
    ending.wait()
    ended = node.close()
    node.pending.wait_for_none(QUIET, LAST_REPLIES)
    leaving = threading.Thread(target=_leave, args=(node, executor, spinning), daemon=True)
    leaving.start()
    leaving.join(LEAVING)
    if not ended or leaving.is_alive():
        # A network that runs for seconds cannot be stopped, nor can a middleware that waits for
        # itself; everybody is answered, and neither may hold the process.
        sys.stdout.flush()
        sys.stderr.flush()
        os._exit(0)


def _leave(
    node: TextRegionNode, executor: MultiThreadedExecutor, spinning: threading.Thread
) -> None:
    executor.shutdown(timeout_sec=LAST_REPLIES)
    spinning.join(LAST_REPLIES)
    node.destroy_node()
    rclpy.try_shutdown()


def _spin(executor: MultiThreadedExecutor, ending: threading.Event) -> None:
    try:
        executor.spin()
    except (ExternalShutdownException, ShutdownException):
        pass
    finally:
        ending.set()
