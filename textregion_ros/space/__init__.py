"""Where things are: relations between them, on boxes, masks and shapes. No torch, no ROS."""
