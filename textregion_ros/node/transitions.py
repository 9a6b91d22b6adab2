"""The service that changes a managed node's state, where rclpy lets exceptions out of it."""

from __future__ import annotations

from lifecycle_msgs.srv import ChangeState
from rclpy.impl.implementation_singleton import rclpy_implementation
from rclpy.impl.rcutils_logger import RcutilsLogger
from rclpy.service import Service


def refuse_what_does_not_fit(service: Service, logger: RcutilsLogger) -> None:
    """Have a transition that does not fit the state refused.

    Up to Jazzy, rclpy lets the exception out of the service, which ends the node.

    Args:
        service: The node's service change_state.
        logger: Told of what is refused.
    """
    change = service.callback

    def change_or_refuse(
        request: ChangeState.Request, response: ChangeState.Response
    ) -> ChangeState.Response:
        try:
            return change(request, response)
        except rclpy_implementation.RCLError as error:
            logger.warning(f"refused a transition: {error}")
            response.success = False
            return response

    service.callback = change_or_refuse
