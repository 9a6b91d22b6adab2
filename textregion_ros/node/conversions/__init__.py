"""ROS messages to the types of core and back; no other part fills or reads a message."""
