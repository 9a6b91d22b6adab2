"""The ROS 2 node around the library: images in, answers out."""
