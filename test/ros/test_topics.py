"""The documented topics and services are those of the running node."""

from test.support.waiting import wait_for
from textregion_ros.node.topics import INPUTS, NODE_OUTPUTS, OUTPUTS

# What rclpy gives every node, and every managed one.
OWN = {"/parameter_events", "/rosout", "/textregion/transition_event", "/diagnostics"}


def listed(robot, what, least):
    """Names and types of what the node has, once so many are known to be there."""
    wait_for(lambda: ("textregion", "/") in robot.node.get_node_names_and_namespaces())
    ask = getattr(robot.node, f"get_{what}_names_and_types_by_node")
    names = wait_for(lambda: len(found := ask("textregion", "/")) >= least and found)
    return {name: kinds[0] for name, kinds in names}


def test_the_node_has_the_documented_topics(robot):
    outputs = [topic for topic in (*NODE_OUTPUTS, *OUTPUTS) if topic.kind]
    expected = {f"/textregion/{topic.name}": topic.type for topic in outputs}
    published = listed(robot, "publisher", len(outputs) + len(OWN))
    assert set(published) >= OWN
    assert {name: kind for name, kind in published.items() if name not in OWN} == expected
    subscribed = listed(robot, "subscriber", len(INPUTS))
    assert subscribed == {f"/{topic.name}": topic.type for topic in INPUTS}


def test_the_node_has_the_documented_services(robot):
    services = listed(robot, "service", 2)
    assert services["/textregion/query"] == "textregion_ros/srv/Query"
    assert services["/textregion/set_queries"] == "textregion_ros/srv/SetQueries"
