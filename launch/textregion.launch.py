"""Starts one node for one camera: ros2 launch textregion_ros textregion.launch.py."""

from launch import LaunchDescription
from launch.actions import DeclareLaunchArgument
from launch.substitutions import LaunchConfiguration, PathJoinSubstitution
from launch_ros.actions import Node
from launch_ros.substitutions import FindPackageShare


def generate_launch_description() -> LaunchDescription:
    """Return the node with its few arguments."""
    share = FindPackageShare("textregion_ros")
    profile_file = [LaunchConfiguration("profile"), ".yaml"]
    arguments = [
        DeclareLaunchArgument(
            "profile",
            default_value="demo",
            description="whose parameter file to use: demo, clip, siglip2 or pe",
        ),
        DeclareLaunchArgument(
            "params_file",
            default_value=PathJoinSubstitution([share, "config", profile_file]),
            description="parameter file to use instead of the profile's",
        ),
        DeclareLaunchArgument(
            "image", default_value="image", description="topic of the camera's images"
        ),
        DeclareLaunchArgument(
            "namespace", default_value="", description="namespace of the node and its topics"
        ),
    ]
    node = Node(
        package="textregion_ros",
        executable="textregion_node",
        namespace=LaunchConfiguration("namespace"),
        parameters=[LaunchConfiguration("params_file")],
        remappings=[("image", LaunchConfiguration("image"))],
        output="screen",
    )
    return LaunchDescription([*arguments, node])
