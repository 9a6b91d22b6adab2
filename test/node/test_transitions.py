"""A transition that does not fit, as rclpy of Jazzy has it."""

from types import SimpleNamespace
from unittest.mock import Mock

from lifecycle_msgs.srv import ChangeState
from rclpy.impl.implementation_singleton import rclpy_implementation

from textregion_ros.node.transitions import refuse_what_does_not_fit


def test_what_rclpy_raises_is_refused_and_logged():
    """It left the service, which ended the node, and whoever asked for it waited for ever."""
    error = rclpy_implementation.RCLError("Transition is not registered.")
    service, logger = SimpleNamespace(callback=Mock(side_effect=error)), Mock()
    refuse_what_does_not_fit(service, logger)
    response = service.callback(ChangeState.Request(), ChangeState.Response(success=True))
    assert not response.success
    assert "not registered" in logger.warning.call_args[0][0]


def test_what_fits_is_left_as_it_is():
    done = ChangeState.Response(success=True)
    service = SimpleNamespace(callback=Mock(return_value=done))
    refuse_what_does_not_fit(service, Mock())
    assert service.callback(ChangeState.Request(), ChangeState.Response()) is done
