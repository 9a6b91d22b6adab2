"""Conversions between ROS messages and the types of core: the only place that fills or reads a message."""
