"""The TextRegion method without ROS: an image into region tokens, sentences into regions."""

from textregion_ros.core.camera import Intrinsics
from textregion_ros.core.errors import (
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
from textregion_ros.core.results import Grounding, ImageHeader, Pose, Region, RegionShape
from textregion_ros.core.scene import EncodedFrame, Observation, Scene
from textregion_ros.regions.pipeline import TextRegion
from textregion_ros.regions.profile import load_profile, profile_names
from textregion_ros.regions.settings import Profile

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
    "ImageHeader",
    "Intrinsics",
    "MissingExtra",
    "Observation",
    "Pose",
    "Profile",
    "Region",
    "RegionShape",
    "Scene",
    "TextRegion",
    "TextRegionError",
    "UnknownProfile",
    "load_profile",
    "profile_names",
]
