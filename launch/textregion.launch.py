"""Starts one node: ros2 launch textregion_ros textregion.launch.py; docs/launch.md says more."""

from pathlib import Path

from launch import LaunchContext, LaunchDescription
from launch.actions import DeclareLaunchArgument, OpaqueFunction
from launch.conditions import IfCondition
from launch.substitutions import LaunchConfiguration, PathJoinSubstitution
from launch_ros.actions import Node
from launch_ros.substitutions import FindPackageShare

CONFIG = PathJoinSubstitution([FindPackageShare("textregion_ros"), "config"])
# Name, default, and what it is for. An empty one leaves its parameter as the parameter file has it.
ARGUMENTS = (
    ("profile", "", "demo, clip, siglip2, pe, or the path of a profile file"),
    ("params_file", "", "a parameter file; none: that of the profile"),
    ("image", "image", "topic of the camera's images"),
    ("depth", "depth", "topic of the depth aligned to them"),
    ("camera_info", "camera_info", "topic of the camera's intrinsics"),
    ("namespace", "", "namespace of the node and of its topics"),
    ("autostart", "", "true: configure and activate the node; false: leave it to a manager"),
    ("rviz", "false", "open RViz too"),
)


def generate_launch_description() -> LaunchDescription:
    """Return the node and, on request, RViz, in one namespace and with the same topics."""
    arguments = [
        DeclareLaunchArgument(name, default_value=default, description=description)
        for name, default, description in ARGUMENTS
    ]
    rviz = Node(
        package="rviz2",
        executable="rviz2",
        arguments=["-d", PathJoinSubstitution([CONFIG, "textregion.rviz"])],
        condition=IfCondition(LaunchConfiguration("rviz")),
        **shared(),
    )
    return LaunchDescription([*arguments, OpaqueFunction(function=node), rviz])


def shared() -> dict:
    """Return what the node and RViz have in common."""
    topics = ("image", "depth", "camera_info")
    return {
        "namespace": LaunchConfiguration("namespace"),
        "remappings": [(topic, LaunchConfiguration(topic)) for topic in topics],
    }


def node(context: LaunchContext) -> list[Node]:
    """Return the node, with the parameters that were given and no others."""
    given = {name: LaunchConfiguration(name).perform(context) for name, *_ in ARGUMENTS}
    parameters = []
    if given["params_file"]:
        parameters.append(given["params_file"])
    if given["profile"].endswith((".yaml", ".yml")):
        parameters.append({"profile": str(Path(given["profile"]).expanduser().absolute())})
    elif given["profile"] and not given["params_file"]:
        parameters.append(f"{CONFIG.perform(context)}/{given['profile']}.yaml")
    elif given["profile"]:
        parameters.append({"profile": given["profile"]})
    if given["autostart"]:
        parameters.append({"autostart": given["autostart"].lower() in ("true", "1", "yes", "on")})
    return [
        Node(
            package="textregion_ros",
            executable="textregion_node",
            parameters=parameters,
            output="screen",
            **shared(),
        )
    ]
