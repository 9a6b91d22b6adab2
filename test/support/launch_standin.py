"""What launch and launch_ros have that our launch file uses, with their signatures, to be read.

An argument that the real classes do not take fails here too, and so does one they insist on.
"""

import sys
from dataclasses import dataclass
from types import ModuleType


@dataclass
class LaunchDescription:
    initial_entities: list


@dataclass
class DeclareLaunchArgument:
    name: str
    default_value: object = None
    description: str | None = None


@dataclass
class LaunchConfiguration:
    variable_name: str

    def perform(self, context):
        return text_of(self, context.settings, context.share)


@dataclass
class PathJoinSubstitution:
    substitutions: list

    def __post_init__(self):
        assert not any(isinstance(part, list) for part in self.substitutions)

    def perform(self, context):
        return text_of(self, context.settings, context.share)


@dataclass
class FindPackageShare:
    package: str


@dataclass
class IfCondition:
    predicate_expression: object


@dataclass(kw_only=True)
class OpaqueFunction:
    function: object


@dataclass
class LaunchContext:
    """settings: of the arguments. share: path, by package."""

    settings: dict
    share: dict


@dataclass(kw_only=True)
class Node:
    package: str
    executable: str
    namespace: object = None
    remappings: list | None = None
    parameters: list | None = None
    arguments: list | None = None
    output: str = "log"
    condition: object = None


MODULES = {
    "launch": [LaunchContext, LaunchDescription],
    "launch.actions": [DeclareLaunchArgument, OpaqueFunction],
    "launch.conditions": [IfCondition],
    "launch.substitutions": [LaunchConfiguration, PathJoinSubstitution],
    "launch_ros": [],
    "launch_ros.actions": [Node],
    "launch_ros.substitutions": [FindPackageShare],
}


def install(patch):
    """Have `import launch` and its like find these classes, as long as the patch lasts."""
    for name, members in MODULES.items():
        module = ModuleType(name)
        for member in members:
            setattr(module, member.__name__, member)
        patch.setitem(sys.modules, name, module)


def text_of(value, settings, share):
    """Return what a substitution comes to. settings: of the arguments. share: path, by package."""
    if isinstance(value, LaunchConfiguration):
        return text_of(settings[value.variable_name], settings, share)
    if isinstance(value, FindPackageShare):
        return share[value.package]
    if isinstance(value, PathJoinSubstitution):
        return "/".join(text_of(part, settings, share) for part in value.substitutions)
    if isinstance(value, list):
        return "".join(text_of(part, settings, share) for part in value)
    assert isinstance(value, str)
    return value
