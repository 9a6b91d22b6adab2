"""`textregion calibrate`: thresholds and probabilities for one's own pictures and any profile.

Asks a profile's models the phrases of a folder, fits the three constants that make a probability
of a similarity, chooses the threshold by the rate of false finds that is allowed, and writes the
profile anew with both.
"""

from __future__ import annotations

from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import yaml

from textregion_ros.core.errors import MissingExtra, TextRegionError
from textregion_ros.evaluation.questions import (
    Observation,
    QuestionedPicture,
    observe,
    read_questions,
)
from textregion_ros.regions import TextRegion, load_profile
from textregion_ros.regions.calibration import (
    Calibration,
    balance,
    expected_calibration_error,
    fit,
    reliability,
    threshold_at,
)
from textregion_ros.regions.profile import profile_path

LEAST = 10
"""Present and absent phrases that a fit needs at the least, of each."""


@dataclass(frozen=True)
class Outcome:
    """A fitted calibration, and what it comes to on the pictures it was fitted on.

    Attributes:
        calibration: The three constants.
        threshold: Least score that counts as found.
        present, absent: How many phrases of each were asked.
        found, elsewhere, missed: Shares of the present phrases answered rightly, answered with
            another region, and not answered.
        false_finds: Share of the absent phrases that are found.
        error: Expected calibration error.
    """

    calibration: Calibration
    threshold: float
    present: int
    absent: int
    found: float
    elsewhere: float
    missed: float
    false_finds: float
    error: float


def judge(
    observations: list[Observation], calibration: Calibration, threshold: float
) -> tuple[Outcome, np.ndarray]:
    """Return what a calibration and a threshold come to on observations, and the scores [N]."""
    present = np.array([seen.question.present for seen in observations])
    right = np.array([seen.right for seen in observations])
    logits = np.array([seen.logit for seen in observations])
    scores = calibration.probability(logits, np.array([seen.lead for seen in observations]))
    answered = scores >= threshold
    outcome = Outcome(
        calibration,
        threshold,
        int(present.sum()),
        int((~present).sum()),
        found=_share(answered & right, present),
        elsewhere=_share(answered & ~right, present),
        missed=_share(~answered, present),
        false_finds=_share(answered, ~present),
        error=expected_calibration_error(scores, right, balance(present)),
    )
    return outcome, scores


def _share(picked: np.ndarray, among: np.ndarray) -> float:
    return float(picked[among].mean()) if among.any() else float("nan")


def fit_observations(observations: list[Observation], rate: float) -> Outcome:
    """Fit a calibration and a threshold.

    Args:
        observations: What came of the questions.
        rate: Share of the absent phrases that may reach the threshold, 0..1.

    Raises:
        TextRegionError: There are too few phrases, or the rate is out of range.
        MissingExtra: scikit-learn is not installed.
    """
    if not 0.0 <= rate <= 1.0:
        raise TextRegionError(f"the share of false finds must be in 0..1, not {rate}")
    present = np.array([seen.question.present for seen in observations], bool)
    right = np.array([seen.right for seen in observations], bool)
    if min(present.sum(), (~present).sum(), right.sum()) < LEAST:
        raise TextRegionError(
            f"{LEAST} present and {LEAST} absent phrases are needed at the least, and as many "
            f"right answers; here are {present.sum()}, {(~present).sum()} and {right.sum()}"
        )
    logits = np.array([seen.logit for seen in observations])
    lead = np.array([seen.lead for seen in observations])
    try:
        calibration = fit(logits, lead, right, balance(present))
    except ImportError as error:
        raise MissingExtra(
            "calibrating needs scikit-learn: pip install 'textregion_ros[calibrate]'"
        ) from error
    scores = calibration.probability(logits, lead)
    threshold = threshold_at(scores[~present], rate)
    return judge(observations, calibration, threshold)[0]


def calibrate(
    profile: str,
    pictures: list[QuestionedPicture],
    rate: float = 0.02,
    device: str = "auto",
    sam2: str | None = None,
) -> tuple[Outcome, list[Observation]]:
    """Ask a profile's models all questions, and fit. Raises what its parts raise."""
    chosen = load_profile(profile, sam2)
    model = TextRegion.from_profile(chosen, device)
    # Words that it was never taught are never found: they would only flatter the threshold.
    asked = [
        replace(
            picture,
            questions=tuple(q for q in picture.questions if not model.encoder.text.unknown(q.text)),
        )
        for picture in pictures
    ]
    observations = list(observe(model, [picture for picture in asked if picture.questions]))
    return fit_observations(observations, rate), observations


def calibrated_yaml(profile: str, outcome: Outcome, sam2: str | None = None) -> str:
    """Return the text of a profile's YAML file with the calibration and the threshold in it."""
    path = profile_path(profile)
    data = yaml.safe_load(path.read_text(encoding="utf-8"))
    data = {"name": path.stem, **_absolute(data, path.resolve().parent)}
    if sam2 is not None:
        data["sam2"]["use"] = sam2
    data["threshold"] = outcome.threshold
    data["calibration"] = asdict(outcome.calibration)
    return yaml.safe_dump(data, sort_keys=False, allow_unicode=True)


def _absolute(data: Any, folder: Path) -> Any:
    """Return the data with local files by whole paths: the new profile may lie elsewhere."""
    if isinstance(data, list):
        return [_absolute(item, folder) for item in data]
    if not isinstance(data, dict):
        return data
    data = {key: _absolute(value, folder) for key, value in data.items()}
    if data.get("source") == "local" and isinstance(data.get("file"), str):
        data["file"] = str(folder / Path(data["file"]).expanduser())
    return data


def plot_reliability(observations: list[Observation], calibration: Calibration, path: Path) -> None:
    """Draw how often answers of each score are right; absent things weigh as much as present."""
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    outcome, scores = judge(observations, calibration, 0.5)
    right = np.array([seen.right for seen in observations])
    present = np.array([seen.question.present for seen in observations])
    rows = np.array(reliability(scores, right, balance(present)))
    figure = Figure(figsize=(4.5, 4.5), layout="tight")
    FigureCanvasAgg(figure)
    axes = figure.add_subplot()
    axes.plot([0, 1], [0, 1], color="0.7", linewidth=1)
    axes.scatter(rows[:, 0], rows[:, 1], s=20 + 600 * rows[:, 2], alpha=0.7)
    axes.set(xlabel="score", ylabel="share of right answers", xlim=(0, 1), ylim=(-0.02, 1.02))
    axes.set_title(f"expected calibration error {outcome.error:.3f}")
    figure.savefig(path, dpi=120)


def run(
    profile: str,
    data: Path,
    out: Path,
    pictures: Path | None = None,
    rate: float = 0.02,
    plot: Path | None = None,
    device: str = "auto",
    sam2: str | None = None,
) -> Outcome:
    """Read, ask, fit, write the profile and, if asked for, the plot."""
    if out.suffix not in (".yaml", ".yml"):
        raise TextRegionError(f"--out {out}: name a .yaml file")
    outcome, observations = calibrate(profile, read_questions(data, pictures), rate, device, sam2)
    out.write_text(calibrated_yaml(profile, outcome, sam2), encoding="utf-8")
    if plot is not None:
        plot_reliability(observations, outcome.calibration, plot)
    return outcome
