"""Where things are in space: depth, the table, shapes of regions, relations between them.

Imports no ROS and no torch.
"""

from textregion_ros.space.space import Space, space_of

__all__ = ["Space", "space_of"]
