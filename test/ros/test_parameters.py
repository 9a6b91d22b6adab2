import pytest
from fake_model_node import COLOURS
from rcl_interfaces.msg import ParameterType
from rcl_interfaces.srv import DescribeParameters, SetParameters
from rclpy.parameter import Parameter
from robot import FAKE, Robot, header, picture

from textregion_ros.node.images import to_message
from textregion_ros.srv import Query

SCENE = picture((COLOURS["red"], 10, 20, 30, 40), (COLOURS["blue"], 90, 50, 20, 10))
PARAMETERS = """
/**:
  ros__parameters:
    negatives: ["blue block"]
    queries: []
    threshold: 0.95
"""
NAMES = ["device", "kept_frames", "kept_mib", "max_rate", "negatives", "profile", "queries"]
NAMES += ["reliable", "threshold", "top_k"]


@pytest.fixture(scope="module")
def robot(tmp_path_factory):
    """A node with a parameter file, in a namespace, that has never seen an image."""
    path = tmp_path_factory.mktemp("parameters") / "node.yaml"
    path.write_text(PARAMETERS)
    with Robot(FAKE, ["--ros-args", "--params-file", str(path)]) as robot:
        robot.wait_until_ready()
        yield robot


def set_parameter(robot, name, value):
    client = robot.node.create_client(SetParameters, "textregion/set_parameters")
    assert client.wait_for_service(180)
    parameters = [Parameter(name, value=value).to_parameter_msg()]
    request = SetParameters.Request(parameters=parameters)
    return robot.result(client.call_async(request)).results[0]


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


def test_parameters_change_while_the_node_runs(robot):
    image = to_message(SCENE, header())
    assert set_parameter(robot, "threshold", 0.5).successful
    assert robot.query(["red block"], image=image).status == Query.Response.OK
    assert set_parameter(robot, "negatives", ["red block"]).successful
    assert robot.query(["red block"], image=image).status == Query.Response.NOT_FOUND
    assert set_parameter(robot, "negatives", [""]).successful
    assert robot.query(["blue block"], image=image).status == Query.Response.OK


@pytest.mark.parametrize(
    ("name", "value"), [("threshold", 1.5), ("top_k", -1), ("max_rate", -1.0), ("profile", "clip")]
)
def test_a_wrong_value_is_refused(robot, name, value):
    result = set_parameter(robot, name, value)
    assert not result.successful
    assert name in result.reason


def test_every_parameter_says_what_it_is_for(robot):
    client = robot.node.create_client(DescribeParameters, "textregion/describe_parameters")
    assert client.wait_for_service(180)
    request = DescribeParameters.Request(names=NAMES)
    descriptors = robot.result(client.call_async(request)).descriptors
    assert [descriptor.name for descriptor in descriptors] == NAMES
    assert all(descriptor.description for descriptor in descriptors)
    numbers = (ParameterType.PARAMETER_INTEGER, ParameterType.PARAMETER_DOUBLE)
    for descriptor in descriptors:
        ranges = [*descriptor.integer_range, *descriptor.floating_point_range]
        assert len(ranges) == (descriptor.type in numbers), descriptor.name
