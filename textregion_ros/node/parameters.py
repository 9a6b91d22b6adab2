"""The parameters of the node: names, defaults, ranges, what they are for and when they count."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from rcl_interfaces.msg import (
    FloatingPointRange,
    IntegerRange,
    ParameterDescriptor,
    SetParametersResult,
)
from rclpy.node import Node
from rclpy.parameter import Parameter

from textregion_ros.core.errors import BadText
from textregion_ros.core.query import Query
from textregion_ros.core.text import shown
from textregion_ros.node.jobs import ModelSettings

# An empty list has no type in a parameter file, so the type is declared and not a default.
TEXTS = Parameter.Type.STRING_ARRAY
NUMBERS = Parameter.Type.INTEGER_ARRAY
CAMERA_NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")


@dataclass(frozen=True)
class Setting:
    """One parameter.

    Attributes:
        name: Its name.
        default: Its default, or its type where a default of no elements has none.
        description: What it is for.
        low, high: Range of a number, both ends included.
        choices: The only texts that it may be; empty for any.
        running: Whether it may be changed at any time, and not only until the node is configured.
    """

    name: str
    default: bool | int | float | str | Parameter.Type
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
    Setting("sam2", "", "Which SAM 2 of the profile: tiny, small, base_plus, large; none: its own"),
    Setting("device", "auto", "Where the model runs: auto, cpu, cuda, cuda:1…"),
    Setting("threads", 0, "CPU threads of the model; 0: one for each core", 0, 1024),
    Setting(
        "compile_size",
        NUMBERS,
        "Height and width of the images, px, for which the networks are compiled when the node is "
        "configured; takes minutes, as the first image of another size may; none: not compiled",
    ),
    Setting("autostart", True, "Configure and activate when the node starts, without a manager"),
    Setting("cameras", TEXTS, "Names of the cameras; none: one camera without a name"),
    Setting("transport", "raw", "How the images come", choices=("raw", "compressed")),
    Setting(
        "depth_transport",
        "raw",
        "How depth comes: raw on depth, compressedDepth on depth/compressedDepth",
        choices=("raw", "compressedDepth"),
    ),
    Setting("reliable", False, "Ask for reliable delivery of the images"),
    Setting("image_timeout", 5.0, "Warn when no image came for so long, s; 0: never", 0.0, 3600.0),
    Setting(
        "depth_tolerance",
        0.02,
        "Longest time between the stamps of depth or camera_info and the image's, s",
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
        -1.0,
        "Least score that is found, where the request leaves it open; 0: always the best region; "
        "below 0: the profile's",
        -1.0,
        1.0,
        running=True,
    ),
    Setting(
        "top_k",
        1,
        "Most regions for a text, where the request leaves it open; 0: all that are found",
        0,
        1000,
        running=True,
    ),
    Setting(
        "language",
        True,
        "Read texts such as the mug left of the bowl; else all are asked as they stand",
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
    Setting(
        "max_timeout",
        60.0,
        "Longest time that a query may wait or work, s; longer timeouts are cut to it",
        0.1,
        3600.0,
        running=True,
    ),
    Setting("max_texts", 256, "Most texts and negatives in a query", 1, 10000, running=True),
    Setting("max_text_length", 1000, "Most characters of a text", 1, 100000, running=True),
    Setting(
        "max_image_pixels",
        25_000_000,
        "Most pixels of an image, of a camera's or of a request's",
        1,
        1_000_000_000,
    ),
    Setting(
        "max_reply_mib",
        64,
        "Most memory that the masks of a reply may take, MiB; a query for more is refused",
        1,
        4096,
        running=True,
    ),
)
BY_NAME = {setting.name: setting for setting in SETTINGS}


def declare_parameters(node: Node) -> None:
    """Declare every parameter.

    Raises:
        InvalidParameterValueException: A first value is wrong.
    """
    for setting in SETTINGS:
        node.declare_parameter(setting.name, setting.default, setting.descriptor())


def judge(node: Node, parameters: Iterable[Parameter], configured: bool) -> SetParametersResult:
    """Say whether the parameters may be set now; rclpy sees to types and ranges.

    Args:
        node: The node.
        parameters: What is to be set.
        configured: Whether the node is configured.
    """
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
    """Return what is wrong with a value, whenever it is set; empty where nothing is."""
    if setting.choices and parameter.value not in setting.choices:
        choices = " or ".join(setting.choices)
        return f"{setting.name} is {shown(str(parameter.value))} and must be {choices}"
    if setting.name == "cameras":
        names = [name for name in parameter.value or () if name.strip()]
        if wrong := [name for name in names if not CAMERA_NAME.fullmatch(name)]:
            return f"cameras: {shown(wrong[0])} is no name; use letters, digits and _"
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
    """Return a list of texts but the blank ones; empty where it was not set."""
    unset = Parameter(name, Parameter.Type.STRING_ARRAY, [])
    return texts_in(node.get_parameter_or(name, unset))


def texts_in(parameter: Parameter) -> tuple[str, ...]:
    """Return the texts of a list parameter but the blank ones."""
    return tuple(text for text in parameter.value or () if text.strip())


def size(node: Node, name: str) -> tuple[int, int] | None:
    """Return height and width; None where they were not set."""
    numbers = tuple(node.get_parameter_or(name).value or ())
    return (int(numbers[0]), int(numbers[1])) if numbers else None


def text(node: Node, name: str) -> str:
    """Return the value of a text parameter as it is now."""
    return str(node.get_parameter(name).value)


def flag(node: Node, name: str) -> bool:
    """Return the value of a parameter that is true or false, as it is now."""
    return bool(node.get_parameter(name).value)


def whole(node: Node, name: str) -> int:
    """Return the value of a whole number as it is now."""
    return int(node.get_parameter(name).value)


def number(node: Node, name: str) -> float:
    """Return the value of a number as it is now."""
    return float(node.get_parameter(name).value)


def model_settings(node: Node) -> ModelSettings:
    """Return which model the parameters ask for."""
    return ModelSettings(
        text(node, "profile"),
        text(node, "device"),
        text(node, "sam2") or None,
        whole(node, "threads"),
    )


@dataclass(frozen=True)
class Limits:
    """What a query may ask for at most; see the parameters of these names.

    Attributes:
        timeout: Longest time that a query may wait or work, s.
        texts: Most texts and negatives.
        text_length: Most characters of each.
        image_pixels: Most pixels of an image.
        reply_bytes: Most bytes of the masks in a reply.
    """

    timeout: float
    texts: int
    text_length: int
    image_pixels: int
    reply_bytes: int

    def check(self, query: Query) -> None:
        """Check the number of texts and their lengths.

        Raises:
            BadText: There are too many, or one is too long.
        """
        texts = (*query.texts, *query.negatives)
        if len(texts) > self.texts:
            raise BadText(f"{len(texts)} texts and negatives are more than max_texts, {self.texts}")
        for text in texts:
            if len(text) > self.text_length:
                raise BadText(
                    f"the text {shown(text)} has {len(text)} characters, more than "
                    f"max_text_length, {self.text_length}"
                )


def limits(node: Node) -> Limits:
    """Return what the parameters allow now."""
    return Limits(
        number(node, "max_timeout"),
        whole(node, "max_texts"),
        whole(node, "max_text_length"),
        whole(node, "max_image_pixels"),
        whole(node, "max_reply_mib") << 20,
    )


def completed(node: Node, query: Query) -> Query:
    """Return a query with what the parameters say now, where it leaves something open."""
    threshold = number(node, "threshold")
    return query.completed(
        strings(node, "negatives"),
        threshold if threshold >= 0.0 else None,
        whole(node, "top_k"),
        flag(node, "language"),
    )
