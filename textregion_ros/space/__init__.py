"""Where things are in space: depth, the table, shapes of regions. Imports no ROS and no torch."""
