"""Open-world semantic segmentation: a label for every pixel, mIoU (TextRegion, section 4)."""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Literal

import numpy as np

from textregion_ros.evaluation.confusion import confusion, count_pairs, measures
from textregion_ros.evaluation.errors import BadData
from textregion_ros.evaluation.pictures import read_label, read_rgb
from textregion_ros.evaluation.protocol import Dataset, load_protocol
from textregion_ros.evaluation.run import Record
from textregion_ros.evaluation.tables import percent, table
from textregion_ros.regions import Profile, TextRegion


def adapt(profile: Profile, dataset: Dataset) -> Profile:
    """The profile as the published evaluation of this data set has it. Raises BadProfile."""
    profile = load_protocol("semantic").apply(profile)
    return replace(
        profile,
        proposals=replace(profile.proposals, points_per_side=dataset.points_per_side),
        encoder=replace(
            profile.encoder, rescale=dataset.rescale, global_views=dataset.global_views
        ),
    )


@dataclass(frozen=True)
class Semantic:
    """The samples of a data set at `root`, from `list_samples`, and how one is measured."""

    model: TextRegion
    dataset: Dataset
    root: Path
    samples: list[str]

    @property
    def settings(self) -> dict[str, Any]:
        """What decides the result besides the profile."""
        data = self.dataset
        return {
            "task": "semantic",
            "dataset": data.title,
            "names": data.names,
            "phrasings": [[name] if isinstance(name, str) else name for name in data.classes],
            "background": data.background,
            "threshold": data.threshold,
            "uncovered": self.uncovered,
            "label_offset": data.label_offset,
            "ignore": data.ignore,
        }

    @property
    def uncovered(self) -> Literal["first", "dense"]:
        """The label of pixels in no region: published with dense features where there are any."""
        return "dense" if self.model.encoder.has_dense else "first"

    def measure(self, index: int) -> Record:
        """Pixels of each class by what they were labelled. Raises BadData."""
        layout, name = self.dataset.layout, self.samples[index]
        image_path = self.root / layout.image.format(name)
        label_path = self.root / layout.label.format(name)
        rgb = read_rgb(image_path)
        truth = self._truth(label_path)
        if truth.shape != rgb.shape[:2]:
            raise BadData(f"{label_path} is {_size(truth)} px, but {image_path} is {_size(rgb)} px")
        predicted = self._predict(rgb)
        return {"counts": count_pairs(truth, predicted, len(self.dataset.names))}

    def _truth(self, path: Path) -> np.ndarray:
        """int64 H×W: 0 for the first class …, −1 where the pixel is not counted."""
        values, data = read_label(path), self.dataset
        truth = values - data.label_offset
        truth[np.isin(values, data.ignore)] = -1
        wrong = (truth >= len(data.names)) | ((truth < 0) & ~np.isin(values, data.ignore))
        if wrong.any():
            raise BadData(f"{path} has the value {values[wrong][0]}, which is no class's")
        return truth

    def _predict(self, rgb: np.ndarray) -> np.ndarray:
        """int64 H×W in the numbering of `_truth`, the number of classes where there is no label."""
        data = self.dataset
        scene = self.model.encode(rgb, dense=self.uncovered == "dense")
        labels = self.model.label(
            scene, data.classes, data.background, data.threshold, self.uncovered
        ).astype(np.int64)
        if data.background:
            return labels
        return np.where(labels > 0, labels - 1, len(data.names))


def list_samples(dataset: Dataset, root: Path) -> list[str]:
    """The samples' names, in order. Raises BadData where there are none."""
    layout = dataset.layout
    if not root.is_dir():
        raise BadData(f"there is no folder {root}")
    if layout.samples in ("images", "labels"):
        pattern = layout.image if layout.samples == "images" else layout.label
        names, place = _names_of_files(root, pattern), root / pattern.format("*")
    else:
        place = root / layout.samples
        if not place.is_file():
            raise BadData(f"there is no file {place}")
        lines = place.read_text(encoding="utf-8").splitlines()
        names = [line.strip() for line in lines if line.strip()]
    if not names:
        raise BadData(f"{dataset.title}: no sample in {place}")
    return names


def _names_of_files(root: Path, pattern: str) -> list[str]:
    """What stands for {} in the files of `root`, also in folders below, in order."""
    folder, suffix = pattern.split("{}")
    found = (root / folder).rglob(f"*{suffix}")
    names = (path.relative_to(root / folder).as_posix() for path in found)
    return sorted(name.removesuffix(suffix) for name in names)


def _size(array: np.ndarray) -> str:
    return f"{array.shape[1]}×{array.shape[0]}"


def summarise(settings: dict[str, Any], records: list[Record]) -> dict[str, Any]:
    """The measures of all records together."""
    names = settings["names"]
    matrix = confusion([record["counts"] for record in records], len(names))
    return measures(matrix, names)


def markdown(settings: dict[str, Any], summary: dict[str, Any]) -> str:
    """The summary as tables."""
    keys = ("miou", "mean_accuracy", "pixel_accuracy")
    head = table(
        ["", "mIoU", "mean accuracy", "pixel accuracy"],
        [[settings["dataset"], *(percent(summary[key]) for key in keys)]],
    )
    classes = [[entry["name"], percent(entry["iou"])] for entry in summary["classes"]]
    return f"{head}\n{table(['class', 'IoU'], classes)}"
