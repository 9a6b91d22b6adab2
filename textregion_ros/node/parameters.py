"""The parameters of the node: names, defaults, ranges, what they are for and when they count."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

from rcl_interfaces.msg import (
    FloatingPointRange,
    IntegerRange,
    ParameterDescriptor,
    SetParametersResult,
)
from rclpy.node import Node
from rclpy.parameter import Parameter

# An empty list has no type in a parameter file, so the type is declared and not a default.
TEXTS = Parameter.Type.STRING_ARRAY
NUMBERS = Parameter.Type.INTEGER_ARRAY
CAMERA_NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")


@dataclass(frozen=True)
class Setting:
    """One parameter. low, high: its range, both ends included; for numbers.

    choices: the only texts it may be. running: it may be changed at any time, and not only until
    the node is configured.
    """

    name: str
    default: Any
    description: str
    low: float | None = None
    high: float | None = None
    choices: tuple[str, ...] = ()
    running: bool = False

    def descriptor(self) -> ParameterDescriptor:
        """Return what `ros2 param describe` shows."""
        described = ParameterDescriptor(description=self.description)
        if self.choices:
            described.additional_constraints = "one of " + ", ".join(self.choices)
        if self.low is not None and isinstance(self.default, int):
            limits = IntegerRange(from_value=self.low, to_value=self.high, step=1)
            described.integer_range = [limits]
        elif self.low is not None:
            limits = FloatingPointRange(from_value=self.low, to_value=self.high)
            described.floating_point_range = [limits]
        return described


SETTINGS = (
    Setting("profile", "demo", "Bundled profile, or the path of a profile file"),
    Setting("device", "auto", "Where the model runs: auto, cpu, cuda, cuda:1…"),
    Setting(
        "compile_size",
        NUMBERS,
        "Height and width of the images, px, for which configuring compiles the networks and warms "
        "them up; takes minutes, as the first image of another size may; none: not compiled",
    ),
    Setting("autostart", True, "Configure and activate when the node starts, without a manager"),
    Setting("cameras", TEXTS, "Names of the cameras; none: one camera without a name"),
    Setting("transport", "raw", "How the images come", choices=("raw", "compressed")),
    Setting("reliable", False, "Ask for reliable delivery of the images"),
    Setting("image_timeout", 5.0, "Warn when no image came for so long, s; 0: never", 0.0, 3600.0),
    Setting(
        "depth_tolerance",
        0.02,
        "Most that the stamps of depth and camera_info may be from the image's, s",
        0.0,
        1.0,
    ),
    Setting(
        "static_threshold",
        0.0,
        "An image that differs by less from the one encoded last, in grey levels, reuses its "
        "regions; 0: never",
        0.0,
        255.0,
    ),
    Setting(
        "guided",
        False,
        "Of an image that nobody has asked about, look only for what the texts of a single query "
        "speak of; the next query about it finds all regions, numbered anew",
        running=True,
    ),
    Setting("kept_frames", 4, "Most encoded frames that are kept", 1, 1000),
    Setting("kept_mib", 256, "Most memory they may take, MiB", 1, 65536),
    Setting("queries", TEXTS, "Standing queries: texts looked for in every frame", running=True),
    Setting(
        "negatives",
        TEXTS,
        "What texts must beat, besides the negatives of the profile and of the request",
        running=True,
    ),
    Setting(
        "threshold",
        0.0,
        "Least score that is found, where the request leaves it open; 0: the profile's",
        0.0,
        1.0,
        running=True,
    ),
    Setting(
        "top_k",
        0,
        "Most regions for a text, where the request leaves it open; 0: all that are found",
        0,
        1000,
        running=True,
    ),
    Setting(
        "max_rate",
        0.0,
        "Most answers to the standing queries for each camera, Hz; 0: no limit",
        0.0,
        1000.0,
        running=True,
    ),
)
BY_NAME = {setting.name: setting for setting in SETTINGS}


def declare_parameters(node: Node) -> None:
    """Declare every parameter. Raises InvalidParameterValueException for a wrong first value."""
    for setting in SETTINGS:
        node.declare_parameter(setting.name, setting.default, setting.descriptor())


def judge(node: Node, parameters: Iterable[Parameter], configured: bool) -> SetParametersResult:
    """Say whether the parameters may be set now; types and ranges are seen to by rclpy."""
    for parameter in parameters:
        setting = BY_NAME.get(parameter.name)
        if setting is None:
            continue
        reason = _fault(setting, parameter)
        if configured and not setting.running and _changes(node, parameter):
            reason = (
                f"{parameter.name} counts from when the node is configured: clean the node up, "
                "set it, and configure the node again"
            )
        if reason:
            return SetParametersResult(successful=False, reason=reason)
    return SetParametersResult(successful=True)


def _fault(setting: Setting, parameter: Parameter) -> str:
    """What is wrong with a value, whenever it is set; empty where nothing is."""
    if setting.choices and parameter.value not in setting.choices:
        choices = " or ".join(setting.choices)
        return f'{setting.name} is "{parameter.value}" and must be {choices}'
    if setting.name == "cameras":
        names = [name for name in parameter.value or () if name.strip()]
        if wrong := [name for name in names if not CAMERA_NAME.fullmatch(name)]:
            return f'cameras: "{wrong[0]}" is no name; use letters, digits and _'
        if len(set(names)) < len(names):
            return "cameras: two have the same name"
    if setting.name == "compile_size" and not _is_size(parameter.value or ()):
        return "compile_size must be the height and the width of images, such as [480, 640]"
    return ""


def _is_size(numbers: Sequence[int]) -> bool:
    return not numbers or (len(numbers) == 2 and min(numbers) > 0)


def _changes(node: Node, parameter: Parameter) -> bool:
    before = node.get_parameter_or(parameter.name).get_parameter_value()
    return before != parameter.get_parameter_value()


def strings(node: Node, name: str) -> tuple[str, ...]:
    """Return a list of texts, empty where it was not set. Blank texts are left out."""
    unset = Parameter(name, Parameter.Type.STRING_ARRAY, [])
    return texts_in(node.get_parameter_or(name, unset))


def texts_in(parameter: Parameter) -> tuple[str, ...]:
    """Return the texts of a list parameter but the blank ones."""
    return tuple(text for text in parameter.value or () if text.strip())


def size(node: Node, name: str) -> tuple[int, int] | None:
    """Return height and width, None where they were not set."""
    return tuple(node.get_parameter_or(name).value or ()) or None


def value(node: Node, name: str) -> Any:
    """Return the value of a parameter as it is now."""
    return node.get_parameter(name).value
