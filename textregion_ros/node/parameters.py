"""The parameters of the node: names, defaults, ranges and what they are for."""

from __future__ import annotations

from typing import Any

from rcl_interfaces.msg import FloatingPointRange, IntegerRange, ParameterDescriptor
from rclpy.node import Node
from rclpy.parameter import Parameter


def declare_parameters(node: Node) -> None:
    """Declare every parameter. Those marked read-only are used once, when the node starts."""
    fixed = {"read_only": True}
    declare = node.declare_parameter
    declare("profile", "demo", _describe("Bundled profile, or the path of a profile file", **fixed))
    declare("device", "auto", _describe("Where the model runs: auto, cpu, cuda, cuda:1…", **fixed))
    declare("reliable", False, _describe("Ask for reliable delivery of the images", **fixed))
    declare("kept_frames", 4, _integer("Most encoded frames that are kept", 1, 1000, **fixed))
    declare("kept_mib", 256, _integer("Most memory they may take, MiB", 1, 65536, **fixed))
    # An empty list has no type in a parameter file, so the type is declared and not a default.
    texts = Parameter.Type.STRING_ARRAY
    declare("queries", texts, _describe("Standing queries at the start", **fixed))
    declare("negatives", texts, _describe("What texts must beat, besides the profile's negatives"))
    declare("threshold", 0.0, _real("Least score that is found; 0: the profile's", 0.0, 1.0))
    declare("top_k", 0, _integer("Most regions for a text of `queries`; 0: all", 0, 1000))
    declare("max_rate", 0.0, _real("Most answers to standing queries, Hz; 0: no limit", 0.0, 1e3))


def strings(node: Node, name: str) -> tuple[str, ...]:
    """Return a list of texts, empty where it was not set. Blank texts are left out."""
    unset = Parameter(name, Parameter.Type.STRING_ARRAY, [])
    return tuple(text for text in node.get_parameter_or(name, unset).value if text.strip())


def value(node: Node, name: str) -> Any:
    """Return the value of a parameter as it is now."""
    return node.get_parameter(name).value


def _describe(description: str, **more: Any) -> ParameterDescriptor:
    return ParameterDescriptor(description=description, **more)


def _real(description: str, low: float, high: float) -> ParameterDescriptor:
    limits = FloatingPointRange(from_value=low, to_value=high)
    return _describe(description, floating_point_range=[limits])


def _integer(description: str, low: int, high: int, **more: Any) -> ParameterDescriptor:
    limits = IntegerRange(from_value=low, to_value=high, step=1)
    return _describe(description, integer_range=[limits], **more)
