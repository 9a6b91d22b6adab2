"""Starts one node: ros2 launch textregion_ros textregion.launch.py; docs/launch.md says more."""

from launch import LaunchDescription
from launch.actions import DeclareLaunchArgument
from launch.conditions import IfCondition
from launch.substitutions import LaunchConfiguration, PathJoinSubstitution
from launch_ros.actions import Node
from launch_ros.parameter_descriptions import ParameterValue
from launch_ros.substitutions import FindPackageShare

CONFIG = PathJoinSubstitution([FindPackageShare("textregion_ros"), "config"])
PROFILE_FILE = [PathJoinSubstitution([CONFIG, LaunchConfiguration("profile")]), ".yaml"]
# Name, default, and what it is for.
ARGUMENTS = (
    ("profile", "demo", "whose parameter file to use: demo, clip, siglip2 or pe"),
    ("params_file", PROFILE_FILE, "parameter file to use instead of the profile's"),
    ("image", "image", "topic of the camera's images"),
    ("depth", "depth", "topic of the depth aligned to them"),
    ("camera_info", "camera_info", "topic of the camera's intrinsics"),
    ("namespace", "", "namespace of the node and of its topics"),
    ("autostart", "true", "configure and activate the node; false leaves it to a manager"),
    ("rviz", "false", "open RViz too"),
)


def generate_launch_description() -> LaunchDescription:
    """Return the node and, on request, RViz, in one namespace and with the same topics."""
    arguments = [
        DeclareLaunchArgument(name, default_value=default, description=description)
        for name, default, description in ARGUMENTS
    ]
    shared = {
        "namespace": LaunchConfiguration("namespace"),
        "remappings": [
            (topic, LaunchConfiguration(topic)) for topic in ("image", "depth", "camera_info")
        ],
    }
    autostart = ParameterValue(LaunchConfiguration("autostart"), value_type=bool)
    node = Node(
        package="textregion_ros",
        executable="textregion_node",
        parameters=[LaunchConfiguration("params_file"), {"autostart": autostart}],
        output="screen",
        **shared,
    )
    rviz = Node(
        package="rviz2",
        executable="rviz2",
        arguments=["-d", PathJoinSubstitution([CONFIG, "textregion.rviz"])],
        condition=IfCondition(LaunchConfiguration("rviz")),
        **shared,
    )
    return LaunchDescription([*arguments, node, rviz])
