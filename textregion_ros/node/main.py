"""The program `textregion_node`: a node with the models of its profile."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

from textregion_ros.node.jobs import ModelSettings
from textregion_ros.node.node import TextRegionNode
from textregion_ros.node.running import run

if TYPE_CHECKING:
    from textregion_ros.regions import TextRegion

# Idle threads of OpenMP wait actively for this many rounds. Without a bound they take the cores
# from other processes, and an encoding beside these takes ten times as long.
SPIN_COUNT = "20000"


def load_model(settings: ModelSettings) -> TextRegion:
    """Load the model of a profile; torch is imported here, and not before."""
    from textregion_ros.regions import TextRegion

    return TextRegion.from_profile(
        settings.profile, settings.device, settings.sam2, settings.threads
    )


def main(args: list[str] | None = None) -> None:
    """Run the node."""
    os.environ.setdefault("GOMP_SPINCOUNT", SPIN_COUNT)  # OpenMP reads it when torch is loaded
    run(lambda: TextRegionNode(load_model), args)
