"""The launch file, read through a stand-in; test/ros/test_launched.py runs it."""

import re
from pathlib import Path

import pytest
import yaml

from test.support import launch_standin
from test.support.launch_standin import text_of
from textregion_ros.node.parameters import BY_NAME

ROOT = Path(__file__).parents[1]
FILE = ROOT / "launch/textregion.launch.py"
DOCUMENT = (ROOT / "docs/launch.md").read_text()
SHARE = {"textregion_ros": str(ROOT)}
PROFILES = ["demo", "clip", "siglip2", "pe"]


@pytest.fixture(scope="module")
def described():
    """The arguments and the nodes of the launch file, as the stand-in saw them."""
    with pytest.MonkeyPatch.context() as patch:
        launch_standin.install(patch)
        names = {}
        exec(compile(FILE.read_text(), str(FILE), "exec"), names)
        entities = names["generate_launch_description"]().initial_entities
    of = launch_standin.DeclareLaunchArgument
    arguments = {entity.name: entity for entity in entities if isinstance(entity, of)}
    (opaque,) = (one for one in entities if isinstance(one, launch_standin.OpaqueFunction))
    (rviz,) = (one for one in entities if isinstance(one, launch_standin.Node))
    return arguments, opaque.function, rviz


def node(described, **given):
    """The node that is started with these arguments."""
    settings = {name: argument.default_value for name, argument in described[0].items()}
    (made,) = described[1](launch_standin.LaunchContext({**settings, **given}, SHARE))
    return made


def resolve(described, value, **given):
    settings = {name: argument.default_value for name, argument in described[0].items()}
    return text_of(value, {**settings, **given}, SHARE)


def test_the_arguments_are_few_and_described(described):
    arguments, *_ = described
    assert all(argument.description for argument in arguments.values())
    documented = re.findall(r"^\| (`.*?) \|", DOCUMENT, re.MULTILINE)
    assert re.findall(r"`(\w+)`", " ".join(documented)) == [
        *("profile", "params_file", "image", "depth", "camera_info"),
        *("namespace", "autostart", "rviz"),
    ]
    assert set(arguments) == set(re.findall(r"`(\w+)`", " ".join(documented)))


def test_topics_and_namespace_reach_both_nodes(described):
    given = {"namespace": "arm", "image": "/rgb", "depth": "/range"}
    for started in (node(described, **given), described[2]):
        assert resolve(described, started.namespace, **given) == "arm"
        remaps = [(name, resolve(described, topic, **given)) for name, topic in started.remappings]
        assert remaps == [("image", "/rgb"), ("depth", "/range"), ("camera_info", "camera_info")]


@pytest.mark.parametrize("profile", PROFILES)
def test_every_profile_has_a_parameter_file_of_what_differs(described, profile):
    (file,) = node(described, profile=profile).parameters
    parameters = yaml.safe_load(Path(file).read_text())["/**"]["ros__parameters"]
    assert parameters.pop("profile") == profile
    for name, value in parameters.items():
        assert type(value) is type(BY_NAME[name].default)
        assert value != BY_NAME[name].default


def test_only_what_is_given_is_passed_on(described):
    """`autostart` overrode that of a parameter file, and a profile's path became a name."""
    assert node(described).parameters == []
    mine = node(described, params_file="/my.yaml").parameters
    assert mine == ["/my.yaml"]
    both = node(described, params_file="/my.yaml", profile="clip", autostart="false").parameters
    assert both == ["/my.yaml", {"profile": "clip"}, {"autostart": False}]
    path = node(described, profile="/x/my.yaml", autostart="true").parameters
    assert path == [{"profile": "/x/my.yaml"}, {"autostart": True}]


def test_the_executable_is_installed_and_rviz_opens_on_request(described):
    started, rviz = node(described), described[2]
    installed = (ROOT / "CMakeLists.txt").read_text()
    assert f"install(PROGRAMS scripts/{started.executable} DESTINATION lib/" in installed
    assert (ROOT / "scripts" / started.executable).stat().st_mode & 0o111
    assert resolve(described, rviz.condition.predicate_expression) == "false"
    option, path = rviz.arguments
    assert option == "-d"
    assert Path(resolve(described, path)).is_file()


def test_the_rviz_layout_shows_topics_of_the_node():
    layout = yaml.safe_load((ROOT / "config/textregion.rviz").read_text())["Visualization Manager"]
    shown = {
        display["Topic"]["Value"]: display["Class"].split("/")[1]
        for display in layout["Displays"]
        if "Topic" in display
    }
    assert shown == {
        "image": "Image",
        "textregion/overlay": "Image",
        "textregion/markers": "MarkerArray",
        "textregion/object_points": "PointCloud2",
    }
