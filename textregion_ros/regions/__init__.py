"""The TextRegion method without ROS: an image into region tokens, sentences into regions."""

from textregion_ros.regions.errors import (
    BadImage,
    BadProfile,
    BadQuery,
    BadText,
    CheckpointAltered,
    CheckpointMissing,
    FetchFailed,
    MissingExtra,
    TextRegionError,
    UnknownProfile,
)
from textregion_ros.regions.pipeline import TextRegion
from textregion_ros.regions.profile import Profile, load_profile, profile_names
from textregion_ros.regions.results import EncodedFrame, Grounding, Region

__all__ = [
    "BadImage",
    "BadProfile",
    "BadQuery",
    "BadText",
    "CheckpointAltered",
    "CheckpointMissing",
    "EncodedFrame",
    "FetchFailed",
    "Grounding",
    "MissingExtra",
    "Profile",
    "Region",
    "TextRegion",
    "TextRegionError",
    "UnknownProfile",
    "load_profile",
    "profile_names",
]
