import pytest
import rclpy
from rcl_interfaces.msg import ParameterType
from rcl_interfaces.srv import DescribeParameters
from rclpy.context import Context
from rclpy.parameter import Parameter
from rclpy.qos import DurabilityPolicy, QoSProfile

from test.support.colour_node import COLOURS, ColourModel
from test.support.domains import free_domain
from test.support.messages import header, picture
from test.support.robot import FAKE, Robot
from test.support.waiting import wait_for
from textregion_ros.msg import Queries
from textregion_ros.node import node as node_module
from textregion_ros.node.conversions.images import to_message
from textregion_ros.node.parameters import SETTINGS
from textregion_ros.srv import Query

SCENE = picture((COLOURS["red"], 10, 20, 30, 40), (COLOURS["blue"], 90, 50, 20, 10))
PARAMETERS = """
/**:
  ros__parameters:
    negatives: ["blue block"]
    queries: []
    compile_size: []
    threshold: 0.95
"""
NAMES = [setting.name for setting in SETTINGS]


@pytest.fixture(scope="module")
def robot(tmp_path_factory):
    """A node with a parameter file, in a namespace, that has never seen an image."""
    path = tmp_path_factory.mktemp("parameters") / "node.yaml"
    path.write_text(PARAMETERS)
    with Robot(FAKE, ["--ros-args", "--params-file", str(path)]) as robot:
        robot.wait_until_ready()
        yield robot


@pytest.mark.parametrize("timeout", [0.0, 0.2])
def test_before_the_first_image(robot, timeout):
    reply = robot.query(["red block"], timeout=timeout)
    assert reply.status == Query.Response.NO_IMAGE
    assert reply.message == "no camera image has come yet"
    assert reply.groundings == []


def test_standing_queries_before_the_first_image(robot):
    assert robot.set_queries(["red block"]).success
    assert robot.set_queries([]).success


def test_parameters_count_where_the_request_leaves_them_open(robot):
    image = to_message(SCENE, header())
    assert robot.query(["red block"], image=image).status == Query.Response.NOT_FOUND
    assert robot.query(["red block"], image=image, threshold=0.5).status == Query.Response.OK
    reply = robot.query(["blue block"], image=image, threshold=0.5)
    assert reply.status == Query.Response.NOT_FOUND


def test_queries_and_top_k_change_while_the_node_runs(robot):
    """Pitfall 8, global prompt: whoever listens is told what is in force, with its revision."""
    latched = QoSProfile(depth=1, durability=DurabilityPolicy.TRANSIENT_LOCAL)
    heard = robot.listen(Queries, "textregion/queries", latched)
    assert robot.set_parameter("queries", ["red block", " "]).successful
    wait_for(lambda: heard and list(heard[-1].texts) == ["red block"])
    before = heard[-1].revision
    two = picture((COLOURS["red"], 5, 5, 10, 10), (COLOURS["red"], 50, 5, 30, 30))
    image = to_message(two, header())

    def regions():
        return len(robot.query(["red block"], image=image, threshold=0.5).groundings[0].regions)

    assert regions() == 1
    assert robot.set_parameter("top_k", 0).successful
    assert regions() == 2
    assert robot.set_parameter("top_k", 1).successful
    assert robot.set_parameter("queries", [""]).successful
    wait_for(lambda: list(heard[-1].texts) == [])
    assert heard[-1].revision == before + 1


def test_parameters_change_while_the_node_runs(robot):
    image = to_message(SCENE, header())
    assert robot.set_parameter("threshold", 0.5).successful
    assert robot.query(["red block"], image=image).status == Query.Response.OK
    assert robot.set_parameter("negatives", ["red block"]).successful
    assert robot.query(["red block"], image=image).status == Query.Response.NOT_FOUND
    assert robot.set_parameter("negatives", [""]).successful
    assert robot.query(["blue block"], image=image).status == Query.Response.OK


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("threshold", 1.5),
        ("top_k", -1),
        ("max_rate", -1.0),
        ("profile", "clip"),
        ("compile_size", [480, 640]),
        ("compile_size", [480]),
        ("compile_size", [0, 640]),
        ("kept_frames", 2),
        ("depth_tolerance", 0.5),
        ("cameras", ["left"]),
        ("transport", "theora"),
    ],
)
def test_a_wrong_value_is_refused(robot, name, value):
    result = robot.set_parameter(name, value)
    assert not result.successful
    assert name in result.reason


def test_a_value_of_another_type_is_refused(robot):
    result = robot.set_parameter("threshold", "high")
    assert not result.successful
    assert "type" in result.reason


def test_a_parameter_that_cannot_change_now_says_when_it_can(robot):
    reason = robot.set_parameter("device", "cuda").reason
    assert "counts from when the node is configured: clean the node up" in reason
    assert robot.set_parameter("device", "auto").successful  # as it was


@pytest.fixture
def node():
    """A node in this process, which nobody spins."""
    with free_domain() as domain:
        context = Context()
        rclpy.init(context=context, domain_id=domain)
        node = node_module.TextRegionNode(
            ColourModel,
            context=context,
            parameter_overrides=[Parameter("autostart", value=False)],
        )
        yield node
        node.destroy_node()
        rclpy.shutdown(context=context)


@pytest.mark.parametrize(
    ("broken", "name", "value"),
    [
        ("judge", "threshold", 0.5),
        ("texts_in", "queries", ["red block"]),
    ],
)
def test_no_exception_leaves_the_parameter_callback(node, monkeypatch, broken, name, value):
    """It would end the node: rclpy lets it out of the service of the parameters."""

    def fail(*_):
        raise KeyError(name)

    before = node.get_parameter_or(name).value
    with monkeypatch.context() as patch:
        patch.setattr(node_module, broken, fail)
        (result,) = node.set_parameters([Parameter(name, value=value)])
    assert (result.successful, result.reason) == (False, f"KeyError: '{name}'")
    assert node.get_parameter_or(name).value == before
    (result,) = node.set_parameters([Parameter(name, value=value)])
    assert result.successful
    assert node.get_parameter(name).value == value


@pytest.mark.parametrize("size", [[480], [480, 640, 3], [0, 640], [480, -1]])
def test_a_size_to_compile_for_is_a_height_and_a_width(node, size):
    def set_to(size):
        return node.set_parameters([Parameter("compile_size", value=size)])[0]

    assert set_to([480, 640]).successful
    assert "the height and the width" in set_to(size).reason
    assert list(node.get_parameter("compile_size").value) == [480, 640]


def test_every_parameter_says_what_it_is_for(robot):
    request = DescribeParameters.Request(names=NAMES)
    descriptors = robot.call(DescribeParameters, "describe_parameters", request).descriptors
    assert [descriptor.name for descriptor in descriptors] == NAMES
    assert all(descriptor.description for descriptor in descriptors)
    numbers = (ParameterType.PARAMETER_INTEGER, ParameterType.PARAMETER_DOUBLE)
    for descriptor in descriptors:
        ranges = [*descriptor.integer_range, *descriptor.floating_point_range]
        assert len(ranges) == (descriptor.type in numbers), descriptor.name
