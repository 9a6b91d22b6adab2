"""What is wrong with data or with a run, always with the file's name."""

from textregion_ros.core.errors import TextRegionError


class BadData(TextRegionError):
    """A file of a data set is missing, damaged, or does not fit the others."""


class BadRun(TextRegionError):
    """A folder of results that holds another run, or runs that are not parts of one."""
