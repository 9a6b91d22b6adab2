"""Where masks come from. A new proposer is a new file, and a line in SOURCES."""

from textregion_ros.regions.proposers.given import Given
from textregion_ros.regions.proposers.protocol import BuildProposer, Candidates, Proposer
from textregion_ros.regions.proposers.sam2_model import build_sam2_proposer

SOURCES: dict[str, BuildProposer] = {
    "sam2": build_sam2_proposer,
    "given": lambda profile, device: Given(device),
}
"""`proposals.source` of a profile -> what makes its proposer."""

__all__ = ["SOURCES", "BuildProposer", "Candidates", "Given", "Proposer"]
