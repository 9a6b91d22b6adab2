"""A rendered tabletop seen by a moving RGB-D camera; made by `python -m training.recording`."""
