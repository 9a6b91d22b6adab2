"""The rules of the house: who may import whom; docs in README.md, "Development"."""

import ast
import subprocess
import sys
from functools import cache
from pathlib import Path
from xml.etree import ElementTree

import pytest

from textregion_ros import __version__

ROOT = Path(__file__).parents[1]
OURS = "textregion_ros"
# Data flows forwards: a room imports from itself and from what stands before it, nothing else.
ROOMS = (
    "core",
    "models",
    "space",
    "language",
    "regions",
    "tracking",
    "memory",
    "app.terminal",
    "evaluation",
    "node.conversions",
    "client",
    "app.drawing",
    "node",
    "app",
)
WITHOUT_ROS = ROOMS[: ROOMS.index("node.conversions")]
GENERATED = (f"{OURS}.msg", f"{OURS}.srv", f"{OURS}.action")
ROS = ("rclpy", "ament_index_python", "cv_bridge", "builtin_interfaces", "rcl_interfaces")
HEAVY = ("torch", "torchvision", "open_clip", "timm", "sam2", "hydra", "transformers")
FILES = {
    ".".join(path.relative_to(ROOT).with_suffix("").parts).removesuffix(".__init__"): path
    for path in (ROOT / OURS).rglob("*.py")
}


def is_under(module, *packages):
    return any(module == package or module.startswith(f"{package}.") for package in packages)


def is_ros(module):
    return is_under(module, *ROS, *GENERATED) or module.partition(".")[0].endswith("_msgs")


def is_for_types_only(node):
    return isinstance(node, ast.If) and ast.unparse(node.test).endswith("TYPE_CHECKING")


def statements(node):
    """Every statement of a tree but those that only type checkers see."""
    for child in ast.iter_child_nodes(node):
        if not is_for_types_only(child):
            yield child
            yield from statements(child)


@cache
def imports(module):
    """What a module of ours imports by its own statements, wherever they stand in it.

    Of `from a import b` this is `a` and `a.b`: which of them is a module is not looked at.
    """
    found = set()
    for node in statements(ast.parse(FILES[module].read_text())):
        if isinstance(node, ast.Import):
            found |= {name.name for name in node.names}
        elif isinstance(node, ast.ImportFrom):
            assert not node.level, f"{module} imports by a relative name"
            found |= {node.module, *(f"{node.module}.{name.name}" for name in node.names)}
    return found


def reached(*modules):
    """All that Python loads to import these modules, with the packages that they lie in."""
    found, todo = set(), list(modules)
    while todo:
        module = todo.pop()
        if module in found:
            continue
        found.add(module)
        if "." in module:
            todo.append(module.rpartition(".")[0])
        if module in FILES:
            todo += imports(module)
    return found


def room_of(module):
    """The innermost room that a module of ours lies in; None for what lies in none."""
    rooms = [room for room in ROOMS if is_under(module, f"{OURS}.{room}")]
    return max(rooms, key=len, default=None)


def modules_of(room):
    return [module for module in FILES if is_under(module, f"{OURS}.{room}")]


def test_every_module_lies_in_a_room():
    assert [module for module in FILES if not room_of(module)] == [OURS]


@pytest.mark.parametrize("module", FILES)
def test_data_flows_forwards(module):
    allowed = ROOMS[: ROOMS.index(room_of(module)) + 1] if room_of(module) else ()
    rooms = {room_of(name) for name in imports(module)} - {None}
    assert rooms <= set(allowed)


def test_core_needs_numpy_alone():
    outside = {name.partition(".")[0] for name in reached(*modules_of("core"))}
    assert outside - sys.stdlib_module_names == {OURS, "numpy"}


@pytest.mark.parametrize("room", WITHOUT_ROS)
def test_the_method_knows_no_ros(room):
    assert {name for name in reached(*modules_of(room)) if is_ros(name)} == set()


@pytest.mark.parametrize("room", ["core", "space", "language", "client"])
def test_what_a_robots_program_needs_is_light(room):
    assert {name for name in reached(*modules_of(room)) if is_under(name, *HEAVY)} == set()


def test_importing_the_client_loads_no_models():
    """As the test above, of what Python and other people's packages do."""
    program = f"import sys, {OURS}.client; print(*sys.modules)"
    loaded = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, check=True
    )
    assert {name for name in loaded.stdout.split() if is_under(name, *HEAVY)} == set()


@pytest.mark.parametrize("module", modules_of("node"))
def test_the_node_does_no_arithmetic_on_tensors(module):
    assert {name for name in imports(module) if is_under(name, *HEAVY)} == set()


def test_the_version_is_that_of_the_package():
    package = ElementTree.parse(ROOT / "package.xml")
    assert package.findtext("version") == __version__
